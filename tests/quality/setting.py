"""A small workspace to judge changes of: real processes, real checkouts, an object store in memory."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from orchestration.edge import SystemClock, ThreadExecutor
from orchestration.graph_model import TaskSpec
from orchestration.quality.baseline import Baseline
from orchestration.quality.gates import Gate, GateContext, GateReport, always
from orchestration.quality.runners import standard_runners
from orchestration.quality.settings import QualitySettings
from orchestration.quality.syntax import SyntaxGate
from orchestration.quality.tests_gate import TestsGate
from orchestration.workspace.checkouts import Checkout, CheckoutPool
from orchestration.workspace.git import Git
from orchestration.workspace.git_objects import GitObjects
from orchestration.workspace.local_launcher import LocalLauncher
from orchestration.workspace.objects import EXECUTABLE, FILE, Change, Entry
from orchestration.workspace.shadow import ShadowRepository
from orchestration.workspace.snapshotter import LocalSnapshotter

Files = Mapping[str, str | bytes | None]


class CountingPool:
    """The real pool; `acquired` tells which trees were checked out."""

    def __init__(self, pool: CheckoutPool) -> None:
        self._pool = pool
        self.acquired: list[str] = []
        self.held = 0

    @asynccontextmanager
    async def acquire(self, tree: str) -> AsyncIterator[Checkout]:
        self.acquired.append(tree)
        async with self._pool.acquire(tree) as checkout:
            self.held += 1
            try:
                yield checkout
            finally:
                self.held -= 1


class Setting:
    """`root` is the user's workspace on the disk; `change` judges an edit of its files by a gate."""

    def __init__(self, folder: Path, launcher: LocalLauncher, git: Git, python: Path) -> None:
        self.root = folder / "the workspace"
        self.root.mkdir()
        self.data = folder / "data"
        self.launcher = launcher
        self.executor = ThreadExecutor()
        self.store = GitObjects(ShadowRepository.open(self.data / "snapshots.git"), git)
        self.pool = CountingPool(
            CheckoutPool(self.data, self.store, git, launcher, self.root, executor=self.executor)
        )
        self._snapshotter = LocalSnapshotter(
            self.store, self.data, git, clock=SystemClock(), executor=self.executor, environment={}
        )
        self.baseline = Baseline()
        self.settings = QualitySettings(interpreter=str(python), timeout_s=60)
        self.cannot_run = ""
        self.answer = False
        self.asked: list[tuple[str, str]] = []
        self.environ: Mapping[str, str] = os.environ
        self.base = ""
        self.tests: Gate = TestsGate(standard_runners())
        self.syntax: Gate = SyntaxGate()

    async def start(self, files: Files) -> None:
        """Writes the workspace's files and takes the base of them."""
        for path, text in files.items():
            assert text is not None
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode() if isinstance(text, str) else text)
        self.base = (await self._snapshotter.take(self.root)).snapshot

    def write(self, files: Files, tree: str | None = None) -> str:
        changes: dict[str, Change | Entry | None] = {}
        for path, text in files.items():
            if text is None:
                changes[path] = None
                continue
            data = text.encode() if isinstance(text, str) else text
            changes[path] = Change(data, EXECUTABLE if data.startswith(b"#!") else FILE)
        return self.store.write(self.base if tree is None else tree, changes)

    def context(
        self, edit: Files, tests: tuple[str, ...] = (), *, final: bool = False, start: str | None = None
    ) -> GateContext:
        start = self.base if start is None else start
        tree = self.write(edit, start)
        return GateContext(
            store=self.store,
            checkouts=self.pool,
            launcher=self.launcher,
            executor=self.executor,
            clock=SystemClock(),
            root=self.root,
            base=self.base,
            start=start,
            tree=tree,
            changed=tuple(path for path, _, _ in self.store.diff(start, tree)),
            spec=None if final else TaskSpec(id="t1", title="T", instructions="I", tests=tests),
            why_not=always(self.cannot_run),
            approve=self._approve,
            settings=self.settings,
            baseline=self.baseline,
            environ=self.environ,
        )

    async def _approve(self, subject: str, detail: str) -> bool:
        self.asked.append((subject, detail))
        return self.answer

    async def change(self, edit: Files, *tests: str) -> GateReport:
        """What the tests gate says of an edit."""
        return await self.tests.check(self.context(edit, tests))


@asynccontextmanager
async def real_launcher(folder: Path) -> AsyncIterator[LocalLauncher]:
    token = f"quality-{os.getpid()}-{folder.name.strip('_').replace('_', '-').lower()}"
    launcher = LocalLauncher(folder / "ledger", token, clock=SystemClock(), grace_s=0.3)
    try:
        yield launcher
    finally:
        await launcher.aclose()
