"""A run from its creation to its end: snapshot, plan, graph, final gates, change set.

Every step looks at the state first and does only what is not done yet, so that a resumed run goes
through the same code as a new one.
"""

from orchestration import events as ev
from orchestration.attempts import Attempts
from orchestration.budget import Spending, SpentError
from orchestration.definitions import Definitions, guided, pin, pinned
from orchestration.engine_ports import EnginePorts
from orchestration.errors import AntiphonError, PlanError
from orchestration.gating import Gating, Verdict
from orchestration.graph import problems
from orchestration.graph_model import TaskSpec
from orchestration.live_run import LiveRun
from orchestration.planner import one_task, plan, plans_for_itself
from orchestration.proposing import propose_changes
from orchestration.quality.feedback import counted
from orchestration.results import Results
from orchestration.review_role import with_review
from orchestration.run import ENDED
from orchestration.scheduler import Scheduler

SNAPSHOT = "snapshot"
"""The name under which progress of reading the workspace is published, as if it were a task's text."""


class Lifecycle:
    """One live run being carried out. `scheduler` exists once the graph runs."""

    def __init__(self, ports: EnginePorts, live: LiveRun) -> None:
        self.scheduler: Scheduler | None = None
        self._ports = ports
        self._live = live
        self._gating = Gating(ports, live)
        self._definitions: Definitions | None = None
        options = live.state.options
        assert options is not None
        self._options = options
        self._spending = Spending(options.budget, live.state.usage)
        self._began = ports.clock.monotonic()
        self._left_out: tuple[str, ...] = ()

    async def carry_out(self) -> None:
        """Everything up to, but without, `run_finished`. Errors a user must see are raised."""
        live = self._live
        known = await pinned(live) if live.state.roles else await pin(live)
        if not live.state.base:
            await self._snapshot()
        definitions = self._definitions = guided(known, self._ports.objects, live.state.base)
        if not live.state.tasks:
            await self._plan(definitions)
        results = Results(self._ports, live, definitions)
        ports = with_review(self._ports, live, definitions, self._spending)
        attempts = Attempts(ports, live, definitions, results, self._spending)
        scheduler = Scheduler(live, attempts.carry_out, max_parallel=self._options.max_parallel)
        attempts.scheduler = self.scheduler = scheduler
        await self._drop_orphans()
        await self._gating.recall()
        scheduler.add([task.spec for task in live.state.tasks.values() if task.spec.kind != "delegated"])
        await scheduler.run()
        if scheduler.spent is not None:
            raise scheduler.spent
        await self._join(scheduler, results, definitions)

    async def _snapshot(self) -> None:
        open_documents = self._ports.documents.open_documents()
        buffers = {path: document.text for path, document in open_documents.items() if document.dirty}

        def progress(files: int) -> None:
            self._live.delta(SNAPSHOT, f"{files} files read")

        base = await self._ports.snapshotter.take(self._ports.root, buffers=buffers, progress=progress)
        await self._live.record(
            ev.SnapshotTaken(
                snapshot=base.snapshot,
                files=base.files,
                left_out=base.left_out,
                dirty=base.dirty,
                folders=base.folders,
            )
        )

    async def _plan(self, definitions: Definitions) -> None:
        live = self._live
        given = live.state.given_plan
        if given is not None:
            reasons = problems(given, roles=definitions.roles, limit=None)
            if reasons:
                raise PlanError("the given plan is not valid: " + "; ".join(reasons[:10]))
            tasks = given
        elif plans_for_itself(self._ports, live, definitions):
            tasks = one_task(_whole_goal(live))
            await live.record(ev.PlanProposed(attempt=1, tasks=tasks))
        else:
            tasks = await plan(self._ports, live, definitions, self._spending)
        if self._options.plan == "confirm":
            if given is not None:
                await live.record(ev.PlanProposed(attempt=1, tasks=tasks))
            if not await live.ask("plan", "start these tasks", detail=f"{len(tasks)} tasks"):
                raise PlanError(
                    "the plan was not accepted"
                    + ("" if live.interactive else ": nobody can be asked here (use --plan auto)")
                )
            tasks = live.edited_plan or tasks
            reasons = problems(tasks, roles=definitions.roles, limit=None)
            if reasons:
                raise PlanError("the edited plan is not valid: " + "; ".join(reasons[:10]))
        await live.record(ev.PlanAccepted(tasks=tasks))

    async def _drop_orphans(self) -> None:
        """Delegated tasks that were under way at a stop: their parent goes on without them."""
        orphans = [
            ev.TaskCancelled(task_id=task.spec.id)
            for task in self._live.state.tasks.values()
            if task.spec.kind == "delegated" and task.status not in ENDED
        ]
        await self._live.record(*orphans)

    # --- the final tree --------------------------------------------------------------------------

    async def _join(self, scheduler: Scheduler, results: Results, definitions: Definitions) -> None:
        """Merges what the tasks made, and puts the whole through the gates: single greens do not make
        a green whole. A conflict or a failure becomes a task of its own, once.
        """
        live = self._live
        while True:
            final = await results.final()
            if isinstance(final, TaskSpec):
                if not await self._extra_task(scheduler, final):
                    await self._propose_without_join(results)
                    return
                continue
            if final == live.state.base or not results.ends():
                return
            verdict = await self._final_gates(final)
            await live.record(*verdict.events)
            repairs = [task for task in live.state.tasks.values() if task.spec.kind == "repair"]
            if verdict.blocked is not None and not repairs:
                repair = TaskSpec(
                    id="repair",
                    title="Mend the merged result",
                    instructions=definitions.prompt(
                        "repair", feedback=verdict.blocked.feedback or verdict.blocked.detail
                    ),
                    depends_on=results.ends(),
                    tests=verdict.blocked.failed,
                    kind="repair",
                )
                if await self._extra_task(scheduler, repair):
                    continue
            await propose_changes(self._ports, live, final)
            return

    async def _extra_task(self, scheduler: Scheduler, spec: TaskSpec) -> bool:
        """Runs one more task; whether it merged."""
        if spec.id not in self._live.state.tasks:
            await self._live.record(ev.TaskAdded(task=spec))
        scheduler.add([spec])
        await scheduler.run()
        if scheduler.spent is not None:
            raise scheduler.spent
        return self._live.state.tasks[spec.id].status == "merged"

    async def _propose_without_join(self, results: Results) -> None:
        """What joins without a conflict is still proposed, where conflicting results could not be joined."""
        snapshot, self._left_out = await results.compatible()
        if snapshot != self._live.state.base:
            await propose_changes(self._ports, self._live, snapshot)

    async def _final_gates(self, final: str) -> Verdict:
        tree = self._ports.objects.tree_of(final)
        known = {gate.gate: gate.outcome for gate in self._live.state.final_gates if gate.tree == tree}
        if all(known.get(gate.name) in {"passed", "not_applicable"} for gate in self._ports.final_gates):
            return Verdict((), None, ())  # judged before the run was interrupted
        base = self._live.state.base
        changed = tuple(path for path, _, _ in self._ports.objects.diff(base, final))
        return await self._gating.judge(None, attempt=0, start=base, tree=final, changed=changed)

    # --- the end ---------------------------------------------------------------------------------

    async def finish(self, *, cancelled: bool, failure: AntiphonError | None) -> None:
        """Ends what has not ended and records the run's end."""
        live = self._live
        if isinstance(failure, SpentError):
            await live.record(ev.BudgetExhausted(what=failure.what, limit=failure.limit, used=failure.used))
            await self._propose_what_there_is()
        open_tasks = [
            ev.TaskCancelled(task_id=task.spec.id)
            for task in live.state.tasks.values()
            if task.status not in ENDED
        ]
        await live.record(*open_tasks)
        state, reasons = live.state, _reasons(live, failure, self._left_out)
        counts = state.counts()
        merged, total = counts.get("merged", 0), len(state.tasks)
        end: ev.RunEnd = "completed" if total and merged == total else "partial" if merged else "failed"
        exit_code = 1 if reasons or end != "completed" else 0
        if cancelled:
            end, exit_code = "cancelled", 130
        await live.record(
            ev.RunFinished(
                state=end,
                tasks=counts,
                usage=state.usage,
                exit_code=exit_code,
                reasons=reasons,
                seconds=round(self._ports.clock.monotonic() - self._began, 3),
            )
        )

    async def _propose_what_there_is(self) -> None:
        """After a budget ran out: the results so far, where they join without conflict."""
        if self._definitions is not None and self._live.state.base:
            await self._propose_without_join(Results(self._ports, self._live, self._definitions))


def _whole_goal(live: LiveRun) -> str:
    context = live.state.context
    return f"{live.state.goal}\n\nContext:\n{context}" if context else live.state.goal


def _reasons(live: LiveRun, failure: AntiphonError | None, left_out: tuple[str, ...]) -> tuple[str, ...]:
    """Why the exit code is not 0, one line each."""
    state = live.state
    reasons = [] if failure is None else [str(failure)]
    reasons += [
        f"{task.spec.id} is a dead letter after {counted(task.attempt, 'attempt')}: {task.reason}"
        for task in state.tasks.values()
        if task.status == "dead"
    ]
    skipped = sum(task.status == "skipped" for task in state.tasks.values())
    if skipped:
        reasons.append(f"{counted(skipped, 'task')} skipped because of that")
    reasons += [
        f"the work of {task_id} conflicts with the rest and is not in the change set" for task_id in left_out
    ]
    unrun: dict[tuple[str, str], list[str]] = {}
    for task in state.tasks.values():
        for gate in task.gates if task.status == "merged" else ():
            if gate.outcome == "not_run":
                unrun.setdefault((gate.gate, gate.detail.rpartition(": ")[2]), []).append(task.spec.id)
    reasons += [
        f"{names[0] if len(names) == 1 else f'{len(names)} tasks'} merged unverified: the {gate} gate could "
        f"not run ({detail})"
        for (gate, detail), names in unrun.items()
    ]
    reasons += [
        f"the merged result: the {gate.gate} gate "
        + ("blocks: " if gate.outcome == "blocked" else "could not run: ")
        + gate.detail
        for gate in state.final_gates
        if gate.outcome in {"blocked", "not_run"}
    ]
    return tuple(reasons)
