"""A chunk put into a file's lines: what stays keeps its bytes, what comes takes the endings around it."""

from collections.abc import Sequence

from orchestration.edits.match import Match
from orchestration.edits.model import Chunk, Line
from orchestration.edits.text import content_of, dominant_ending, ending_of, split_lines
from orchestration.review.diffing import diff


def lines_between(old: Sequence[str], new: Sequence[str]) -> tuple[Line, ...]:
    """Two sides of a replacement as marked lines: what both share stays, and so keeps the file's bytes."""
    lines: list[Line] = []
    at = 0
    for block in diff(old, new):
        lines += (Line(" ", content) for content in old[at : block.old_start])
        lines += (Line("-", content) for content in old[block.old_start : block.old_end])
        lines += (Line("+", content) for content in new[block.new_start : block.new_end])
        at = block.old_end
    lines += (Line(" ", content) for content in old[at:])
    return tuple(lines)


def splice(file: Sequence[str], chunk: Chunk, match: Match) -> list[str]:
    """The lines (with endings) that replace `file[match.start : match.end]`. Raises match.ShiftError."""
    faithful = _is_faithful(file, chunk, match)
    lines: list[str] = []
    removed: list[int] = []
    added = 0
    at = match.start
    for line in chunk.lines:
        if line.mark == "+":
            if faithful and line.ending:
                ending = line.ending
            elif removed:
                ending = _ending_near(file, removed[min(added, len(removed) - 1)] + 1, match.start)
            else:
                ending = _ending_near(file, at, match.start)
            lines.append(match.shift.apply(line.content) + ending)
            added += 1
            continue
        if line.mark == " ":
            lines.append(file[at])
            removed.clear()
            added = 0
        else:
            removed.append(at)
        at += 1
    closed = _close(file, lines, match, final_newline=chunk.final_newline)
    return _apart(closed, file[match.start - 1] if match.start else "", file[match.end : match.end + 1])


def _is_faithful(file: Sequence[str], chunk: Chunk, match: Match) -> bool:
    """Whether the diff wrote the endings that the file has: only then is it believed about new ones."""
    old = [line for line in chunk.lines if line.mark != "+"]
    return all(
        line.ending is not None and (ending_of(there) or line.ending) == line.ending
        for line, there in zip(old, file[match.start : match.end], strict=True)
    )


def _ending_near(file: Sequence[str], at: int, start: int) -> str:
    """The ending for a new line that comes before `file[at]`: that of the line it replaces or follows,
    else of the one it precedes, else the most frequent one.
    """
    order = (at - 1, at) if at > start or at >= len(file) else (at, at - 1)
    for number in order:
        if 0 <= number < len(file) and (ending := ending_of(file[number])):
            return ending
    return dominant_ending(file)


def _close(file: Sequence[str], lines: list[str], match: Match, *, final_newline: bool | None) -> list[str]:
    """The end of the file: its missing newline stays missing, and moves when the last line does."""
    for number, line in enumerate(lines[:-1]):
        if not ending_of(line):
            lines[number] = line + _ending_near(file, match.end - 1, match.start)
    if not lines:
        return lines
    last = lines[-1]
    if match.end < len(file):
        return lines if ending_of(last) else [*lines[:-1], last + _ending_near(file, match.end, match.start)]
    if final_newline is None:
        final_newline = not file or bool(ending_of(file[-1]))
    if not final_newline:
        lines[-1] = content_of(last)
    elif not ending_of(last):
        lines[-1] = last + _ending_near(file, len(file), match.start)
    return lines


def _apart(lines: list[str], before: str, after: Sequence[str]) -> list[str]:
    """Keeps an empty line from becoming the second half of the one before it: a lone CR and the LF that
    follows would be read as one ending.
    """
    result: list[str] = []
    for line in lines:
        previous = result[-1] if result else before
        result.append("\r" if line == "\n" and previous.endswith("\r") else line)
    if result and result[-1].endswith("\r") and after and after[0] == "\n":
        result[-1] = content_of(result[-1]) + "\n"
    return result


def splice_text(file: Sequence[str], start: tuple[int, int], end: tuple[int, int], text: str) -> list[str]:
    """`text` in place of what stands between two (line, column) places of `file`, both inside lines; the
    result replaces the lines from the first to the last one touched. New lines take the endings of the
    lines they replace.
    """
    first, last = start[0], end[0]
    pieces = split_lines(text)
    endings = [ending_of(line) for line in file[first:last]] or [_ending_near(file, first + 1, first)]
    joined = file[first][: start[1]]
    lines: list[str] = []
    for number, piece in enumerate(pieces):
        joined += content_of(piece)
        if ending_of(piece):
            lines.append(joined + endings[min(number, len(endings) - 1)])
            joined = ""
    rest = joined + file[last][end[1] :]
    return [*lines, rest] if rest else lines
