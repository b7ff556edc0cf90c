"""The state of a run: a pure fold of its events.

`RunState` is changed by `apply` alone, and only its owner calls that; everyone else gets `snapshot()`.
Tasks are frozen values replaced one at a time, so folding costs O(1) per event whatever the size of
the graph. Nothing here touches the journal, the clock or a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from orchestration import events as ev
from orchestration.graph_model import TaskSpec
from orchestration.quality.finding import Finding
from providers.messages import Message, ToolResult, tool_results
from providers.usage import ZERO, Usage

RunPhase = Literal["planning", "confirming", "running", "finished"]
TaskStatus = Literal["pending", "running", "waiting", "merged", "dead", "skipped", "cancelled"]
ENDED: frozenset[TaskStatus] = frozenset({"merged", "dead", "skipped", "cancelled"})


class Estimates(msgspec.Struct, frozen=True):
    """How far the estimates of input tokens were off, over the calls whose provider reported them: `wrong` is the sum of
    |estimated - reported| / reported.
    """

    calls: int = 0
    wrong: float = 0.0

    def __add__(self, other: "Estimates") -> "Estimates":
        return Estimates(self.calls + other.calls, self.wrong + other.wrong)

    @property
    def error(self) -> float | None:
        """The mean, as a part of 1; None before there is any."""
        return self.wrong / self.calls if self.calls else None


NO_ESTIMATES = Estimates()


@dataclass(frozen=True, slots=True)
class GateState:
    gate: str
    outcome: ev.GateOutcome
    detail: str
    tree: str = ""


class TaskState(msgspec.Struct, frozen=True):
    """A struct, since it is replaced at every event and its copy costs a fraction of a dataclass's.
    `started` and `ended` are Unix seconds (0: not yet); `attempt` and `turn` count from 1. `spent_attempts`
    were made before a person had it tried again, with `note`.
    """

    spec: TaskSpec
    status: TaskStatus = "pending"
    attempt: int = 0
    turn: int = 0
    model: str = ""
    start_snapshot: str = ""
    snapshot: str = ""
    changed: tuple[str, ...] = ()
    verified: bool = True
    usage: Usage = ZERO
    gates: tuple[GateState, ...] = ()
    failures: tuple[ev.AttemptFailed, ...] = ()
    reason: str = ""
    summary: str = ""
    activity: str = ""
    started: float = 0.0
    ended: float = 0.0
    spent_attempts: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class DecisionState:
    """`back`: those of its hunks that are taken back, by an undo or in the editor, each with the number of the
    run's decisions at that time.
    """

    decision_id: str
    decision: ev.Decision
    hunk_ids: tuple[str, ...]
    files: tuple[ev.FileIntent, ...]
    results: tuple[ev.FileResult, ...] = ()
    applied: bool = False
    undone: bool = False
    time: float = 0.0
    by: str = ""
    parts: tuple[ev.HunkPart, ...] = ()
    back: Mapping[str, int] = field(default_factory=dict)

    @property
    def stands(self) -> bool:
        """Whether anything of it is left to undo: it was not undone, nor all of it taken back in the editor."""
        return not self.undone and (not self.hunk_ids or any(name not in self.back for name in self.hunk_ids))


@dataclass(frozen=True, slots=True)
class UndoState:
    """A decision being taken back; `applied` once its outcome is known."""

    undo_id: str
    decision_id: str
    files: tuple[ev.FileIntent, ...]
    applied: bool = False


@dataclass(frozen=True, slots=True)
class CheckpointState:
    """A state of the workspace that can be had back. `time`: Unix seconds. `outside`: a blob's digest; for the start
    of the run "", since the run itself knows what was left out.
    """

    checkpoint_id: str
    snapshot: str
    before: ev.CheckpointBefore
    subject: str
    files: int
    time: float
    outside: str = ""


@dataclass(frozen=True, slots=True)
class RestoreState:
    """`finished` None: its outcome is not recorded (yet)."""

    intent: ev.RestoreRecorded
    time: float
    finished: ev.RestoreFinished | None = None


@dataclass(slots=True)
class Transcript:
    """The conversation of one attempt as the model saw it; `system` is a blob's digest."""

    attempt: int
    system: str = ""
    messages: list[Message] = field(default_factory=list)
    results: list[ToolResult] = field(default_factory=list)
    tree: str = ""
    open_turn: int = 0

    def conversation(self) -> list[Message]:
        """Everything after the system text, tool results of the last turn included."""
        return [*self.messages, *([tool_results(*self.results)] if self.results else [])]


@dataclass(slots=True)
class RunState:
    """`joins`: by task id (empty: the final tree), the conflict tasks that were put before it.
    `learned`: digests of what gates found out, in the order in which they did. `folders`: those that were empty at
    the start (None: not known).
    `usage_incomplete`: calls broke off whose cost is unknown, so `usage` is a lower bound.
    """

    run_id: str
    goal: str = ""
    workspace: str = ""
    options: ev.RunOptions | None = None
    version: str = ""
    context: str = ""
    phase: RunPhase = "planning"
    end: ev.RunEnd | None = None
    exit_code: int = 0
    reasons: tuple[str, ...] = ()
    given_plan: tuple[TaskSpec, ...] | None = None
    proposed_plan: tuple[TaskSpec, ...] = ()
    tasks: dict[str, TaskState] = field(default_factory=dict)
    joins: dict[str, tuple[str, ...]] = field(default_factory=dict)
    usage: Usage = ZERO
    usage_incomplete: bool = False
    estimates: Estimates = NO_ESTIMATES
    base: str = ""
    left_out: tuple[ev.LeftOut, ...] = ()
    dirty: tuple[str, ...] = ()
    folders: tuple[str, ...] | None = None
    roles: dict[str, str] = field(default_factory=dict)
    tools: str = ""
    prompts: str = ""
    approvals: dict[str, ev.ApprovalRequested] = field(default_factory=dict)
    granted: frozenset[str] = frozenset()
    findings: dict[str, Finding] = field(default_factory=dict)
    finding_tasks: dict[str, str] = field(default_factory=dict)
    dismissed: frozenset[str] = frozenset()
    final_gates: tuple[GateState, ...] = ()
    learned: dict[str, None] = field(default_factory=dict)
    changes: ev.ChangesProposed | None = None
    decisions: dict[str, DecisionState] = field(default_factory=dict)
    undos: dict[str, UndoState] = field(default_factory=dict)
    checkpoints: dict[str, CheckpointState] = field(default_factory=dict)
    restores: dict[str, RestoreState] = field(default_factory=dict)
    cancelled: bool = False
    exhausted: ev.BudgetExhausted | None = None
    epoch: int = 0
    owner_pid: int = 0
    created: float = 0.0
    updated: float = 0.0
    last_seq: int = 0

    def snapshot(self) -> "RunState":
        """A copy that later events do not change."""
        return replace(
            self,
            tasks=dict(self.tasks),
            joins=dict(self.joins),
            approvals=dict(self.approvals),
            findings=dict(self.findings),
            finding_tasks=dict(self.finding_tasks),
            learned=dict(self.learned),
            decisions=dict(self.decisions),
            undos=dict(self.undos),
            checkpoints=dict(self.checkpoints),
            restores=dict(self.restores),
        )

    def counts(self) -> dict[str, int]:
        """How many tasks have each status; only statuses that occur."""
        counted: dict[str, int] = {}
        for task in self.tasks.values():
            counted[task.status] = counted.get(task.status, 0) + 1
        return counted
