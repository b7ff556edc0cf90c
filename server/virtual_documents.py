"""Read-only documents for an editor's own diff, and telling it when one that it has read is different now.

What they hold is `preview.py`, how they are named `virtual_address.py`.
"""

import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import anyio
import anyio.to_thread

from orchestration.review.unified import unified
from orchestration.review.view import FileView
from server.client import Client
from server.current_text import current_lines
from server.jsonrpc import INVALID_PARAMS, REQUEST_FAILED, RpcError
from server.preview import preview
from server.reviews import Review, place_in, place_of
from server.virtual_address import VirtualAddress

logger = logging.getLogger(__name__)
_INTERVAL_S = 0.3
# Documents that a client has read and is told about; of more, the oldest are forgotten.
_MOST_READ = 200


class VirtualDocuments:
    def __init__(self, client: Client) -> None:
        self._client = client
        # By URI: what was read, the file it shows, and the digest of the answer.
        self._read: dict[str, tuple[Review, VirtualAddress, str]] = {}
        self._dirty: set[str] = set()
        self._wake = anyio.Event()

    async def read(self, review: Review, address: VirtualAddress, uri: str) -> str:
        """The text of a document of this run. Raises RpcError when the run proposes no such thing."""
        text = await self._text(review, address)
        if self._client.profile.virtual_documents:
            self._read.pop(uri, None)
            self._read[uri] = review, address, _digest(text)
            while len(self._read) > _MOST_READ:
                del self._read[next(iter(self._read))]
        return text

    def changed(self, paths: Iterable[str]) -> None:
        """Absolute paths of files whose text or hunks are different now."""
        if self._read:
            # A client may spell a file by another way than its folder.
            self._dirty.update(map(_real, paths))
            self._wake.set()

    async def keep(self) -> None:
        """Runs until cancelled. A document that is different is told of once, until it is read again."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            await anyio.sleep(_INTERVAL_S)
            await self._client.room()
            dirty, self._dirty = self._dirty, set()
            for uri, (review, address, digest) in tuple(self._read.items()):
                if await self._is_different(review, address, digest, dirty):
                    self._read.pop(uri, None)
                    await self._tell(uri)

    async def _is_different(
        self, review: Review, address: VirtualAddress, digest: str, dirty: set[str]
    ) -> bool:
        try:
            file = _file(review, address)
            if _real(place_of(review, file)) not in dirty:
                return False
            return _digest(await self._text(review, address)) != digest
        except RpcError:
            return True

    async def _tell(self, uri: str) -> None:
        try:
            with anyio.move_on_after(10.0):
                await self._client.ask("workspace/textDocumentContent/refresh", {"uri": uri})
        except RpcError as error:
            logger.info("the client refused to refresh a document: %s", error)

    async def _text(self, review: Review, address: VirtualAddress) -> str:
        file = _file(review, address)
        if file.kind == "binary":
            raise RpcError(REQUEST_FAILED, f"{file.path} is binary; there is no text to show")
        place = place_of(review, file)
        lines = await current_lines(review.workspace.documents.buffer(place_in(file)), place)
        shown = preview(review.hunks.get(place, ()), () if lines is None else lines, address.hunk_id)
        if address.side == "diff":
            # Off the loop: a large file takes a while.
            return await anyio.to_thread.run_sync(
                unified, shown.before, shown.after, file.old_path or file.path, file.path
            )
        return "".join(shown.before if address.side == "before" else shown.after)


def _file(review: Review, address: VirtualAddress) -> FileView:
    files = review.view.files if review.view is not None else ()
    for file in files:
        if address.path in {file.path, file.old_path}:
            if address.hunk_id and not any(hunk.hunk_id == address.hunk_id for hunk in file.hunks):
                raise RpcError(INVALID_PARAMS, f"{file.path} has no hunk {address.hunk_id}")
            return file
    raise RpcError(
        INVALID_PARAMS,
        f"{review.run_id} proposes no change of {address.path}; antiphon/changes/read lists them",
    )


def addresses(
    review: Review, path: str, hunk_id: str
) -> tuple[VirtualAddress, VirtualAddress, VirtualAddress]:
    """Before, after and diff of a file or of one of its hunks. Raises RpcError when there is no such thing."""
    file = _file(review, VirtualAddress(review.run_id, "after", path, hunk_id))
    return (
        VirtualAddress(review.run_id, "before", file.old_path or file.path, hunk_id),
        VirtualAddress(review.run_id, "after", file.path, hunk_id),
        VirtualAddress(review.run_id, "diff", file.path, hunk_id),
    )


def title(path: str, hunk_id: str) -> str:
    return (
        f"{Path(path).name}: the proposed change" if hunk_id else f"{Path(path).name}: all proposed changes"
    )


def _real(path: str) -> str:
    return os.path.realpath(path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
