"""`antiphon/usage/read`: tokens and cost of a run, or of all that are shown, by task."""

from orchestration.run import Estimates, RunState
from providers.usage import ZERO
from server.features.run_read import usage_entry
from server.host import Host
from server.protocol import TaskUsage, UsageReadParams, UsageReadResult

PARAMS = UsageReadParams


async def handle(host: Host, params: UsageReadParams) -> UsageReadResult:
    if params.run_id is not None:
        workspace = await host.workspaces.of_run(params.run_id)
        states = [await workspace.engine.state(params.run_id)]
    else:
        states = [run.state for run in host.presenter.runs()]
    total, estimates = ZERO, Estimates()
    for state in states:
        total = total + state.usage
        estimates = estimates + state.estimates
    return UsageReadResult(
        total=usage_entry(total, estimates), tasks=[task for state in states for task in _tasks(state)]
    )


def _tasks(state: RunState) -> list[TaskUsage]:
    return [
        TaskUsage(
            run_id=state.run_id,
            task_id=task.spec.id,
            role=task.spec.role,
            model=task.model,
            usage=usage_entry(task.usage),
        )
        for task in state.tasks.values()
    ]
