"""Open editor buffers as the engine sees them: a source of unsaved texts and a sink for edits.

The server implements this port over LSP (`server/editor_documents.py`); without an editor there are
no documents and every accepted edit goes to disk.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from orchestration.events import FileOutcome


class Document(msgspec.Struct, frozen=True):
    """A buffer: `text` as the editor holds it, `dirty` when it differs from what was last saved."""

    text: str
    version: int
    dirty: bool


class SinkResult(msgspec.Struct, frozen=True):
    outcome: FileOutcome
    detail: str = ""


class Write(Protocol):
    """What is to happen to one path; None: no such file."""

    @property
    def path(self) -> str: ...
    @property
    def before(self) -> bytes | None: ...
    @property
    def after(self) -> bytes | None: ...
    @property
    def mode(self) -> int | None: ...


class EditorDocuments(Protocol):
    def open_documents(self) -> Mapping[str, Document]:
        """By path relative to the workspace root, POSIX style."""

    async def apply(
        self,
        path: str,
        document: Document,
        text: str,
        label: str,
        sent: Callable[[], Awaitable[None]] | None = None,
    ) -> SinkResult:
        """Changes the buffer from `document` (text and version) to `text` through the editor; `sent` is
        awaited right before the edit leaves.
        Outcome `seen` when the buffer was observed to hold it, `conflict` when the buffer had moved
        on or the editor refused (nothing changed), `unknown` after a time-out: never retried.
        """

    async def carry_out(
        self, writes: Sequence[Write], label: str, sent: Callable[[str], Awaitable[None]] | None = None
    ) -> Mapping[str, SinkResult]:
        """Deletes and moves open documents through the editor, so that its buffers go along. By path, what
        came of it; the other writes are for the caller.
        """


class NoDocuments:
    """No editor: nothing is open."""

    def open_documents(self) -> Mapping[str, Document]:
        return {}

    async def apply(
        self,
        path: str,
        document: Document,
        text: str,
        label: str,
        sent: Callable[[], Awaitable[None]] | None = None,
    ) -> SinkResult:
        del document, text, label, sent
        return SinkResult("conflict", f"{path} is not open in an editor")

    async def carry_out(
        self, writes: Sequence[Write], label: str, sent: Callable[[str], Awaitable[None]] | None = None
    ) -> Mapping[str, SinkResult]:
        del writes, label, sent
        return {}
