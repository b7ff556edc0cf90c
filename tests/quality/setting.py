"""A small workspace to judge changes of: real processes, real checkouts, an object store in memory."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.edge import SystemClock, ThreadExecutor
from orchestration.graph_model import TaskSpec
from orchestration.quality.baseline import Baseline
from orchestration.quality.gates import Gate, GateContext, GateReport
from orchestration.quality.runners import standard_runners
from orchestration.quality.settings import QualitySettings
from orchestration.quality.syntax import SyntaxGate
from orchestration.quality.tests_gate import TestsGate
from orchestration.workspace.launcher import ProcessLauncher
from orchestration.workspace.local_launcher import LocalLauncher
from orchestration.workspace.memory_objects import MemoryObjects
from orchestration.workspace.objects import EXECUTABLE, FILE, Change, Entry, ObjectStore
from orchestration.workspace.tree_codec import EMPTY_TREE

Files = Mapping[str, str | bytes | None]


@dataclass
class FolderCheckout:
    path: Path
    env: dict[str, str] = field(default_factory=dict)


class FolderPool:
    """Stands in for the pool: each tree in a fresh folder."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.acquired: list[str] = []
        self.links: dict[str, Path] = {}

    @asynccontextmanager
    async def acquire(self, tree: str) -> AsyncIterator[FolderCheckout]:
        place = self.folder / f"checkout {len(self.acquired)}"
        self.acquired.append(tree)
        for path, entry in self.store.entries(tree):
            file = place / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.store.blob(entry.oid))
            file.chmod(entry.mode & 0o777)
        place.mkdir(parents=True, exist_ok=True)
        for path, target in self.links.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).symlink_to(target)
        yield FolderCheckout(place)


class Setting:
    """`root` is the user's workspace on the disk; `change` judges an edit of its files by a gate."""

    def __init__(self, folder: Path, launcher: ProcessLauncher) -> None:
        self.root = folder / "workspace"
        self.root.mkdir()
        self.launcher = launcher
        self.store = MemoryObjects()
        self.pool = FolderPool(self.store, folder / "checkouts")
        self.baseline = Baseline()
        self.settings = QualitySettings(interpreter=sys.executable, timeout_s=60)
        self.cannot_run = ""
        self.answer = False
        self.asked: list[tuple[str, str]] = []
        self.environ: Mapping[str, str] = os.environ
        self.base = EMPTY_TREE
        self.tests: Gate = TestsGate(standard_runners())
        self.syntax: Gate = SyntaxGate()

    def write(self, files: Files, tree: str | None = None) -> str:
        changes: dict[str, Change | Entry | None] = {}
        for path, text in files.items():
            if text is None:
                changes[path] = None
                continue
            data = text.encode() if isinstance(text, str) else text
            changes[path] = Change(data, EXECUTABLE if data.startswith(b"#!") else FILE)
        return self.store.write(self.base if tree is None else tree, changes)

    def start(self, files: Files) -> None:
        self.base = self.write(files)
        for path, text in files.items():
            assert text is not None
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode() if isinstance(text, str) else text)

    def context(
        self, edit: Files, tests: tuple[str, ...] = (), *, final: bool = False, start: str | None = None
    ) -> GateContext:
        start = self.base if start is None else start
        tree = self.write(edit, start)
        return GateContext(
            store=self.store,
            checkouts=self.pool,
            launcher=self.launcher,
            executor=ThreadExecutor(),
            clock=SystemClock(),
            root=self.root,
            base=self.base,
            start=start,
            tree=tree,
            changed=tuple(path for path, _, _ in self.store.diff(start, tree)),
            spec=None if final else TaskSpec(id="t1", title="T", instructions="I", tests=tests),
            cannot_run=self.cannot_run,
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
async def real_launcher(state: Path) -> AsyncIterator[LocalLauncher]:
    launcher = LocalLauncher(state, "quality-test", clock=SystemClock())
    try:
        yield launcher
    finally:
        await launcher.aclose()
