"""Events of checkpoints: states of the workspace that can be had back, and what restoring them did."""

from typing import Literal

import msgspec

from orchestration.events.base import LeftOut, StateEvent
from orchestration.events.of_review import FileResult

CheckpointBefore = Literal["run", "accept", "undo", "fix", "restore"]


class Outside(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What the tree of a checkpoint does not hold: paths left out, and folders with nothing in them (None: not
    known). A blob of the run, since it is the same for most checkpoints.
    """

    left_out: tuple[LeftOut, ...] = ()
    folders: tuple[str, ...] | None = None


class CheckpointTaken(StateEvent, frozen=True, kw_only=True, tag="checkpoint_taken"):
    """The workspace as the user saw it, unsaved buffers included, right before `subject` (a decision, an undo, a
    restore) changes it. The start of a run has none: that is its `snapshot_taken`. `outside`: a blob, JSON of
    `Outside`.
    """

    checkpoint_id: str
    snapshot: str
    before: CheckpointBefore
    subject: str
    files: int
    outside: str = ""


class RestoreRecorded(StateEvent, frozen=True, kw_only=True, tag="restore_recorded"):
    """The intent to make the workspace as `checkpoint_id` has it, durable before any file or buffer changes: what
    differs between the checkpoint `saved`, which holds all that is replaced, and that one; of `paths` only, where
    some are given (files or folders).
    """

    restore_id: str
    checkpoint_id: str
    saved: str
    paths: tuple[str, ...] = ()
    by: str = ""


class RestoreFinished(StateEvent, frozen=True, kw_only=True, tag="restore_finished"):
    """What became of a restore. `files`: every outcome but `written`, of which there are `written`. `interrupted`:
    the process died in the middle; what the files held when that was found out.
    """

    restore_id: str
    written: int
    files: tuple[FileResult, ...] = ()
    interrupted: bool = False
