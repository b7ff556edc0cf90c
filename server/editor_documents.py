"""Open buffers as the engine's documents, and edits to them through the editor.

An edit is one versioned `workspace/applyEdit`, minimal so that cursors and folds stay, one at a time for
each document. The editor's word that it was applied is not trusted: the edit counts as seen when the
buffer was seen to hold it. Editors send their changes late (Neovim after 150 ms), and the user may type
meanwhile, so a buffer that holds the edit and something else is told apart from one that does not.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio

from orchestration.documents import Document, SinkResult, Write
from orchestration.edits.text import split_lines
from orchestration.events import FileOutcome
from orchestration.review.diffing import diff
from server import to_lsp
from server.client import Client
from server.jsonrpc import METHOD_NOT_FOUND, RpcError
from server.resource_operations import ResourceOperations
from server.session import Session, relative_to
from server.text_buffer import LineChange, OpenText

logger = logging.getLogger(__name__)
SEEN_WITHIN_S = 5.0
REPLY_WITHIN_S = 30.0


class BufferDocuments:
    """Implements `orchestration.documents.EditorDocuments` for one workspace."""

    def __init__(
        self,
        root: Path,
        session: Session,
        client: Client,
        *,
        seen_within_s: float = SEEN_WITHIN_S,
        reply_within_s: float = REPLY_WITHIN_S,
    ) -> None:
        self._root = root
        self._session = session
        self._client = client
        self._seen_within_s = seen_within_s
        self._reply_within_s = reply_within_s
        self._locks: dict[str, asyncio.Lock] = {}
        self._resources = ResourceOperations(
            root, client, listen=session.listen, buffer=self.buffer, apply=self.apply
        )

    def open_documents(self) -> Mapping[str, Document]:
        found = {}
        for document in self._session.documents():
            relative = relative_to(document.path, self._root) if document.path else None
            if relative is not None:
                found[relative] = Document(document.text, document.version, document.dirty)
        return found

    def buffer(self, path: str) -> OpenText | None:
        """The open document at a path relative to the root."""
        direct = self._session.document_at(str(self._root / path))
        if direct is not None:
            return direct
        return next(
            (
                document
                for document in self._session.documents()
                if document.path and relative_to(document.path, self._root) == path
            ),
            None,
        )

    async def apply(
        self,
        path: str,
        document: Document,
        text: str,
        label: str,
        sent: Callable[[], Awaitable[None]] | None = None,
    ) -> SinkResult:
        lock = self._locks.setdefault(path, asyncio.Lock())
        async with lock:
            return await self._apply(path, document, text, label, sent)

    async def carry_out(
        self, writes: Sequence[Write], label: str, sent: Callable[[str], Awaitable[None]] | None = None
    ) -> Mapping[str, SinkResult]:
        return await self._resources.carry_out(writes, label, sent)

    async def _apply(
        self,
        path: str,
        document: Document,
        text: str,
        label: str,
        sent: Callable[[], Awaitable[None]] | None,
    ) -> SinkResult:
        buffer = self.buffer(path)
        if buffer is None:
            return SinkResult("conflict", "no longer open in the editor")
        if buffer.text != document.text:
            return SinkResult("conflict", "changed in the editor meanwhile")
        if not self._client.profile.apply_edit:
            return SinkResult(
                "conflict", "the editor cannot apply edits; close the file there, then decide again"
            )
        if buffer.text == text:
            return SinkResult("seen")
        if sent is not None:
            await sent()
            if self.buffer(path) is not buffer:
                return SinkResult("conflict", "changed in the editor meanwhile")
        watch = _Watch(self._session, buffer, text)
        try:
            refusal = await self._send(buffer, text, label, watch)
            if refusal is not None:
                return refusal
            return await self._seen(path, watch)
        finally:
            watch.stop()

    async def _send(self, buffer: OpenText, text: str, label: str, watch: "_Watch") -> SinkResult | None:
        """None when the editor says that it applied the edit."""
        params = to_lsp.apply_edit(buffer, text, label, self._client.profile)
        try:
            with anyio.fail_after(self._reply_within_s):
                answer: Any = await self._client.ask("workspace/applyEdit", params)
        except TimeoutError:
            if watch.seen:
                return None
            return SinkResult("unknown", f"the editor did not answer within {self._reply_within_s:g} s")
        except RpcError as error:
            outcome: FileOutcome = "conflict" if error.code == METHOD_NOT_FOUND else "unknown"
            return SinkResult(outcome, f"the editor answered: {error.message}")
        if isinstance(answer, dict) and answer.get("applied") is True:
            return None
        reason = answer.get("failureReason") if isinstance(answer, dict) else None
        return SinkResult("conflict", f"the editor refused the edit{f': {reason}' if reason else ''}")

    async def _seen(self, path: str, watch: "_Watch") -> SinkResult:
        """After the editor's answer: what it sends from now on holds the edit, or the edit is nowhere."""
        watch.answered = True
        with anyio.move_on_after(self._seen_within_s):
            await watch.decided.wait()
        if watch.seen:
            return SinkResult("seen")
        buffer = self.buffer(path)
        if buffer is None:
            return SinkResult("unknown", "closed before the edit was seen")
        if watch.untouched(buffer):
            return SinkResult("conflict", "changed in the editor before the edit arrived")
        return SinkResult("unknown", f"the edit was not seen within {self._seen_within_s:g} s")


class _Watch:
    """Waits for a buffer to hold `expected`, perhaps with edits of the user's around it."""

    def __init__(self, session: Session, before: OpenText, expected: str) -> None:
        self.seen = False
        self.answered = False
        self.decided = asyncio.Event()
        self._session = session
        self._before = before
        self._expected = split_lines(expected)
        self._places = diff(before.lines, self._expected)
        self.stop = session.listen(self._changed)

    def _changed(self, document: OpenText, shifts: Sequence[LineChange]) -> None:
        if document.uri != self._before.uri:
            return
        if shifts and self.holds(document):
            self.seen = True
            self.decided.set()
        elif (shifts and self.answered and self.untouched(document)) or not self._open(document):
            self.decided.set()

    def _open(self, document: OpenText) -> bool:
        return self._session.document(document.uri) is not None

    def holds(self, document: OpenText) -> bool:
        """The edit is in the buffer: what differs from the expected text lies outside the edited lines."""
        lines = _with_endings_of(self._expected, document.lines)
        if lines == self._expected:
            return True
        edited = [(block.new_start, block.new_end) for block in self._places]
        others = [(block.old_start, block.old_end) for block in diff(self._expected, lines)]
        return not _touch(edited, others) and not self.untouched(document)

    def untouched(self, document: OpenText) -> bool:
        """The edit is not in the buffer: the lines it was to replace are as before."""
        lines = _with_endings_of(self._before.lines, document.lines)
        replaced = [(block.old_start, block.old_end) for block in self._places]
        others = [(block.old_start, block.old_end) for block in diff(self._before.lines, lines)]
        return not _touch(replaced, others)


def _touch(ranges: list[tuple[int, int]], others: list[tuple[int, int]]) -> bool:
    """Whether two of them share a line; an empty one, which lies between lines, touches both of these."""
    return any(
        max(a, c) < min(b, d) or ((a == b or c == d) and a <= d and c <= b)
        for a, b in ranges
        for c, d in others
    )


def _with_endings_of(wanted: Sequence[str], lines: Sequence[str]) -> list[str]:
    """`lines` with each ending as `wanted` has it where the contents agree: editors keep one kind of ending
    for a whole buffer, so an inserted line may come back with another one.
    """
    if len(wanted) != len(lines):
        kind = {line.rstrip("\r\n"): line for line in wanted}
        return [
            kind.get(line.rstrip("\r\n"), line) if line.endswith(("\n", "\r")) else line for line in lines
        ]
    return [
        want
        if want.rstrip("\r\n") == line.rstrip("\r\n") and (want == line or _both_end(want, line))
        else line
        for want, line in zip(wanted, lines, strict=True)
    ]


def _both_end(one: str, other: str) -> bool:
    return one.endswith(("\n", "\r")) and other.endswith(("\n", "\r"))
