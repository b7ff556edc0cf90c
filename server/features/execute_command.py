"""`workspace/executeCommand`: every custom method, for editors without a plugin."""

import logging
from typing import Any

from lsprotocol import types

from server.host import Host
from server.jsonrpc import INVALID_PARAMS, RpcError
from server.methods import COMMAND_PREFIX, method_of
from server.protocol import ChangesDiffResult
from server.to_lsp import shows_diffs

PARAMS = types.ExecuteCommandParams
logger = logging.getLogger(__name__)


async def handle(host: Host, params: types.ExecuteCommandParams) -> Any:
    method = method_of(params.command)
    if method is None:
        raise RpcError(INVALID_PARAMS, f"no command {params.command}; ours begin with {COMMAND_PREFIX}")
    arguments = params.arguments or []
    if len(arguments) > 1:
        raise RpcError(
            INVALID_PARAMS, f"{params.command} takes one argument, an object, not {len(arguments)}"
        )
    # An empty Lua table is an array on the wire.
    result = await host.dispatch(method, arguments[0] if arguments and arguments[0] != [] else None)
    if isinstance(result, ChangesDiffResult) and shows_diffs(host.client.profile):
        # Not before this is answered: the client may serve one request after the other.
        host.tasks.start_soon(_show, host, result.diff)
    return result


async def _show(host: Host, uri: str) -> None:
    try:
        await host.client.ask("window/showDocument", {"uri": uri, "takeFocus": True})
    except RpcError as error:
        logger.info("the client did not show a diff: %s", error)
