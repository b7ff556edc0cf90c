"""The decisions on each hunk, in order, and what they make of it. Pure.

Accepted hunks can be taken back in the editor and come back, so that the journal and the text of the file
may say different things. A variant of a hunk's history is one set of its accepting decisions that may be in
effect; which one the text shows is found out by `in_effect.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from orchestration import events as ev
from orchestration.review.change_set import ChangeSet
from orchestration.review.hunks import Hunk
from orchestration.review.parts import Lines, Taken, held_text, with_lines
from orchestration.run import DecisionState, RunState

FAILED = frozenset({"conflict", "unknown"})
# Up to as many accepting decisions on one hunk, any of them may be in effect; beyond, only what one undo or redo
# after the other makes of it.
_FREE = 4


class Mark(NamedTuple):
    """One decision on one hunk; `order` counts the run's decisions. `back`: it is taken back since the run had
    this many decisions, None: it stands. `doubt`: whether it happened is not known.
    """

    decision_id: str
    order: int
    accept: bool
    part: ev.HunkPart | None = None
    back: int | None = None
    doubt: bool = False


class History:
    """Of one hunk. `variants`: the sets of accepting decisions that may be in effect, the first of them the one
    that the journal knows; the nearer to it the earlier.
    """

    __slots__ = ("accepts", "hunk", "marks", "variants")

    def __init__(self, hunk: Hunk, marks: Iterable[Mark] = ()) -> None:
        self.hunk = hunk
        known = sorted(marks, key=lambda mark: mark.order)
        self.marks: Sequence[Mark] = [mark for mark in known if not _is_over(mark, known)]
        self.accepts: Sequence[Mark] = [mark for mark in self.marks if mark.accept]
        self.variants: Sequence[frozenset[str]] = _variants(self.accepts)

    def taken(self, variant: int = 0) -> Taken:
        taken = Taken()
        for mark in self.marks:
            if not mark.accept or mark.decision_id in self.variants[variant]:
                taken = _then(self.hunk, taken, mark)
        return taken

    def held(self, variant: int = 0) -> str:
        return held_text(self.hunk, self.taken(variant))

    def variant_of(self, decision_ids: frozenset[str]) -> int:
        """The variant with those of the decisions that are on this hunk in effect; 0 when there is none."""
        here = decision_ids & {mark.decision_id for mark in self.accepts}
        return self.variants.index(here) if here in self.variants else 0

    def latest(self, variant: int) -> str:
        """The last decision in effect, empty when there is none."""
        names = [mark.decision_id for mark in self.accepts if mark.decision_id in self.variants[variant]]
        return names[-1] if names else ""

    def seen(self, variant: int) -> ev.HunkSeen | None:
        """What is to be journaled when the text shows this variant; None: nothing that is not known."""
        sure = {mark.decision_id for mark in self.accepts if not mark.doubt}
        known, shown = self.variants[0], self.variants[variant]
        if known & sure == shown & sure:
            return None
        back, again = sorted((known - shown) & sure), sorted((shown - known) & sure)
        return ev.HunkSeen(hunk_id=self.hunk.id, back=tuple(back), again=tuple(again))

    def without(self, decision_id: str, variant: int) -> "History":
        """As it would be, had this decision not been; what else is in effect in the variant stands."""
        kept = self.variants[variant] - {decision_id}
        return History(
            self.hunk,
            [
                mark._replace(back=None, doubt=False)
                for mark in self.marks
                if not mark.accept or mark.decision_id in kept
            ],
        )


def _is_over(mark: Mark, known: Sequence[Mark]) -> bool:
    """Whether it can be in effect no more: the hunk was decided anew after it was taken back."""
    since = mark.order + 1 if mark.doubt else mark.back
    return since is not None and any(
        later.order >= since and not later.doubt for later in known if later is not mark
    )


def _variants(accepts: Sequence[Mark]) -> Sequence[frozenset[str]]:
    names = [mark.decision_id for mark in accepts]
    current = [mark.decision_id for mark in accepts if mark.back is None and not mark.doubt]
    others = [name for name in names if name not in current]
    sets = [frozenset(current)]
    if len(names) <= _FREE:
        sets += (frozenset(some) for size in range(len(names), -1, -1) for some in combinations(names, size))
    else:
        sets += (frozenset(current[:end]) for end in range(len(current) - 1, -1, -1))
        sets += (frozenset((*current, name)) for name in others[::-1])
        sets += (frozenset((*current, *others[:end])) for end in range(2, len(others) + 1))
    return sorted(dict.fromkeys(sets), key=lambda some: len(some ^ sets[0]))


def _then(hunk: Hunk, taken: Taken, mark: Mark) -> Taken:
    part = mark.part
    if part is None:
        return Taken("accepted" if mark.accept else "rejected")
    if part.text is not None:
        return Taken("text", text=part.text)
    return with_lines(hunk, taken, Lines.of(part.old, part.new), accept=mark.accept)


def histories(state: RunState, change_set: ChangeSet) -> dict[str, History]:
    """By the hunk's id; hunks that were never decided are not among them. A decision that failed in a file did
    not happen for that file's hunks; one without outcome, or whose outcome is unknown, is in doubt.
    """
    where = {hunk.id: (hunk, change) for change in change_set.files for hunk in change.hunks}
    marks: dict[str, list[Mark]] = {}
    for order, decision in enumerate(state.decisions.values()):
        parts = {part.hunk_id: part for part in decision.parts}
        outcomes = {result.path: result.outcome for result in decision.results}
        for hunk_id in decision.hunk_ids:
            if hunk_id not in where:
                continue
            change = where[hunk_id][1]
            here = {outcomes.get(path) for path in (change.path, change.old_path) if path}
            mark = _mark(decision, order, hunk_id, parts.get(hunk_id), unknown="unknown" in here)
            if "conflict" not in here and (mark.accept or mark.back is None):
                marks.setdefault(hunk_id, []).append(mark)
    return {hunk_id: History(where[hunk_id][0], found) for hunk_id, found in marks.items()}


def _mark(
    decision: DecisionState, order: int, hunk_id: str, part: ev.HunkPart | None, *, unknown: bool
) -> Mark:
    return Mark(
        decision.decision_id,
        order,
        decision.decision == "accept",
        part,
        back=decision.back.get(hunk_id),
        doubt=unknown or not decision.applied,
    )


def history_of(known: Mapping[str, History], hunk: Hunk) -> History:
    return known.get(hunk.id) or History(hunk)
