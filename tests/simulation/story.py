"""One seed's story: a run is started, crashes, is resumed until it ends, is decided on; then the oracles speak."""

import gc
import hashlib
import logging
import time
from contextlib import suppress
from dataclasses import dataclass

import anyio

from orchestration import commands as cm
from orchestration import events as ev
from orchestration.commands import Reply
from orchestration.engine import Engine
from orchestration.errors import JournalError
from orchestration.review.view import ChangesView
from orchestration.run import RunState
from orchestration.workspace.files import digest_of
from tests.simulation.loop import SimulatedLoop, StalledError
from tests.simulation.mind import SHARED, chance
from tests.simulation.process import Process
from tests.simulation.world import World

PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a seed; `cpu` in seconds. `journal` is a digest of every durable byte, for comparing two runs of the seed."""

    seed: int
    violations: tuple[str, ...]
    journal: str
    crashes: int
    adoptions: int
    steps: int
    cpu: float


def tell(seed: int, *, trouble: bool = True) -> Told:
    """Runs a seed to its end. Never raises for what it finds."""
    logging.disable(logging.CRITICAL)
    collecting = gc.isenabled()
    began = time.process_time()
    gc.disable()  # a collection at a moment of its own would close generators in an order of its own
    world = World(seed, trouble=trouble)
    loop = SimulatedLoop(chance(seed, "order"))  # type: ignore[abstract]  # without threads, sockets and signals
    try:
        loop.run(_Story(world).run())
    except StalledError as stalled:
        world.records.wrong(f"stalled: {stalled}")
    except Exception as error:  # noqa: BLE001 - whatever the engine lets through is a finding
        world.records.wrong(f"the engine let through {error!r}")
    finally:
        logging.disable(logging.NOTSET)
        if collecting:
            gc.enable()
    return Told(
        seed,
        tuple(world.records.violations),
        _digest(world),
        world.records.crashes,
        world.records.adoptions,
        loop.steps,
        time.process_time() - began,
    )


class _Story:
    def __init__(self, world: World) -> None:
        self._world = world
        self._draw = chance(world.seed, "story")
        self._process: Process | None = None
        self._group: anyio.abc.TaskGroup | None = None

    async def run(self) -> None:
        async with anyio.create_task_group() as group:
            self._group = group
            await self._carry_out()
            await self._decide()
            await self._submit(cm.DismissFinding(run_id=self._world.run_id, finding_id="none"))  # settles
            state = await self._state()
            self._check(state)
            await (await self._alive()).end()

    # --- a process that lives --------------------------------------------------------------------

    async def _alive(self) -> Process:
        while self._process is None or not self._process.alive:
            assert self._group is not None
            self._process = self._world.process()
            self._group.start_soon(self._process.live)
            await self._process.ready()
        return self._process

    async def _submit(self, command: cm.Command) -> Reply:
        """Asks until a process lived long enough to answer."""
        while True:
            process = await self._alive()

            async def submit(engine: Engine) -> Reply:
                return await engine.submit(command)

            reply = await process.ask(submit)
            if reply is not None:
                return reply

    async def _state(self) -> RunState:
        while True:
            process = await self._alive()

            async def state(engine: Engine) -> RunState:
                return await engine.state(self._world.run_id)

            known = await process.ask(state)
            if known is not None:
                return known

    # --- the run ---------------------------------------------------------------------------------

    async def _carry_out(self) -> None:
        draw, world = self._draw, self._world
        options = ev.RunOptions(
            model="sim/m",
            max_parallel=draw.randint(1, 4),
            approval="auto",
            budget=ev.Budget(
                attempts=draw.randint(1, 3),
                tokens=draw.choice([None, None, None, None, draw.randint(500, 9_000)]),
            ),
        )
        start = cm.StartRun(goal="simulate", options=options, plan=world.mind.plan, idempotency_key="once")
        reply = await self._submit(start)
        while reply.error:  # the disk refused the very first bytes
            reply = await self._submit(start)
        world.run_id = reply.run_id
        if list(world.disk.runs) != [reply.run_id]:
            world.records.wrong(f"one request made the runs {list(world.disk.runs)}")
        rounds = 0
        while (state := await self._state()).end is None:
            rounds += 1
            if rounds > 300:
                raise StalledError("the run is taken up again and again and never ends")
            process = await self._alive()
            if not world.owns(process, world.run_id):
                reply = await self._submit(cm.ResumeRun(run_id=world.run_id))
                if "disk is full" in reply.error:
                    continue
                if (
                    reply.error
                    and "running here already" not in reply.error
                    and "completed" not in reply.error
                ):
                    world.records.wrong(f"resuming was refused: {reply.error}")
                    return
            if draw.random() < 0.1:
                await self._lid_closed(process)
                continue
            await self._wait_or_meddle(process, state)

    async def _lid_closed(self, process: Process) -> None:
        """The owner is stopped, another process adopts the run, and the first goes on later."""
        self._world.stop(process, after=self._draw.randint(1, 40))
        await anyio.sleep(5.0)
        self._world.stop(None)
        if not process.alive or not process.stopped:
            return
        self._process = None
        adopted = await self._submit(cm.ResumeRun(run_id=self._world.run_id, adopt=True))
        self._world.records.adoptions += 1
        assert self._group is not None
        self._group.start_soon(self._lid_opened, process)
        if adopted.error and not any(
            word in adopted.error for word in ("completed", "disk is full", "here already")
        ):
            self._world.records.wrong(f"adopting was refused: {adopted.error}")

    async def _lid_opened(self, process: Process) -> None:
        await anyio.sleep(self._draw.random() * 4.0)
        process.stopped = False
        await anyio.sleep(5.0)
        if process.alive:
            await process.end()

    async def _wait_or_meddle(self, process: Process, state: RunState) -> None:
        """Waits for the run's end; answers what it asks; sometimes cancels a task of it."""
        draw, world = self._draw, self._world
        with anyio.move_on_after(draw.random() * 3.0):
            await process.ask(self._end_or_stop)
            return
        if not process.alive:
            return
        state = await self._state()
        for approval in list(state.approvals.values()):
            decision = draw.choice(["once", "run", "reject"])
            await self._submit(
                cm.ResolveApproval(run_id=world.run_id, approval_id=approval.approval_id, decision=decision)  # type: ignore[arg-type]  # one of the literals
            )
        if draw.random() < 0.03 and state.tasks:
            await self._submit(cm.CancelRun(run_id=world.run_id, task_id=draw.choice(sorted(state.tasks))))

    async def _end_or_stop(self, engine: Engine) -> None:
        """Waits for the run's end; that it cannot be recorded any more is told, and it is resumed later."""
        with suppress(JournalError):
            await engine.wait(self._world.run_id)

    # --- the review ------------------------------------------------------------------------------

    async def _decide(self) -> None:
        draw, world = self._draw, self._world
        for _ in range(draw.randint(0, 5)):
            state = await self._state()
            if state.changes is None:
                return
            choice = draw.random()
            if choice < 0.25:
                await self._submit(cm.UndoDecision(run_id=world.run_id))
            elif choice < 0.35:
                await self._restore()
            elif choice < 0.45:
                world.files[SHARED] = b"# the user was here\n" + world.files.get(SHARED, b"")
            else:
                await self._decide_some("accept" if choice < 0.8 else "reject")

    async def _decide_some(self, decision: ev.Decision) -> None:
        world = self._world
        view = await self._view()
        if view is None:
            return
        hunks = view.hunks()
        if self._draw.random() < 0.4 or not hunks:
            await self._submit(cm.DecideHunks(run_id=world.run_id, decision=decision, all=True))
        else:
            hunk = self._draw.choice(hunks)
            await self._submit(
                cm.DecideHunks(run_id=world.run_id, decision=decision, hunk_ids=(hunk.hunk_id,))
            )

    async def _restore(self) -> None:
        """Some checkpoint, whole or one file of it; what is not refused is as it was then."""
        world, known = self._world, self._world.records.restores.snapshots
        checkpoint = self._draw.choice(sorted(known))
        paths = (SHARED,) if self._draw.random() < 0.3 else ()
        reply = await self._submit(
            cm.RestoreCheckpoint(run_id=world.run_id, checkpoint_id=checkpoint, paths=paths)
        )
        if reply.error:
            return
        then = world.records.restores.contents(known[checkpoint])
        for path in paths or sorted({*then, *world.files}):
            if world.files.get(path) != then.get(path):
                world.records.wrong(f"{path} is not as {checkpoint}, which was restored, has it")

    async def _view(self) -> ChangesView | None:
        process = await self._alive()
        return await process.ask(lambda engine: engine.changes(self._world.run_id))

    # --- the end ---------------------------------------------------------------------------------

    def _check(self, state: RunState) -> None:
        world, mind = self._world, self._world.mind
        world.records.close({name: task.status for name, task in state.tasks.items()}, world.run_id)
        if world.files.get("other.txt") != mind.files["other.txt"]:
            world.records.wrong("a file that no task touched has changed")
        if state.changes is None:
            return
        for name, task in state.tasks.items():
            if any(f"the work of {name} " in reason for reason in state.reasons):
                continue
            if task.status != "merged" or "." in name or name.startswith(("merge-", "repair")):
                continue
            path, text = mind.own_file(name)
            if world.objects.read(state.changes.snapshot, path) != text:
                world.records.wrong(f"{name} is merged and {path} is not what it made")
        for path, data in world.files.items():
            self._explained(state, path, data)

    def _explained(self, state: RunState, path: str, data: bytes) -> None:
        """A file that no user's hand touched holds its base, or what the decisions that stand made of it."""
        if b"# the user was here" in data:
            return
        assert state.changes is not None
        base = self._world.mind.files.get(path, b"")
        contents = (
            {digest_of(base)}
            | self._world.records.restores.brought()
            | {
                intent.after
                for files in self._world.records.intents.values()
                for intent in files
                if intent.path == path
            }
        )
        if digest_of(data) not in contents:
            self._world.records.wrong(f"{path} holds what no decision wrote")


def _digest(world: World) -> str:
    whole = hashlib.sha256()
    for run_id, run in world.disk.runs.items():
        whole.update(run_id.encode())
        for when, body in run.bodies:
            whole.update(f"{when!r} ".encode() + body)
    for path, data in sorted(world.files.items()):
        whole.update(path.encode() + data)
    return whole.hexdigest()
