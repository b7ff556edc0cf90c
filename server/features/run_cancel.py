"""`antiphon/run/cancel`: a run, or one task of it."""

from orchestration.commands import CancelRun, Reply
from server.host import Host
from server.protocol import RunCancelParams

PARAMS = RunCancelParams


async def handle(host: Host, params: RunCancelParams) -> Reply:
    workspace = await host.workspaces.of_run(params.run_id)
    command = CancelRun(run_id=params.run_id, task_id=params.task_id, by=host.client_name)
    return await host.workspaces.submit(workspace, command)
