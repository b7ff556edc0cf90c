"""`antiphon/run/subscribe`: events after a number, then those to come, as `antiphon/event`."""

from server.host import Host
from server.protocol import RunSubscribeParams, RunSubscribeResult

PARAMS = RunSubscribeParams


async def handle(host: Host, params: RunSubscribeParams) -> RunSubscribeResult:
    workspace = await host.workspaces.of_run(params.run_id)
    state = await workspace.engine.state(params.run_id)
    host.subscriptions.add(workspace, params.run_id, params.after_seq)
    return RunSubscribeResult(run_id=params.run_id, last_seq=state.last_seq)
