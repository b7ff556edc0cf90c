"""`antiphon/trust/set`: the user's word on a workspace, for this session or for good."""

from pathlib import Path

import anyio.to_thread

from server.features.run_start import root_path
from server.host import Host
from server.jsonrpc import INVALID_PARAMS, RpcError
from server.protocol import TrustSetParams, TrustSetResult
from server.to_lsp import uri_of

PARAMS = TrustSetParams


async def handle(host: Host, params: TrustSetParams) -> TrustSetResult:
    path = root_path(params.root) or next(iter(host.session.folders), None)
    if path is None:
        raise RpcError(INVALID_PARAMS, "`root` is missing, and the client has no workspace folder open")
    root = Path(path)
    if params.remember:
        composition = await host.workspaces.composition()
        await anyio.to_thread.run_sync(lambda: composition.set_trusted(root, trusted=params.trusted))
    host.session.set_trusted(root, trusted=params.trusted)
    return TrustSetResult(root=uri_of(root), trusted=params.trusted)
