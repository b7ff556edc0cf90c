"""Findings as diagnostics, and open hunks where there are no code lenses: pushed, or told to be pulled, never both, and only what is different."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import anyio

from orchestration.review.view import PlacedFinding
from server import to_lsp
from server.anchors import Anchor
from server.client import Client
from server.current_text import current_lines
from server.handshake import uses_pull
from server.jsonrpc import RpcError
from server.reviews import Reviews
from server.session import Session
from server.text_buffer import OpenText

logger = logging.getLogger(__name__)
_INTERVAL_S = 0.1


class Diagnostics:
    def __init__(self, session: Session, client: Client, reviews: Reviews) -> None:
        self._session = session
        self._client = client
        self._reviews = reviews
        self._pull = uses_pull(client.profile)
        self._hints = not client.profile.code_lens and not client.profile.antiphon
        self._dirty: set[str] = set()
        self._pushed: dict[str, Any] = {}
        self._wake = anyio.Event()

    def changed(self, paths: Iterable[str]) -> None:
        self._dirty.update(paths)
        self._wake.set()

    async def keep(self) -> None:
        """Runs until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            await self._client.room()
            dirty, self._dirty = sorted(self._dirty), set()
            if self._pull:
                await self._ask_to_pull()
            else:
                for path in dirty:
                    await self._push(path)
            await anyio.sleep(_INTERVAL_S)

    def paths(self) -> list[str]:
        """Of every file that has some."""
        reviews = self._reviews.all()
        found = {path for review in reviews for path in review.findings}
        if self._hints:
            found.update(path for review in reviews for path in review.hunks)
        return sorted(found)

    async def of(self, path: str) -> list[to_lsp.Json]:
        """A file's diagnostics in its current text: the buffer's, else the disk's."""
        found = self._reviews.findings_at(path)
        hunks = self._reviews.hunks_at(path) if self._hints else []
        if not found and not hunks:
            return []
        lines = await current_lines(self._session.document_at(path), path) or ()
        profile = self._client.profile
        return [
            to_lsp.diagnostic(anchor, review.run_id, lines, profile)
            for review, anchors in found
            for anchor in anchors
        ] + [
            item
            for review, anchors in hunks
            for item in to_lsp.hunk_hints(anchors, review.run_id, lines, profile)
        ]

    def shown_at(self, path: str) -> bool:
        """Whether anything is, so that it must move when the text does."""
        return bool(self._reviews.findings_at(path) or (self._hints and self._reviews.hunks_at(path)))

    async def _push(self, path: str) -> None:
        items = await self.of(path)
        if items == self._pushed.get(path, []):
            return
        document = self._session.document_at(path)
        params: to_lsp.Json = {"uri": document.uri if document else to_lsp.uri_of(path), "diagnostics": items}
        if document is not None and self._client.profile.diagnostic_version:
            params["version"] = document.version
        self._client.notify("textDocument/publishDiagnostics", params)
        if items:
            self._pushed[path] = items
        else:
            self._pushed.pop(path, None)

    async def _ask_to_pull(self) -> None:
        try:
            with anyio.move_on_after(10.0):
                await self._client.ask("workspace/diagnostic/refresh", None)
        except RpcError as error:
            logger.info("the client refused to refresh diagnostics: %s", error)


def findings_in(found: Sequence[Anchor[PlacedFinding]], first: int, last: int) -> list[Anchor[PlacedFinding]]:
    """Those that touch the lines from `first` to `last`."""
    return [anchor for anchor in found if anchor.line <= last and first <= anchor.line + anchor.span - 1]


def fixable(anchor: Anchor[PlacedFinding], document: OpenText) -> bool:
    """Whether the finding's own fix can be applied to the buffer as it is."""
    placed = anchor.subject
    finding = placed.finding
    return finding.fix is not None and placed.exact and finding.base_hash == document.digest
