"""`codeAction/resolve`: the edit of a quick fix, made when it is chosen."""

from typing import Any

from server.features.code_action import fix_edit
from server.host import Host
from server.jsonrpc import INVALID_PARAMS, RpcError
from server.to_lsp import Json

PARAMS = None


def handle(host: Host, params: Any) -> Json:
    """Raw in, raw out: what the client added to its action must come back untouched."""
    if not isinstance(params, dict) or not isinstance(params.get("title"), str):
        raise RpcError(INVALID_PARAMS, "codeAction/resolve: `title` is missing")
    data = params.get("data")
    if not isinstance(data, dict) or "edit" in params:
        return params
    edit = fix_edit(host, str(data.get("uri")), str(data.get("runId")), str(data.get("findingId")))
    return params if edit is None else params | {"edit": edit}
