"""`antiphon/checkpoint/diff`: what restoring a checkpoint would do to files and buffers as they are now."""

from orchestration.checkpoints.desk import run_of
from orchestration.checkpoints.view import CheckpointDiff
from server.host import Host
from server.protocol import CheckpointParams

PARAMS = CheckpointParams


async def handle(host: Host, params: CheckpointParams) -> CheckpointDiff:
    workspace = await host.workspaces.of_run(run_of(params.checkpoint_id))
    return await workspace.engine.checkpoint_diff(params.checkpoint_id, params.paths or ())
