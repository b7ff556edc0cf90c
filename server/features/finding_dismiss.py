"""`antiphon/finding/dismiss`: the finding is not shown any more."""

from orchestration.commands import DismissFinding, Reply
from server.host import Host
from server.protocol import FindingDismissParams

PARAMS = FindingDismissParams


async def handle(host: Host, params: FindingDismissParams) -> Reply:
    workspace = await host.workspaces.of_run(params.run_id)
    command = DismissFinding(run_id=params.run_id, finding_id=params.finding_id, reason=params.reason)
    reply = await host.workspaces.submit(workspace, command)
    await host.follow(workspace, params.run_id)
    return reply
