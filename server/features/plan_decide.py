"""`antiphon/plan/decide`: the plan that waits, accepted, accepted as edited, or rejected."""

from orchestration.commands import DecidePlan, Reply
from orchestration.graph_model import TaskSpec
from server.host import Host
from server.protocol import PlanDecideParams, PlanTask

PARAMS = PlanDecideParams


async def handle(host: Host, params: PlanDecideParams) -> Reply:
    workspace = await host.workspaces.of_run(params.run_id)
    edited = None if isinstance(params.plan, str) else tuple(_task(task) for task in params.plan)
    command = DecidePlan(run_id=params.run_id, accept=params.plan != "reject", plan=edited)
    return await host.workspaces.submit(workspace, command)


def _task(task: PlanTask) -> TaskSpec:
    return TaskSpec(
        id=task.id,
        title=task.title,
        instructions=task.instructions,
        role=task.role,
        depends_on=tuple(task.depends_on),
        paths=tuple(task.paths),
        tests=tuple(task.tests),
        model=task.model,
    )
