"""The contract of gates. What each one checks is in its own module; which there are, in `standard.py`.

A gate judges the tree that a task produced against the tree it started from. It never changes a tree:
whatever its commands write stays in the checkout and is discarded with it.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestration.events import GateOutcome
from orchestration.graph_model import TaskSpec
from orchestration.ports import Clock, Executor
from orchestration.quality.baseline import Baseline
from orchestration.quality.finding import Finding
from orchestration.quality.settings import QualitySettings
from orchestration.workspace.launcher import ProcessLauncher
from orchestration.workspace.objects import ObjectStore

Approve = Callable[[str, str], Awaitable[bool]]
WhyNot = Callable[[], Awaitable[str]]
"""Why no process of the workspace's may start; empty when one may. May ask a person: gates call it only
when they have something to start.
"""


class Checkout(Protocol):
    """A tree on the disk. `env` is what commands in it should have set."""

    @property
    def path(self) -> Path: ...

    @property
    def env(self) -> Mapping[str, str]: ...


class Checkouts(Protocol):
    """The part of the checkout pool that gates use."""

    def acquire(self, tree: str) -> AbstractAsyncContextManager[Checkout]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """Everything a gate may use.

    `base`, `start` and `tree` are snapshots or tree ids: the run's base, what the task started from
    (the base and its dependencies' results), and its result. `changed` are the paths that differ between
    `start` and `tree`. For the final merged tree `spec` is None and `start` is the base.

    `root` is the user's workspace, read to find interpreters and never written. `why_not()` says why no
    process may start (untrusted, approval `never`). `approve(subject, detail)` asks a person about a
    protected change and is false where nobody can be asked. `attempt` is the task's. `run` is the run's id. `merged` are the specs
    of its merged tasks, for the final tree. `environ` is where programs are looked for (PATH, VIRTUAL_ENV).
    """

    store: ObjectStore
    checkouts: Checkouts
    launcher: ProcessLauncher
    executor: Executor
    clock: Clock
    root: Path
    base: str
    start: str
    tree: str
    changed: tuple[str, ...]
    spec: TaskSpec | None
    attempt: int = 0
    why_not: WhyNot
    approve: Approve
    settings: QualitySettings
    baseline: Baseline
    run: str = ""
    merged: tuple[TaskSpec, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """`detail` is one line for people; `feedback` is for the model (at most about 6 kB; empty unless
    blocked). `outcome` is never `ask`: a gate asks inside and reports what came of it. `failed` are the
    tests that block, by which a plan could name them. `learned` is kept with the run (`quality/learned.py`).
    """

    gate: str
    outcome: GateOutcome
    detail: str
    feedback: str = ""
    findings: tuple[Finding, ...] = field(default=())
    seconds: float = 0.0
    failed: tuple[str, ...] = ()
    learned: bytes = b""


class Gate(Protocol):
    @property
    def name(self) -> str: ...

    async def check(self, context: GateContext) -> GateReport:
        """Judges; raises only on cancellation, a used-up budget and faults of our own, never for what it judges."""


def always(reason: str) -> WhyNot:
    """The answer where nobody is asked."""

    async def why_not() -> str:
        return reason

    return why_not
