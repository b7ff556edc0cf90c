"""`antiphon/finding/fix`: the finding's own fix, applied by the engine as a decision."""

from orchestration.commands import FixFinding, Reply
from server.host import Host
from server.protocol import FindingParams
from server.workspaces import checked

PARAMS = FindingParams


async def handle(host: Host, params: FindingParams) -> Reply:
    workspace = await host.workspaces.of_run(params.run_id)
    command = FixFinding(run_id=params.run_id, finding_id=params.finding_id, by=host.client_name)
    reply = await host.workspaces.ask(workspace, command)
    await host.decided(workspace, params.run_id)
    return checked(reply)
