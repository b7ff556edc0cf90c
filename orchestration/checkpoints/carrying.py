"""Carrying a restore out: open documents through the editor, everything else on the disk, whole files only.

Each step is checked against what was read when the restore was planned; a file that is something else by now
is left and reported. What a step replaces is in the checkpoint that was taken right before.
"""

from collections.abc import Callable, Sequence

import anyio
import anyio.lowlevel

from orchestration import events as ev
from orchestration.checkpoints.steps import RestorePlan, Step, parents
from orchestration.documents import Document
from orchestration.edits.text import BinaryContentError, FileText
from orchestration.engine_ports import EnginePorts
from orchestration.errors import AntiphonError, ConflictError, PathRefusedError
from orchestration.review.standing import FileWrite
from orchestration.workspace.entries import WorkspaceFullError
from orchestration.workspace.objects import LINK, Entry

LABEL = "Antiphon: restore"
_TOGETHER = 64  # steps for one visit to a worker thread


class Carrier:
    """`progress` is told how many steps are done."""

    def __init__(self, ports: EnginePorts, progress: Callable[[int], None]) -> None:
        self._ports = ports
        self._progress = progress
        self._done: list[ev.FileResult] = []

    async def carry_out(self, plan: RestorePlan, elsewhere: frozenset[str]) -> list[ev.FileResult]:
        """The outcome of each step. `elsewhere`: paths that another server has open."""
        open_here = self._open_documents()
        closed: list[Step] = []
        in_editor: list[Step] = []
        for step in plan.steps:
            if step.path in elsewhere:
                self._failed(step, "open in another editor window; close it there, or restore from there")
            else:
                (in_editor if step.path in open_here else closed).append(step)
        first = [step for step in closed if step.path in plan.making_way]
        later = [step for step in closed if step.then is None and step.path not in plan.making_way]
        closed_deletes = await self._deleted_by_editor(in_editor, open_here)
        full = await self._on_disk(
            [step for step in closed_deletes if step.path in plan.making_way] + first, ""
        )
        for step in in_editor:
            if step.then is not None:
                await self._in_editor(step, *open_here[step.path])
        full = await self._on_disk([step for step in closed if step.then is not None], full)
        late = later + [step for step in closed_deletes if step.path not in plan.making_way]
        await self._on_disk(late, full)
        await self._ports.executor.run(self._folders, plan)
        return self._done

    def _open_documents(self) -> dict[str, tuple[str, Document]]:
        """By the real path in the workspace: the path it is open under, and the document."""
        found = {}
        for given, document in self._ports.documents.open_documents().items():
            try:
                real = self._ports.guard.resolve(self._ports.guard.inside(given))
            except PathRefusedError:
                real = given
            found[real] = (given, document)
        return found

    def _failed(self, step: Step, why: str) -> None:
        self._done.append(ev.FileResult(path=step.path, outcome="conflict", detail=why))

    # --- the editor ------------------------------------------------------------------------------

    async def _deleted_by_editor(
        self, steps: Sequence[Step], open_here: dict[str, tuple[str, Document]]
    ) -> list[Step]:
        """Gives back what the editor leaves to us."""
        deletes = [step for step in steps if step.then is None]
        if not deletes:
            return []
        writes = [
            FileWrite(open_here[step.path][0], self._blob(step.now), None)
            for step in deletes
            if step.now is not None
        ]
        by_editor = await self._ports.documents.carry_out(writes, LABEL)
        left = []
        for step in deletes:
            given, document = open_here[step.path]
            if given in by_editor:
                sunk = by_editor[given]
                self._done.append(ev.FileResult(path=step.path, outcome=sunk.outcome, detail=sunk.detail))
            elif document.dirty:
                self._failed(step, "has unsaved changes in the editor; save or close it, then restore again")
            else:
                left.append(step)
        return left

    async def _in_editor(self, step: Step, given: str, document: Document) -> None:
        then = step.then
        assert then is not None
        try:
            if step.now is None:
                if document.dirty:
                    raise ConflictError("open with unsaved text that no checkpoint holds; save or close it")
                await self._ports.executor.run(self._put, step)
                self._done.append(ev.FileResult(path=step.path, outcome="written"))
                return
            if LINK in {step.now.mode, then.mode}:
                raise ConflictError("is a link now, or was one; close it in the editor, then restore again")
            text, wanted = self._text(step.now), self._text(then)
            if text != document.text:
                raise ConflictError("was edited at this very moment; restore again")
            sunk = await self._ports.documents.apply(given, document, wanted, LABEL)
            if step.now.mode != then.mode:
                await self._ports.executor.run(self._chmod, step.path, then.mode)
            self._done.append(ev.FileResult(path=step.path, outcome=sunk.outcome, detail=sunk.detail))
        except BinaryContentError:
            self._failed(step, "is binary in the checkpoint; close it in the editor, then restore again")
        except AntiphonError as error:
            self._failed(step, str(error))
        self._progress(len(self._done))

    def _text(self, entry: Entry) -> str:
        return FileText.decode(self._blob(entry)).text

    def _blob(self, entry: Entry | None) -> bytes:
        return b"" if entry is None else self._ports.objects.blob(entry.oid)

    # --- the disk --------------------------------------------------------------------------------

    async def _on_disk(self, steps: Sequence[Step], full: str) -> str:
        """`full`: why the disk takes no more, "" while it does; given on."""
        for at in range(0, len(steps), _TOGETHER):
            if full:
                for step in steps[at:]:
                    self._failed(step, f"not restored, since {full}")
                return full
            with anyio.CancelScope(shield=True):  # cancelled in between, not while files are being replaced
                full = await self._ports.executor.run(self._some, steps[at : at + _TOGETHER])
            await anyio.lowlevel.checkpoint()
            self._progress(len(self._done))
        return full

    def _some(self, steps: Sequence[Step]) -> str:
        full = ""
        for step in steps:
            if full:
                self._failed(step, f"not restored, since {full}")
                continue
            try:
                self._put(step)
                self._done.append(ev.FileResult(path=step.path, outcome="written"))
            except WorkspaceFullError as error:
                full = str(error)
                self._failed(step, full)
            except AntiphonError as error:
                self._failed(step, str(error))
        return full

    def _put(self, step: Step) -> None:
        entries = self._ports.entries
        if step.then is None:
            assert step.now is not None
            entries.remove(step.path, expected=step.now)
            return
        if step.now is None and (stranger := entries.clear_folder(step.path)):
            raise ConflictError(f"{step.path} is a folder now, with {stranger} in it; it is left as it is")
        entries.put(step.path, step.then, self._ports.objects.blob(step.then.oid), expected=step.now)

    def _chmod(self, path: str, mode: int) -> None:
        """The execute bits of a file whose text the editor changes."""
        entries = self._ports.entries
        there = entries.at(path)
        if there is not None and there.mode not in {LINK, mode}:
            entries.put(path, Entry(mode, there.oid), b"", expected=there)

    def _folders(self, plan: RestorePlan) -> None:
        """Empty folders come and go; then all that was changed is made durable."""
        entries = self._ports.entries
        for path in plan.make:
            try:
                entries.make_folder(path)
            except AntiphonError as error:
                self._done.append(ev.FileResult(path=f"{path}/", outcome="conflict", detail=str(error)))
        emptied = {parent for step in plan.steps if step.then is None for parent in parents(step.path)}
        gone = {parent for path in plan.drop for parent in (path, *parents(path))}
        for path in sorted(emptied | gone, key=lambda path: (-path.count("/"), path)):
            if path not in plan.keep:
                entries.drop_folder(path)
        entries.settle()
