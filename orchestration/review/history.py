"""The decisions on each hunk, in order, and what they make of it. Pure.

Which of them the file's text shows is `in_effect.py`: accepted hunks can be taken back in the editor, the
latest decision first, and come back in the opposite order. So what is in effect of a hunk is always some
number of its accepting decisions, counted from the first: its level.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from orchestration import events as ev
from orchestration.review.change_set import ChangeSet
from orchestration.review.hunks import Hunk
from orchestration.review.parts import Lines, Taken, held_text, with_lines
from orchestration.run import RunState

FAILED = frozenset({"conflict", "unknown"})


class Mark(NamedTuple):
    """One decision on one hunk; `order` counts the run's decisions. `back`: taken back in the editor.
    `doubt`: whether it happened is not known.
    """

    decision_id: str
    order: int
    accept: bool
    part: ev.HunkPart | None = None
    back: bool = False
    doubt: bool = False


class History:
    """Of one hunk. `level`: how many of its accepting decisions are in effect as far as the journal knows."""

    __slots__ = ("accepts", "hunk", "level", "marks")

    def __init__(self, hunk: Hunk, marks: Iterable[Mark] = ()) -> None:
        self.hunk = hunk
        kept: list[Mark] = []
        for mark in reversed(list(marks)):
            # What was taken back before the next decision cannot come back any more.
            if not ((mark.back or mark.doubt) and any(not later.doubt for later in kept)):
                kept.append(mark)
        self.marks: Sequence[Mark] = kept[::-1]
        self.accepts: Sequence[Mark] = [mark for mark in self.marks if mark.accept]
        self.level: int = sum(not mark.back and not mark.doubt for mark in self.accepts)

    def taken(self, level: int | None = None) -> Taken:
        """With the first `level` accepting decisions in effect (None: as the journal has it)."""
        left = self.level if level is None else level
        taken = Taken()
        for mark in self.marks:
            if mark.accept:
                if not left:
                    continue
                left -= 1
            taken = _then(self.hunk, taken, mark)
        return taken

    def held(self, level: int | None = None) -> str:
        return held_text(self.hunk, self.taken(level))

    def level_at(self, order: int) -> int:
        """The level right after the run's decision of this number."""
        return sum(mark.order <= order for mark in self.accepts)

    def back_at(self, level: int) -> tuple[str, ...]:
        """The decisions that are not in effect at this level and are known to have been."""
        return tuple(mark.decision_id for mark in self.accepts[level:] if not mark.doubt)

    def without(self, decision_id: str, level: int) -> "History":
        """As it would be, had this decision not been; `level` of this history counted on."""
        gone = {mark.decision_id for mark in self.accepts[level:]} | {decision_id}
        return History(self.hunk, [mark for mark in self.marks if mark.decision_id not in gone])


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
        if decision.undone:
            continue
        parts = {part.hunk_id: part for part in decision.parts}
        outcomes = {result.path: result.outcome for result in decision.results}
        for hunk_id in decision.hunk_ids:
            if hunk_id not in where:
                continue
            change = where[hunk_id][1]
            here = {outcomes.get(path) for path in (change.path, change.old_path) if path}
            if "conflict" in here:
                continue
            marks.setdefault(hunk_id, []).append(
                Mark(
                    decision.decision_id,
                    order,
                    decision.decision == "accept",
                    parts.get(hunk_id),
                    back=hunk_id in decision.back,
                    doubt="unknown" in here or not decision.applied,
                )
            )
    return {hunk_id: History(where[hunk_id][0], found) for hunk_id, found in marks.items()}


def history_of(known: Mapping[str, History], hunk: Hunk) -> History:
    return known.get(hunk.id) or History(hunk)
