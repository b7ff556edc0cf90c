"""What can be asked of the engine: a closed union of commands and their answers.

Commands are values with a JSON form, because those that arrive from another process travel through
the journal's inbox. A command is answered at once; what follows from it are events.
"""

from typing import Literal

import msgspec

from orchestration.events import Decision, FileResult, LeftOut, RunOptions
from orchestration.graph_model import TaskSpec


class _Command(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="command", rename="camel"
):
    pass


class StartRun(_Command, frozen=True, kw_only=True, tag="start_run"):
    """`plan` skips the planner. The same `idempotency_key` twice gives the same run."""

    goal: str
    options: RunOptions
    plan: tuple[TaskSpec, ...] | None = None
    context: str = ""
    idempotency_key: str | None = None


class Retry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Dead letters to try again (all of the run when there are no `task_ids`), what a person has to add, and another
    model for them.
    """

    task_ids: tuple[str, ...] = ()
    note: str = ""
    model: str | None = None
    by: str = ""


class ResumeRun(_Command, frozen=True, kw_only=True, tag="resume_run"):
    """`options` None: those of the run. `adopt` takes the run from a process that holds it but hangs: that one
    writes nothing and starts nothing any more. `retry` tries dead letters again, and what was skipped for them.
    """

    run_id: str
    options: RunOptions | None = None
    adopt: bool = False
    retry: Retry | None = None


class CancelRun(_Command, frozen=True, kw_only=True, tag="cancel_run"):
    run_id: str
    task_id: str | None = None
    by: str = ""


class DecidePlan(_Command, frozen=True, kw_only=True, tag="decide_plan"):
    """`plan`, when accepting, is the plan as the user edited it."""

    run_id: str
    accept: bool
    plan: tuple[TaskSpec, ...] | None = None


class ResolveApproval(_Command, frozen=True, kw_only=True, tag="resolve_approval"):
    run_id: str
    approval_id: str
    decision: Literal["once", "run", "reject"]
    by: str = ""


class HunkLines(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Lines of one hunk: numbers from 0 in its old and its new text as proposed."""

    old: tuple[int, ...] = ()
    new: tuple[int, ...] = ()


class DecideHunks(_Command, frozen=True, kw_only=True, tag="decide_hunks"):
    """Exactly one of `hunk_ids`, `path`, `task_id`, `all` says which hunks.

    With one hunk: `lines` decides only these of its lines, the others stay open; `text` accepts it as the user
    edited its new text, also where it is a conflict. `base_hash`: the file as the user saw it, by the hash
    that `HunkView` gave; when it is another one now, nothing is done. A conflict is settled only with it.
    """

    run_id: str
    decision: Decision
    hunk_ids: tuple[str, ...] = ()
    path: str | None = None
    task_id: str | None = None
    all: bool = False
    by: str = ""
    lines: HunkLines | None = None
    text: str | None = None
    base_hash: str = ""


class UndoDecision(_Command, frozen=True, kw_only=True, tag="undo_decision"):
    """`decision_id` None: the latest decision that is not undone yet."""

    run_id: str
    decision_id: str | None = None
    by: str = ""


class RestoreCheckpoint(_Command, frozen=True, kw_only=True, tag="restore_checkpoint"):
    """Makes the workspace, or only `paths` (files or folders), as it was. What that replaces becomes a checkpoint
    first. `run_id` is the run that the checkpoint belongs to.
    """

    run_id: str
    checkpoint_id: str
    paths: tuple[str, ...] = ()
    by: str = ""


class NoteFiles(_Command, frozen=True, kw_only=True, tag="note_files"):
    """Files were edited, saved or closed by the user: journals what their text says of the run's hunks, and
    which edits are saved. Changes no file. Without `paths`, all files of the run.
    """

    run_id: str
    paths: tuple[str, ...] = ()


class FixFinding(_Command, frozen=True, kw_only=True, tag="fix_finding"):
    run_id: str
    finding_id: str
    by: str = ""


class DismissFinding(_Command, frozen=True, kw_only=True, tag="dismiss_finding"):
    run_id: str
    finding_id: str
    reason: str = ""


Command = (
    StartRun
    | ResumeRun
    | CancelRun
    | DecidePlan
    | ResolveApproval
    | DecideHunks
    | UndoDecision
    | RestoreCheckpoint
    | NoteFiles
    | FixFinding
    | DismissFinding
)


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """`error` is empty when the command was carried out (or, for a run, accepted and made durable).
    `checkpoint_id` is the state of the workspace right before, when files were about to change; `left` are paths that
    a restore did not touch, with the reason. `error_kind` is the class name from `errors.py`, `exit_code` what a command line should end with.
    """

    run_id: str = ""
    decision_id: str = ""
    files: tuple[FileResult, ...] = ()
    checkpoint_id: str = ""
    left: tuple[LeftOut, ...] = ()
    error: str = ""
    error_kind: str = ""
    exit_code: int = 0


_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


def encode(command: Command) -> bytes:
    return _ENCODER.encode(command)


def decode(body: bytes) -> Command:
    """Raises msgspec.ValidationError when `body` is no command of this version."""
    return _DECODER.decode(body)
