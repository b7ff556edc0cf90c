"""One checkout of one tree, and tests run in it: targets go to their runners, results come back in one.

Batches of different folders run at the same time, as far as the gates of this engine have slots; those of
one folder run one after another, since their tests may write to the same files. The checkout's side
effects are nobody's: it is given back and discarded. Nothing here judges.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio

from orchestration.errors import AntiphonError
from orchestration.quality.gates import GateContext
from orchestration.quality.processes import Processes, scratch_folder
from orchestration.quality.runners.contract import Batch, Bench, Case, Ran, Runner, Target, runner_of
from orchestration.quality.runners.report import HUNG
from orchestration.quality.tree_view import TreeView

_HANGING_SHARE = 0.45
"""Of a process's time limit: who had less of it may only have been slow."""


@dataclass(slots=True)
class SessionResult:
    """`problems`: why results are missing. `slow`: the time limit was the only reason. `said`: what runners
    wrote that began and came to no end.
    """

    cases: dict[str, Case] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    slow: bool = False
    said: list[str] = field(default_factory=list)

    def failed(self) -> list[Case]:
        return [case for case in self.cases.values() if case.outcome == "failed"]


class Session:
    """Makes its checkout when something is run in it for the first time."""

    def __init__(
        self,
        context: GateContext,
        tree: str,
        view: TreeView,
        runners: Sequence[Runner],
        stack: AsyncExitStack,
    ) -> None:
        self._context = context
        self._tree = tree
        self._view = view
        self._runners = runners
        self._stack = stack
        self._bench: Bench | None = None
        self._problem = ""

    async def run(
        self, targets: Sequence[Target], limit_s: float | None = None, *, alone: bool = False
    ) -> SessionResult:
        """`limit_s`: for the run times of all of it together; each process has the limit of the settings, too.
        Waiting for a slot counts for neither. `alone`: one batch after another.
        """
        if not targets:
            return SessionResult()
        bench = await self._opened()
        if self._problem:
            return SessionResult(problems=[self._problem])
        of_runner = {target: runner_of(self._runners, target.path) for target in targets}
        lanes: dict[str, list[_Job]] = defaultdict(list)
        jobs: list[_Job] = []
        for runner in self._runners:
            mine = [target for target, its in of_runner.items() if its is runner]
            for batch in runner.batches(self._view, mine) if mine else ():
                # Tests that run at the same time share no temporary files.
                own = replace(bench, scratch=bench.scratch / f"{next(bench.serial)}")
                job = _Job(runner, batch, own)
                jobs.append(job)
                place = "" if alone else f"{batch.folder}/{len(jobs) if batch.apart else ''}"
                lanes[place].append(job)
        budget = _Budget(limit_s)
        async with anyio.create_task_group() as group:
            for lane in lanes.values():
                group.start_soon(self._run_lane, lane, budget)
        result = _joined(jobs, budget)
        for target in (target for target, its in of_runner.items() if its is None):
            result.problems.append(f"no runner is known for {target.path}")
            result.slow = False
        return result

    async def _run_lane(self, jobs: Sequence["_Job"], budget: "_Budget") -> None:
        clock, each = self._context.clock, self._context.settings.timeout_s
        for job in jobs:
            async with self._context.baseline.slots:
                left = budget.left(each)
                if left <= 0:
                    return
                began = clock.monotonic()
                job.ran = _sure(await self._run_job(job, left), each)
                budget.used += clock.monotonic() - began

    async def _run_job(self, job: "_Job", limit_s: float) -> Ran:
        bench = replace(job.bench, settings=replace(job.bench.settings, timeout_s=limit_s))
        try:
            await bench.executor.run(bench.scratch.mkdir)
            return await job.runner.run(bench, job.batch)
        except (AntiphonError, OSError) as error:
            return Ran(problem=str(error))

    async def _opened(self) -> Bench:
        if self._bench is None:
            opening = open_bench(self._context, self._tree, self._view)
            self._bench = await self._stack.enter_async_context(opening)
            self._problem = await _set_up(self._bench)
        return self._bench


class _Job:
    """A batch and, once it has run, its results."""

    def __init__(self, runner: Runner, batch: Batch, bench: Bench) -> None:
        self.runner = runner
        self.batch = batch
        self.bench = bench
        self.ran: Ran | None = None

    def relative(self, text: str) -> str:
        for place in (self.bench.checkout, self.bench.scratch):
            text = text.replace(f"file://{place}/", "").replace(f"{place}/", "").replace(str(place), ".")
        return text


@dataclass(slots=True)
class _Budget:
    """Seconds of running; None: without end."""

    limit_s: float | None
    used: float = 0.0

    def left(self, most: float) -> float:
        return most if self.limit_s is None else min(most, self.limit_s - self.used)


def _sure(ran: Ran, timeout_s: float) -> Ran:
    """Without tests that hung, where the time of the whole was too short to say so of one test."""
    sure = tuple(
        case
        for case in ran.cases
        if not case.output.startswith(HUNG) or case.seconds >= timeout_s * _HANGING_SHARE
    )
    if len(sure) == len(ran.cases):
        return ran
    why = ran.problem or f"the time for tests was used up; {len(sure)} had a result by then"
    return replace(ran, cases=sure, problem=why, slow=True, said=ran.said or why)


def _joined(jobs: Sequence[_Job], budget: _Budget) -> SessionResult:
    """In the order of the jobs, whatever order they ended in."""
    result = SessionResult()
    slow: list[bool] = []
    for job in jobs:
        if job.ran is None:
            continue
        for case in job.ran.cases:
            result.cases[case.id] = replace(case, output=job.relative(case.output))
        if job.ran.problem:
            result.problems.append(job.relative(job.ran.problem))
            slow.append(job.ran.slow)
            if job.ran.said:
                result.said.append(job.relative(job.ran.said))
    if any(job.ran is None for job in jobs):
        result.problems.append(f"the time for tests ({budget.limit_s:g} s) was used up")
        slow.append(True)
    result.slow = bool(slow) and all(slow)
    return result


@asynccontextmanager
async def open_session(
    context: GateContext, tree: str, view: TreeView, runners: Sequence[Runner]
) -> AsyncIterator[Session]:
    async with AsyncExitStack() as stack:
        yield Session(context, tree, view, runners, stack)


@asynccontextmanager
async def open_bench(context: GateContext, tree: str, view: TreeView) -> AsyncIterator[Bench]:
    """A checkout of `tree` (whose files `view` shows) and a scratch folder, for as long as it is open."""
    task = context.spec.id if context.spec is not None else ""
    processes = Processes(context.launcher, context.environ, context.root, task)
    async with context.checkouts.acquire(tree) as checkout, scratch_folder(context.executor) as scratch:
        yield Bench(
            checkout=await context.executor.run(checkout.path.resolve),
            env=processes.without_own(checkout.env),
            scratch=scratch,
            view=view,
            root=await context.executor.run(context.root.resolve),
            environ=context.environ,
            settings=context.settings,
            processes=processes,
            executor=context.executor,
            changed=context.changed,
        )


async def _set_up(bench: Bench) -> str:
    """Why the checkout could not be set up; empty when it was."""
    command = bench.settings.setup_command
    if not command:
        return ""
    done = await bench.processes.run(
        command,
        cwd=bench.checkout,
        env={**bench.env, "TMPDIR": str(bench.temporary())},
        timeout_s=bench.settings.timeout_s,
        purpose="set up a checkout",
    )
    if done.failure:
        return f"the setup command did not start: {done.failure}"
    if done.timed_out:
        return f"the setup command did not end within {bench.settings.timeout_s:g} s"
    if done.exit_code != 0:
        return f"the setup command failed ({done.exit_code}): {done.output.strip()[-200:]}"
    return ""
