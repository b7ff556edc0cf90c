"""Edits that name the lines they replace by number, and by what stands there."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.edits.model import Chunk, ChunkGroup, FileEdit
from orchestration.edits.parse.malformed import MalformedEditError
from orchestration.edits.splice import lines_between
from orchestration.edits.text import contents_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRange:
    """Lines `start` to `end` (1-based, inclusive) become `replace`. `expect` is what stands there: line
    numbers alone go stale, so an edit without it is refused. `end = start - 1` inserts before `start`;
    `expect` is then the line before `start`, or nothing at the beginning of the file.
    """

    start: int
    end: int
    expect: str
    replace: str


def edit_lines(path: str, ranges: Sequence[LineRange]) -> FileEdit:
    """All ranges count the lines of the same version of the file. Raises MalformedEditError for ranges
    that overlap, count wrongly, or do not say what they replace.
    """
    chunks: list[Chunk] = []
    floor = 0
    for number in sorted(range(len(ranges)), key=lambda at: (ranges[at].start, ranges[at].end)):
        at = ranges[number]
        if at.start < 1 or at.end < at.start - 1:
            raise MalformedEditError(
                f"lines {at.start} to {at.end} are no range; lines count from 1", path=path
            )
        if at.start <= floor:
            raise MalformedEditError(f"lines {at.start} to {at.end} overlap another range", path=path)
        floor = at.end
        chunks.append(_chunk(path, at))
    return FileEdit(path=path, action="update", replacements=(ChunkGroup(tuple(chunks)),))


def _chunk(path: str, at: LineRange) -> Chunk:
    expect, new = contents_of(at.expect), contents_of(at.replace)
    size = at.end - at.start + 1
    start = at.start - 1
    if not size and at.start > 1:
        start, size, new = start - 1, 1, expect + new
    if len(expect) != size:
        raise MalformedEditError(
            f"lines {at.start} to {at.end} are {size} lines, but `expect` holds {len(expect)}: "
            "give the present text of exactly these lines",
            path=path,
        )
    return Chunk(lines=lines_between(expect, new), stated=start, pinned=True)
