"""The text of a file as the user has it now: the buffer's where it is open, else the disk's."""

from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from orchestration.edits.text import BinaryContentError, FileText
from server.text_buffer import OpenText

_LARGEST_FILE = 4 << 20


async def current_lines(document: OpenText | None, path: str) -> Sequence[str] | None:
    """Lines with their endings; `path`, absolute, is read where no document is open. None when there is no such
    file, empty for what cannot be read as text.
    """
    if document is not None:
        return document.lines
    return await anyio.to_thread.run_sync(_lines_on_disk, path)


def _lines_on_disk(path: str) -> Sequence[str] | None:
    try:
        file = Path(path)
        return FileText.decode(file.read_bytes()).lines if file.stat().st_size <= _LARGEST_FILE else ()
    except FileNotFoundError:
        return None
    except (OSError, BinaryContentError):
        return ()
