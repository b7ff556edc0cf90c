"""`antiphon/checkpoint/restore`: makes the workspace, or some files of it, as a checkpoint has them; the answer has
the outcome by file and the checkpoint that brings back what was replaced.
"""

from orchestration.checkpoints.desk import run_of
from orchestration.commands import Reply, RestoreCheckpoint
from server.host import Host
from server.protocol import CheckpointParams
from server.workspaces import checked

PARAMS = CheckpointParams


async def handle(host: Host, params: CheckpointParams) -> Reply:
    run_id = run_of(params.checkpoint_id)
    workspace = await host.workspaces.of_run(run_id)
    command = RestoreCheckpoint(
        run_id=run_id,
        checkpoint_id=params.checkpoint_id,
        paths=tuple(params.paths or ()),
        by=host.client_name,
    )
    reply = await host.workspaces.ask(workspace, command)
    await host.restored(workspace, run_id)
    return checked(reply)
