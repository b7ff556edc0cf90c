"""An editor's buffers in memory: the twin of the server's documents, with an undo of its own."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from orchestration.documents import Document, SinkResult, Write


class Buffers:
    """`refusal`: what the next edit is answered with instead of being carried out. `outcomes` tells what an
    edit was when it was about to be carried out.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts: dict[str, list[str]] = {}
        self._undone: dict[str, list[str]] = {}
        self.refusal: SinkResult | None = None
        self.on_edit: Callable[[str], Awaitable[None]] | None = None

    # --- what a user does ------------------------------------------------------------------------

    def open(self, path: str) -> None:
        self._texts[path] = [(self._root / path).read_bytes().decode()]
        self._undone[path] = []

    def text(self, path: str) -> str:
        return self._texts[path][-1]

    def type(self, path: str, text: str) -> None:
        self._texts[path].append(text)
        self._undone[path] = []

    def undo(self, path: str) -> None:
        self._undone[path].append(self._texts[path].pop())

    def redo(self, path: str) -> None:
        self._texts[path].append(self._undone[path].pop())

    def save(self, path: str) -> None:
        (self._root / path).write_bytes(self.text(path).encode())

    def close(self, path: str) -> None:
        del self._texts[path]

    # --- what the engine sees --------------------------------------------------------------------

    def open_documents(self) -> Mapping[str, Document]:
        return {
            path: Document(
                texts[-1], len(texts), dirty=texts[-1].encode() != (self._root / path).read_bytes()
            )
            for path, texts in self._texts.items()
        }

    async def apply(
        self,
        path: str,
        document: Document,
        text: str,
        label: str,
        sent: Callable[[], Awaitable[None]] | None = None,
    ) -> SinkResult:
        assert label.startswith("Antiphon")
        if document.text != self.text(path):
            return SinkResult("conflict", "changed in the editor meanwhile")
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            return refusal
        if sent is not None:
            await sent()
        if self.on_edit is not None:
            await self.on_edit(path)
        self.type(path, text)
        return SinkResult("seen")

    async def carry_out(
        self, writes: Sequence[Write], label: str, sent: Callable[[str], Awaitable[None]] | None = None
    ) -> Mapping[str, SinkResult]:
        del writes, label, sent
        return {}
