"""`antiphon/finding/list`: open findings with their place in the current text."""

from server.host import Host
from server.protocol import FindingItem, FindingListParams, FindingListResult
from server.to_lsp import uri_of
from server.workspaces import Workspace

PARAMS = FindingListParams


async def handle(host: Host, params: FindingListParams) -> FindingListResult:
    if params.run_id is not None:
        asked = [(params.run_id, await host.workspaces.of_run(params.run_id))]
    else:
        asked = [(run.state.run_id, run.workspace) for run in host.presenter.runs()]
    found: list[FindingItem] = []
    for run_id, workspace in asked:
        found += await _of(run_id, workspace)
    return FindingListResult(tuple(found))


async def _of(run_id: str, workspace: Workspace) -> list[FindingItem]:
    root = uri_of(workspace.root)
    return [
        FindingItem(run_id=run_id, root=root, placed=placed)
        for placed in await workspace.engine.findings(run_id)
    ]
