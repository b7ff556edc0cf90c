"""Checkpoints as people and programs are shown them: every field, empty ones too."""

from typing import Literal

import msgspec

from orchestration.events import CheckpointBefore, FileResult, LeftOut

CheckpointFileKind = Literal["create", "modify", "delete", "mode", "link"]


class CheckpointView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`time`: Unix seconds. `files`: how many it holds. `subject`: the decision, undo or restore that it was taken
    for. `restores`: the checkpoint whose state came in the place of this one, when it was taken for a restore.
    `interrupted`: that restore was cut off; `failed`: what of it was not carried out, as far as it is known. `gone`: `antiphon gc` has
    let its contents go.
    """

    checkpoint_id: str
    run_id: str
    time: float
    before: CheckpointBefore
    files: int
    subject: str = ""
    goal: str = ""
    hunks: int = 0
    paths: tuple[str, ...] = ()
    restores: str = ""
    interrupted: bool = False
    failed: tuple[FileResult, ...] = ()
    gone: bool = False


class CheckpointFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What restoring does to a file. `added` and `removed` are lines; `binary`: it has none."""

    path: str
    kind: CheckpointFileKind
    added: int = 0
    removed: int = 0
    binary: bool = False


class CheckpointDiff(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What restoring a checkpoint would do to the files and buffers as they are now. `diff`: the same as a unified
    diff, `-` now and `+` then; `cut`: it is longer than what is given. `left`: paths that it would not touch, with
    the reason; `left_out`: what the checkpoint does not hold. `made` and `dropped`: empty folders.
    """

    checkpoint_id: str
    run_id: str
    files: tuple[CheckpointFile, ...] = ()
    left: tuple[LeftOut, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    made: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    diff: str = ""
    cut: bool = False
