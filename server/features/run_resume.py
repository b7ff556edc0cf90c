"""`antiphon/run/resume`: goes on with a run that stopped; finished tasks are kept."""

from orchestration.commands import ResumeRun, Retry
from server.host import Host
from server.protocol import RunResumeParams, RunStartResult

PARAMS = RunResumeParams


async def handle(host: Host, params: RunResumeParams) -> RunStartResult:
    workspace = await host.workspaces.of_run(params.run_id)
    asked = params.retry
    retry = None
    if asked is not None:
        retry = Retry(task_ids=tuple(asked.task_ids), note=asked.note, model=asked.model)
    await host.workspaces.submit(workspace, ResumeRun(run_id=params.run_id, adopt=params.adopt, retry=retry))
    await host.follow(workspace, params.run_id)
    return RunStartResult(run_id=params.run_id)
