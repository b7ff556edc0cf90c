"""Which accepted hunks a file's text still holds, whatever the journal says. Pure.

An editor's undo takes an accepted hunk back and its redo brings it again; a buffer closed without saving
takes back what was only in it; after a crash or a time-out nobody knows. The text tells: for each hunk with
decisions, each level (`history.py`) is one text that may stand in its place. Chosen is what explains the
text with the fewest edits of the user's, and a hunk's level changes only if its place then holds exactly
that level's text, so that what a user did to accepted lines is never taken for an undo.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from orchestration.review.history import History
from orchestration.review.hunks import Hunk
from orchestration.review.offset_edits import Shifter, TextEdit, line_starts, minimal_change

Levels = dict[str, int]
# Whole decisions that are tried as taken back, or as back again, from the latest on.
_TRIED = 4


@dataclass(frozen=True, slots=True)
class Expected:
    """The text that base and decisions make when nobody else edits. `places`: by hunk, where what is held of
    it stands, in code points.
    """

    text: str
    places: Mapping[str, tuple[int, int]]


def expected_text(base_lines: Sequence[str], hunks: Iterable[Hunk], held: Mapping[str, str]) -> Expected:
    """`hunks`: all line hunks of the file; what is not in `held` is as in the base."""
    pieces: list[str] = []
    places: dict[str, tuple[int, int]] = {}
    starts = line_starts(base_lines)
    at, length = 0, 0
    for hunk in sorted(hunks, key=lambda hunk: (hunk.old_start, hunk.old_end)):
        before = base_lines[at : hunk.old_start]
        pieces += before
        length += starts[max(hunk.old_start, at)] - starts[at]
        text = held.get(hunk.id, hunk.old)
        pieces.append(text)
        places[hunk.id] = (length, length + len(text))
        length += len(text)
        at = hunk.old_end
    pieces += base_lines[at:]
    return Expected("".join(pieces), places)


def levels_in_effect(
    base_lines: Sequence[str], hunks: Sequence[Hunk], known: Mapping[str, History], now: str
) -> Levels:
    """The level of each hunk of the file that has decisions."""
    decided = {hunk.id: known[hunk.id] for hunk in hunks if hunk.id in known}
    start = {name: history.level for name, history in decided.items()}
    movable = {name: history for name, history in decided.items() if history.accepts}
    if not movable:
        return start
    search = _Search(base_lines, hunks, movable, now)
    best = search.judge(start)
    if not best.cost or not (search.moved(best) or best.cost >= search.smallest):
        return start
    for levels in search.by_decision(start):
        best = search.better(best, levels)
    return search.better(best, search.by_place(best)).levels


@dataclass(frozen=True, slots=True)
class _Judged:
    levels: Levels
    cost: int
    shifter: Shifter
    expected: Expected


class _Search:
    def __init__(
        self, base_lines: Sequence[str], hunks: Sequence[Hunk], movable: Mapping[str, History], now: str
    ) -> None:
        self._base_lines = base_lines
        self._hunks = hunks
        self._movable = movable
        self._now = now
        self._texts = {
            name: [history.held(level) for level in range(len(history.accepts) + 1)]
            for name, history in movable.items()
        }
        #: The fewest code points by which two levels of a hunk differ: a smaller edit is the user's own.
        self.smallest = min(
            (_apart(one, other) for texts in self._texts.values() for one, other in _pairs(texts)), default=0
        )

    def judge(self, levels: Levels) -> _Judged:
        held = {name: self._texts[name][levels[name]] for name in self._movable}
        expected = expected_text(self._base_lines, self._hunks, held)
        change = minimal_change(expected.text, self._now)
        cost = sum(edit.end - edit.start + len(edit.new) for edit in change.edits)
        return _Judged(levels, cost, Shifter(change), expected)

    def moved(self, judged: _Judged) -> bool:
        """Whether the place of any hunk holds something else than expected."""
        return any(not self._exact(judged, name) for name in self._movable)

    def by_decision(self, start: Levels) -> Iterable[Levels]:
        """The latest decisions taken back one after the other, or the next ones back again."""
        orders = sorted({mark.order for history in self._movable.values() for mark in history.accepts})
        standing = [
            history.accepts[start[name] - 1].order for name, history in self._movable.items() if start[name]
        ]
        latest = max(standing, default=-1)
        earlier = [order for order in (-1, *orders) if order < latest]
        later = [order for order in orders if order > latest]
        for order in (*earlier[: -_TRIED - 1 : -1], *earlier[:1], *later[:_TRIED], *later[-1:]):
            levels = {name: history.level_at(order) for name, history in self._movable.items()}
            if levels != start:
                yield {**start, **levels}

    def by_place(self, judged: _Judged) -> Levels:
        """Each hunk whose place holds the text of another level of it, at that level."""
        levels = dict(judged.levels)
        for name, texts in self._texts.items():
            if self._exact(judged, name):
                continue
            for there in self._there(judged, name):
                if there in texts:
                    levels[name] = texts.index(there)
                    break
        return levels

    def better(self, best: _Judged, levels: Levels) -> _Judged:
        """`levels`, if they explain more, without the hunks that do not show it exactly."""
        for _ in range(2):
            if levels == best.levels:
                return best
            judged = self.judge(levels)
            unsure = [
                name
                for name in self._movable
                if levels[name] != best.levels[name] and not self._exact(judged, name)
            ]
            if not unsure:
                return judged if judged.cost < best.cost else best
            levels = {**levels, **{name: best.levels[name] for name in unsure}}
        return best

    def _exact(self, judged: _Judged, name: str) -> bool:
        start, end = judged.expected.places[name]
        wide, _ = self._there(judged, name)
        if wide == judged.expected.text[start:end]:
            return True
        # Text typed right above or below the lines is not in them.
        return end > start and judged.shifter.rebase(TextEdit(start, end, ""), after=True) is not None

    def _there(self, judged: _Judged, name: str) -> tuple[str, str]:
        """What stands in the hunk's place, with and without what was inserted at its borders."""
        start, end = judged.expected.places[name]
        place = judged.shifter.place
        wide = self._now[place(start, after=False) : place(end, after=True)]
        return wide, self._now[place(start, after=True) : place(end, after=False)]


def _pairs(texts: Sequence[str]) -> Iterable[tuple[str, str]]:
    return pairwise(texts)


def _apart(one: str, other: str) -> int:
    change = minimal_change(one, other)
    return sum(edit.end - edit.start + len(edit.new) for edit in change.edits)
