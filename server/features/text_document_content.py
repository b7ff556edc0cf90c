"""`workspace/textDocumentContent`: a file before or after a proposed change, or the change as a diff."""

from lsprotocol import types

from server.host import Host
from server.jsonrpc import INVALID_PARAMS, RpcError
from server.virtual_address import address_of

PARAMS = types.TextDocumentContentParams


async def handle(host: Host, params: types.TextDocumentContentParams) -> dict[str, str]:
    return {"text": await content(host, params.uri)}


async def content(host: Host, uri: str) -> str:
    """Raises RpcError for what is no document of ours, NotFoundError for an unknown run."""
    address = address_of(uri)
    if address is None:
        raise RpcError(
            INVALID_PARAMS, f"{uri} names no document of ours; antiphon/changes/diff gives those there are"
        )
    review = await host.review(address.run_id)
    return await host.presenter.virtual.read(review, address, uri)
