"""`workspace/executeCommand`: every custom method, for editors without a plugin."""

from typing import Any

from lsprotocol import types

from server.host import Host
from server.jsonrpc import INVALID_PARAMS, RpcError
from server.methods import COMMAND_PREFIX, method_of

PARAMS = types.ExecuteCommandParams


async def handle(host: Host, params: types.ExecuteCommandParams) -> Any:
    method = method_of(params.command)
    if method is None:
        raise RpcError(INVALID_PARAMS, f"no command {params.command}; ours begin with {COMMAND_PREFIX}")
    arguments = params.arguments or []
    if len(arguments) > 1:
        raise RpcError(
            INVALID_PARAMS, f"{params.command} takes one argument, an object, not {len(arguments)}"
        )
    return await host.dispatch(method, arguments[0] if arguments else None)
