"""Which hunks of a file a decision takes, and which parts of them. Pure.

A file, a task or all means what is still open there. A hunk that is named by its own id can be decided anew
when it was rejected; one that was accepted is taken back by undoing that.
"""

from collections.abc import Collection
from typing import NamedTuple

from orchestration.commands import DecideHunks
from orchestration.errors import ConflictError, UsageError
from orchestration.events import HunkPart
from orchestration.review.parts import (
    Lines,
    checked,
    every_line,
    open_lines,
    rest_with,
    whole_with,
    with_lines,
)
from orchestration.review.standing import Stand, Standing

_TEXT_KINDS = frozenset({"lines", "create", "whole"})


class Choice(NamedTuple):
    """`text` takes the place of the hunk's lines now, None: what is proposed; `part` is what is journaled of it,
    None: the whole hunk.
    """

    hunk_id: str
    text: str | None = None
    part: HunkPart | None = None


def choose(
    standing: Standing, wanted: Collection[str], command: DecideHunks
) -> tuple[list[Choice], list[str]]:
    """The hunks of the file that the command decides, and why others that it means cannot be. Raises UsageError
    for what can never be, ConflictError when the file is not what the user saw.
    """
    chosen: list[Choice] = []
    refused: list[str] = []
    for stand in standing.stands:
        hunk = stand.hunk
        if hunk.id not in wanted or not _is_meant(stand, command):
            continue
        if command.base_hash and command.base_hash != hunk.base_hash:
            raise ConflictError(f"{hunk.path} was changed since it was shown; look at it again, then decide")
        if stand.conflict and command.decision == "accept":
            if command.text is None:
                refused.append(f"hunk {hunk.id}: {stand.conflict}")
                continue
            if not command.base_hash:
                raise UsageError(f"hunk {hunk.id} is a conflict ({stand.conflict}); {_SETTLE}")
        if command.text is not None and standing.change.encoding is None:
            raise UsageError(f"hunk {hunk.id} has no text to be edited: {hunk.path} is binary")
        chosen.append(_choice(stand, command))
    return chosen, refused


_SETTLE = "a text that settles it comes with the base hash of the file that it was made for"


def _is_meant(stand: Stand, command: DecideHunks) -> bool:
    hunk = stand.hunk
    if hunk.state in {"proposed", "conflict"}:
        return True
    if not command.hunk_ids or command.decision + "ed" == hunk.state:
        return False
    if hunk.state == "accepted":
        raise UsageError(f"hunk {hunk.id} is accepted; undo that decision first (antiphon undo)")
    return True


def _choice(stand: Stand, command: DecideHunks) -> Choice:
    hunk, proposed, taken = stand.hunk, stand.history.hunk, stand.taken
    if command.text is not None:
        if proposed.kind not in _TEXT_KINDS:
            raise UsageError(f"hunk {hunk.id} has no text to be edited: it is a {proposed.kind}")
        whole = whole_with(proposed, taken, command.text)
        return Choice(hunk.id, command.text, HunkPart(hunk_id=hunk.id, text=whole))
    if command.lines is None and taken.state != "parts":
        return Choice(hunk.id)
    lines = left = every_line(proposed) if taken.state == "rejected" else open_lines(proposed, taken)
    if command.lines is not None:
        lines = _named(stand, command.lines.old, command.lines.new) & left
        if not lines:
            raise UsageError(f"hunk {hunk.id} has none of these lines open; `antiphon changes` shows them")
    after = with_lines(proposed, taken, lines, accept=command.decision == "accept")
    checked(proposed, after)
    part = HunkPart(
        hunk_id=hunk.id,
        old=tuple(sorted(lines.old)),
        new=tuple(sorted(lines.new)),
        rest=bool(left - lines),
    )
    if command.decision == "reject":
        return Choice(hunk.id, None, part)
    return Choice(hunk.id, rest_with(proposed, taken, lines), part)


def _named(stand: Stand, old: Collection[int], new: Collection[int]) -> Lines:
    """Raises UsageError for a line that the hunk does not have, or for a hunk that has none."""
    proposed = stand.history.hunk
    if proposed.kind not in {"lines", "create"}:
        raise UsageError(f"hunk {proposed.id} is decided as a whole: it is a {proposed.kind}")
    for side, numbers, count in (("old", old, proposed.old_lines), ("new", new, proposed.new_lines)):
        for number in numbers:
            if not 0 <= number < count:
                raise UsageError(f"hunk {proposed.id} has no {side} line {number}: it has {count}, from 0")
    return Lines.of(old, new)
