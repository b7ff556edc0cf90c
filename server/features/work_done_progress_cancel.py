"""`window/workDoneProgress/cancel`: cancels the run, or the task, that the token stands for."""

from lsprotocol import types

from orchestration.commands import CancelRun
from server.host import Host

PARAMS = types.WorkDoneProgressCancelParams


async def handle(host: Host, params: types.WorkDoneProgressCancelParams) -> None:
    subject = host.presenter.progress.subject_of(params.token)
    if subject is None:
        return
    run_id, task_id = subject
    workspace = await host.workspaces.of_run(run_id)
    await host.workspaces.submit(workspace, CancelRun(run_id=run_id, task_id=task_id, by=host.client_name))
