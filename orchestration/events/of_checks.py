"""Events of what is checked and by whom: questions to a person, gates, findings."""

from typing import Literal

from orchestration.events.base import StateEvent
from orchestration.quality.finding import Finding

GateOutcome = Literal["passed", "blocked", "ask", "not_run", "not_applicable"]


class ApprovalRequested(StateEvent, frozen=True, kw_only=True, tag="approval_requested"):
    approval_id: str
    kind: Literal["command", "protected_change", "plan"]
    subject: str
    task_id: str | None = None
    detail: str = ""


class ApprovalResolved(StateEvent, frozen=True, kw_only=True, tag="approval_resolved"):
    approval_id: str
    decision: Literal["once", "run", "reject"]
    by: str = ""


class GateFinished(StateEvent, frozen=True, kw_only=True, tag="gate_finished"):
    """`task_id` None: the final merged tree, whose id is `tree` then. `learned`: a blob of what the gate found
    out and a resumed run must not find out again.
    """

    gate: str
    outcome: GateOutcome
    detail: str = ""
    task_id: str | None = None
    attempt: int = 0
    seconds: float = 0.0
    tree: str = ""
    learned: str = ""


class FindingReported(StateEvent, frozen=True, kw_only=True, tag="finding_reported"):
    finding: Finding
    task_id: str | None = None


class FindingDismissed(StateEvent, frozen=True, kw_only=True, tag="finding_dismissed"):
    finding_id: str
    reason: str = ""
