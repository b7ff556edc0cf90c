r"""Unified diffs as git and models write them.

Hunk headers may be bare, or wrong in places and counts: counts are used only where they end a hunk at
its very end, places never. Renames, new, deleted and re-moded files, quoted names, a missing newline at
the end of a file, and diffs inside prose or a fence are understood; binary diffs, copies and combined
diffs are refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestration.edits.model import Chunk, ChunkGroup, FileEdit
from orchestration.edits.parse.diff_hunk import Hunk, is_file_header, read_hunk
from orchestration.edits.parse.malformed import MalformedEditError

_GIT = re.compile(r'diff --git (?:"?[a-z]/(.+?)"? "?[a-z]/(.+?)"?)\Z')
_EXTENDED = re.compile(
    r"(old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to) (.+)\Z"
)
_ESCAPE = re.compile(r'\\([0-7]{3}|["\\abfnrtv])')
_ESCAPED = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, '"': 34, "\\": 92}
_NOWHERE = "/dev/null"


def first_diff(lines: Sequence[str]) -> int | None:
    """The line where a diff's first file header begins, if any."""
    for at, line in enumerate(lines):
        if line.startswith("diff --git ") or is_file_header(lines, at):
            return at
    return None


def parse_unified_diff(text: str) -> list[FileEdit]:
    """The edits in the order of the text. Raises MalformedEditError."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    edits = [_edit(file) for file in _files(lines)]
    if not edits:
        raise MalformedEditError("no file header (`--- a/PATH`, `+++ b/PATH`) in the text")
    return edits


@dataclass(slots=True)
class _File:
    at: int
    git: tuple[str, str] | None = None
    old: str | None = None
    new: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hunks: list[Hunk] = field(default_factory=list)
    binary: bool = False


def _files(lines: list[str]) -> list[_File]:
    files: list[_File] = []
    at = 0
    while at < len(lines):
        line = lines[at].removesuffix("\r")
        if line.startswith("diff --git "):
            git = _GIT.match(line)
            files.append(_File(at, git=(git[1], git[2]) if git else None))
        elif is_file_header(lines, at):
            if not files or files[-1].old is not None or files[-1].hunks:
                files.append(_File(at))
            files[-1].old, files[-1].new = _name(line), _name(lines[at + 1].removesuffix("\r"))
            at += 1
        elif line.startswith(("@@ ", "@@")):
            if not files:
                raise MalformedEditError(
                    "a hunk without a file header above it (`--- a/PATH`, `+++ b/PATH`)", line=at + 1
                )
            hunk, at = read_hunk(lines, at)
            files[-1].hunks.append(hunk)
            continue
        elif files and not files[-1].hunks:
            _extended(files[-1], line)
        at += 1
    return files


def _extended(file: _File, line: str) -> None:
    header = _EXTENDED.match(line)
    if header:
        file.headers[header[1]] = header[2].strip()
    elif line.startswith(("Binary files ", "GIT binary patch")):
        file.binary = True


def _edit(file: _File) -> FileEdit:
    old, new = _paths(file)
    headers = file.headers
    path = new if old is None else old
    assert path is not None
    where = file.at + 1
    if file.binary:
        raise MalformedEditError(
            "binary diffs are not applied; replace the file as a whole", line=where, path=path
        )
    if "copy from" in headers:
        raise MalformedEditError(
            "copies are not applied; create the new file with its content", line=where, path=path
        )
    mode = _mode(file, path)
    group = ChunkGroup(tuple(_chunk(hunk) for hunk in file.hunks))
    replacements = (group,) if file.hunks else ()
    if old is None:
        if any(line.mark != "+" for chunk in group.chunks for line in chunk.lines):
            raise MalformedEditError("a new file's diff holds kept or removed lines", line=where, path=path)
        content = "".join(
            line.content + (line.ending or "") for chunk in group.chunks for line in chunk.lines
        )
        if file.hunks and file.hunks[-1].new_newline is False:
            content = content.rstrip("\r\n")
        return FileEdit(path=path, action="create", content=content, mode=mode, at=where)
    if new is None:
        return FileEdit(path=path, action="delete", replacements=replacements, at=where)
    move_to = new if new != old else None
    if move_to is not None and "rename to" not in headers:
        raise MalformedEditError(
            f"the diff names two files, {old} and {new}; for a rename add `rename from` and `rename to` lines",
            line=where,
            path=path,
        )
    if not replacements and move_to is None and mode is None:
        raise MalformedEditError("the file's diff has no hunk", line=where, path=path)
    return FileEdit(
        path=path, action="update", replacements=replacements, move_to=move_to, mode=mode, at=where
    )


def _paths(file: _File) -> tuple[str | None, str | None]:
    """Old and new path; None where the file is not there on that side."""
    headers = file.headers
    if "rename from" in headers and "rename to" in headers:
        return _unquoted(headers["rename from"]), _unquoted(headers["rename to"])
    if file.old is not None and file.new is not None:
        old, new = _without_prefixes(file.old, file.new)
    elif file.git is not None:
        old, new = (_unquoted(name) for name in file.git)
    else:
        raise MalformedEditError("the diff names no file", line=file.at + 1)
    there = None if old == _NOWHERE or "new file mode" in headers else old
    after = None if new == _NOWHERE or "deleted file mode" in headers else new
    if there is None and after is None:
        raise MalformedEditError("both sides of the diff are /dev/null", line=file.at + 1)
    return there, after


def _without_prefixes(old: str, new: str) -> tuple[str, str]:
    """The names without git's one-letter prefixes, which are there on both sides or not at all."""
    prefixed = [name == _NOWHERE or re.match(r"[abciow]/.", name) is not None for name in (old, new)]
    if all(prefixed) and not (old == new and old[:2] not in {"a/", "b/"}):
        return tuple(name if name == _NOWHERE else name[2:] for name in (old, new))  # type: ignore[return-value]
    if prefixed[0] and old[2:] == new:
        return new, new
    if prefixed[1] and new[2:] == old:
        return old, old
    return old, new


def _name(header: str) -> str:
    """The file name of a `---` or `+++` line, without its time stamp."""
    name = header[4:]
    return _unquoted(name.strip() if name.startswith('"') else name.split("\t")[0].strip())


def _unquoted(name: str) -> str:
    """A name as git quotes it (C escapes of its UTF-8 bytes) or as it is."""
    if len(name) < 2 or not (name.startswith('"') and name.endswith('"')):
        return name
    data = bytearray()
    at = 0
    body = name[1:-1]
    for escape in _ESCAPE.finditer(body):
        data += body[at : escape.start()].encode()
        code = escape[1]
        data.append(int(code, 8) & 0xFF if code.isdigit() else _ESCAPED[code])
        at = escape.end()
    data += body[at:].encode()
    return data.decode("utf-8", "replace")


def _mode(file: _File, path: str) -> int | None:
    text = file.headers.get("new mode") or file.headers.get("new file mode")
    if text is None or (text == "100644" and "new mode" not in file.headers):
        return None
    if text not in {"100644", "100755"}:
        raise MalformedEditError(f"a file of mode {text} is no regular file", line=file.at + 1, path=path)
    return int(text, 8) & 0o777


def _chunk(hunk: Hunk) -> Chunk:
    at_end = hunk.old_newline is False or hunk.new_newline is False
    return Chunk(
        lines=tuple(hunk.lines),
        at_end=at_end,
        stated=hunk.stated,
        final_newline=hunk.new_newline is not False if at_end else None,
        at=hunk.at + 1,
    )
