"""`antiphon/changes/read`: a run's change set against the files and buffers as they are now."""

from orchestration.review.view import ChangesView
from server.host import Host
from server.protocol import ChangesReadParams

PARAMS = ChangesReadParams


async def handle(host: Host, params: ChangesReadParams) -> ChangesView:
    workspace = await host.workspaces.of_run(params.run_id)
    return await workspace.engine.changes(params.run_id)
