"""`antiphon/run/start`: the run is durable before the answer; everything after that are events."""

from orchestration.commands import StartRun
from server.client_profile import path_of
from server.host import Host
from server.jsonrpc import INVALID_PARAMS, RpcError
from server.protocol import RunStartParams, RunStartResult
from server.run_options import run_options, with_choices

PARAMS = RunStartParams


async def handle(host: Host, params: RunStartParams) -> RunStartResult:
    workspace = await host.workspaces.workspace(root_path(params.root))
    settings = host.workspaces.settings_of(await host.workspaces.composition(), workspace.root)
    command = StartRun(
        goal=params.goal,
        options=run_options(with_choices(settings, params)),
        context=params.context,
        idempotency_key=params.idempotency_key,
    )
    reply = await host.workspaces.submit(workspace, command)
    await host.follow(workspace, reply.run_id)
    return RunStartResult(run_id=reply.run_id)


def root_path(root: str | None) -> str | None:
    """The path of a `root` parameter: a `file:` URI, or a path as a person types it."""
    if root is None:
        return None
    path = root if root.startswith("/") else path_of(root)
    if path is None:
        raise RpcError(INVALID_PARAMS, "`root` must be the file: URI of a folder, or its absolute path")
    return path.rstrip("/") or "/"
