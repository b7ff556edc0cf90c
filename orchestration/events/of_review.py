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


class DecisionRecorded(StateEvent, frozen=True, kw_only=True, tag="decision_recorded"):
    """The intent of a decision, durable before any file or buffer changes."""

    decision_id: str
    decision: Decision
    hunk_ids: tuple[str, ...]
    files: tuple[FileIntent, ...] = ()
    by: str = ""


class FileResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    path: str
    outcome: FileOutcome
    detail: str = ""


class DecisionApplied(StateEvent, frozen=True, kw_only=True, tag="decision_applied"):
    decision_id: str
    files: tuple[FileResult, ...] = ()


class UndoRecorded(StateEvent, frozen=True, kw_only=True, tag="undo_recorded"):
    """The intent to take a decision back; its `decision_applied` follows under `undo_id`."""

    undo_id: str
    decision_id: str
    files: tuple[FileIntent, ...] = ()
    by: str = ""
