"""The client as the rest of the server sees it: tell it something, ask it something, wait until it keeps up."""

import asyncio
import itertools
import logging
from typing import Any

from server.client_profile import ClientProfile
from server.jsonrpc import REQUEST_CANCELLED, Id, Response, RpcError, error_reply, result_reply
from server.transport import EASY, StdioTransport
from server.wire import encode

logger = logging.getLogger(__name__)


class Client:
    def __init__(self, profile: ClientProfile, transport: StdioTransport) -> None:
        self.profile = profile
        self._transport = transport
        self._asked: dict[str, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)

    @property
    def pending_bytes(self) -> int:
        return self._transport.pending

    @property
    def crowded(self) -> bool:
        return self._transport.crowded

    @property
    def keeps_up(self) -> bool:
        return self._transport.pending <= EASY

    async def room(self) -> None:
        """Returns when what was sent before has mostly been read: call it before each message of a stream."""
        await self._transport.room()

    def notify(self, method: str, params: Any) -> None:
        self._transport.send(encode({"jsonrpc": "2.0", "method": method, "params": params}))

    def notify_raw(self, method: str, params: bytes) -> None:
        """`params` is JSON already."""
        self._transport.send(b'{"jsonrpc":"2.0","method":"%b","params":%b}' % (method.encode(), params))

    async def ask(self, method: str, params: Any) -> Any:
        """The client's result. Raises RpcError for its error. When the caller gives up, so is the client told."""
        request_id = f"antiphon-{next(self._numbers)}"
        future = asyncio.get_running_loop().create_future()
        self._asked[request_id] = future
        try:
            self._transport.send(
                encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
            )
            return await future
        except asyncio.CancelledError:
            self.notify("$/cancelRequest", {"id": request_id})
            raise
        finally:
            del self._asked[request_id]

    def answered(self, response: Response) -> None:
        future = self._asked.get(response.id) if isinstance(response.id, str) else None
        if future is None or future.done():
            logger.info("an answer to an unknown request was ignored", extra={"request": response.id})
        elif response.error is not None:
            code, message = response.error.get("code"), response.error.get("message")
            future.set_exception(RpcError(code if isinstance(code, int) else 0, str(message)))
        else:
            future.set_result(response.result)

    def reply(self, reply_to: Id, result: Any) -> None:
        self._transport.send(encode(result_reply(reply_to, result)))

    def refuse(self, reply_to: Id | None, error: RpcError) -> None:
        self._transport.send(encode(error_reply(reply_to, error.code, error.message, error.data)))

    def cancelled(self, reply_to: Id) -> None:
        self.refuse(reply_to, RpcError(REQUEST_CANCELLED, "the request was cancelled"))
