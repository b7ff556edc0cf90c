"""The contract of test runners: how tests are recognised, put into batches, and run with a result each.

A runner serves one language. It decides by names and contents alone which files are tests; everything
it runs, it runs through the bench. What is then made of the results is the tests gate's business.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal, Protocol

from orchestration.ports import Executor
from orchestration.quality.processes import Processes
from orchestration.quality.settings import QualitySettings
from orchestration.quality.tree_view import TreeView

CaseOutcome = Literal["passed", "failed", "skipped"]
ANY = "*"
"""Among the suffixes of a runner: it takes whatever it is given."""


@dataclass(frozen=True, slots=True)
class Target:
    """A test file, or some tests in it: `nodes` are what follows `path::` in their ids; empty: all."""

    path: str
    nodes: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(f"{self.path}::{node}" for node in self.nodes) or (self.path,)

    def holds(self, case_id: str) -> bool:
        """True when the case is one of these tests, or below one of them (a class, a suite)."""
        return any(is_below(case_id, node) for node in self.ids)


def is_below(case_id: str, node: str) -> bool:
    return case_id == node or (
        case_id.startswith(node) and case_id[len(node) :].startswith((":", "[", "/", " > "))
    )


@dataclass(frozen=True, slots=True)
class Case:
    """What one test did. `id` begins with the test file's path from the root of the checkout; a file that
    could not be loaded is one failed case with the path alone as its id.
    """

    id: str
    outcome: CaseOutcome
    output: str = ""
    seconds: float = 0.0

    @property
    def path(self) -> str:
        return self.id.split("::", 1)[0]


@dataclass(frozen=True, slots=True)
class Ran:
    """The results of a batch; what is here can be trusted. A `problem` (one line: why) says that results
    are missing; `slow`, that the only problem was the time limit. `said` is what the runner wrote when it
    began and came to no end: the change may be the reason. Empty when it did not begin.
    """

    cases: tuple[Case, ...] = ()
    problem: str = ""
    slow: bool = False
    said: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Tests that run in one process. `folder` is where, from the root of the checkout; `tool` tells
    runners of several tools which one was chosen. `apart`: made to run at the same time as others of its
    folder.
    """

    folder: str
    targets: tuple[Target, ...]
    tool: str = ""
    apart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where tests run: a checkout of the tree, a folder of ours for reports and temporary files. Its paths
    are real ones. `env` is what the checkout asks to be set.
    """

    checkout: Path
    env: Mapping[str, str]
    scratch: Path
    view: TreeView
    root: Path
    environ: Mapping[str, str]
    settings: QualitySettings
    processes: Processes
    executor: Executor
    changed: tuple[str, ...] = field(default=())
    serial: Iterator[int] = field(default_factory=count)

    def new_file(self, name: str) -> Path:
        """A path in scratch that no other run uses; nothing is created."""
        return self.scratch / f"{next(self.serial)}-{name}"

    def temporary(self) -> Path:
        """The folder that tests get for temporary files."""
        folder = self.scratch / "tmp"
        folder.mkdir(exist_ok=True)
        return folder

    def path(self, relative: str) -> Path:
        return self.checkout / relative if relative else self.checkout


class Runner(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def suffixes(self) -> frozenset[str]:
        """Of the files it can run when they are named as tests, whatever they are called (`.py`)."""

    def is_test(self, path: str, view: TreeView) -> bool:
        """By its conventions; asked about its suffixes only."""

    def is_configuration(self, path: str) -> bool:
        """True for files that say how tests run: what they decide judges in its former version."""

    def configuration(self, path: str, data: bytes) -> bytes:
        """The part of a configuration file that concerns tests, in a form that can be compared."""

    def batches(self, view: TreeView, targets: Sequence[Target]) -> list[Batch]: ...

    async def run(self, bench: Bench, batch: Batch) -> Ran: ...


def runner_of(runners: Sequence[Runner], path: str) -> Runner | None:
    suffix = path[path.rfind(".") :]
    return next((runner for runner in runners if suffix in runner.suffixes or ANY in runner.suffixes), None)


def find_tests(view: TreeView, runners: Sequence[Runner]) -> tuple[str, ...]:
    """The test files of a tree, in order."""
    by_suffix = {suffix: runner for runner in reversed(runners) for suffix in runner.suffixes}
    found = []
    for path in view.paths:
        runner = by_suffix.get(path[path.rfind(".") :])
        if runner is not None and runner.is_test(path, view):
            found.append(path)
    return tuple(found)
