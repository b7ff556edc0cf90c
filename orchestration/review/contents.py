"""The user's files as they are now: buffers where a document is open, the disk elsewhere. Reads and writes.

An open document is changed through the editor, a closed one by an atomic write that compares with what
was read.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from orchestration import events as ev
from orchestration.edits.text import FileText
from orchestration.engine_ports import EnginePorts
from orchestration.errors import AntiphonError, ConflictError
from orchestration.review.history import FAILED
from orchestration.review.hunks import sha256
from orchestration.review.moves import moves
from orchestration.review.standing import FileWrite


class Contents:
    def __init__(self, ports: EnginePorts) -> None:
        self._ports = ports

    async def write_all(
        self, writes: Iterable[FileWrite], label: str, sent: Callable[[str], Awaitable[None]]
    ) -> tuple[ev.FileResult, ...]:
        """`sent` is called with the path right before an edit leaves for the editor."""
        writes = tuple(writes)
        origins = {move.gone.path: move.came.path for move in moves(writes)}
        by_editor = await self._ports.documents.carry_out(writes, f"Antiphon: {label}", sent)
        documents = self._ports.documents.open_documents()
        results = [
            ev.FileResult(path=path, outcome=done.outcome, detail=done.detail)
            for path, done in by_editor.items()
        ]
        for write in sorted(writes, key=lambda write: write.after is None):
            if write.path in by_editor:
                continue
            if any(done.path == origins.get(write.path) and done.outcome in FAILED for done in results):
                kept = f"kept, since {origins[write.path]} could not be written"
                results.append(ev.FileResult(path=write.path, outcome="conflict", detail=kept))
                continue
            document = documents.get(write.path)
            try:
                if document is not None and write.after is not None and write.before is not None:
                    if FileText.decode(write.before).text != document.text:
                        raise ConflictError(f"{write.path} was edited at this very moment; decide again")
                    text = FileText.decode(write.after).text
                    sunk = await self._ports.documents.apply(
                        write.path, document, text, f"Antiphon: {label}", partial(sent, write.path)
                    )
                    if write.mode is not None and sunk.outcome not in FAILED:  # no buffer holds a mode
                        await self._ports.executor.run(self._ports.files.set_mode, write.path, write.mode)
                    results.append(ev.FileResult(path=write.path, outcome=sunk.outcome, detail=sunk.detail))
                elif write.before == write.after and write.mode is None:
                    results.append(ev.FileResult(path=write.path, outcome="unchanged"))
                else:
                    await self._ports.executor.run(self._write, write)
                    results.append(ev.FileResult(path=write.path, outcome="written"))
            except AntiphonError as error:
                results.append(ev.FileResult(path=write.path, outcome="conflict", detail=str(error)))
        return tuple(results)

    def _read(self, path: str) -> bytes | None:
        self._refuse_link(path)
        return self._ports.files.read(path)

    def _refuse_link(self, path: str) -> None:
        """A proposal names no path that goes through a link; where one does now, it is another file's content."""
        target = self._ports.guard.resolve(path)
        if target != path:
            raise ConflictError(f"{path} is reached through a symbolic link now (to {target})")

    def _write(self, write: FileWrite) -> None:
        self._refuse_link(write.path)
        expected = "" if write.before is None else sha256(write.before)
        if write.after is None:
            self._ports.files.delete(write.path, expected=expected)
        else:
            self._ports.files.write(write.path, write.after, expected=expected, mode=write.mode)

    async def look(self, path: str) -> "Look":
        try:
            on_disk = await self._ports.executor.run(self._read, path)
        except AntiphonError:
            # A folder, a link to the outside, something unreadable, or a file where a folder should be: no file
            # of the workspace that could be decided. The others can.
            on_disk = None
        document = self._ports.documents.open_documents().get(path)
        if document is None:
            return Look(on_disk, saved=True)
        now = _encoded(document.text, on_disk)
        return Look(now, saved=now == on_disk)


@dataclass(frozen=True, slots=True)
class Look:
    """`now`: the content as the user sees it, the buffer's in the file's encoding, else the disk's; None: no
    such file. `saved`: the disk holds the same.
    """

    now: bytes | None
    saved: bool


def _encoded(text: str, on_disk: bytes | None) -> bytes:
    try:
        kept = FileText() if on_disk is None else FileText.decode(on_disk)
        return kept.with_text(text).encode()
    except AntiphonError:
        return text.encode()
