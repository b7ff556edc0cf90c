"""Files that the editor itself deletes or moves, because it has them open: its buffer goes along.

Only where the disk holds what the buffer holds, so that no unsaved text is lost; everything else is left to
the engine, which works on the disk.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from orchestration.documents import Document, SinkResult, Write
from orchestration.edits.text import FileText
from orchestration.review.moves import Move, moves
from server import to_lsp
from server.client import Client
from server.jsonrpc import RpcError
from server.session import DocumentListener
from server.text_buffer import OpenText

REPLY_WITHIN_S = 30.0
SEEN_WITHIN_S = 5.0

Sent = Callable[[str], Awaitable[None]] | None
Apply = Callable[[str, Document, str, str, Callable[[], Awaitable[None]] | None], Awaitable[SinkResult]]
FindBuffer = Callable[[str], OpenText | None]
Listen = Callable[[DocumentListener], Callable[[], None]]


class ResourceOperations:
    """Of one workspace. `listen` is the session's; `buffer` finds an open document by its path in the workspace,
    `apply` edits it.
    """

    def __init__(
        self, root: Path, client: Client, *, listen: Listen, buffer: FindBuffer, apply: Apply
    ) -> None:
        self._root = root
        self._client = client
        self._listen = listen
        self._buffer = buffer
        self._apply = apply

    async def carry_out(
        self, writes: Sequence[Write], label: str, sent: Sent = None
    ) -> dict[str, SinkResult]:
        """What the editor did, by path; a path that is not among them is for the engine."""
        found: dict[str, SinkResult] = {}
        moved = {move.gone.path: move for move in moves(writes)}
        for gone in writes:
            buffer = self._buffer(gone.path)
            if buffer is None or gone.before is None or gone.after is not None:
                continue
            step = moved.get(gone.path)
            if await anyio.to_thread.run_sync(_bytes_at, self._root / gone.path) != gone.before:
                unsaved = f"{gone.path} has unsaved changes in the editor; save them, then decide again"
                paths = (gone.path,) if step is None else (step.came.path, gone.path)
                found.update(dict.fromkeys(paths, SinkResult("conflict", unsaved)))
            elif step is not None:
                if self._can("rename") and await anyio.to_thread.run_sync(self._fits, step):
                    found.update(await self._move(buffer, step, label, sent))
            elif self._can("delete"):
                found[gone.path] = await self._delete(buffer, gone, label)
        return found

    def _can(self, operation: str) -> bool:
        profile = self._client.profile
        return profile.apply_edit and operation in profile.resource_operations

    def _fits(self, step: Move) -> bool:
        """Whether a plain rename is all there is to do with the file: its new place is free and within the
        workspace, and its mode stays.
        """
        mode, came = step.came.mode, step.came
        if mode is not None and (mode ^ (self._root / step.gone.path).stat().st_mode) & 0o111:
            return False
        target = self._root / came.path
        parent = target.parent
        while not parent.exists():
            parent = parent.parent
        inside = parent.resolve().is_relative_to(self._root.resolve())
        return inside and not os.path.lexists(target) and self._buffer(came.path) is None

    async def _delete(self, buffer: OpenText, gone: Write, label: str) -> SinkResult:
        operation = {"kind": "delete", "uri": buffer.uri, "options": {"ignoreIfNotExists": True}}
        refusal = await self._ask(operation, label)
        if not await _exists(self._root / gone.path):
            return SinkResult("written")
        return refusal or SinkResult("conflict", "the editor said that it deleted the file, but it is there")

    async def _move(self, buffer: OpenText, step: Move, label: str, sent: Sent) -> dict[str, SinkResult]:
        old, new = self._root / step.gone.path, self._root / step.came.path
        operation = {
            "kind": "rename",
            "oldUri": buffer.uri,
            "newUri": to_lsp.uri_of(new),
            "options": {"overwrite": False, "ignoreIfExists": False},
        }
        refusal = await self._ask(operation, label)
        if await _exists(old) or not await _exists(new):
            result = refusal or SinkResult(
                "conflict", "the editor said that it renamed the file, but did not"
            )
            return {step.came.path: result, step.gone.path: result}
        return {step.came.path: await self._edited(step, label, sent), step.gone.path: SinkResult("written")}

    async def _edited(self, step: Move, label: str, sent: Sent) -> SinkResult:
        """The rest of the change, in the buffer under its new name."""
        if step.came.after == step.gone.before:
            return SinkResult("written")
        buffer = await self._opened(step.came.path)
        if buffer is None:
            return SinkResult(
                "unknown", "renamed, but the editor did not open it again; look before deciding"
            )
        assert step.came.after is not None
        text = FileText.decode(step.came.after).text
        return await self._apply(
            step.came.path,
            Document(buffer.text, buffer.version, buffer.dirty),
            text,
            label,
            None if sent is None else partial(sent, step.came.path),
        )

    async def _opened(self, path: str) -> OpenText | None:
        """Waits until the editor has told of the document under its new name."""
        told = anyio.Event()
        stop = self._listen(lambda _document, _changes: told.set() if self._buffer(path) else None)
        try:
            with anyio.move_on_after(SEEN_WITHIN_S):
                if self._buffer(path) is None:
                    await told.wait()
        finally:
            stop()
        return self._buffer(path)

    async def _ask(self, operation: dict[str, Any], label: str) -> SinkResult | None:
        """None when the editor says that it was done."""
        params = {"label": label, "edit": to_lsp.resource_edit(operation, label, self._client.profile)}
        try:
            with anyio.fail_after(REPLY_WITHIN_S):
                answer: Any = await self._client.ask("workspace/applyEdit", params)
        except TimeoutError:
            return SinkResult("unknown", f"the editor did not answer within {REPLY_WITHIN_S:g} s")
        except RpcError as error:
            return SinkResult("conflict", f"the editor answered: {error.message}")
        if isinstance(answer, dict) and answer.get("applied") is True:
            return None
        reason = answer.get("failureReason") if isinstance(answer, dict) else None
        return SinkResult("conflict", f"the editor refused{f': {reason}' if reason else ''}")


def _bytes_at(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


async def _exists(path: Path) -> bool:
    return await anyio.to_thread.run_sync(os.path.lexists, path)
