"""Events that concern a run as a whole: its start, its plan, its limits, its end."""

from typing import Literal

import msgspec

from orchestration.events.base import LeftOut, StateEvent
from orchestration.graph_model import TaskSpec
from providers.usage import Usage

PlanMode = Literal["auto", "confirm"]
ApprovalMode = Literal["never", "ask", "auto"]
RunEnd = Literal["completed", "partial", "failed", "cancelled"]


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


class RunCreated(StateEvent, frozen=True, kw_only=True, tag="run_created"):
    goal: str
    workspace: str
    options: RunOptions
    version: str
    plan: tuple[TaskSpec, ...] | None = None
    context: str = ""


class RunOwned(StateEvent, frozen=True, kw_only=True, tag="run_owned"):
    """A process took the run: at its start, and again at each resume, which may change the options."""

    epoch: int
    pid: int
    resumed: bool = False
    options: RunOptions | None = None


class DefinitionsPinned(StateEvent, frozen=True, kw_only=True, tag="definitions_pinned"):
    """Roles (their whole Markdown), tool schemas and prompts (JSON by name) as blobs by digest: resume uses
    these.
    """

    roles: dict[str, str]
    tools: str
    prompts: str = ""


class SnapshotTaken(StateEvent, frozen=True, kw_only=True, tag="snapshot_taken"):
    """The base: a commit of the shadow repository. `dirty` are files taken from unsaved buffers, `folders` those with
    nothing in them (None: not known). It is also the first checkpoint of the run.
    """

    snapshot: str
    files: int
    left_out: tuple[LeftOut, ...] = ()
    dirty: tuple[str, ...] = ()
    folders: tuple[str, ...] | None = None


class PlanProposed(StateEvent, frozen=True, kw_only=True, tag="plan_proposed"):
    attempt: int
    tasks: tuple[TaskSpec, ...]


class PlanRefused(StateEvent, frozen=True, kw_only=True, tag="plan_refused"):
    attempt: int
    reasons: tuple[str, ...]


class PlanAccepted(StateEvent, frozen=True, kw_only=True, tag="plan_accepted"):
    tasks: tuple[TaskSpec, ...]


class BudgetExhausted(StateEvent, frozen=True, kw_only=True, tag="budget_exhausted"):
    what: str
    limit: float
    used: float


class CancelRequested(StateEvent, frozen=True, kw_only=True, tag="cancel_requested"):
    task_id: str | None = None
    by: str = ""


class RunFinished(StateEvent, frozen=True, kw_only=True, tag="run_finished"):
    """`exit_code` follows the gates (0, 1 or 130); `reasons` say why it is not 0. `tasks` counts by status."""

    state: RunEnd
    tasks: dict[str, int]
    usage: Usage
    exit_code: int
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0
