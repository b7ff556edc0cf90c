"""`antiphon/approval/resolve`: an answer to a question of a run, from anywhere in the client."""

from orchestration.commands import Reply, ResolveApproval
from server.host import Host
from server.protocol import ApprovalResolveParams

PARAMS = ApprovalResolveParams


async def handle(host: Host, params: ApprovalResolveParams) -> Reply:
    workspace = await host.workspaces.of_run(params.run_id)
    command = ResolveApproval(
        run_id=params.run_id, approval_id=params.approval_id, decision=params.decision, by=host.client_name
    )
    return await host.workspaces.submit(workspace, command)
