"""From one text to another by the smallest edits: changed lines only, and of these only what differs. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.edits.text import ending_of, split_lines
from orchestration.review.diffing import diff


@dataclass(frozen=True, slots=True)
class Spot:
    """A place between characters: line from 0, column in code points."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Edit:
    """`text` replaces what lies between `start` and `end`; all edits refer to the text before."""

    start: Spot
    end: Spot
    text: str


def edits_between(old: Sequence[str], new_text: str) -> list[Edit]:
    """In order, not overlapping. `old` are lines with their endings."""
    new = split_lines(new_text)
    return [
        _trimmed(
            old,
            block.old_start,
            "".join(old[block.old_start : block.old_end]),
            "".join(new[block.new_start : block.new_end]),
        )
        for block in diff(old, new)
    ]


def _trimmed(lines: Sequence[str], first: int, before: str, after: str) -> Edit:
    head = _common(before, after)
    while _within_ending(before, head) or _within_ending(after, head):
        head -= 1
    tail = _common(before[head:][::-1], after[head:][::-1])
    while _within_ending(before, len(before) - tail) or _within_ending(after, len(after) - tail):
        tail -= 1
    start, end = _spot(lines, first, before[:head]), _spot(lines, first, before[: len(before) - tail])
    text = after[head : len(after) - tail]
    if lines and start.line == len(lines):
        return _appended(lines, text)
    return Edit(start, end, text)


def _appended(lines: Sequence[str], text: str) -> Edit:
    """After the last line, said as an insertion at that line's end where that means the same: editors
    without an empty line behind the last ending (Neovim) would add one.
    """
    ending = ending_of(lines[-1])
    if ending_of(split_lines(text)[-1]) != ending:
        spot = Spot(len(lines), 0)
        return Edit(spot, spot, text)
    spot = Spot(len(lines) - 1, len(lines[-1]) - len(ending))
    return Edit(spot, spot, ending + text[: len(text) - len(ending)])


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _within_ending(text: str, offset: int) -> bool:
    return text[offset - 1 : offset + 1] == "\r\n" if offset else False


def _spot(lines: Sequence[str], first: int, text: str) -> Spot:
    """Where `text`, which begins with line `first`, ends."""
    pieces = split_lines(text)
    if pieces and not pieces[-1].endswith(("\n", "\r")):
        return Spot(first + len(pieces) - 1, len(pieces[-1]))
    at = first + len(pieces)
    # After a last line without an ending there is no further line to name.
    if at == len(lines) and lines and not lines[-1].endswith(("\n", "\r")):
        return Spot(at - 1, len(lines[-1]))
    return Spot(at, 0)
