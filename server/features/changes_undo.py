"""`antiphon/changes/undo`: takes a decision back, the latest one by default."""

from orchestration.commands import Reply, UndoDecision
from server.host import Host
from server.protocol import ChangesUndoParams
from server.workspaces import checked

PARAMS = ChangesUndoParams


async def handle(host: Host, params: ChangesUndoParams) -> Reply:
    workspace = await host.workspaces.of_run(params.run_id)
    command = UndoDecision(run_id=params.run_id, decision_id=params.decision_id, by=host.client_name)
    reply = await host.workspaces.ask(workspace, command)
    await host.decided(workspace, params.run_id)
    return checked(reply)
