"""Edits of a text by offsets, and their algebra: apply, invert, compose, rebase.

Offsets are code points. A change is a set of edits against one text; two changes of the same text can be
rebased over each other when they touch different places, and then it does not matter which comes first
(the diamond law: `a` then `b.rebase(a)` gives the same text as `b` then `a.rebase(b)`).

Touching: two replaced ranges touch when they share a code point; an insertion touches a range it falls
strictly inside of. At the border of a range an insertion stays outside of it. Two insertions at one
place do not touch; the caller says which stands first. Edits of one change that meet are one edit, so
an insertion between two adjacent replaced ranges touches them.
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from orchestration.edits.text import split_lines
from orchestration.review.diffing import Block, common_prefix, common_suffix, diff


@dataclass(frozen=True, slots=True, order=True)
class TextEdit:
    """`text[start:end]` becomes `new`."""

    start: int
    end: int
    new: str

    @property
    def growth(self) -> int:
        return len(self.new) - (self.end - self.start)

    def touches(self, other: "TextEdit") -> bool:
        if self.start == self.end:
            return other.start < self.start < other.end
        if other.start == other.end:
            return self.start < other.start < self.end
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class TextChange:
    """Edits of one text, ascending, apart from each other, none without effect on its range."""

    edits: tuple[TextEdit, ...] = ()

    @classmethod
    def of(cls, edits: Iterable[TextEdit]) -> "TextChange":
        """The canonical change: ordered, with edits that meet joined. Raises ValueError when two overlap."""
        joined: list[TextEdit] = []
        for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
            if edit.start == edit.end and not edit.new:
                continue
            if joined and edit.start < joined[-1].end:
                raise ValueError(f"the edits {joined[-1]} and {edit} overlap")
            if joined and edit.start == joined[-1].end:
                edit = TextEdit(joined[-1].start, edit.end, joined.pop().new + edit.new)  # noqa: PLW2901 — the edit, grown
            joined.append(edit)
        return cls(tuple(joined))

    def apply(self, text: str) -> str:
        pieces: list[str] = []
        at = 0
        for edit in self.edits:
            pieces += (text[at : edit.start], edit.new)
            at = edit.end
        return "".join(pieces) + text[at:]

    def inverse(self, text: str) -> "TextChange":
        """The change that leads from `self.apply(text)` back to `text`."""
        return TextChange(
            tuple(
                TextEdit(start, start + len(edit.new), text[edit.start : edit.end])
                for edit, start in self._placed()
            )
        )

    def compose(self, then: "TextChange") -> "TextChange":
        """One change that does what this and, on its result, `then` do."""
        # Both sides' ranges in the text between; those that meet form a group, which becomes one edit.
        groups: list[_Group] = []
        own = ((at, at + len(edit.new), edit) for edit, at in self._placed())
        later = ((edit.start, edit.end, edit) for edit in then.edits)
        for side, (start, end, edit) in heapq.merge(
            ((0, entry) for entry in own), ((1, entry) for entry in later), key=lambda entry: entry[1][:2]
        ):
            if not groups or start > groups[-1].end:
                groups.append(_Group(start, end))
            groups[-1].add(start, end, edit, own=side == 0)
        composed: list[TextEdit] = []
        grown = 0
        for group in groups:
            growth = sum(edit.growth for _, edit in group.own)
            composed.append(TextEdit(group.start - grown, group.end - grown - growth, group.text()))
            grown += growth
        return TextChange.of(composed)

    def rebase(self, over: "TextChange", *, after: bool) -> "TextChange | None":
        """This change as one of the text that `over` gives; None when the two touch. `after`: where both
        insert at one place, this one's text stands after the other's.
        """
        shifter = Shifter(over)
        moved: list[TextEdit] = []
        for edit in self.edits:
            there = shifter.rebase(edit, after=after)
            if there is None:
                return None
            moved.append(there)
        return TextChange.of(moved)

    def _placed(self) -> Iterator[tuple[TextEdit, int]]:
        """Each edit with where its new text begins in the result."""
        shift = 0
        for edit in self.edits:
            yield edit, edit.start + shift
            shift += edit.growth


@dataclass(slots=True)
class _Group:
    """Edits of two changes, one after the other, that meet: a range of the text between the two."""

    start: int
    end: int
    own: list[tuple[int, TextEdit]] = field(default_factory=list)
    later: list[TextEdit] = field(default_factory=list)

    def add(self, start: int, end: int, edit: TextEdit, *, own: bool) -> None:
        self.end = max(self.end, end)
        if own:
            self.own.append((start, edit))
        else:
            self.later.append(edit)

    def text(self) -> str:
        """What the later edits make of the range. Each code point of it is one that the earlier edits
        wrote or one that the later ones replace, so the original text is not needed.
        """
        pieces: list[str] = []
        at = self.start
        for edit in (*self.later, TextEdit(self.end, self.end, "")):
            for start, own in self.own:
                pieces.append(own.new[max(at - start, 0) : max(edit.start - start, 0)])
            pieces.append(edit.new)
            at = edit.end
        return "".join(pieces)


class Shifter:
    """Rebases many edits over one change, each in logarithmic time."""

    def __init__(self, over: TextChange) -> None:
        self._edits = over.edits
        self._ends = [edit.end for edit in over.edits]
        self._shifts = [0, *accumulate(edit.growth for edit in over.edits)]

    def rebase(self, edit: TextEdit, *, after: bool) -> TextEdit | None:
        """The edit in the text after the change; None when they touch. An insertion at the border of a
        replaced range stays at that border.
        """
        at = bisect_left(self._ends, edit.start)
        while at < len(self._edits):
            other = self._edits[at]
            if other.touches(edit):
                return None
            if not self._goes_before(other, edit, after=after):
                break
            at += 1
        shift = self._shifts[at]
        return TextEdit(edit.start + shift, edit.end + shift, edit.new)

    def place(self, offset: int, *, after: bool) -> int:
        """Where an offset of the old text is in the new one; inside a replaced range, at its beginning or
        (`after`) behind it.
        """
        at = bisect_left(self._ends, offset)
        while (
            at < len(self._edits)
            and self._edits[at].end == offset
            and (after or self._edits[at].start < offset)
        ):
            at += 1
        if at < len(self._edits) and self._edits[at].start < offset:
            edit = self._edits[at]
            return edit.start + self._shifts[at] + (len(edit.new) if after else 0)
        return offset + self._shifts[at]

    @staticmethod
    def _goes_before(other: TextEdit, edit: TextEdit, *, after: bool) -> bool:
        """Whether `other`, which does not touch `edit`, comes first."""
        if other.end > edit.start:
            return False
        if other.start < edit.start:
            return True
        # An insertion at the very start of the edit: before a replaced range; among two insertions, by `after`.
        return edit.start < edit.end or after


def minimal_change(old: str, new: str) -> TextChange:
    """The smallest change found from `old` to `new`: by lines, then cut down to the code points that differ
    at the beginning and the end of each changed block.
    """
    limit = min(len(old), len(new))
    head = common_prefix(old, new, 0, 0, limit)
    tail = common_suffix(old, new, len(old), len(new), limit - head)
    if head == len(old) == len(new):
        return TextChange()
    # Whole lines around what differs, so that the line diff sees lines.
    start = _line_start(old, head)
    if start and old[start - 1] == "\r" and "\n" in {old[start : start + 1], new[start : start + 1]}:
        start = _line_start(old, start - 1)
    end = _line_end(old, len(old) - tail)
    grown = len(new) - len(old)
    return TextChange.of(_by_lines(old[start:end], new[start : end + grown], start))


def _line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def _line_end(text: str, at: int) -> int:
    found = [place for place in (text.find("\n", at), text.find("\r", at)) if place >= 0]
    if not found:
        return len(text)
    end = min(found) + 1
    return end + 1 if text[end - 1 : end + 1] == "\r\n" else end


def _by_lines(old: str, new: str, base: int) -> Iterator[TextEdit]:
    old_lines, new_lines = split_lines(old), split_lines(new)
    old_starts, new_starts = line_starts(old_lines), line_starts(new_lines)
    for block in diff(old_lines, new_lines):
        yield _trimmed(old, new, block, old_starts, new_starts, base)


def _trimmed(
    old: str, new: str, block: Block, old_starts: list[int], new_starts: list[int], base: int
) -> TextEdit:
    a0, a1 = old_starts[block.old_start], old_starts[block.old_end]
    b0, b1 = new_starts[block.new_start], new_starts[block.new_end]
    head = common_prefix(old, new, a0, b0, min(a1 - a0, b1 - b0))
    tail = common_suffix(old, new, a1, b1, min(a1 - a0, b1 - b0) - head)
    return TextEdit(base + a0 + head, base + a1 - tail, new[b0 + head : b1 - tail])


def line_starts(lines: Iterable[str]) -> list[int]:
    """The offset of each line, and behind the last one: the length of the text."""
    return [0, *accumulate(map(len, lines))]
