"""How a diff reads: among equally small diffs, the blocks a person would have drawn.

An inserted or deleted block that could stand at several places (repeated lines) moves to the place
that begins and ends at a boundary of the code; blocks parted only by blank or bracket lines become
one, since neither half makes sense alone. `diffing.py` finds the blocks; `words.py` looks inside them.
"""

import re
from collections.abc import Sequence

from orchestration.review.diffing import Block, diff

# How far a block may slide, in lines; beyond, repetition is so long that no place is better.
_MAX_SLIDE = 200
# Unchanged lines without a letter or digit that do not part two blocks.
_MAX_GAP = 2
# Lines that end or continue a construct: a block that begins with one reads badly.
_CLOSER = re.compile(r"[)\]}]|(?:else|elif|except|finally|end)\b")


def diff_lines(old: Sequence[str], new: Sequence[str]) -> list[Block]:
    """The changed blocks of two files' lines (with endings), cleaned up for reading, in order."""
    return _merge(_slide(diff(old, new), old, new), old)


def _slide(blocks: list[Block], old: Sequence[str], new: Sequence[str]) -> list[Block]:
    placed: list[Block] = []
    for number, block in enumerate(blocks):
        floor = placed[-1].old_end if placed else 0
        ceiling = blocks[number + 1].old_start if number + 1 < len(blocks) else len(old)
        if block.old_start == block.old_end:
            by = _best_shift(
                new, block.new_start, block.new_end, block.old_start - floor, ceiling - block.old_end
            )
        elif block.new_start == block.new_end:
            by = _best_shift(
                old, block.old_start, block.old_end, block.old_start - floor, ceiling - block.old_end
            )
        else:
            by = 0
        placed.append(Block(*(bound + by for bound in block)))
    return placed


def _best_shift(lines: Sequence[str], start: int, end: int, room_up: int, room_down: int) -> int:
    """The slide of `lines[start:end]` that costs least; the lowest place on a tie, as most tools draw it."""
    up = 0
    while up < min(room_up, _MAX_SLIDE) and lines[start - up - 1] == lines[end - up - 1]:
        up += 1
    down = 0
    while down < min(room_down, _MAX_SLIDE) and lines[start + down] == lines[end + down]:
        down += 1
    if not up and not down:
        return 0
    return min(
        range(-up, down + 1),
        key=lambda by: (_cost(lines, start + by) + _cost(lines, end + by), -by),
    )


def _cost(lines: Sequence[str], at: int) -> int:
    """How badly a block boundary stands before `lines[at]`: deep indentation and closers are bad, a blank
    line before it is good, a blank line after it is not.
    """
    if at in {0, len(lines)}:
        return -8
    here = lines[at].strip()
    cost = 0 if lines[at - 1].strip() else -6
    if not here:
        return cost + 6
    cost += min(len(lines[at]) - len(lines[at].lstrip()), 40)
    if _CLOSER.match(here):
        cost += 10
    return cost


def _merge(blocks: list[Block], old: Sequence[str]) -> list[Block]:
    merged: list[Block] = []
    for block in blocks:
        if merged:
            last = merged[-1]
            gap = old[last.old_end : block.old_start]
            if len(gap) <= _MAX_GAP and not any(character.isalnum() for line in gap for character in line):
                merged[-1] = Block(last.old_start, block.old_end, last.new_start, block.new_end)
                continue
        merged.append(block)
    return merged
