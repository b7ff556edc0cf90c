"""The custom methods' params and results: the one source of the wire's shape.

`docs/protocol.schema.json` and from it the clients' types are generated from here. Names are camelCase on
the wire. Unknown fields are tolerated, so either side may be newer. What the engine already has as a value
with a wire form (events, change sets, findings) travels as that and is not repeated here. One flat list of shapes,
read by looking one up: splitting it at 500 lines would only add places to look.
"""

from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from orchestration.checkpoints.view import CheckpointDiff, CheckpointView
from orchestration.commands import Reply
from orchestration.review.view import ChangesView, PlacedFinding
from server.health_report import HealthResult


class Wire(BaseModel):
    # Validators are built when a model is first used: most sessions need a few of them.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, defer_build=True
    )


class Empty(Wire):
    pass


class RunParams(Wire):
    run_id: str = Field(min_length=1)


# --- runs ----------------------------------------------------------------------------------------------


class BudgetParams(Wire):
    """None: the setting's value. Money in USD."""

    usd: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    wall_seconds: float | None = Field(default=None, gt=0)
    turns_per_task: int | None = Field(default=None, gt=0)
    attempts: int | None = Field(default=None, gt=0)


class RunStartParams(Wire):
    """`root` is a folder's URI (default: the client's first). The same `idempotencyKey` twice is one run."""

    goal: str = Field(min_length=1)
    root: str | None = None
    context: str = ""
    model: str | None = None
    budget: BudgetParams = BudgetParams()
    plan: Literal["auto", "confirm"] | None = None
    approval: Literal["never", "ask", "auto"] | None = None
    max_parallel: int | None = Field(default=None, ge=1, le=256)
    review: bool | None = None
    idempotency_key: str | None = None


class RunStartResult(Wire):
    run_id: str


class RunCancelParams(RunParams):
    task_id: str | None = None


class RunListParams(Wire):
    """`root` None: every open folder."""

    root: str | None = None
    limit: int = Field(default=200, ge=1, le=10_000)


class RunEntry(Wire):
    """Times are Unix seconds. `costUsd` and `tokens` absent: unknown."""

    run_id: str
    root: str
    goal: str
    state: str
    created: float
    updated: float
    tasks_total: int
    tasks_done: int
    open_hunks: int
    cost_usd: float | None = None
    tokens: int | None = None


class RunListResult(Wire):
    runs: list[RunEntry]


class UsageEntry(Wire):
    """Absent: unknown. `estimateError`: how far the estimates of input tokens were off on average, as a part of 1, over
    the calls whose provider reported them.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    estimate_error: float | None = None


class GateEntry(Wire):
    gate: str
    outcome: str
    detail: str = ""


class TaskEntry(Wire):
    task_id: str
    title: str
    role: str
    depends_on: list[str]
    status: str
    attempt: int
    turn: int
    model: str
    activity: str
    reason: str
    summary: str
    verified: bool
    changed: list[str]
    gates: list[GateEntry]
    usage: UsageEntry
    started: float
    ended: float


class ApprovalEntry(Wire):
    approval_id: str
    kind: str
    subject: str
    detail: str = ""
    task_id: str | None = None


class DecisionEntry(Wire):
    decision_id: str
    decision: str
    hunk_ids: list[str]
    applied: bool
    undone: bool
    time: float


class RunReadResult(Wire):
    """The run as its events up to `lastSeq` make it; `end` is absent while it is under way."""

    run_id: str
    root: str
    goal: str
    phase: str
    end: str | None = None
    exit_code: int
    reasons: list[str]
    tasks: list[TaskEntry]
    gates: list[GateEntry]
    approvals: list[ApprovalEntry]
    decisions: list[DecisionEntry]
    usage: UsageEntry
    created: float
    updated: float
    last_seq: int


class RetryEntry(Wire):
    """Dead letters to try again; all of the run when none is named."""

    task_ids: list[str] = []
    note: str = ""
    model: str | None = None


class RunResumeParams(RunParams):
    adopt: bool = False
    retry: RetryEntry | None = None


class RunSubscribeParams(RunParams):
    after_seq: int = Field(default=0, ge=0)


class RunSubscribeResult(Wire):
    run_id: str
    last_seq: int


class PlanTask(Wire):
    id: str
    title: str
    instructions: str
    role: str = "coder"
    depends_on: list[str] = []
    paths: list[str] = []
    tests: list[str] = []
    model: str | None = None


class PlanDecideParams(RunParams):
    """`plan`: "accept", "reject", or the tasks as the user edited them (accepts these)."""

    plan: Literal["accept", "reject"] | list[PlanTask]


# --- changes -------------------------------------------------------------------------------------------


class ChangesReadParams(RunParams):
    pass


class ChangesDiffParams(RunParams):
    """Of a file, or of one of its hunks: `hunkId` alone is enough."""

    path: str | None = None
    hunk_id: str | None = None

    @model_validator(mode="after")
    def _something(self) -> "ChangesDiffParams":
        if not self.path and not self.hunk_id:
            raise ValueError("`path` or `hunkId` is needed")
        return self


class ChangesDiffResult(Wire):
    """URIs of virtual documents (`workspace/textDocumentContent`, `changes/content`): the two sides for an
    editor's own diff, and a unified diff of them as one text.
    """

    title: str
    before: str
    after: str
    diff: str


class ChangesContentParams(Wire):
    """`uri`: one that `changes/diff` gave."""

    uri: str


class ChangesContentResult(Wire):
    text: str


class HunkLinesParams(Wire):
    """Numbers from 0 in the hunk's old and new text as proposed: those of a hunk that is decided in parts are
    in its `oldNumbers` and `newNumbers`.
    """

    old: list[int] = []
    new: list[int] = []


class ChangesDecideParams(RunParams):
    """Exactly one of `hunkIds`, `path`, `taskId` and `all` says which hunks.

    With one hunk: `lines` decides only these of its lines; `text` accepts its new text as the user edited it,
    also where it is a conflict. `baseHash`: as the hunk had it when the user looked; nothing is done when the
    file is another one now.
    """

    decision: Literal["accept", "reject"]
    hunk_ids: list[str] | None = None
    path: str | None = None
    task_id: str | None = None
    all: bool = False
    lines: HunkLinesParams | None = None
    text: str | None = None
    base_hash: str = ""

    @model_validator(mode="after")
    def _one_selection(self) -> "ChangesDecideParams":
        given = [self.hunk_ids is not None, self.path is not None, self.task_id is not None, self.all]
        if sum(given) != 1:
            raise ValueError("exactly one of `hunkIds`, `path`, `taskId` and `all` is needed")
        if self.hunk_ids is not None and not self.hunk_ids:
            raise ValueError("`hunkIds` is empty")
        if (self.lines is not None or self.text is not None) and len(self.hunk_ids or ()) != 1:
            raise ValueError("`lines` and `text` are those of one hunk: `hunkIds` names it")
        return self


class ChangesUndoParams(RunParams):
    """`decisionId` absent: the latest decision that is not undone yet."""

    decision_id: str | None = None


# --- checkpoints ---------------------------------------------------------------------------------------


class CheckpointListParams(Wire):
    """`runId`: those of one run. Else the newest `limit` of the folder `root` (default: every open folder's)."""

    run_id: str | None = None
    root: str | None = None
    limit: int = Field(default=50, ge=1, le=10_000)


class CheckpointListResult(msgspec.Struct, frozen=True):
    """Newest first."""

    checkpoints: tuple[CheckpointView, ...]


class CheckpointParams(Wire):
    """`paths`: files and folders, relative to the workspace; absent: everything."""

    checkpoint_id: str = Field(min_length=1)
    paths: list[str] | None = None

    @model_validator(mode="after")
    def _some_paths(self) -> "CheckpointParams":
        if self.paths is not None and not self.paths:
            raise ValueError("`paths` is empty; leave it out for everything")
        return self


# --- approvals and findings ----------------------------------------------------------------------------


class ApprovalRequestParams(ApprovalEntry):
    """Server to client."""

    run_id: str


class ApprovalAnswer(Wire):
    """`decision` null: not decided here; the question stays open for others."""

    decision: Literal["once", "run", "reject"] | None = None


class ApprovalResolvedParams(Wire):
    """Server to client: the question is answered, whoever did it."""

    run_id: str
    approval_id: str
    decision: Literal["once", "run", "reject"]
    by: str = ""


class ApprovalResolveParams(RunParams):
    approval_id: str = Field(min_length=1)
    decision: Literal["once", "run", "reject"]


class FindingParams(RunParams):
    finding_id: str = Field(min_length=1)


class FindingDismissParams(FindingParams):
    reason: str = ""


class FindingListParams(Wire):
    """`runId` absent: of every run that is shown."""

    run_id: str | None = None


class FindingItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A finding of a run with its place in the file's current text, columns in code points."""

    run_id: str
    root: str
    placed: PlacedFinding


class FindingListResult(msgspec.Struct, frozen=True):
    findings: tuple[FindingItem, ...]


# --- the server ----------------------------------------------------------------------------------------


class TrustSetParams(Wire):
    """`remember`: beyond this session."""

    trusted: bool
    root: str | None = None
    remember: bool = False


class TrustSetResult(Wire):
    root: str
    trusted: bool


class UsageReadParams(Wire):
    run_id: str | None = None


class TaskUsage(Wire):
    run_id: str
    task_id: str
    role: str
    model: str
    usage: UsageEntry


class UsageReadResult(Wire):
    total: UsageEntry
    tasks: list[TaskUsage]


class ModelsListParams(Wire):
    root: str | None = None


class ModelItem(Wire):
    """`window` in tokens; prices in USD per million tokens; absent: unknown."""

    id: str
    window: int | None = None
    input_usd: float | None = None
    output_usd: float | None = None
    source: str = ""


class ModelsListResult(Wire):
    models: list[ModelItem]
    default: str | None = None


class KeySetParams(Wire):
    """The key of a provider, for the editor's secret store; null takes it out."""

    provider: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    key: str | None = Field(default=None, repr=False)


class KeySetResult(Wire):
    provider: str
    kept: bool


class SecretParams(Wire):
    """Server to client, with `experimental.antiphon.secrets`. `name` is `providers.NAME.api_key`."""

    name: str


class SecretStoreParams(SecretParams):
    value: str = Field(repr=False)


class SecretAnswer(Wire):
    """`value` null: there is none of that name."""

    value: str | None = Field(default=None, repr=False)


class DeltaParams(Wire):
    """The event of type `delta`: a piece of a streaming answer. It may be dropped; `seq` is that of the last
    state event before it. `until`: the task's call waits until about then (Unix seconds) for what `reason` says.
    """

    run_id: str
    seq: int
    type: Literal["delta"]
    task_id: str
    text: str
    until: float | None = None
    reason: str | None = None


# Method → (params, result). Results may be the engine's own values; None is null.
REQUESTS: dict[str, tuple[type[Wire], Any]] = {
    "antiphon/run/start": (RunStartParams, RunStartResult),
    "antiphon/run/cancel": (RunCancelParams, Reply),
    "antiphon/run/list": (RunListParams, RunListResult),
    "antiphon/run/read": (RunParams, RunReadResult),
    "antiphon/run/resume": (RunResumeParams, RunStartResult),
    "antiphon/run/subscribe": (RunSubscribeParams, RunSubscribeResult),
    "antiphon/plan/decide": (PlanDecideParams, Reply),
    "antiphon/changes/read": (ChangesReadParams, ChangesView),
    "antiphon/changes/diff": (ChangesDiffParams, ChangesDiffResult),
    "antiphon/changes/content": (ChangesContentParams, ChangesContentResult),
    "antiphon/changes/decide": (ChangesDecideParams, Reply),
    "antiphon/changes/undo": (ChangesUndoParams, Reply),
    "antiphon/checkpoint/list": (CheckpointListParams, CheckpointListResult),
    "antiphon/checkpoint/diff": (CheckpointParams, CheckpointDiff),
    "antiphon/checkpoint/restore": (CheckpointParams, Reply),
    "antiphon/approval/resolve": (ApprovalResolveParams, Reply),
    "antiphon/finding/list": (FindingListParams, FindingListResult),
    "antiphon/finding/fix": (FindingParams, Reply),
    "antiphon/finding/dismiss": (FindingDismissParams, Reply),
    "antiphon/trust/set": (TrustSetParams, TrustSetResult),
    "antiphon/usage/read": (UsageReadParams, UsageReadResult),
    "antiphon/models/list": (ModelsListParams, ModelsListResult),
    "antiphon/key/set": (KeySetParams, KeySetResult),
    "antiphon/health": (Empty, HealthResult),
}
