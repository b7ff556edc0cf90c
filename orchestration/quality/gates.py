"""The contract of gates, and which gates are standard. What each one checks is in its own module.

A gate judges the tree that a task produced against the tree it started from. It never changes a tree:
whatever its commands write stays in the checkout and is discarded with it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from orchestration.events import GateOutcome
from orchestration.graph_model import TaskSpec
from orchestration.ports import Clock, Executor
from orchestration.quality.baseline import Baseline
from orchestration.quality.finding import Finding
from orchestration.quality.settings import QualitySettings

Approve = Callable[[str, str], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """Everything a gate may use.

    `base`, `start` and `tree` are snapshots or tree ids: the run's base, what the task started from
    (the base and its dependencies' results), and its result. `changed` are the paths that differ between
    `start` and `tree`. For the final merged tree `spec` is None and `start` is the base.

    `root` is the user's workspace, read to find interpreters and never written. `cannot_run` says why no
    process may start (untrusted, approval `never`); empty: they may. `approve(subject, detail)` asks a
    person about a protected change and is false where nobody can be asked.
    """

    store: Any
    checkouts: Any
    launcher: Any
    executor: Executor
    clock: Clock
    root: Path
    base: str
    start: str
    tree: str
    changed: tuple[str, ...]
    spec: TaskSpec | None
    cannot_run: str
    approve: Approve
    settings: QualitySettings
    baseline: Baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """`detail` is one line for people; `feedback` is for the model (at most about 6 kB; empty unless
    blocked). `outcome` is never `ask`: a gate asks inside and reports what came of it.
    """

    gate: str
    outcome: GateOutcome
    detail: str
    feedback: str = ""
    findings: tuple[Finding, ...] = field(default=())
    seconds: float = 0.0


class Gate(Protocol):
    @property
    def name(self) -> str: ...

    async def check(self, context: GateContext) -> GateReport:
        """Judges; raises only on cancellation and faults of our own, never for what it judges."""


def standard_gates(settings: QualitySettings) -> tuple[Gate, ...]:
    """Syntax, then tests: cheap first, so that a file that does not parse costs no test run."""
    del settings
    return ()
