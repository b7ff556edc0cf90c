"""Goal and context become a task graph. The planner is an agent with its own tool, `submit_plan`.

A plan that is no valid graph goes back to the model with the reasons, at most three times; then the run
fails with them. A given plan skips the model but not the validation.
"""

from orchestration import events as ev
from orchestration.agents.loop import Talk, converse
from orchestration.agents.roles import PLANNER_ROLE
from orchestration.agents.tools.catalogue import offered
from orchestration.agents.tools.contract import CommandResult, ToolOutcome, Workbench
from orchestration.agents.tools.working import SubmitPlan
from orchestration.budget import Spending
from orchestration.definitions import Definitions
from orchestration.engine_ports import EnginePorts
from orchestration.errors import PlanError
from orchestration.fold import transcript
from orchestration.graph import problems
from orchestration.graph_model import PLAN_TASK, TaskSpec
from orchestration.live_run import LiveRun
from orchestration.run import Transcript
from orchestration.workspace.task_tree import TaskTree
from providers.errors import ProviderError
from providers.messages import Message, RequestLabels, user

PLAN_ATTEMPTS = 3
PRIORITY = 2  # of its calls where they wait for a limit: every task waits for the plan
FILES_SHOWN = 400


async def plan(
    ports: EnginePorts, live: LiveRun, definitions: Definitions, spending: Spending
) -> tuple[TaskSpec, ...]:
    """The tasks that the model proposes for the run's goal, valid. Raises PlanError when none came back,
    SpentError when the budget is used up first.
    """
    records = await ports.journal.read(live.state.run_id, limit=1_000_000)
    desk = _Desk(live, definitions, sum(isinstance(record.event, ev.PlanRefused) for record in records))
    end = await converse(_talk(ports, live, definitions, spending, desk, transcript(records, PLAN_TASK)))
    await live.record(*end.pending)
    if desk.accepted:
        return desk.accepted
    if end.kind == "provider":
        raise PlanError(f"no plan: {end.reason}")
    why = "; ".join(desk.reasons[:3]) or end.reason or "it did not call `submit_plan`"
    raise PlanError(
        f"the model gave no valid plan: {why}. State the goal more narrowly, choose another model, or give "
        "a plan with --plan-file."
    )


def one_task(goal: str) -> tuple[TaskSpec, ...]:
    """The plan of a run whose planner is an external agent: it plans for itself, so its task is the goal."""
    title = next((line.strip() for line in goal.splitlines() if line.strip()), goal)
    return (TaskSpec(id="goal", title=title[:200], instructions=goal),)


def plans_for_itself(ports: EnginePorts, live: LiveRun, definitions: Definitions) -> bool:
    """Whether the planner of this run is an external agent. Raises PlanError for one that cannot be used."""
    options = live.state.options
    assert options is not None
    try:
        return ports.agents.resolve(definitions.role(PLANNER_ROLE).model or options.model) is not None
    except ProviderError as error:
        raise PlanError(str(error)) from None


class _Desk:
    """Takes in plans: refuses an invalid one with the reasons, at most PLAN_ATTEMPTS times."""

    def __init__(self, live: LiveRun, definitions: Definitions, refused: int) -> None:
        self._live = live
        self._definitions = definitions
        self._refused = refused
        self.accepted: tuple[TaskSpec, ...] = ()
        self.reasons: tuple[str, ...] = ()

    async def submit(self, wanted: SubmitPlan) -> ToolOutcome:
        tasks = _tasks(wanted)
        attempt = self._refused + 1
        self.reasons = problems(tasks, roles=self._definitions.roles)
        proposed = ev.PlanProposed(attempt=attempt, tasks=tasks)
        if not self.reasons:
            self.accepted = tasks
            await self._live.record(proposed)
            return ToolOutcome(f"accepted: {len(tasks)} tasks", finished=True)
        self._refused += 1
        await self._live.record(proposed, ev.PlanRefused(attempt=attempt, reasons=self.reasons))
        listed = "\n".join(f"- {reason}" for reason in self.reasons)
        text = f"The plan is not valid:\n{listed}\nSubmit the whole plan again, mended."
        return ToolOutcome(text, is_error=True, finished=self._refused >= PLAN_ATTEMPTS)


def _tasks(wanted: SubmitPlan) -> tuple[TaskSpec, ...]:
    return tuple(
        TaskSpec(
            id=task.id,
            title=task.title,
            instructions=task.instructions,
            role=task.role or "coder",
            depends_on=tuple(task.depends_on or ()),
            paths=tuple(task.paths or ()),
            tests=tuple(task.tests or ()),
        )
        for task in wanted.tasks
    )


def _talk(
    ports: EnginePorts,
    live: LiveRun,
    definitions: Definitions,
    spending: Spending,
    desk: _Desk,
    resumed: Transcript | None,
) -> Talk:
    options = live.state.options
    assert options is not None
    role = definitions.role(PLANNER_ROLE)
    model_id = role.model or options.model
    try:
        provider, model = ports.models.resolve(model_id)
    except ProviderError as error:
        raise PlanError(str(error)) from None
    tree = TaskTree(ports.objects, live.state.base, live.state.left_out)
    tools = offered(("read_file", "list_files", "search", "submit_plan"), "the planner")
    return Talk(
        recorder=live,
        provider=provider,
        model=model,
        labels=RequestLabels(live.state.run_id, PLAN_TASK, live.state.goal, role.name, priority=PRIORITY),
        system=role.text,
        system_digest=definitions.digest(role.name),
        opening=(_opening(live, tree, definitions),),
        tools=tools,
        specs=definitions.specs(tools),
        bench=_bench(ports, live, tree, desk),
        spending=spending,
        turns_max=options.budget.turns_per_task,
        resumed=resumed,
        required="submit_plan",
        redaction=ports.redaction,
    )


def _opening(live: LiveRun, tree: TaskTree, definitions: Definitions) -> Message:
    paths = list(tree.paths())
    context = f"\nContext:\n{live.state.context}\n" if live.state.context else ""
    text = definitions.prompt(
        "plan",
        goal=live.state.goal,
        context=context,
        file_count=f"{len(paths)} files",
        truncated=f", the first {FILES_SHOWN}" if len(paths) > FILES_SHOWN else "",
        files="\n".join(paths[:FILES_SHOWN]),
    )
    if definitions.guidance:
        text += "\n" + definitions.prompt("guidance", text=definitions.guidance)
    return user(text)


def _bench(ports: EnginePorts, live: LiveRun, tree: TaskTree, desk: _Desk) -> Workbench:
    """The planner looks; it has no tool that acts."""

    async def command(text: str, timeout_s: float | None) -> CommandResult:
        del text, timeout_s
        return CommandResult(text="The planner runs no commands.", is_error=True)

    async def delegate(title: str, instructions: str, role: str) -> ToolOutcome:
        del title, instructions, role
        return ToolOutcome("The planner delegates by its plan.", is_error=True)

    async def ask(subject: str, detail: str) -> bool:
        del subject, detail
        return False

    return Workbench(
        tree=tree,
        guard=ports.guard,
        left_out={item.path: item.reason for item in live.state.left_out},
        executor=ports.executor,
        run_command=command,
        delegate=delegate,
        ask=ask,
        submit_plan=desk.submit,
    )
