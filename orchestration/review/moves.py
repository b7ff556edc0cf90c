"""Which of a decision's writes are the two halves of a move. Pure.

A renamed file is written under its new name and deleted under its old one. Neither half may happen without
the other, and an editor that has the file open moves its buffer along.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from orchestration.documents import Write
from orchestration.edits.text import BinaryContentError, FileText


@dataclass(frozen=True, slots=True)
class Move:
    gone: Write
    came: Write


def moves(writes: Sequence[Write]) -> tuple[Move, ...]:
    """A creation and a deletion that stand side by side and share at least half of their lines; of two that
    would share one of them, those with the same contents.
    """
    found: dict[int, Move] = {}
    for alike in (_equal, _alike):
        for at, (one, other) in enumerate(pairwise(writes)):
            if not found.keys() & {at - 1, at, at + 1} and (move := _as_move(one, other, alike)) is not None:
                found[at] = move
    return tuple(found[at] for at in sorted(found))


def _as_move(one: Write, other: Write, alike: Callable[[bytes, bytes], bool]) -> Move | None:
    for gone, came in ((one, other), (other, one)):
        if gone.after is None and came.before is None and gone.before is not None and came.after is not None:
            return Move(gone, came) if alike(gone.before, came.after) else None
    return None


def _equal(before: bytes, after: bytes) -> bool:
    return before == after


def _alike(before: bytes, after: bytes) -> bool:
    try:
        old, new = FileText.decode(before).lines, FileText.decode(after).lines
    except BinaryContentError:
        return False
    shared = sum((Counter(old) & Counter(new)).values())
    return 2 * shared >= max(len(old), len(new))
