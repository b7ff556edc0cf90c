"""The events of a run: the closed union that the journal stores and the wire carries.

State events are journaled, numbered, and then published; the state of a run is their fold (`run.py`)
and nothing else. `Delta` is ephemeral: never journaled, may be dropped. A journaled event and its wire
form are the same JSON (camelCase, the tag in `type`), so fields are only ever added, with defaults.
"""

from typing import Literal

import msgspec

from orchestration.graph_model import TaskSpec
from orchestration.quality.finding import Finding
from providers.messages import Message, StopReason
from providers.usage import Usage

PlanMode = Literal["auto", "confirm"]
ApprovalMode = Literal["never", "ask", "auto"]
RunEnd = Literal["completed", "partial", "failed", "cancelled"]
GateOutcome = Literal["passed", "blocked", "ask", "not_run", "not_applicable"]
AttemptFailure = Literal["gate", "provider", "stuck", "turn_limit", "refused", "budget", "internal"]
Decision = Literal["accept", "reject"]
FileOutcome = Literal["written", "sent", "seen", "saved", "unchanged", "conflict", "unknown"]


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Limits of a run; None means no limit. Exhaustion ends the run and is never retried."""

    usd: float | None = None
    tokens: int | None = None
    wall_seconds: float | None = None
    turns_per_task: int = 40
    attempts: int = 3


class RunOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """How a run is to be carried out; pinned at its start. `model` is `PROVIDER/NAME`."""

    model: str
    max_parallel: int = 8
    plan: PlanMode = "auto"
    approval: ApprovalMode = "ask"
    budget: Budget = Budget()
    review: bool = False
    test_command: tuple[str, ...] = ()
    setup_command: tuple[str, ...] = ()


class LeftOut(msgspec.Struct, frozen=True):
    """A path that is not part of the snapshot, known and unwritable."""

    path: str
    reason: str


class _Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", rename="camel"):
    pass


# --- the run -------------------------------------------------------------------------------------


class RunCreated(_Event, frozen=True, kw_only=True, tag="run_created"):
    goal: str
    workspace: str
    options: RunOptions
    version: str
    plan: tuple[TaskSpec, ...] | None = None
    context: str = ""


class RunOwned(_Event, frozen=True, kw_only=True, tag="run_owned"):
    """A process took the run: at its start, and again at each resume, which may change the options."""

    epoch: int
    pid: int
    resumed: bool = False
    options: RunOptions | None = None


class DefinitionsPinned(_Event, frozen=True, kw_only=True, tag="definitions_pinned"):
    """Roles (their whole Markdown) and tool schemas as blobs by digest: resume uses these."""

    roles: dict[str, str]
    tools: str


class SnapshotTaken(_Event, frozen=True, kw_only=True, tag="snapshot_taken"):
    """The base: a commit of the shadow repository. `dirty` are files taken from unsaved buffers."""

    snapshot: str
    files: int
    left_out: tuple[LeftOut, ...] = ()
    dirty: tuple[str, ...] = ()


class PlanProposed(_Event, frozen=True, kw_only=True, tag="plan_proposed"):
    attempt: int
    tasks: tuple[TaskSpec, ...]


class PlanRefused(_Event, frozen=True, kw_only=True, tag="plan_refused"):
    attempt: int
    reasons: tuple[str, ...]


class PlanAccepted(_Event, frozen=True, kw_only=True, tag="plan_accepted"):
    tasks: tuple[TaskSpec, ...]


class BudgetExhausted(_Event, frozen=True, kw_only=True, tag="budget_exhausted"):
    what: str
    limit: float
    used: float


class CancelRequested(_Event, frozen=True, kw_only=True, tag="cancel_requested"):
    task_id: str | None = None
    by: str = ""


class RunFinished(_Event, frozen=True, kw_only=True, tag="run_finished"):
    """`exit_code` follows the gates (0, 1 or 130); `reasons` say why it is not 0. `tasks` counts by status."""

    state: RunEnd
    tasks: dict[str, int]
    usage: Usage
    exit_code: int
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0


# --- a task --------------------------------------------------------------------------------------


class TaskAdded(_Event, frozen=True, kw_only=True, tag="task_added"):
    """A task that no plan named: delegated, a merge conflict, a repair of the final tree."""

    task: TaskSpec


class TaskStarted(_Event, frozen=True, kw_only=True, tag="task_started"):
    task_id: str
    attempt: int
    snapshot: str
    role: str
    model: str


class TaskWaiting(_Event, frozen=True, kw_only=True, tag="task_waiting"):
    """The task gave back its slot until the named tasks end or a person answers."""

    task_id: str
    on: tuple[str, ...] = ()


class TaskResumed(_Event, frozen=True, kw_only=True, tag="task_resumed"):
    task_id: str


class AttemptFailed(_Event, frozen=True, kw_only=True, tag="attempt_failed"):
    """`feedback` opens the next attempt's conversation."""

    task_id: str
    attempt: int
    kind: AttemptFailure
    reason: str
    feedback: str = ""


class TaskMerged(_Event, frozen=True, kw_only=True, tag="task_merged"):
    """The task's result: a commit whose ancestors are what it started from."""

    task_id: str
    attempt: int
    snapshot: str
    changed: tuple[str, ...] = ()
    verified: bool = True
    summary: str = ""


class TaskDead(_Event, frozen=True, kw_only=True, tag="task_dead"):
    task_id: str
    reason: str
    attempts: int


class TaskSkipped(_Event, frozen=True, kw_only=True, tag="task_skipped"):
    task_id: str
    because: str
    reason: str


class TaskCancelled(_Event, frozen=True, kw_only=True, tag="task_cancelled"):
    task_id: str


# --- a turn --------------------------------------------------------------------------------------


class TurnStarted(_Event, frozen=True, kw_only=True, tag="turn_started"):
    """The intent of a model call. `messages` are those that no other event holds (the first user
    message, a loop guard's remark); answers are in `turn_completed`, tool results in `tool_finished`.
    `system` is the digest of the system text, set on a task's first turn.
    """

    task_id: str
    attempt: int
    turn: int
    messages: tuple[Message, ...] = ()
    system: str = ""


class TurnCompleted(_Event, frozen=True, kw_only=True, tag="turn_completed"):
    """`discarded_attempts`: calls that broke off before this answer; what they cost is not in `usage`."""

    task_id: str
    attempt: int
    turn: int
    message: Message
    stop: StopReason
    usage: Usage
    model: str = ""
    discarded_attempts: int = 0


class TurnFailed(_Event, frozen=True, kw_only=True, tag="turn_failed"):
    task_id: str
    attempt: int
    turn: int
    error: str
    detail: str


class ToolStarted(_Event, frozen=True, kw_only=True, tag="tool_started"):
    """The intent of a call that has an effect outside the tree in memory (a command, a delegation)."""

    task_id: str
    attempt: int
    turn: int
    call_id: str
    tool: str
    subject: str = ""


class ToolFinished(_Event, frozen=True, kw_only=True, tag="tool_finished"):
    """`text` is what the model sees. `tree` is set when the task's files differ from before the turn."""

    task_id: str
    attempt: int
    turn: int
    call_id: str
    tool: str
    text: str
    is_error: bool = False
    tree: str = ""
    subject: str = ""


# --- people, gates, findings -------------------------------------------------------------------------


class ApprovalRequested(_Event, frozen=True, kw_only=True, tag="approval_requested"):
    approval_id: str
    kind: Literal["command", "protected_change", "plan"]
    subject: str
    task_id: str | None = None
    detail: str = ""


class ApprovalResolved(_Event, frozen=True, kw_only=True, tag="approval_resolved"):
    approval_id: str
    decision: Literal["once", "run", "reject"]
    by: str = ""


class GateFinished(_Event, frozen=True, kw_only=True, tag="gate_finished"):
    """`task_id` None: the final merged tree."""

    gate: str
    outcome: GateOutcome
    detail: str = ""
    task_id: str | None = None
    attempt: int = 0
    seconds: float = 0.0


class FindingReported(_Event, frozen=True, kw_only=True, tag="finding_reported"):
    finding: Finding
    task_id: str | None = None


class FindingDismissed(_Event, frozen=True, kw_only=True, tag="finding_dismissed"):
    finding_id: str
    reason: str = ""


# --- review ------------------------------------------------------------------------------------------


class ChangesProposed(_Event, frozen=True, kw_only=True, tag="changes_proposed"):
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
    and the blobs that hold both, so that it can be finished after a crash and undone later.
    """

    path: str
    before: str
    after: str
    mode: int | None = None


class DecisionRecorded(_Event, frozen=True, kw_only=True, tag="decision_recorded"):
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


class DecisionApplied(_Event, frozen=True, kw_only=True, tag="decision_applied"):
    decision_id: str
    files: tuple[FileResult, ...] = ()


class UndoRecorded(_Event, frozen=True, kw_only=True, tag="undo_recorded"):
    """The intent to take a decision back; its `decision_applied` follows under `undo_id`."""

    undo_id: str
    decision_id: str
    files: tuple[FileIntent, ...] = ()
    by: str = ""


Event = (
    RunCreated
    | RunOwned
    | DefinitionsPinned
    | SnapshotTaken
    | PlanProposed
    | PlanRefused
    | PlanAccepted
    | BudgetExhausted
    | CancelRequested
    | RunFinished
    | TaskAdded
    | TaskStarted
    | TaskWaiting
    | TaskResumed
    | AttemptFailed
    | TaskMerged
    | TaskDead
    | TaskSkipped
    | TaskCancelled
    | TurnStarted
    | TurnCompleted
    | TurnFailed
    | ToolStarted
    | ToolFinished
    | ApprovalRequested
    | ApprovalResolved
    | GateFinished
    | FindingReported
    | FindingDismissed
    | ChangesProposed
    | DecisionRecorded
    | DecisionApplied
    | UndoRecorded
)


class Record(msgspec.Struct, frozen=True):
    """A journaled event with its place: `seq` counts from 1 within the run, `time` is Unix seconds."""

    seq: int
    time: float
    event: Event


class Delta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A piece of a streaming answer; `seq` is that of the last state event before it. `restart`: the call
    is made again, what was shown of this answer so far is void.
    """

    task_id: str
    text: str
    seq: int
    restart: bool = False


_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """The event's JSON, as journaled."""
    return _ENCODER.encode(event)


def decode(body: bytes | str) -> Event:
    """Raises msgspec.ValidationError when `body` is no event of this version."""
    return _DECODER.decode(body)
