"""A hunk line by line: which of its lines the decisions have taken, and what that makes of its text. Pure.

Lines are named by their numbers in the hunk as proposed, so a name means the same whatever was decided
before. Any order of decisions on parts gives the same text: the lines stand in the order of the hunk's own
difference, and where a block replaces lines, the first of the new ones stands for the first of the old ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Literal, NamedTuple

from orchestration.edits.text import ending_of, split_lines
from orchestration.errors import UsageError
from orchestration.review.diffing import diff
from orchestration.review.hunks import Hunk

TakenState = Literal["open", "accepted", "rejected", "parts", "text"]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of one hunk, by number from 0: those of its old text and those of its new text."""

    old: frozenset[int] = frozenset()
    new: frozenset[int] = frozenset()

    @classmethod
    def of(cls, old: Iterable[int], new: Iterable[int]) -> "Lines":
        return cls(frozenset(old), frozenset(new))

    def __or__(self, other: "Lines") -> "Lines":
        return Lines(self.old | other.old, self.new | other.new)

    def __and__(self, other: "Lines") -> "Lines":
        return Lines(self.old & other.old, self.new & other.new)

    def __sub__(self, other: "Lines") -> "Lines":
        return Lines(self.old - other.old, self.new - other.new)

    def __bool__(self) -> bool:
        return bool(self.old or self.new)


class Piece(NamedTuple):
    """A line of the old text, of the new one, or (both numbers) one that they share."""

    text: str
    old: int | None
    new: int | None

    @property
    def shared(self) -> bool:
        return self.old is not None and self.new is not None

    def among(self, lines: Lines) -> bool:
        return self.old in lines.old or self.new in lines.new


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a hunk: nothing yet, all of it, or (`parts`) the lines `done` are carried out and those
    `refused` are not to be, the others are open; or (`text`) it was accepted as the user edited it.
    """

    state: TakenState = "open"
    done: Lines = Lines()
    refused: Lines = Lines()
    text: str = ""


class Rest(NamedTuple):
    """What is still open of a hunk: `old` stands there now and `new` would. `lead` lines of the hunk stand
    before them. `old_numbers`, `new_numbers`: each line's number in the hunk as proposed, -1 for one that is
    not open; None: as they stand.
    """

    lead: int
    old: str
    new: str
    old_numbers: tuple[int, ...] | None = None
    new_numbers: tuple[int, ...] | None = None


@lru_cache(maxsize=512)
def _pieces(old: str, new: str) -> tuple[Piece, ...]:
    before, after = split_lines(old), split_lines(new)
    pieces: list[Piece] = []
    at, then = 0, 0
    for block in diff(before, after):
        while at < block.old_start:
            pieces.append(Piece(before[at], at, then))
            at, then = at + 1, then + 1
        gone, come = range(block.old_start, block.old_end), range(block.new_start, block.new_end)
        for one, other in zip_longest(gone, come):
            pieces += () if one is None else (Piece(before[one], one, None),)
            pieces += () if other is None else (Piece(after[other], None, other),)
        at, then = block.old_end, block.new_end
    pieces += (Piece(line, at + k, then + k) for k, line in enumerate(before[at:]))
    return tuple(pieces)


def every_line(hunk: Hunk) -> Lines:
    """All lines that can be decided: those that both sides share stay in any case."""
    pieces = [piece for piece in _pieces(hunk.old, hunk.new) if not piece.shared]
    return Lines.of(
        (piece.old for piece in pieces if piece.old is not None),
        (piece.new for piece in pieces if piece.new is not None),
    )


def open_lines(hunk: Hunk, taken: Taken) -> Lines:
    match taken.state:
        case "open":
            return every_line(hunk)
        case "parts":
            return every_line(hunk) - taken.done - taken.refused
        case "accepted" | "rejected" | "text":
            return Lines()


def with_lines(hunk: Hunk, taken: Taken, lines: Lines, *, accept: bool) -> Taken:
    """After a decision on some lines. Lines that the hunk does not have, or that both sides share, are
    passed over.
    """
    every = every_line(hunk)
    done, refused = taken.done, taken.refused
    if taken.state in {"accepted", "text"}:
        done, refused = every, Lines()
    elif taken.state == "rejected":
        done, refused = Lines(), every
    lines = lines & every
    if accept:
        done, refused = done | lines, refused - lines
    else:
        done, refused = done - lines, refused | lines
    if done == every:
        return Taken("accepted")
    if refused == every:
        return Taken("rejected")
    if not done and not refused:
        return Taken()
    return Taken("parts", done, refused)


def held_text(hunk: Hunk, taken: Taken) -> str:
    """What stands in the place of the hunk's old text."""
    match taken.state:
        case "open" | "rejected":
            return hunk.old
        case "accepted":
            return hunk.new
        case "text":
            return taken.text
        case "parts":
            return _render(_pieces(hunk.old, hunk.new), taken.done)


def rest_of(hunk: Hunk, taken: Taken) -> Rest:
    """What is open, from the first open line to the last one. Of a hunk without any: all that stands there."""
    if taken.state in {"open", "rejected"}:
        return Rest(0, hunk.old, hunk.new)
    lines = open_lines(hunk, taken)
    if not lines:
        held = held_text(hunk, taken)
        return Rest(0, held, held)
    lead, between, _ = _around(hunk, lines)
    there = [piece for piece in between if _stands(piece, taken.done)]
    then = [piece for piece in between if _stands(piece, taken.done | lines)]
    return Rest(
        sum(_stands(piece, taken.done) for piece in lead),
        "".join(piece.text for piece in there),
        "".join(piece.text for piece in then),
        tuple(piece.old if piece.old in lines.old and piece.old is not None else -1 for piece in there),
        tuple(piece.new if piece.new in lines.new and piece.new is not None else -1 for piece in then),
    )


def rest_with(hunk: Hunk, taken: Taken, lines: Lines) -> str:
    """What the rest's old text becomes when `lines` of it are accepted."""
    if taken.state in {"open", "rejected"}:
        return _render(_pieces(hunk.old, hunk.new), lines)
    left = open_lines(hunk, taken)
    _, between, _ = _around(hunk, left)
    return _render(between, taken.done | (lines & left))


def whole_with(hunk: Hunk, taken: Taken, text: str) -> str:
    """The hunk's whole text when its rest's new text was edited into `text`."""
    if taken.state != "parts":
        return text
    lead, _, trail = _around(hunk, open_lines(hunk, taken))
    return _render(lead, taken.done) + text + _render(trail, taken.done)


def checked(hunk: Hunk, taken: Taken) -> None:
    """Raises UsageError when the parts taken would join two lines: one without a line end is to be the last."""
    if taken.state != "parts":
        return
    lines = [piece.text for piece in _pieces(hunk.old, hunk.new) if _stands(piece, taken.done)]
    if any(not ending_of(line) for line in lines[:-1]):
        raise UsageError(
            f"{hunk.path}: these lines of hunk {hunk.id} cannot be decided without the others: the last line "
            "of the file has no line end, so another one cannot follow it; take both or neither of the two"
        )


def _around(hunk: Hunk, lines: Lines) -> tuple[Sequence[Piece], Sequence[Piece], Sequence[Piece]]:
    """The hunk's pieces before the first of `lines`, from there to the last of them, and behind it."""
    pieces = _pieces(hunk.old, hunk.new)
    at = [number for number, piece in enumerate(pieces) if not piece.shared and piece.among(lines)]
    if not at:
        return pieces, (), ()
    return pieces[: at[0]], pieces[at[0] : at[-1] + 1], pieces[at[-1] + 1 :]


def _stands(piece: Piece, done: Lines) -> bool:
    if piece.shared:
        return True
    return piece.new in done.new if piece.old is None else piece.old not in done.old


def _render(pieces: Iterable[Piece], done: Lines) -> str:
    return "".join(piece.text for piece in pieces if _stands(piece, done))
