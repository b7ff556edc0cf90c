"""One hunk of a unified diff: where it ends is the hard part, since counts are often wrong."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from orchestration.edits.model import Line
from orchestration.edits.parse.malformed import MalformedEditError
from orchestration.edits.text import content_of, ending_of, split_lines

_HEADER = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_FENCE = re.compile(r"(?:`{3,}|~{3,}|</?(?:source|code|pre|codeblock)>)")


@dataclass(slots=True)
class Hunk:
    """`stated`: the 0-based first line its header names. `old_newline`, `new_newline`: False when the diff
    says that this side of the file ends without a newline.
    """

    at: int
    stated: int | None = None
    lines: list[Line] = field(default_factory=list)
    old_newline: bool | None = None
    new_newline: bool | None = None


def is_file_header(lines: Sequence[str], at: int) -> bool:
    """Whether a `---` and a `+++` line begin a file's diff here."""
    return lines[at].startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ ")


def read_hunk(lines: list[str], at: int) -> tuple[Hunk, int]:
    """The hunk whose header is `lines[at]`, and the line after it. Raises MalformedEditError."""
    if lines[at].startswith("@@@"):
        raise MalformedEditError("combined diffs are not applied", line=at + 1)
    header = _HEADER.match(lines[at])
    end = None
    if header is not None:
        end = _end_by_counts(lines, at + 1, int(header[2] or 1), int(header[4] or 1))
    if end is None:
        end = _end_by_looks(lines, at + 1)
    stated = max(int(header[1]) - 1, 0) if header is not None else None
    hunk = Hunk(at, stated)
    for line in lines[at + 1 : end]:
        _add(hunk, line)
    if not hunk.lines:
        raise MalformedEditError("the hunk is empty", line=at + 1)
    return hunk, end


def _add(hunk: Hunk, line: str) -> None:
    mark: Literal[" ", "-", "+"]
    match line[:1]:
        case "\\":
            last = hunk.lines[-1].mark if hunk.lines else " "
            if last != "+":
                hunk.old_newline = False
            if last != "-":
                hunk.new_newline = False
            return
        case " " | "-" | "+" as known:
            mark = known
        case _:
            mark = " "
    for piece in split_lines(line[1:] + "\n") if line.strip("\r") else [line + "\n"]:
        hunk.lines.append(Line(mark, content_of(piece), ending_of(piece)))


def _end_by_counts(lines: list[str], at: int, old: int, new: int) -> int | None:
    """The end of the hunk when its header's counts lead to a place where a hunk can end, else None."""
    while old > 0 or new > 0:
        if at >= len(lines):
            return None
        mark = lines[at][:1].strip("\r")
        if mark not in {"", " ", "-", "+", "\\"}:
            return None
        old -= mark in {"", " ", "-"}
        new -= mark in {"", " ", "+"}
        at += 1
    if old < 0 or new < 0:
        return None
    while at < len(lines) and lines[at].startswith("\\"):
        at += 1
    following = next((line for line in lines[at:] if line.strip()), "")
    at_border = not following or _is_border(lines, lines.index(following, at)) or following[0] not in " -+"
    return at if at_border else None


def _end_by_looks(lines: list[str], at: int) -> int:
    """The end of the hunk by what its lines look like. Raises MalformedEditError where lines without a
    mark stand between marked ones: part of a hunk is never applied.
    """
    end = last_marked = at
    while end < len(lines) and not _is_border(lines, end):
        mark = lines[end][:1].strip("\r")
        if mark not in {"", " ", "-", "+", "\\"}:
            break
        if mark:
            last_marked = end + 1
        end += 1
    rest = end
    while rest < len(lines) and not _is_border(lines, rest):
        if lines[rest].startswith(("-", "+")):
            raise MalformedEditError(
                f"each line of a hunk begins with a space, - or +, this one does not: {lines[end]!r}",
                line=end + 1,
            )
        rest += 1
    return last_marked


def _is_border(lines: list[str], at: int) -> bool:
    line = lines[at]
    if line.startswith(("@@", "diff --git ", "Index: ")) or _FENCE.match(line):
        return True
    if is_file_header(lines, at):
        return True
    # The signature that ends a mailed patch.
    return line.rstrip("\r") == "-- " and at + 3 >= len(lines)
