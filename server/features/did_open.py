"""`textDocument/didOpen`"""

from pathlib import Path

from lsprotocol import types

from orchestration.edits.text import BinaryContentError, FileText, split_lines
from server.client_profile import path_of
from server.host import Host
from server.text_buffer import OpenText

PARAMS = types.DidOpenTextDocumentParams


def handle(host: Host, params: types.DidOpenTextDocumentParams) -> None:
    item = params.text_document
    path = path_of(item.uri)
    dirty = path is not None and not _as_on_disk(path, item.text)
    host.session.opened(OpenText(item.uri, path, item.version, split_lines(item.text), dirty))


def _as_on_disk(path: str, text: str) -> bool:
    """Whether the buffer holds the file as it is: one that does not has unsaved changes from before us."""
    try:
        file = Path(path)
        # An encoding takes at least one byte a character and at most four (and a byte order mark).
        if not len(text) <= file.stat().st_size <= 4 * len(text) + 4:
            return False
        return FileText.decode(file.read_bytes()).text == text
    except (OSError, BinaryContentError):
        return False
