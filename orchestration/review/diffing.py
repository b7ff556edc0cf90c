"""Line and word differences: which blocks of `old` became which blocks of `new`.

The search is patience first (lines that occur once on both sides, the heaviest increasing chain of
their runs), histogram inside what is left (rarest common run first), and a bounded Myers search where
every line is frequent. All work is counted, never timed, so the same input gives the same blocks on
every machine. Presentation (which of several equal blocks reads best) is `cleanup.py`; hunks are
`hunks.py`.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# A line more frequent than this in a region is no anchor (the bound JGit's histogram diff uses too).
_MAX_OCCURRENCES = 64
# Longest edit script the exact search looks for before a region counts as replaced.
_MAX_SCRIPT = 256
# Runs up to which the heaviest chain is found exactly; beyond, the longest chain of single lines.
_MAX_CHAIN = 256
# From this many lines on, only every so many of them are tried as anchors first.
_LARGE = 4_096
_STRIDE = 16
# Comparisons the histogram search may spend on one diff.
_WORK = 4_000_000


class Block(NamedTuple):
    """`old[old_start:old_end]` became `new[new_start:new_end]`; 0-based, ends exclusive, one side may be empty."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


class Match(NamedTuple):
    """`old[old : old + size] == new[new : new + size]`."""

    old: int
    new: int
    size: int


def diff(old: Sequence[str], new: Sequence[str]) -> list[Block]:
    """The changed blocks in order; everything outside them is equal. Items are compared whole, so lines
    that differ only in their ending differ.
    """
    a = old if isinstance(old, list) else list(old)
    b = new if isinstance(new, list) else list(new)
    return _between(_Search(a, b).run(), len(a), len(b))


def common_prefix(a: Sequence[str], b: Sequence[str], i: int, j: int, limit: int) -> int:
    """How many items from `a[i]` and `b[j]` on are equal, at most `limit`. Compares slices that double and
    then halve, which run at C speed; `a` and `b` are of one type: slices of a list
    and of a tuple are never equal.
    """
    size, step = 0, 1
    while size < limit:
        step = min(step, limit - size)
        if a[i + size : i + size + step] == b[j + size : j + size + step]:
            size += step
            step *= 2
        elif step == 1:
            break
        else:
            limit = size + step - 1
            step = max(step // 2, 1)
    return size


def common_suffix(a: Sequence[str], b: Sequence[str], i: int, j: int, limit: int) -> int:
    """As `common_prefix`, backwards from the exclusive ends `i` and `j`."""
    size, step = 0, 1
    while size < limit:
        step = min(step, limit - size)
        if a[i - size - step : i - size] == b[j - size - step : j - size]:
            size += step
            step *= 2
        elif step == 1:
            break
        else:
            limit = size + step - 1
            step = max(step // 2, 1)
    return size


def _between(matches: list[Match], old_size: int, new_size: int) -> list[Block]:
    blocks: list[Block] = []
    i = j = 0
    for match in (*matches, Match(old_size, new_size, 0)):
        if match.old > i or match.new > j:
            blocks.append(Block(i, match.old, j, match.new))
        i = match.old + match.size
        j = match.new + match.size
    return blocks


class _Region(NamedTuple):
    a0: int
    a1: int
    b0: int
    b1: int


@dataclass(slots=True)
class _Run:
    """Unique lines on one diagonal: `anchors` are their places in old, `shift` leads to those in new."""

    anchors: list[int]
    shift: int

    @property
    def first_new(self) -> int:
        return self.anchors[0] + self.shift

    @property
    def last_new(self) -> int:
        return self.anchors[-1] + self.shift


class _Search:
    def __init__(self, a: list[str], b: list[str]) -> None:
        self._a = a
        self._b = b
        self._found: list[Match] = []
        self._open: list[_Region] = []
        self._work = _WORK

    def run(self) -> list[Match]:
        self._open.append(_Region(0, len(self._a), 0, len(self._b)))
        while self._open:
            region = self._trim(self._open.pop())
            if region.a0 == region.a1 or region.b0 == region.b1:
                continue
            if not (self._by_unique_lines(region) or self._by_rarest_run(region)):
                self._by_shortest_script(region)
        self._found.sort()
        return self._found

    def _match(self, i: int, j: int, size: int) -> None:
        if size:
            self._found.append(Match(i, j, size))

    def _trim(self, region: _Region) -> _Region:
        """Takes the common beginning and end off as matches."""
        a0, a1, b0, b1 = region
        size = common_prefix(self._a, self._b, a0, b0, min(a1 - a0, b1 - b0))
        self._match(a0, b0, size)
        a0 += size
        b0 += size
        size = common_suffix(self._a, self._b, a1, b1, min(a1 - a0, b1 - b0))
        self._match(a1 - size, b1 - size, size)
        return _Region(a0, a1 - size, b0, b1 - size)

    # --- patience ------------------------------------------------------------------------------------

    def _by_unique_lines(self, region: _Region) -> bool:
        a0, a1, b0, b1 = region
        part, other = self._a[a0:a1], self._b[b0:b1]
        count_a, count_b = Counter(part), Counter(other)
        place = dict(zip(other, range(b0, b1), strict=True))
        # In a large region every so many lines is enough to find the diagonals; what lies between them is
        # looked at again, line by line.
        for stride in (_STRIDE, 1) if len(part) >= _LARGE else (1,):
            pairs = [
                (i, place[item])
                for i, item in zip(range(a0, a1, stride), part[::stride], strict=True)
                if count_a[item] == 1 and count_b.get(item) == 1
            ]
            if pairs:
                self._follow(_chain(pairs), region)
                return True
        return False

    def _follow(self, runs: list[_Run], region: _Region) -> None:
        """Matches along the diagonals of `runs` and leaves what lies between for later."""
        i, j = region.a0, region.b0
        for number, run in enumerate(runs):
            if number + 1 < len(runs):
                end_a, end_b = runs[number + 1].anchors[0], runs[number + 1].first_new
            else:
                end_a, end_b = region.a1, region.b1
            at = 0
            while at < len(run.anchors):
                start = run.anchors[at]
                size = common_prefix(
                    self._a, self._b, start, start + run.shift, min(end_a - start, end_b - start - run.shift)
                )
                if start > i or start + run.shift > j:
                    self._open.append(_Region(i, start, j, start + run.shift))
                self._match(start, start + run.shift, size)
                i = start + size
                j = i + run.shift
                at = bisect_left(run.anchors, i, at + 1)
        if i < region.a1 or j < region.b1:
            self._open.append(_Region(i, region.a1, j, region.b1))

    # --- histogram -------------------------------------------------------------------------------------

    def _by_rarest_run(self, region: _Region) -> bool:
        """Splits at the common run whose rarest line is rarest in old, the longest among equals."""
        a0, a1, b0, b1 = region
        if self._work <= 0:
            return False
        places: dict[str, list[int]] = {}
        for i in range(a0, a1):
            places.setdefault(self._a[i], []).append(i)
        self._work -= a1 - a0 + b1 - b0
        best: Match | None = None
        rarest = _MAX_OCCURRENCES + 1
        j = b0
        while j < b1:
            after = j + 1
            here = places.get(self._b[j], ())
            if here and len(here) <= rarest:
                for i in here:
                    run, rarity = self._extend(i, j, region, places)
                    after = max(after, run.new + run.size)
                    if rarity < rarest or (rarity == rarest and best is not None and run.size > best.size):
                        best, rarest = run, rarity
            if self._work <= 0:
                break
            j = after
        if best is None:
            return False
        self._match(*best)
        self._open.append(_Region(a0, best.old, b0, best.new))
        self._open.append(_Region(best.old + best.size, a1, best.new + best.size, b1))
        return True

    def _extend(self, i: int, j: int, region: _Region, places: dict[str, list[int]]) -> tuple[Match, int]:
        before = common_suffix(self._a, self._b, i, j, min(i - region.a0, j - region.b0))
        size = before + common_prefix(self._a, self._b, i, j, min(region.a1 - i, region.b1 - j))
        start = i - before
        self._work -= size
        rarity = min(len(places[item]) for item in self._a[start : start + size])
        return Match(start, j - before, size), rarity

    # --- shortest edit script (Myers 1986) -----------------------------------------------------------------

    def _by_shortest_script(self, region: _Region) -> None:
        """The greedy O(ND) search, given up beyond `_MAX_SCRIPT` edits: then the region is replaced."""
        a0, a1, b0, b1 = region
        if set(self._a[a0:a1]).isdisjoint(self._b[b0:b1]):
            return
        n, m = a1 - a0, b1 - b0
        reach = {1: 0}
        history: list[dict[int, int]] = []
        for edits in range(min(n + m, _MAX_SCRIPT) + 1):
            history.append(dict(reach))
            for k in range(-edits, edits + 1, 2):
                down = k == -edits or (k != edits and reach[k - 1] < reach[k + 1])
                x = reach[k + 1] if down else reach[k - 1] + 1
                y = x - k
                if x <= n and y <= m:
                    x += common_prefix(self._a, self._b, a0 + x, b0 + y, min(n - x, m - y))
                reach[k] = x
                if x >= n and x - k >= m:
                    self._retrace(history, region, edits)
                    return

    def _retrace(self, history: list[dict[int, int]], region: _Region, edits: int) -> None:
        x, y = region.a1 - region.a0, region.b1 - region.b0
        for step in range(edits, -1, -1):
            reach = history[step]
            k = x - y
            down = k == -step or (k != step and reach[k - 1] < reach[k + 1])
            before_k = k + 1 if down else k - 1
            before_x = reach[before_k] if step else 0
            before_y = before_x - before_k if step else 0
            start_x = before_x if down or not step else before_x + 1
            self._match(region.a0 + start_x, region.b0 + start_x - k, x - start_x)
            x, y = before_x, before_y


def _chain(pairs: list[tuple[int, int]]) -> list[_Run]:
    """The runs of `pairs` (old places ascending) that can all be kept, as heavy together as possible."""
    runs: list[_Run] = []
    for i, j in pairs:
        if runs and runs[-1].shift == j - i:
            runs[-1].anchors.append(i)
        else:
            runs.append(_Run([i], j - i))
    if all(runs[k].last_new < runs[k + 1].first_new for k in range(len(runs) - 1)):
        return runs
    return _heaviest(runs) if len(runs) <= _MAX_CHAIN else _longest(pairs)


def _heaviest(runs: list[_Run]) -> list[_Run]:
    weight: list[int] = []
    previous: list[int] = []
    for k, run in enumerate(runs):
        best, link = 0, -1
        for p in range(k):
            if weight[p] > best and runs[p].last_new < run.first_new:
                best, link = weight[p], p
        weight.append(best + len(run.anchors))
        previous.append(link)
    at = max(range(len(runs)), key=lambda k: (weight[k], -k))
    chosen: list[_Run] = []
    while at >= 0:
        chosen.append(runs[at])
        at = previous[at]
    chosen.reverse()
    return chosen


def _longest(pairs: list[tuple[int, int]]) -> list[_Run]:
    """The longest increasing subsequence of the new places (patience sorting), as runs again."""
    tops: list[int] = []
    top_pairs: list[int] = []
    previous: list[int] = []
    for k, (_, j) in enumerate(pairs):
        pile = bisect_right(tops, j)
        previous.append(top_pairs[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(j)
            top_pairs.append(k)
        else:
            tops[pile] = j
            top_pairs[pile] = k
    kept: list[tuple[int, int]] = []
    at = top_pairs[-1]
    while at >= 0:
        kept.append(pairs[at])
        at = previous[at]
    runs: list[_Run] = []
    for i, j in reversed(kept):
        if runs and runs[-1].shift == j - i:
            runs[-1].anchors.append(i)
        else:
            runs.append(_Run([i], j - i))
    return runs
