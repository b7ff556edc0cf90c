"""Events of a task, its attempts, its turns and tool calls."""

from typing import Literal

from orchestration.events.base import StateEvent
from orchestration.graph_model import TaskSpec
from providers.messages import Message, StopReason
from providers.usage import Usage

AttemptFailure = Literal["gate", "provider", "stuck", "turn_limit", "refused", "budget", "internal"]


class TaskAdded(StateEvent, frozen=True, kw_only=True, tag="task_added"):
    """A task that no plan named: delegated, a merge conflict, a repair of the final tree."""

    task: TaskSpec


class TaskStarted(StateEvent, frozen=True, kw_only=True, tag="task_started"):
    task_id: str
    attempt: int
    snapshot: str
    role: str
    model: str


class TaskWaiting(StateEvent, frozen=True, kw_only=True, tag="task_waiting"):
    """The task gave back its slot until the named tasks end or a person answers."""

    task_id: str
    on: tuple[str, ...] = ()


class TaskResumed(StateEvent, frozen=True, kw_only=True, tag="task_resumed"):
    task_id: str


class AttemptFailed(StateEvent, frozen=True, kw_only=True, tag="attempt_failed"):
    """`feedback` opens the next attempt's conversation."""

    task_id: str
    attempt: int
    kind: AttemptFailure
    reason: str
    feedback: str = ""


class TaskMerged(StateEvent, frozen=True, kw_only=True, tag="task_merged"):
    """The task's result: a commit whose ancestors are what it started from."""

    task_id: str
    attempt: int
    snapshot: str
    changed: tuple[str, ...] = ()
    verified: bool = True
    summary: str = ""


class TaskDead(StateEvent, frozen=True, kw_only=True, tag="task_dead"):
    task_id: str
    reason: str
    attempts: int


class TaskRetried(StateEvent, frozen=True, kw_only=True, tag="task_retried"):
    """A person had a dead letter (or a task that was skipped because of one) tried again, with as many attempts
    as a new task has. `note` goes into its conversations, `model` replaces its model.
    """

    task_id: str
    note: str = ""
    model: str | None = None
    by: str = ""


class TaskSkipped(StateEvent, frozen=True, kw_only=True, tag="task_skipped"):
    task_id: str
    because: str
    reason: str


class TaskCancelled(StateEvent, frozen=True, kw_only=True, tag="task_cancelled"):
    task_id: str


class TurnStarted(StateEvent, frozen=True, kw_only=True, tag="turn_started"):
    """The intent of a model call. `messages` are those that no other event holds (the first user
    message, a loop guard's remark); answers are in `turn_completed`, tool results in `tool_finished`.
    `system` is the digest of the system text, set on a task's first turn.
    """

    task_id: str
    attempt: int
    turn: int
    messages: tuple[Message, ...] = ()
    system: str = ""


class TurnCompleted(StateEvent, frozen=True, kw_only=True, tag="turn_completed"):
    """`discarded_attempts`: calls that broke off before this answer; what they cost is not in `usage`.
    `estimated_input`: how many tokens the request was thought to have before it was sent.
    """

    task_id: str
    attempt: int
    turn: int
    message: Message
    stop: StopReason
    usage: Usage
    model: str = ""
    discarded_attempts: int = 0
    estimated_input: int | None = None


class TurnFailed(StateEvent, frozen=True, kw_only=True, tag="turn_failed"):
    task_id: str
    attempt: int
    turn: int
    error: str
    detail: str


class ToolStarted(StateEvent, frozen=True, kw_only=True, tag="tool_started"):
    """The intent of a call that has an effect outside the tree in memory (a command, a delegation)."""

    task_id: str
    attempt: int
    turn: int
    call_id: str
    tool: str
    subject: str = ""


class ToolFinished(StateEvent, frozen=True, kw_only=True, tag="tool_finished"):
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
