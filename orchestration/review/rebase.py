"""Open hunks follow a text that changes under them: the user's edits, and our own decisions.

A hunk replaces whole lines. It moves with a change elsewhere and becomes a conflict when the change
touches its own lines (`offset_edits.py` says what touches), or when it could no longer replace whole
lines: when a line before it was joined to it, or the end of the file that it writes is no longer the
end. A pure insertion stands between two lines and conflicts only when both sides of that place were
replaced at once; lines the user inserts at the very same place stay above it. Nothing is guessed from
content: what the change is, is taken from the edits, or from the smallest difference of the two texts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence

import msgspec

from orchestration.edits.text import split_lines
from orchestration.errors import ConflictError
from orchestration.review.cleanup import diff_lines
from orchestration.review.hunks import Hunk
from orchestration.review.offset_edits import Shifter, TextChange, TextEdit, line_starts, minimal_change

Followed = tuple[list[Hunk], list[Hunk]]


def rebase_hunks(
    hunks: Sequence[Hunk], base_text: str, current_text: str, *, current_hash: str | None = None
) -> Followed:
    """The hunks of one file, expressed against `base_text`, as hunks of `current_text`, and those that are
    conflicts. As `follow`, with the change taken from the smallest difference of the two texts.
    """
    return follow(
        hunks, base_text, minimal_change(base_text, current_text), current_text, current_hash=current_hash
    )


def follow(
    hunks: Sequence[Hunk],
    text: str,
    change: TextChange,
    changed: str,
    *,
    current_hash: str | None = None,
    after: bool = True,
) -> Followed:
    """The hunks after `change` turned `text` into `changed`, and those that are conflicts, each in order.

    A conflict has the state "conflict"; its numbers name the lines that stand in its place now, its texts
    stay those of the proposal. Other hunks keep their state. `current_hash` is the new base hash (None:
    the old one stays). `after`: whether a pure insertion stands below lines that `change` inserts at its
    place. Hunks of whole files follow unless their content matters: a create, a delete or a replaced file
    is a conflict after any change.
    """
    before, now = _Text(text), _Text(changed)
    shifter = Shifter(change)
    moved: list[Hunk] = []
    conflicts: list[Hunk] = []
    grown = 0
    for hunk in sorted(hunks, key=lambda hunk: (hunk.old_start, hunk.old_end)):
        base_hash = hunk.base_hash if current_hash is None else current_hash
        if hunk.kind != "lines":
            firm = not change.edits or hunk.kind in {"rename", "mode"}
            state = hunk.state if firm else "conflict"
            (moved if firm else conflicts).append(
                msgspec.structs.replace(hunk, base_hash=base_hash if firm else hunk.base_hash, state=state)
            )
            continue
        edit = before.edit_of(hunk)
        there = None if edit is None else _settle(edit, shifter, now, after=after)
        if there is None:
            conflicts.append(_conflict(hunk, before, now, shifter, base_hash))
            continue
        start = now.line_at(there.start)
        moved.append(
            msgspec.structs.replace(hunk, base_hash=base_hash, old_start=start, new_start=start + grown)
        )
        grown += hunk.new_lines - hunk.old_lines
    return moved, conflicts


def _renumbered(hunks: Sequence[Hunk]) -> list[Hunk]:
    """Line hunks, in order, with `new_start` as it is when all of them are applied."""
    result: list[Hunk] = []
    grown = 0
    for hunk in hunks:
        result.append(msgspec.structs.replace(hunk, new_start=hunk.old_start + grown))
        grown += hunk.new_lines - hunk.old_lines
    return result


def accept_hunks(
    text: str, hunks: Sequence[Hunk], ids: Collection[str]
) -> tuple[str, list[Hunk], list[Hunk]]:
    """The text with the line hunks of these ids accepted, the other line hunks rebased over that, and those
    that became conflicts by it. `hunks` are expressed against `text`; conflicts are not to be among them. Raises ConflictError when
    `text` is not what a chosen hunk was made for.
    """
    left = [hunk for hunk in hunks if hunk.kind == "lines"]
    left.sort(key=lambda hunk: (hunk.old_start, hunk.old_end))
    conflicts: list[Hunk] = []
    for batch in _batches(left, ids):
        lines = _Text(text)
        edits: list[TextEdit] = []
        for hunk in left:
            if hunk.id in batch:
                edit = lines.edit_of(hunk)
                if edit is None:
                    raise ConflictError(
                        f"{hunk.path}: line {hunk.old_start + 1} is not what hunk {hunk.id} was proposed for"
                    )
                edits.append(edit)
        change = TextChange.of(edits)
        changed = change.apply(text)
        at = next((number for number, hunk in enumerate(left) if hunk.id in batch), 0)
        above, lost_above = follow(left[:at], text, change, changed, after=False)
        rest = [hunk for hunk in left[at:] if hunk.id not in batch]
        below, lost_below = follow(rest, text, change, changed, after=True)
        left = above + below
        conflicts += lost_above + lost_below
        text = changed
    return text, _renumbered(left), conflicts


def _batches(hunks: Sequence[Hunk], ids: Collection[str]) -> list[Collection[str]]:
    """Which hunks are accepted at once: all, unless several insert at one place, where each must know
    which of the others stand above it.
    """
    chosen = [hunk.id for hunk in hunks if hunk.id in ids]
    places = [hunk.old_start for hunk in hunks if not hunk.old_lines]
    if len(set(places)) == len(places):
        return [frozenset(chosen)]
    return [frozenset({name}) for name in chosen]


def take_back(before: str, after: str, current: str) -> str:
    """`current` without what a decision did when it turned `before` into `after`; what else was changed
    since stays (three-way). Parts that are taken back already stay so. Raises ConflictError when lines
    that the decision wrote, or the place of those it removed, were changed since: nothing is undone then.
    """
    if current in {before, after}:
        return before
    return take_out(line_edits(after, before), after, current)


def take_out(back: Iterable[TextEdit], after: str, current: str) -> str:
    """As `take_back`, with the edits given that take the decision out of `after`, each of whole lines."""
    change = minimal_change(after, current)
    shifter = Shifter(change)
    now = _Text(current)
    edits: list[TextEdit] = []
    touched: list[int] = []
    for edit in back:
        there = _settle(edit, shifter, now, after=True)
        if there is not None:
            edits.append(there)
            continue
        start, end = shifter.place(edit.start, after=False), shifter.place(edit.end, after=True)
        if current[start:end] != edit.new:
            touched.append(now.line_at(start) + 1)
    if touched:
        lines = ", ".join(map(str, touched))
        raise ConflictError(
            f"the decision cannot be undone by itself: its lines were changed since (at line {lines}); "
            "undo your own change there first, or edit the lines by hand"
        )
    return TextChange.of(edits).apply(current)


def _settle(edit: TextEdit, shifter: Shifter, now: "_Text", *, after: bool) -> TextEdit | None:
    """The edit in the text now, as one of whole lines; None: a conflict. Where the change inserts at the
    very place of an insertion, `after` says which stands first, unless only the other way keeps lines
    whole: what was typed at the beginning of the next line stays with that line.
    """
    for below in (after, not after):
        there = shifter.rebase(edit, after=below)
        if there is not None and now.whole_lines(there):
            return there
    return None


def line_edits(old: str, new: str, *, at: int = 0) -> list[TextEdit]:
    """The difference of two texts as edits of whole lines; `old` begins at the offset `at`."""
    old_lines, new_lines = split_lines(old), split_lines(new)
    starts = [at + start for start in line_starts(old_lines)]
    return [
        TextEdit(
            starts[block.old_start],
            starts[block.old_end],
            "".join(new_lines[block.new_start : block.new_end]),
        )
        for block in diff_lines(old_lines, new_lines)
    ]


def _conflict(hunk: Hunk, before: "_Text", now: "_Text", shifter: Shifter, base_hash: str) -> Hunk:
    start = now.line_at(shifter.place(before.offset(hunk.old_start), after=False))
    end_offset = shifter.place(before.offset(hunk.old_end), after=True)
    end = now.line_after(end_offset)
    return msgspec.structs.replace(
        hunk, state="conflict", base_hash=base_hash, old_start=start, old_lines=max(end - start, 0)
    )


class _Text:
    """A text with its lines' offsets."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = line_starts(split_lines(text))
        # Behind a last line without newline no line begins.
        self._open_end = bool(text) and text[-1] not in "\r\n"

    def offset(self, line: int) -> int:
        return self.starts[min(line, len(self.starts) - 1)]

    def edit_of(self, hunk: Hunk) -> TextEdit | None:
        """The hunk by offsets; None when the text there is not its old one."""
        if hunk.old_end >= len(self.starts):
            return None
        edit = TextEdit(self.starts[hunk.old_start], self.starts[hunk.old_end], hunk.new)
        if self.text[edit.start : edit.end] != hunk.old or not self.whole_lines(edit):
            return None
        return edit

    def whole_lines(self, edit: TextEdit) -> bool:
        """Whether the edit replaces whole lines by whole lines."""
        start, end = bisect_left(self.starts, edit.start), bisect_left(self.starts, edit.end)
        if self.starts[start] != edit.start or self.starts[end] != edit.end:
            return False
        if self._open_end and start == len(self.starts) - 1:
            return False
        ends_open = bool(edit.new) and edit.new[-1] not in "\r\n"
        return not ends_open or edit.end == len(self.text)

    def line_at(self, offset: int) -> int:
        """The line that holds the offset; behind the last newline, the line that would begin there."""
        line = bisect_right(self.starts, offset) - 1
        return line - 1 if self._open_end and offset == len(self.text) else line

    def line_after(self, offset: int) -> int:
        """The first line that begins at or behind the offset."""
        return bisect_left(self.starts, offset)
