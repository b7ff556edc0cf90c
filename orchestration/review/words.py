"""What changed inside a hunk, by words: the ranges a client paints darker."""

import re

from orchestration.review.diffing import Block, diff

_TOKEN = re.compile(r"\w+|\s|[^\w\s]")
# Code points per side beyond which a hunk is shown without detail: nobody reads it by words.
_MAX_SIZE = 20_000


def diff_words(old: str, new: str) -> list[Block]:
    """Changed ranges in code points of `old` and `new`. Changes parted by blanks alone are one. A hunk
    with an empty side, a very long one, and one where hardly a word stayed are one whole range.
    """
    if old == new:
        return []
    whole = [Block(0, len(old), 0, len(new))]
    if not old or not new or max(len(old), len(new)) > _MAX_SIZE:
        return whole
    words_old, words_new = _TOKEN.findall(old), _TOKEN.findall(new)
    at_old, at_new = _offsets(words_old), _offsets(words_new)
    blocks = diff(words_old, words_new)
    lost = sum(word[0].isalnum() for block in blocks for word in words_old[block.old_start : block.old_end])
    if lost * 4 > 3 * sum(word[0].isalnum() for word in words_old):
        return whole
    ranges: list[Block] = []
    for block in blocks:
        here = Block(
            at_old[block.old_start], at_old[block.old_end], at_new[block.new_start], at_new[block.new_end]
        )
        if ranges and not old[ranges[-1].old_end : here.old_start].strip():
            here = Block(ranges[-1].old_start, here.old_end, ranges[-1].new_start, here.new_end)
            ranges.pop()
        ranges.append(here)
    return ranges


def _offsets(words: list[str]) -> list[int]:
    offsets = [0]
    for word in words:
        offsets.append(offsets[-1] + len(word))
    return offsets
