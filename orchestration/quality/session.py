"""One checkout of one tree, and tests run in it: targets go to their runners, results come back in one.

The checkout's side effects are nobody's: it is given back and discarded. Nothing here judges.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from orchestration.quality.gates import GateContext
from orchestration.quality.processes import Processes, scratch_folder
from orchestration.quality.runners.contract import Bench, Case, Ran, Runner, Target, runner_of
from orchestration.quality.tree_view import TreeView


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
    def __init__(self, context: GateContext, bench: Bench, runners: Sequence[Runner], problem: str) -> None:
        self._context = context
        self._bench = bench
        self._runners = runners
        self._problem = problem

    async def run(self, targets: Sequence[Target], limit_s: float | None = None) -> SessionResult:
        """`limit_s`: for all of it together; else each process has the limit of the settings."""
        result = SessionResult()
        if self._problem:
            result.problems.append(self._problem)
            return result
        clock = self._context.clock
        deadline = None if limit_s is None else clock.monotonic() + limit_s
        each = self._context.settings.timeout_s
        slow: list[bool] = []
        of_runner = {target: runner_of(self._runners, target.path) for target in targets}
        for runner in self._runners:
            mine = [target for target, its in of_runner.items() if its is runner]
            for batch in runner.batches(self._bench.view, mine) if mine else ():
                left = each if deadline is None else min(each, deadline - clock.monotonic())
                if left <= 0:
                    result.problems.append(f"the time for tests ({limit_s:g} s) was used up")
                    slow.append(True)
                    break
                bench = replace(self._bench, settings=replace(self._bench.settings, timeout_s=left))
                ran = await runner.run(bench, batch)
                self._add(result, ran, slow)
        result.slow = bool(slow) and all(slow)
        for target in (target for target, its in of_runner.items() if its is None):
            result.problems.append(f"no runner is known for {target.path}")
            result.slow = False
        return result

    def _add(self, result: SessionResult, ran: Ran, slow: list[bool]) -> None:
        for case in ran.cases:
            result.cases[case.id] = replace(case, output=self._relative(case.output))
        if ran.problem:
            result.problems.append(self._relative(ran.problem))
            slow.append(ran.slow)
            if ran.said:
                result.said.append(self._relative(ran.said))

    def _relative(self, text: str) -> str:
        for place in (self._bench.checkout, self._bench.scratch):
            text = text.replace(f"file://{place}/", "").replace(f"{place}/", "").replace(str(place), ".")
        return text


@asynccontextmanager
async def open_session(
    context: GateContext, tree: str, view: TreeView, runners: Sequence[Runner]
) -> AsyncIterator[Session]:
    async with open_bench(context, tree, view) as bench:
        yield Session(context, bench, runners, await _set_up(bench))


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
