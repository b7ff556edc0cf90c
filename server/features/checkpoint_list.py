"""`antiphon/checkpoint/list`: states of the workspace that can be had back, newest first."""

from orchestration.checkpoints.view import CheckpointView
from server.features.run_start import root_path
from server.host import Host
from server.protocol import CheckpointListParams, CheckpointListResult

PARAMS = CheckpointListParams


async def handle(host: Host, params: CheckpointListParams) -> CheckpointListResult:
    if params.run_id is not None:
        workspace = await host.workspaces.of_run(params.run_id)
        return CheckpointListResult(tuple(await workspace.engine.checkpoints(params.run_id)))
    roots: list[str | None] = [root_path(params.root)] if params.root else [*host.session.folders] or [None]
    found: list[CheckpointView] = []
    for root in roots:
        workspace = await host.workspaces.workspace(root)
        found += await workspace.engine.checkpoints(limit=params.limit)
    found.sort(key=lambda item: item.time, reverse=True)
    return CheckpointListResult(tuple(found[: params.limit]))
