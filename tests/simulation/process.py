"""One simulated process: the engine over ports that a crash cuts.

A crash cuts the ports first, so that no `finally` of the engine writes any more; then everything it runs is cancelled.
What has become durable before stays, with the world (`world.py`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio
import anyio.abc

from orchestration.documents import NoDocuments
from orchestration.engine import Engine
from orchestration.engine_ports import EnginePorts
from orchestration.events import Event, Record
from orchestration.journal.memory import MemoryJournal, MemoryRunJournal
from orchestration.quality.baseline import Baseline
from orchestration.quality.gates import GateContext, GateReport
from orchestration.quality.settings import QualitySettings
from orchestration.workspace.checkouts import CheckoutPool
from orchestration.workspace.files import MemoryFiles
from orchestration.workspace.launcher import Command, Completed, LiveProcess, RunningProcess
from orchestration.workspace.memory_entries import MemoryEntries
from orchestration.workspace.objects import Change, Entry
from orchestration.workspace.path_guard import PathGuard
from orchestration.workspace.snapshotter import BaseSnapshot
from orchestration.workspace.tree_codec import EMPTY_TREE
from orchestration.workspace.untouched import WorkspaceWatch
from providers.base import ModelProfile, OnDelta, Prices
from providers.errors import OverloadedError
from providers.messages import Answer, Request, TextDelta

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")
ROOT = Path("/simulated-workspace")


class CrashedError(Exception):
    """What every port of a dead process answers."""


class Process:
    def __init__(self, world: "World", pid: int) -> None:
        self.world = world
        self.pid = pid
        self.alive = True
        self.stopped = False
        self.scope = anyio.CancelScope()
        self.journal = SimulatedJournal(self)
        self.engine: Engine | None = None
        self._group: anyio.abc.TaskGroup | None = None
        self._ready = anyio.Event()
        self._stop = anyio.Event()
        self._gone = anyio.Event()

    # --- its life --------------------------------------------------------------------------------

    async def live(self) -> None:
        """From start to end; runs beside the user."""
        try:
            with self.scope:
                async with anyio.create_task_group() as group, Engine(self._ports()) as engine:
                    self._group, self.engine = group, engine
                    self._ready.set()
                    await self._stop.wait()
                await self.journal.aclose()
        except Exception as error:  # noqa: BLE001 - of a dead process nothing counts; of a live one it is reported
            if self.alive:
                self.world.records.wrong(f"the engine of process {self.pid} broke: {error!r}")
        finally:
            self.alive = False
            self._ready.set()
            self._gone.set()

    async def ready(self) -> None:
        """Raises RuntimeError when it broke before it had an engine."""
        await self._ready.wait()
        if self.engine is None and self.world.records.violations:
            raise RuntimeError(self.world.records.violations[-1])

    async def end(self) -> None:
        """An orderly end."""
        self._stop.set()
        await self._gone.wait()

    async def ask(self, question: Callable[[Engine], Awaitable[T]]) -> T | None:
        """Asks the engine; None when the process died meanwhile."""
        answers: list[T] = []
        answered = anyio.Event()

        async def asking() -> None:
            try:
                assert self.engine is not None
                answers.append(await question(self.engine))
            finally:
                answered.set()

        if not self.alive or self._group is None:
            return None
        self._group.start_soon(asking)
        await answered.wait()
        if answers and not self._gone.is_set():
            return answers[0]
        await self._gone.wait()
        return None

    def crash(self) -> None:
        self.alive = False
        self.world.records.crashes += 1
        self.journal.crash()
        self.scope.cancel()

    # --- what its ports do -----------------------------------------------------------------------

    def check(self) -> None:
        if not self.alive:
            raise CrashedError

    async def pause(self, most: float) -> None:
        """A step of the outside world, at which the process may die, or be stopped."""
        self.world.step(self)
        self.check()
        await anyio.sleep(self.world.chance.random() * most)
        await self.awake()

    async def awake(self) -> None:
        """Nothing goes on in a process that is stopped, and nothing in one that is dead."""
        self.check()
        while self.stopped:
            await anyio.sleep(1.0)
            self.check()

    def _ports(self) -> EnginePorts:
        world, quality = self.world, QualitySettings()
        return EnginePorts(
            root=ROOT,
            clock=SimulatedClock(self),
            ids=world.ids,
            randomness=world.chance,
            executor=SimulatedExecutor(self),
            journal=self.journal,
            objects=world.objects,
            snapshotter=SimulatedSnapshotter(self),
            files=(files := SimulatedFiles(self)),
            entries=SimulatedEntries(files),
            watch=cast("WorkspaceWatch", None),  # nor an external agent
            guard=PathGuard(ROOT),
            checkouts=cast("CheckoutPool", SimulatedCheckouts(self)),
            launcher=SimulatedLauncher(self),
            models=SimulatedModels(self),
            documents=NoDocuments(),
            gates=(SimulatedGate(self),),
            final_gates=(SimulatedGate(self),),
            quality=quality,
            baseline=Baseline(),
            trusted=lambda: True,
            interactive=True,
            environ={},
            server_id="",
            pid=self.pid,
            version="simulated",
        )


@dataclass(slots=True)
class SimulatedClock:
    process: Process

    def now(self) -> float:
        return self.process.world.time()

    def monotonic(self) -> float:
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        self.process.check()
        await anyio.sleep(seconds)
        await self.process.awake()


@dataclass(slots=True)
class SimulatedExecutor:
    process: Process

    async def run(self, function: Callable[..., T], *args: object) -> T:
        self.process.check()
        try:
            await self.process.pause(0.002)
        except anyio.get_cancelled_exc_class():
            if self.process.alive and self.process.world.chance.random() < 0.5:
                function(*args)  # a thread that nobody waits for any more ends all the same
            raise
        return function(*args)


class SimulatedJournal(MemoryJournal):
    def __init__(self, process: Process) -> None:
        super().__init__(process.world.disk, SimulatedClock(process), process.pid)
        self.process = process

    async def create(
        self, run_id: str, *events: Event, idempotency_key: str | None = None
    ) -> MemoryRunJournal:
        await self.process.pause(0.01)
        made = await super().create(run_id, *events, idempotency_key=idempotency_key)
        await self.process.pause(0.01)
        return made

    def _handle(self, run_id: str, run: Any, created: tuple[Record, ...] = ()) -> MemoryRunJournal:
        handle = SimulatedRunJournal(self, run_id, run, self._clock, created)
        self._handles = [known for known in self._handles if not known.closed]
        self._handles.append(handle)
        return handle


class SimulatedRunJournal(MemoryRunJournal):
    """Appends go to the disk one after the other; each takes a while to get there and to be acknowledged."""

    def __init__(self, journal: SimulatedJournal, *more: Any) -> None:
        super().__init__(journal, *more)
        self._process = journal.process
        self._turn = anyio.Lock()

    async def append(self, *events: Event) -> tuple[Record, ...]:
        async with self._turn:
            await self._process.pause(0.004)
            records = await super().append(*events)
            await self._process.pause(0.004)
        return records


class SimulatedFiles(MemoryFiles):
    def __init__(self, process: Process) -> None:
        super().__init__(root=str(ROOT))
        self._process = process
        self.files = process.world.files

    def read(self, path: str) -> bytes | None:
        self._process.check()
        return super().read(path)

    def write(self, path: str, data: bytes, *, expected: str, mode: int | None = None) -> None:
        self.before()
        before = self.files.get(path)
        super().write(path, data, expected=expected, mode=mode)
        self.after(path, before, data)

    def delete(self, path: str, *, expected: str) -> None:
        self.before()
        before = self.files.get(path)
        super().delete(path, expected=expected)
        self.after(path, before, None)

    def check(self) -> None:
        self._process.check()

    def before(self) -> None:
        self._process.world.step(self._process)
        self._process.check()
        self._process.world.disk_refuses()

    def after(self, path: str, before: bytes | None, after: bytes | None) -> None:
        if before != after:
            self._process.world.records.wrote(path, before, after)
        self._process.world.step(self._process)
        self._process.check()


class SimulatedEntries(MemoryEntries):
    """The same files, as a restore changes them."""

    def __init__(self, files: SimulatedFiles) -> None:
        super().__init__(files)
        self._simulated = files

    def at(self, path: str) -> Entry | None:
        self._simulated.check()
        return super().at(path)

    def put(self, path: str, entry: Entry, data: bytes, *, expected: Entry | None) -> None:
        self._simulated.before()
        before = self._simulated.files.get(path)
        super().put(path, entry, data, expected=expected)
        self._simulated.after(path, before, data)

    def remove(self, path: str, *, expected: Entry) -> None:
        self._simulated.before()
        before = self._simulated.files.get(path)
        super().remove(path, expected=expected)
        self._simulated.after(path, before, None)


@dataclass(slots=True)
class SimulatedSnapshotter:
    process: Process

    async def take(
        self,
        root: Path,
        *,
        buffers: Mapping[str, str] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> BaseSnapshot:
        del root, progress
        await self.process.pause(0.05)
        contents = dict(self.process.world.files)
        contents |= {path: text.encode() for path, text in (buffers or {}).items()}
        store = self.process.world.objects
        tree = store.write(EMPTY_TREE, {path: Change(data) for path, data in contents.items()})
        return BaseSnapshot(store.commit(tree, [], "base"), len(contents), folders=())


@dataclass(slots=True)
class SimulatedCheckout:
    process: Process
    tree: str
    path: Path = ROOT / "checkout"
    env: Mapping[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)

    async def capture(self) -> str:
        await self.process.pause(0.01)
        return self.process.world.objects.write(self.tree, {name: Change(b"touched\n") for name in self.made})


@dataclass(slots=True)
class SimulatedCheckouts:
    process: Process
    open: list[SimulatedCheckout] = field(default_factory=list)

    @asynccontextmanager
    async def acquire(self, tree: str) -> AsyncIterator[SimulatedCheckout]:
        await self.process.pause(0.02)
        yield SimulatedCheckout(self.process, tree)


@dataclass(slots=True)
class SimulatedGate:
    """Blocks a tree in which a task left a file that does not parse. The real gates start real processes."""

    process: Process
    name: str = "syntax"

    async def check(self, context: GateContext) -> GateReport:
        await self.process.pause(0.05)
        broken = [
            path for path in context.changed if b"broken" in (context.store.read(context.tree, path) or b"")
        ]
        if broken:
            detail = f"{broken[0]} does not parse"
            return GateReport(gate=self.name, outcome="blocked", detail=detail, feedback=detail)
        return GateReport(gate=self.name, outcome="passed", detail="everything parses")


@dataclass(slots=True)
class SimulatedLauncher:
    process: Process
    tier: str = "simulated"

    async def run(self, command: Command) -> Completed:
        self.process.world.step(self.process)
        self.process.check()
        task, _, line = command.purpose.partition(": ")
        self.process.world.records.ran(self.process.world.run_id, task, line)
        await self.process.pause(0.2)
        return Completed(0, f"did {line}\n".encode())

    async def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: bool = False,
        stderr: bool = False,
        purpose: str = "",
    ) -> RunningProcess:
        raise CrashedError(f"nothing here starts {argv}, {cwd}, {env}, {stdin}, {stderr}, {purpose}")

    def live(self) -> tuple[LiveProcess, ...]:
        return ()

    async def aclose(self) -> None: ...


@dataclass(slots=True)
class SimulatedModels:
    """Both the source of models and the one model there is."""

    process: Process
    name: str = "sim"

    def resolve(self, model: str) -> tuple["SimulatedModels", str]:
        return self, model.partition("/")[2]

    def profile(self, model: str) -> ModelProfile:
        del model
        return ModelProfile(context_window=100_000, prices=Prices(1.0, 1.0))

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        world, process = self.process.world, self.process
        world.step(process)
        process.check()
        owner = world.owns(process, request.labels.run_id)
        call = world.records.called(process.pid, owner=owner, request=request)
        await process.pause(0.3)
        if on_delta is not None:
            on_delta(TextDelta("some"))
        await process.pause(0.3)
        if world.model_refuses():
            raise OverloadedError("the simulated model is overloaded")
        call.answered = True
        return world.mind.answer(request.labels)

    async def aclose(self) -> None: ...
