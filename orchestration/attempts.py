"""Carries out one task: the tree it starts from, its attempts, its gates, its result.

A failed attempt is thrown away; the next one starts from the same files in a fresh conversation that
opens with the reason. After the last attempt the task is a dead letter. Which task runs when is the
scheduler's.
"""

from dataclasses import dataclass

from orchestration import events as ev
from orchestration.agents.commanding import run_command
from orchestration.agents.external import Errand, ErrandEnd, Interrupted, interrupted, run_agent
from orchestration.agents.loop import Talk, TalkEnd, converse
from orchestration.agents.tools.catalogue import offered
from orchestration.agents.tools.contract import CommandResult, ToolOutcome, Workbench
from orchestration.budget import Spending
from orchestration.definitions import Definitions
from orchestration.engine_ports import EnginePorts
from orchestration.fold import transcript
from orchestration.gating import Gating
from orchestration.graph_model import TaskSpec
from orchestration.live_run import LiveRun
from orchestration.results import Results
from orchestration.run import TaskState, Transcript
from orchestration.scheduler import Scheduler, TaskEnd
from orchestration.workspace.task_tree import TaskTree
from providers.base import AgentProvider
from providers.errors import ProviderError
from providers.messages import Message, RequestLabels, user

DELEGATION_DEPTH = 3
DELEGATIONS_PER_TASK = 10
FEEDBACK_CHARACTERS = 8_000
SUMMARY_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a task begins: a snapshot, and for a resumed attempt its conversation and tree, or the session of
    the external agent that was at it.
    """

    snapshot: str
    attempt: int
    resumed: Transcript | None = None
    interrupted: frozenset[str] = frozenset()
    agent: Interrupted | None = None


class Attempts:
    """One for a run; `scheduler` is set once, right after both exist."""

    scheduler: Scheduler

    def __init__(
        self,
        ports: EnginePorts,
        live: LiveRun,
        definitions: Definitions,
        results: Results,
        spending: Spending,
    ) -> None:
        self._ports = ports
        self._live = live
        self._definitions = definitions
        self._results = results
        self._gating = Gating(ports, live)
        self._spending = spending
        self._child_starts: dict[str, str] = {}

    async def carry_out(self, task_id: str) -> TaskEnd:
        """Runs the task to its end. Raises SpentError when the budget is used up."""
        task = self._live.state.tasks[task_id]
        begun = await self._begin(task)
        if isinstance(begun, TaskEnd):
            return begun
        options = self._live.state.options
        assert options is not None
        start = begun
        while True:
            end = await self._attempt(task.spec, start)
            if end is not None:
                return end
            failures = self._live.state.tasks[task_id].failures
            if start.attempt - task.spent_attempts >= options.budget.attempts:
                return TaskEnd("dead", failures[-1].reason)
            start = _Start(start.snapshot, start.attempt + 1)

    # --- where it starts -------------------------------------------------------------------------

    async def _begin(self, task: TaskState) -> _Start | TaskEnd:
        snapshot = self._child_starts.get(task.spec.id)
        if snapshot is None and task.attempt and task.start_snapshot:
            snapshot = task.start_snapshot
        if snapshot is None:
            merged = await self._results.start_of(task.spec)
            if isinstance(merged, TaskSpec):
                await self._live.record(ev.TaskAdded(task=merged))
                return TaskEnd("first", needs=(merged,))
            snapshot = merged
        failed = {failure.attempt for failure in task.failures}
        if task.attempt == 0 or task.attempt in failed:
            return _Start(snapshot, task.attempt + 1)
        records = await self._ports.journal.read(self._live.state.run_id, limit=10_000_000)
        left = interrupted(records, task.spec.id, task.attempt)
        if left is not None:
            if not self._goes_on(task.spec, left):
                return _Start(snapshot, task.attempt + 1)
            return _Start(snapshot, task.attempt, agent=left)
        resumed = transcript(records, task.spec.id)
        if resumed is not None and resumed.attempt != task.attempt:
            resumed = None
        started = {
            record.event.call_id
            for record in records
            if isinstance(record.event, ev.ToolStarted)
            and record.event.task_id == task.spec.id
            and record.event.attempt == task.attempt
        }
        return _Start(snapshot, task.attempt, resumed, frozenset(started))

    def _goes_on(self, spec: TaskSpec, left: Interrupted) -> bool:
        """Whether what an agent began can be gone on with: its result is known, or it knows its session."""
        if left.done:
            return True
        try:
            found = self._ports.agents.resolve(self._model_of(spec))
        except ProviderError:
            return False
        return found is not None and found[0].name == left.agent and found[0].resumes and bool(left.session)

    def _model_of(self, spec: TaskSpec) -> str:
        options = self._live.state.options
        assert options is not None
        return spec.model or self._definitions.role(spec.role).model or options.model

    # --- one attempt -----------------------------------------------------------------------------

    async def _attempt(self, spec: TaskSpec, start: _Start) -> TaskEnd | None:
        """None: the attempt failed and was recorded; another may follow."""
        live = self._live
        role = self._definitions.role(spec.role)
        options = live.state.options
        assert options is not None
        model_id = self._model_of(spec)
        started = ev.TaskStarted(
            task_id=spec.id, attempt=start.attempt, snapshot=start.snapshot, role=role.name, model=model_id
        )
        try:
            agent = self._ports.agents.resolve(model_id)
            if agent is not None or (start.agent is not None and start.agent.done):
                return await self._by_agent(spec, start, started, agent)
            provider, model = self._ports.models.resolve(model_id)
        except ProviderError as error:
            await live.record(started, self._failure(spec, start, "provider", str(error)))
            return TaskEnd("dead", str(error))
        tree = TaskTree(self._ports.objects, start.snapshot, live.state.left_out)
        if start.resumed is not None and start.resumed.tree:
            tree.reset(start.resumed.tree)
        tools = offered(role.tools, f"role {role.name}")
        if self._depth(spec) >= DELEGATION_DEPTH:
            tools.pop("delegate", None)
        end = await converse(
            Talk(
                recorder=live,
                provider=provider,
                model=model,
                labels=RequestLabels(
                    live.state.run_id, spec.id, spec.title, role.name, start.attempt, turn=1
                ),
                system=role.text,
                system_digest=self._definitions.digest(role.name),
                opening=self._opening(spec, start),
                tools=tools,
                specs=self._definitions.specs(tools),
                bench=self._bench(spec, tree),
                spending=self._spending,
                turns_max=options.budget.turns_per_task,
                resumed=start.resumed,
                interrupted=start.interrupted,
                prelude=(started,),
                redaction=self._ports.redaction,
            )
        )
        if end.kind != "finished":
            return await self._not_finished(spec, start, end)
        # Every edit was stored with its tool's result: nothing is left to write.
        return await self._judge(spec, start, tree.flush(), end.reason, end.pending)

    async def _by_agent(
        self,
        spec: TaskSpec,
        start: _Start,
        started: ev.TaskStarted,
        found: tuple[AgentProvider, str | None] | None,
    ) -> TaskEnd | None:
        """An attempt by an external agent in a checkout of its own. None: it failed, another may follow."""
        if start.agent is not None and start.agent.done:
            end = ErrandEnd(kind="finished", tree=start.agent.tree, reason=start.agent.summary)
            await self._live.record(started)
        else:
            assert found is not None
            end = await run_agent(
                Errand(
                    ports=self._ports,
                    live=self._live,
                    definitions=self._definitions,
                    spending=self._spending,
                    agent=found[0],
                    model=found[1],
                    spec=spec,
                    attempt=start.attempt,
                    snapshot=start.snapshot,
                    task=self._opening(spec, start)[0].text,
                    prelude=(started,),
                    resumed=start.agent,
                )
            )
        if end.kind == "finished":
            return await self._judge(spec, start, end.tree, end.reason, ())
        await self._live.record(self._failure(spec, start, "provider", end.reason, end.feedback))
        return None if end.retryable else TaskEnd("dead", end.reason)

    async def _not_finished(self, spec: TaskSpec, start: _Start, end: TalkEnd) -> TaskEnd | None:
        kinds: dict[str, ev.AttemptFailure] = {
            "stuck": "stuck",
            "turn_limit": "turn_limit",
            "refused": "refused",
        }
        failed = self._failure(spec, start, kinds.get(end.kind, "provider"), end.reason)
        await self._live.record(*end.pending, failed)
        return None if end.retryable else TaskEnd("dead", end.reason)

    async def _judge(
        self, spec: TaskSpec, start: _Start, result: str, summary: str, pending: tuple[ev.Event, ...]
    ) -> TaskEnd | None:
        """The gates, then the result: a tree, with the events that are still to be recorded."""
        live, objects = self._live, self._ports.objects
        changed = tuple(path for path, _, _ in objects.diff(start.snapshot, result))
        if changed:
            await live.record(*pending)
            pending = ()
        verdict = await self._gating.judge(
            spec, attempt=start.attempt, start=start.snapshot, tree=result, changed=changed
        )
        if verdict.blocked is not None:
            blocked = verdict.blocked
            failed = self._failure(
                spec, start, "gate", f"{blocked.gate}: {blocked.detail}", blocked.feedback or blocked.detail
            )
            await live.record(*pending, *verdict.events, failed)
            return None
        snapshot = start.snapshot
        if changed:
            snapshot = await self._ports.executor.run(
                self._commit, result, start.snapshot, f"{spec.id}: {spec.title}"
            )
        await live.record(
            *pending,
            *verdict.events,
            ev.TaskMerged(
                task_id=spec.id,
                attempt=start.attempt,
                snapshot=snapshot,
                changed=changed,
                verified=not verdict.unverified,
                summary=_shortened(summary, spec),
            ),
        )
        return TaskEnd("merged")

    def _commit(self, tree: str, parent: str, message: str) -> str:
        return self._ports.objects.commit(tree, [parent], message, when=self._ports.clock.now())

    def _failure(
        self, spec: TaskSpec, start: _Start, kind: ev.AttemptFailure, reason: str, feedback: str = ""
    ) -> ev.AttemptFailed:
        return ev.AttemptFailed(
            task_id=spec.id,
            attempt=start.attempt,
            kind=kind,
            reason=reason,
            feedback=(feedback or reason)[:FEEDBACK_CHARACTERS],
        )

    def _opening(self, spec: TaskSpec, start: _Start) -> tuple[Message, ...]:
        """The first user message: title and instructions verbatim, then what an earlier attempt met,
        then the workspace's own guidance.
        """
        parts = [f"{spec.title}\n\n{spec.instructions}"]
        hints = []
        if spec.paths:
            hints.append(f"Files this is about: {', '.join(spec.paths)}")
        if spec.tests:
            hints.append(f"Tests that must pass: {', '.join(spec.tests)}")
        if hints:
            parts.append("\n".join(hints))
        if start.attempt > 1:
            failures = [
                failure
                for failure in self._live.state.tasks[spec.id].failures
                if failure.attempt == start.attempt - 1
            ]
            if failures:
                before, feedback = start.attempt - 1, failures[-1].feedback
                parts.append(self._definitions.prompt("retry", attempt=before, feedback=feedback))
        if note := self._live.state.tasks[spec.id].note:
            parts.append(note)
        if self._definitions.guidance:
            parts.append(self._definitions.prompt("guidance", text=self._definitions.guidance))
        return (user("\n\n".join(part.rstrip("\n") for part in parts) + "\n"),)

    # --- the workbench ---------------------------------------------------------------------------

    def _bench(self, spec: TaskSpec, tree: TaskTree) -> Workbench:
        async def command(text: str, timeout_s: float | None) -> CommandResult:
            return await run_command(self._ports, self._live, tree, spec.id, text, timeout_s)

        async def delegate(title: str, instructions: str, role: str) -> ToolOutcome:
            return await self._delegate(spec, tree, title, instructions, role)

        async def ask(subject: str, detail: str) -> bool:
            return await self._live.ask("protected_change", subject, task_id=spec.id, detail=detail)

        return Workbench(
            tree=tree,
            guard=self._ports.guard,
            left_out={item.path: item.reason for item in self._live.state.left_out},
            executor=self._ports.executor,
            run_command=command,
            delegate=delegate,
            ask=ask,
        )

    async def _delegate(
        self, parent: TaskSpec, tree: TaskTree, title: str, instructions: str, role: str
    ) -> ToolOutcome:
        """Runs a child from the parent's files as they are; its result replaces them."""
        live = self._live
        children = [task for task in live.state.tasks.values() if task.spec.parent == parent.id]
        children = [task for task in children if task.spec.kind == "delegated"]
        if len(children) >= DELEGATIONS_PER_TASK:
            return ToolOutcome(
                f"You have delegated {DELEGATIONS_PER_TASK} times, which is the most; do the rest yourself.",
                is_error=True,
                subject=title,
            )
        if role not in self._definitions.roles:
            names = ", ".join(sorted(self._definitions.roles))
            return ToolOutcome(
                f"There is no role {role!r}; the roles are {names}.", is_error=True, subject=title
            )
        spec = TaskSpec(
            id=f"{parent.id}.{len(children) + 1}",
            title=title,
            instructions=instructions,
            role=role,
            kind="delegated",
            parent=parent.id,
        )
        current = await self._ports.executor.run(tree.flush)
        begin = self._live.state.tasks[parent.id].start_snapshot
        start = await self._ports.executor.run(self._commit, current, begin, f"{parent.id} delegates")
        self._child_starts[spec.id] = start
        await live.record(ev.TaskAdded(task=spec), ev.TaskWaiting(task_id=parent.id, on=(spec.id,)))
        await self.scheduler.run_child(spec, parent.id)
        await live.record(ev.TaskResumed(task_id=parent.id))
        child = live.state.tasks[spec.id]
        if child.status != "merged":
            return ToolOutcome(
                f"The delegated task did not succeed: {child.reason or child.status}. Your files are as "
                "they were.",
                is_error=True,
                subject=title,
            )
        tree.reset(self._ports.objects.tree_of(child.snapshot))
        changed = ", ".join(child.changed) or "nothing"
        return ToolOutcome(f"{child.summary}\n[changed: {changed}]", subject=title)

    def _depth(self, spec: TaskSpec) -> int:
        depth = 0
        while spec.kind == "delegated" and spec.parent is not None:
            depth += 1
            spec = self._live.state.tasks[spec.parent].spec
        return depth


def _shortened(summary: str, spec: TaskSpec) -> str:
    """Enough for a list; the whole is in the transcript. Who delegated reads all of it."""
    limit = SUMMARY_CHARACTERS if spec.kind != "delegated" else FEEDBACK_CHARACTERS
    return summary if len(summary) <= limit else summary[: limit - 1] + "…"
