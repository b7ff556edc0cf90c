"""The edits that come as tool calls: search/replace pairs, whole file, move, delete."""

from collections.abc import Sequence

from orchestration.edits.model import FileEdit, TextReplacement
from orchestration.edits.parse.malformed import MalformedEditError


def edit_file(path: str, edits: Sequence[tuple[str, str]]) -> FileEdit:
    """`edits` are (search, replace) pairs, applied in order, each to the result of the one before. A single
    pair with an empty search creates the file when it is not there. Raises MalformedEditError for none.
    """
    if not edits:
        raise MalformedEditError("`edits` is empty; give at least one {search, replace} pair", path=path)
    return FileEdit(
        path=path,
        action="update",
        replacements=tuple(TextReplacement(search=search, replace=replace) for search, replace in edits),
    )


def write_file(path: str, content: str) -> FileEdit:
    """Creates the file, or replaces its content; encoding, byte order mark and endings stay as they are."""
    return FileEdit(path=path, action="write", content=content)


def move_file(path: str, to: str) -> FileEdit:
    return FileEdit(path=path, action="update", move_to=to)


def delete_file(path: str) -> FileEdit:
    return FileEdit(path=path, action="delete")
