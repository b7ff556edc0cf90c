"""One replacement applied to one file's text: find its place, put the new lines there, or refuse.

The refusal's text is written for the model that will try again. Files, and all edits of a call being
one, are `apply.py`.
"""

import re
from bisect import bisect_right
from itertools import accumulate

from orchestration.edits.match import Lines, Match, ShiftError
from orchestration.edits.model import Chunk, ChunkGroup, Refusal, TextReplacement, Tier
from orchestration.edits.nearest import absent_reason, ambiguous_reason, numbered
from orchestration.edits.placement import Unplaced, margins_of, place
from orchestration.edits.splice import lines_between, splice, splice_text
from orchestration.edits.text import FileText, contents_of
from orchestration.review.diffing import common_prefix, common_suffix

_NEWLINE = re.compile(r"\r\n|\n|\r")
_FINAL_NEWLINE = re.compile(r"(?:\r\n|\n|\r)\Z")


class RefusedError(Exception):
    """Raised for a replacement that has no single place. The text says why and what to do."""

    def __init__(self, refusal: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.refusal: Refusal = refusal


def replace_text(file: FileText, edit: TextReplacement) -> tuple[FileText, Tier, int]:
    """The file after the edit, the tier that found it, and its 0-based first line. Raises RefusedError."""
    if not edit.search.strip("\r\n") and not file.lines:
        return file.with_text(edit.replace), "create", 0
    if not edit.search:
        raise RefusedError(
            "exists",
            "the search text is empty and the file exists. Name the lines to replace, or write the whole file.",
        )
    lines = Lines(file.contents)
    wanted = contents_of(edit.search)
    whole = edit.whole_lines or edit.search[-1] in "\r\n"
    exact = lines.exact(wanted)
    if not edit.whole_lines and (not exact or not (whole or _begins_blank(edit.search))):
        hits = _occurrences(lines, wanted, to_line_end=whole)
        if len(hits) > 1:
            raise RefusedError(
                "ambiguous",
                "the search text is not unique. "
                + ambiguous_reason(lines.contents, [line for line, _ in hits], len(wanted)),
            )
        if hits and not exact:
            return _inside_lines(file, lines, edit, hits[0])
    matches = exact or lines.indented(wanted) or lines.trimmed(wanted)
    new = contents_of(edit.replace) if whole else _NEWLINE.split(edit.replace)
    if not matches:
        raise RefusedError(
            "absent", "the search text is not in the file.\n" + absent_reason(lines.contents, wanted, new)
        )
    if len(matches) > 1:
        places = [match.start for match in matches]
        raise RefusedError(
            "ambiguous",
            "the search text is not unique. " + ambiguous_reason(lines.contents, places, len(wanted)),
        )
    return (
        _spliced(file, Chunk(lines=lines_between(wanted, new)), matches[0]),
        matches[0].tier,
        matches[0].start,
    )


def replace_chunks(file: FileText, group: ChunkGroup) -> tuple[FileText, list[tuple[Tier, int]]]:
    """The file after all chunks, and for each its tier and 0-based first line. Raises ChunkRefusedError."""
    lines = Lines(file.contents)
    placed = place(lines, group.chunks)
    if isinstance(placed, Unplaced):
        raise ChunkRefusedError(placed.chunk, placed.refusal, _why(lines, group.chunks[placed.chunk], placed))
    result: list[str] = []
    at = 0
    for number, (chunk, match) in enumerate(placed):
        try:
            start, end, new = _core(file, chunk, match)
        except RefusedError as error:
            raise ChunkRefusedError(number, error.refusal, str(error)) from None
        result += file.lines[at:start]
        result += new
        at = end
    result += file.lines[at:]
    return file.with_lines(result), [(match.tier, match.start) for _, match in placed]


def _core(file: FileText, chunk: Chunk, match: Match) -> tuple[int, int, tuple[str, ...]]:
    """The lines that really change and what becomes of them, without the context that chunks may share."""
    new = _new_lines(file, chunk, match)
    lead, trail = margins_of(chunk)
    # A context line that ends the file may get or lose its newline: then it belongs to the change.
    head = common_prefix(file.lines, new, match.start, 0, lead)
    tail = common_suffix(file.lines, new, match.end, len(new), min(trail, len(new) - head))
    return match.start + head, match.end - tail, new[head : len(new) - tail]


class ChunkRefusedError(RefusedError):
    """Raised by `replace_chunks`; `chunk` is the number (from 0) of the one that has no place."""

    def __init__(self, chunk: int, refusal: Refusal, reason: str) -> None:
        super().__init__(refusal, reason)
        self.chunk = chunk


def _spliced(file: FileText, chunk: Chunk, match: Match) -> FileText:
    new = _new_lines(file, chunk, match)
    return file.with_lines((*file.lines[: match.start], *new, *file.lines[match.end :]))


def _new_lines(file: FileText, chunk: Chunk, match: Match) -> tuple[str, ...]:
    try:
        return tuple(splice(file.lines, chunk, match))
    except ShiftError as error:
        raise RefusedError(
            "absent",
            f"The lines are in the file at line {match.start + 1}, indented less than the search; a new line, "
            f"{str(error)!r}, cannot be indented less alike. Write both with the file's own indentation.",
        ) from None


def _begins_blank(search: str) -> bool:
    """Whether the search itself fixes where its first line begins."""
    return search[0].isspace()


def _occurrences(lines: Lines, wanted: list[str], *, to_line_end: bool) -> list[tuple[int, int]]:
    """Where the text of `wanted` occurs, also inside lines: 0-based lines and columns."""
    text = "".join(content + "\n" for content in lines.contents)
    needle = "\n".join(wanted) + ("\n" if to_line_end else "")
    ends = list(accumulate(len(content) + 1 for content in lines.contents))
    hits = []
    at = text.find(needle)
    while at >= 0:
        line = bisect_right(ends, at)
        hits.append((line, at - (ends[line - 1] if line else 0)))
        at = text.find(needle, at + 1)
    return hits


def _inside_lines(
    file: FileText, lines: Lines, edit: TextReplacement, hit: tuple[int, int]
) -> tuple[FileText, Tier, int]:
    """The search is part of a line, or begins or ends in one. A newline at its end is not replaced: what
    follows stays a line of its own.
    """
    line, column = hit
    wanted = contents_of(edit.search)
    if not lines.contents[line][:column].strip() and edit.search[0] in " \t":
        shifted = lines.indented(wanted)
        if len(shifted) == 1:
            whole = edit.search[-1] in "\r\n"
            new = contents_of(edit.replace) if whole else _NEWLINE.split(edit.replace)
            match = shifted[0]
            return _spliced(file, Chunk(lines=lines_between(wanted, new)), match), match.tier, match.start
    replacement = _FINAL_NEWLINE.sub("", edit.replace) if edit.search[-1] in "\r\n" else edit.replace
    last = line + len(wanted) - 1
    end = len(wanted[-1]) if len(wanted) > 1 else column + len(wanted[0])
    new_lines = splice_text(file.lines, (line, column), (last, end), replacement)
    return file.with_lines((*file.lines[:line], *new_lines, *file.lines[last + 1 :])), "exact", line


def _why(lines: Lines, chunk: Chunk, unplaced: Unplaced) -> str:
    first = next((line for line in chunk.old if line.strip()), "")
    named = f"the hunk that begins with {first!r} " if first else "the hunk "
    head = named + unplaced.why + "."
    if unplaced.refusal == "ambiguous":
        return head + "\n" + ambiguous_reason(lines.contents, unplaced.places, len(chunk.old))
    if unplaced.places:
        shown = unplaced.places[:3]
        return "\n".join(
            [head, *(numbered(lines.contents, at - 1, at + min(len(chunk.old), 8)) for at in shown)]
        )
    return head + "\n" + absent_reason(lines.contents, chunk.old, chunk.new)
