"""`antiphon/run/list`: newest first, of one folder or all."""

from orchestration.journal.contract import RunSummary
from server.features.run_start import root_path
from server.host import Host
from server.protocol import RunEntry, RunListParams, RunListResult
from server.to_lsp import uri_of
from server.workspaces import Workspace

PARAMS = RunListParams


async def handle(host: Host, params: RunListParams) -> RunListResult:
    roots: list[str | None] = [root_path(params.root)] if params.root else [*host.session.folders] or [None]
    found: list[RunEntry] = []
    for root in roots:
        workspace = await host.workspaces.workspace(root)
        found += [_entry(workspace, run) for run in await workspace.engine.runs(params.limit)]
    found.sort(key=lambda run: run.created, reverse=True)
    return RunListResult(runs=found[: params.limit])


def _entry(workspace: Workspace, run: RunSummary) -> RunEntry:
    return RunEntry(
        run_id=run.run_id,
        root=uri_of(workspace.root),
        goal=run.goal,
        state=run.state,
        created=run.created,
        updated=run.updated,
        tasks_total=run.tasks_total,
        tasks_done=run.tasks_done,
        open_hunks=run.open_hunks,
        cost_usd=run.cost_usd,
        tokens=run.tokens,
    )
