"""Events of the review: what is proposed, what was decided, and what became of it in the files."""

from typing import Literal

import msgspec

from orchestration.events.base import LeftOut, StateEvent

Decision = Literal["accept", "reject"]
FileOutcome = Literal["written", "sent", "seen", "saved", "unchanged", "conflict", "unknown"]


class ChangesProposed(StateEvent, frozen=True, kw_only=True, tag="changes_proposed"):
    """The change set (a blob: JSON of `review.change_set.ChangeSet`) from `base` to `snapshot`."""

    base: str
    snapshot: str
    change_set: str
    files: int
    hunks: int
    added: int = 0
    removed: int = 0
    left_out: tuple[LeftOut, ...] = ()


class FileIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What a decision is about to do to a file: digests (SHA-256, hex; empty: no such file) before and after,
    and the blobs that hold both, so that it can be finished after a crash and undone later. `mode`: permission
    bits to set, `old_mode` those that an undo gives back; None: they stay.
    """

    path: str
    before: str
    after: str
    mode: int | None = None
    old_mode: int | None = None


class HunkPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What a decision means of a hunk, when that is not the whole hunk as proposed: the numbers of its `old`
    lines that go and its `new` lines that come (from 0, in the hunk as proposed), or `text`, all that then
    stands in its place as the user edited it. `rest`: other lines of it are open still.
    """

    hunk_id: str
    old: tuple[int, ...] = ()
    new: tuple[int, ...] = ()
    text: str | None = None
    rest: bool = False


class DecisionRecorded(StateEvent, frozen=True, kw_only=True, tag="decision_recorded"):
    """The intent of a decision, durable before any file or buffer changes. `parts`: those of its hunks that
    it does not decide as a whole.
    """

    decision_id: str
    decision: Decision
    hunk_ids: tuple[str, ...]
    files: tuple[FileIntent, ...] = ()
    by: str = ""
    parts: tuple[HunkPart, ...] = ()


class FileResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    path: str
    outcome: FileOutcome
    detail: str = ""


class FileNoted(StateEvent, frozen=True, kw_only=True, tag="file_noted"):
    """A word on one file of a decision before or after its outcome as a whole: its edit was sent to the
    editor, the buffer that holds it was saved, or what a time-out left unknown was found out.
    """

    decision_id: str
    file: FileResult


class HunkSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The decisions on a hunk that its file's text shows as taken back, and those that it shows again."""

    hunk_id: str
    back: tuple[str, ...] = ()
    again: tuple[str, ...] = ()


class HunksSeen(StateEvent, frozen=True, kw_only=True, tag="hunks_seen"):
    """The text of a file says otherwise than the decisions: an accepted hunk was taken back in the editor (its
    undo, a buffer closed without saving) and is proposed again, or came back (its redo, its undo of an undone
    decision) and is accepted.
    """

    path: str
    hunks: tuple[HunkSeen, ...]


class DecisionApplied(StateEvent, frozen=True, kw_only=True, tag="decision_applied"):
    decision_id: str
    files: tuple[FileResult, ...] = ()


class UndoRecorded(StateEvent, frozen=True, kw_only=True, tag="undo_recorded"):
    """The intent to take a decision back; its `decision_applied` follows under `undo_id`."""

    undo_id: str
    decision_id: str
    files: tuple[FileIntent, ...] = ()
    by: str = ""
