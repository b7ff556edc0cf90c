"""Which of the places where chunks match is meant: the one way to place all of them together, in order.

A chunk of a group that matches at several places is settled by its anchors and by its neighbours; when
more than one way remains, nothing is placed. Line numbers that a model wrote decide nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestration.edits.match import Lines, Match
from orchestration.edits.model import Chunk, Line, Refusal

_CONTINUES = re.compile(r"[)\]}>{]|(?:else|elif|except|finally|end|then|do)\b")


@dataclass(frozen=True, slots=True)
class Unplaced:
    """Why the chunk number `chunk` has no place; `places` are 0-based lines where it would fit."""

    chunk: int
    refusal: Refusal
    why: str
    places: tuple[int, ...] = ()


Placed = tuple[Chunk, Match]


def place(lines: Lines, chunks: Sequence[Chunk]) -> list[Placed] | Unplaced:
    """Every chunk with its place, ascending, or why that cannot be. Chunks may share context lines, and
    nothing else.
    """
    settled: list[Chunk] = []
    candidates: list[list[Match]] = []
    for number, chunk in enumerate(chunks):
        found = _candidates(lines, chunk, number)
        if isinstance(found, Unplaced):
            return found
        settled.append(found[0])
        candidates.append(found[1])
    for margins in ([(0, 0)] * len(settled), [margins_of(chunk) for chunk in settled]):
        first = _leftmost(candidates, margins)
        if isinstance(first, int):
            continue
        last = _rightmost(candidates, margins)
        for number, (one, other) in enumerate(zip(first, last, strict=True)):
            if one != other:
                return Unplaced(number, "ambiguous", "occurs more than once", _starts(candidates[number]))
        return list(zip(settled, first, strict=True))
    stuck = _leftmost(candidates, [margins_of(chunk) for chunk in settled])
    assert isinstance(stuck, int)
    why = "stands before or inside the change above it; keep the order of the file"
    return Unplaced(stuck, "absent", why, _starts(candidates[stuck]))


def _candidates(lines: Lines, chunk: Chunk, number: int) -> tuple[Chunk, list[Match]] | Unplaced:
    anchors: list[int] | None = None
    if chunk.anchors:
        anchors = _anchor_lines(lines, chunk.anchors)
        if not anchors:
            return Unplaced(number, "absent", f"has an anchor that is not in the file: {chunk.anchors[-1]!r}")
    if not chunk.old:
        return _place_of_addition(lines, chunk, number, anchors)
    if chunk.pinned:
        return _pinned(lines, chunk, number)
    matches = lines.find(chunk.old)
    if chunk.at_end:
        at_end = [match for match in matches if match.end == len(lines.contents)]
        if not at_end and not chunk.old[-1] and chunk.lines[-1].mark == " ":
            # The model wrote the empty "line" after the last newline as context.
            return _candidates(lines, replace(chunk, lines=chunk.lines[:-1]), number)
        if matches and not at_end:
            return Unplaced(number, "absent", "is not at the end of the file", _starts(matches))
        matches = at_end
    if not matches:
        return Unplaced(number, "absent", "is not in the file")
    if anchors is not None:
        below = [match for match in matches if anchors[0] <= match.start]
        if not below:
            return Unplaced(
                number, "absent", f"is not below its anchor {chunk.anchors[-1]!r}", _starts(matches)
            )
        matches = below
        if len(matches) > 1:
            matches = [match for match in below if _in_scope(lines.contents, anchors, match.start)] or below
    return chunk, matches


def _pinned(lines: Lines, chunk: Chunk, number: int) -> tuple[Chunk, list[Match]] | Unplaced:
    """A line range: its place is given, and what stands there must be what the edit says."""
    start = chunk.stated or 0
    there = Lines(lines.contents[start : start + len(chunk.old)])
    found = there.exact(chunk.old) or there.trimmed(chunk.old)
    if not found:
        return Unplaced(number, "absent", f"does not name what stands at line {start + 1}", (start,))
    return chunk, [replace(found[0], start=start)]


def _place_of_addition(
    lines: Lines, chunk: Chunk, number: int, anchors: list[int] | None
) -> tuple[Chunk, list[Match]] | Unplaced:
    """Only added lines: after their anchor, else at the end of the file. The line before becomes context."""
    if chunk.at_end or not lines.contents:
        before = len(lines.contents) - 1
    elif anchors is not None:
        if len(anchors) > 1:
            return Unplaced(
                number, "ambiguous", "only adds lines, and its anchor occurs more than once", tuple(anchors)
            )
        before = anchors[0]
    elif chunk.pinned:
        before = (chunk.stated or 0) - 1
    else:
        return Unplaced(number, "absent", "only adds lines and names no place; add the lines around them")
    if before < 0:
        return chunk, [Match(0, 0, "exact")]
    with_context = replace(chunk, lines=(Line(" ", lines.contents[before]), *chunk.lines))
    return with_context, [Match(before, 1, "exact")]


def _anchor_lines(lines: Lines, anchors: Sequence[str]) -> list[int]:
    """Where the last anchor stands below all those before it."""
    floor = -1
    places: list[int] = []
    for anchor in anchors:
        places = [place for place in lines.matching(anchor) if place > floor]
        if not places:
            return []
        floor = places[0]
    return places


def _in_scope(contents: Sequence[str], anchors: Sequence[int], start: int) -> bool:
    """Whether `start` is inside the block that its nearest anchor opens, judged by indentation."""
    at = max(anchor for anchor in anchors if anchor <= start)
    depth = _depth(contents[at])
    return not any(
        line.strip() and _depth(line) <= depth and not _CONTINUES.match(line.strip())
        for line in contents[at + 1 : start + 1]
    )


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def margins_of(chunk: Chunk) -> tuple[int, int]:
    """How many lines at the chunk's beginning and end only stay as they are."""
    marks = [line.mark for line in chunk.lines]
    changed = [number for number, mark in enumerate(marks) if mark != " "]
    if not changed:
        return len(marks), 0
    return changed[0], len(marks) - 1 - changed[-1]


Margins = Sequence[tuple[int, int]]


def _leftmost(candidates: Sequence[Sequence[Match]], margins: Margins) -> list[Match] | int:
    """Each chunk at its first place after the one before it, or the number of the chunk with none left.
    All places of a chunk have one size, so the choice that ends first leaves the most room.
    """
    chosen: list[Match] = []
    floor = 0
    for number, (matches, (lead, trail)) in enumerate(zip(candidates, margins, strict=True)):
        match = next((match for match in matches if match.start + lead >= floor), None)
        if match is None:
            return number
        chosen.append(match)
        floor = match.end - trail
    return chosen


def _rightmost(candidates: Sequence[Sequence[Match]], margins: Margins) -> list[Match]:
    """As `_leftmost`, from below; called when that found a way, so one exists. Exactly one way exists
    when both are the same.
    """
    chosen: list[Match] = []
    ceiling: int | None = None
    for matches, (lead, trail) in zip(reversed(candidates), reversed(margins), strict=True):
        match = next(match for match in reversed(matches) if ceiling is None or match.end - trail <= ceiling)
        chosen.append(match)
        ceiling = match.start + lead
    chosen.reverse()
    return chosen


def _starts(matches: Sequence[Match]) -> tuple[int, ...]:
    return tuple(match.start for match in matches)
