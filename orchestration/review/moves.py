"""Which of a decision's writes are the two halves of a move. Pure.

A renamed file is written under its new name and deleted under its old one. Neither half may happen without
the other, and an editor that has the file open moves its buffer along.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.documents import Write
from orchestration.edits.text import BinaryContentError, FileText


@dataclass(frozen=True, slots=True)
class Move:
    gone: Write
    came: Write


def moves(writes: Sequence[Write]) -> tuple[Move, ...]:
    """A creation and a deletion that stand side by side and share at least half of their lines."""
    found: list[Move] = []
    at = 0
    while at + 1 < len(writes):
        move = _as_move(writes[at], writes[at + 1])
        if move is not None:
            found.append(move)
        at += 1 if move is None else 2
    return tuple(found)


def _as_move(one: Write, other: Write) -> Move | None:
    for gone, came in ((one, other), (other, one)):
        if gone.after is None and came.before is None and _alike(gone.before, came.after):
            return Move(gone, came)
    return None


def _alike(before: bytes | None, after: bytes | None) -> bool:
    if before is None or after is None:
        return False
    if before == after:
        return True
    try:
        old, new = FileText.decode(before).lines, FileText.decode(after).lines
    except BinaryContentError:
        return False
    shared = sum((Counter(old) & Counter(new)).values())
    return 2 * shared >= max(len(old), len(new))
