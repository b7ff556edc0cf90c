"""Which accepted hunks a file's text still holds, whatever the journal says. Pure.

An editor's undo takes an accepted hunk back and its redo brings it again; a buffer closed without saving
takes back what was only in it; after a crash or a time-out nobody knows. The text tells: for each hunk with
decisions, each variant of its history (`history.py`) is one text that may stand in its place. Chosen is what
explains the text with the fewest edits of the user's, and a hunk is taken for another variant only if its
place holds exactly that one's text: what a user did to accepted lines is never taken for an undo.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestration.review.history import History
from orchestration.review.hunks import Hunk
from orchestration.review.offset_edits import Shifter, TextEdit, line_starts, minimal_change

Variants = dict[str, int]
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


def variants_in_effect(
    base_lines: Sequence[str], hunks: Sequence[Hunk], known: Mapping[str, History], now: str
) -> Variants:
    """The variant of each hunk of the file that has decisions."""
    decided = {hunk.id: known[hunk.id] for hunk in hunks if hunk.id in known}
    start = dict.fromkeys(decided, 0)
    movable = {name: history for name, history in decided.items() if history.accepts}
    if not movable:
        return start
    search = _Search(base_lines, hunks, movable, now)
    best = search.judge(start)
    if not best.cost or not (search.moved(best) or best.cost >= search.smallest):
        return start
    for variants in search.by_decision():
        best = search.better(best, {**start, **variants})
    return search.better(best, search.by_place(best)).variants


@dataclass(frozen=True, slots=True)
class _Judged:
    variants: Variants
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
            name: [history.held(variant) for variant in range(len(history.variants))]
            for name, history in movable.items()
        }
        #: The fewest code points by which two variants of a hunk differ: a smaller edit is the user's own.
        self.smallest = min(
            (
                _apart(texts[0], other)
                for texts in self._texts.values()
                for other in texts
                if other != texts[0]
            ),
            default=0,
        )

    def judge(self, variants: Variants) -> _Judged:
        held = {name: self._texts[name][variants[name]] for name in self._movable}
        expected = expected_text(self._base_lines, self._hunks, held)
        change = minimal_change(expected.text, self._now)
        cost = sum(edit.end - edit.start + len(edit.new) for edit in change.edits)
        return _Judged(variants, cost, Shifter(change), expected)

    def moved(self, judged: _Judged) -> bool:
        """Whether the place of any hunk holds something else than expected."""
        return any(not self._exact(judged, name) for name in self._movable)

    def by_decision(self) -> Iterable[Variants]:
        """The latest decisions taken back one after the other, or others back again."""
        order = {
            mark.decision_id: mark.order for history in self._movable.values() for mark in history.accepts
        }
        inside = {name for history in self._movable.values() for name in history.variants[0]}
        there = sorted(inside, key=order.__getitem__)
        others = sorted(order.keys() - inside, key=order.__getitem__)
        tried = [
            *(there[:-count] for count in range(1, min(_TRIED, len(there)) + 1)),
            [],
            *([*there, name] for name in others[: -_TRIED - 1 : -1]),
            *([*there, *others[:count]] for count in range(2, min(_TRIED, len(others)) + 1)),
            [*there, *others],
        ]
        for names in dict.fromkeys(map(frozenset, tried)):
            yield {name: history.variant_of(names) for name, history in self._movable.items()}

    def by_place(self, judged: _Judged) -> Variants:
        """Each hunk whose place holds the text of another variant of it, as that variant."""
        variants = dict(judged.variants)
        for name, texts in self._texts.items():
            if self._exact(judged, name):
                continue
            for there in self._there(judged, name):
                if there in texts:
                    variants[name] = texts.index(there)
                    break
        return variants

    def better(self, best: _Judged, variants: Variants) -> _Judged:
        """`variants`, if they explain more, without the hunks that do not show it exactly."""
        for _ in range(2):
            if variants == best.variants:
                return best
            judged = self.judge(variants)
            unsure = [
                name
                for name in self._movable
                if variants[name] != best.variants[name] and not self._exact(judged, name)
            ]
            if not unsure:
                return judged if judged.cost < best.cost else best
            variants = {**variants, **{name: best.variants[name] for name in unsure}}
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


def _apart(one: str, other: str) -> int:
    change = minimal_change(one, other)
    return sum(edit.end - edit.start + len(edit.new) for edit in change.edits)
