"""The library's protocol made strict: every request gets exactly one reply. Dispatch only, no features.

Kept of the stock protocol: how a handler is run, tracked and cancelled. Replaced: parsing, lifecycle,
documents, errors and sending, where the stock ones leave a client waiting. Handlers live in `features/`,
one module per method, imported at first use: `PARAMS` is the type of their params, `handle(host, params)`
the handler.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from lsprotocol.converters import get_converter
from pygls.lsp.server import LanguageServer
from pygls.protocol import JsonRPCNotification, JsonRPCRequestMessage, LanguageServerProtocol

from orchestration.errors import AntiphonError
from server import from_lsp
from server.client import Client
from server.handshake import VERSION
from server.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    OVERLOADED,
    REQUEST_FAILED,
    Invalid,
    Message,
    Notification,
    Request,
    Response,
    RpcError,
)
from server.methods import CUSTOM, STANDARD

if TYPE_CHECKING:
    from server.host import Host

logger = logging.getLogger(__name__)
_MODULES = STANDARD | CUSTOM


class StrictProtocol(LanguageServerProtocol):
    """`attach` comes before the first message."""

    _client: Client
    _host: "Host"

    def _register_builtin_features(self) -> None:
        """None: the stock ones keep documents that split lines wrongly and answer errors with message boxes."""
        self._bound: dict[str, Callable[[Any], Any]] = {}
        self._notifications = itertools.count(1)

    def attach(self, client: Client, host: "Host") -> None:
        self._client = client
        self._host = host

    @property
    def shut_down(self) -> bool:
        return self._shutdown

    def receive(self, message: Message) -> None:
        """Never raises: what went wrong is answered or logged, and the next message is read."""
        try:
            self._receive(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection goes on
            refusal = as_rpc_error(error, getattr(message, "method", "a message"))
            if isinstance(message, Request):
                self._client.refuse(message.id, refusal)

    def _receive(self, message: Message) -> None:
        match message:
            case Response():
                self._client.answered(message)
            case Invalid():
                logger.warning("a message was refused: %s", message.message)
                self._client.refuse(message.id, RpcError(message.code, message.message))
            case Request():
                self._receive_request(message)
            case Notification():
                self._receive_notification(message)

    def _receive_request(self, message: Request) -> None:
        refusal = None
        if self._shutdown:
            refusal = RpcError(INVALID_REQUEST, f"{message.method} after `shutdown`")
        elif message.method == "initialize":
            refusal = RpcError(INVALID_REQUEST, "`initialize` may be sent only once")
        elif message.id in self._request_futures:
            refusal = RpcError(INVALID_REQUEST, f"a request with the id {message.id!r} is still open")
        elif message.method not in _MODULES and message.method != "shutdown":
            refusal = RpcError(METHOD_NOT_FOUND, f"no method {message.method}")
        elif self._client.crowded and message.method != "shutdown":
            refusal = RpcError(OVERLOADED, "answers wait unread; read them, then ask again")
        if refusal is not None:
            self._client.refuse(message.id, refusal)
        elif message.method == "shutdown":
            self._shut_down(message)
        else:
            self.handle_message(JsonRPCRequestMessage(message.id, message.method, "2.0", message.params))

    def _receive_notification(self, message: Notification) -> None:
        if message.method == "exit":
            self._host.end("exit", 0 if self._shutdown else 1)
        elif message.method == "$/cancelRequest":
            request_id = message.params.get("id") if isinstance(message.params, dict) else None
            if isinstance(request_id, int | str):
                self._handle_cancel_notification(request_id)
        elif message.method == "initialized":
            self._host.start()
        elif message.method in _MODULES and not self._shutdown:
            self.handle_message(JsonRPCNotification(message.method, "2.0", message.params))

    def _shut_down(self, message: Request) -> None:
        for future in list(self._request_futures.values()):
            future.cancel()
        self._shutdown = True
        self._host.wind_down()
        self._client.reply(message.id, None)

    # --- what the stock protocol calls ---------------------------------------------------------------

    def _get_handler(self, feature_name: str) -> Callable[[Any], Any]:
        handler = self._bound.get(feature_name)
        if handler is None:
            handler = self._bound[feature_name] = bind(self._host, feature_name)
        return handler

    def _handle_request(self, msg_id: int | str, method_name: str, params: Any) -> None:
        self._execute_handler(
            msg_id=msg_id,
            handler=self._get_handler(method_name),
            args=(params,),
            callback=partial(self._send_handler_result, msg_id=msg_id, method=method_name),
        )

    def _handle_notification(self, method_name: str, params: Any) -> None:
        key = f"notification {next(self._notifications)}"
        self._execute_handler(
            msg_id=key,
            handler=self._get_handler(method_name),
            args=(params,),
            callback=partial(self._check_handler_result, key=key, method=method_name),
        )

    def _send_handler_result(self, future: "Future[Any]", *, msg_id: int | str, method: str = "") -> None:
        self._request_futures.pop(msg_id, None)
        if future.cancelled():
            self._client.cancelled(msg_id)
            return
        error = future.exception()
        if error is None:
            try:
                self._client.reply(msg_id, future.result())
            except Exception as unencodable:  # noqa: BLE001 - whatever is wrong with the result, reply
                error = unencodable
        if error is not None:
            self._client.refuse(msg_id, as_rpc_error(error, method))

    def _check_handler_result(self, future: "Future[Any]", *, key: str = "", method: str = "") -> None:
        self._request_futures.pop(key, None)
        if not future.cancelled() and (error := future.exception()) is not None:
            as_rpc_error(error, method)

    def _handle_cancel_notification(self, msg_id: int | str) -> None:
        future = self._request_futures.get(msg_id)
        if future is not None:
            future.cancel()

    async def finish(self) -> None:
        """Cancels what still runs for the client and waits for it."""
        futures = {cast("asyncio.Future[Any]", future) for future in self._request_futures.values()}
        for future in futures:
            future.cancel()
        if futures:
            await asyncio.wait(futures)


def make_server() -> LanguageServer:
    return LanguageServer("antiphon", VERSION, protocol_cls=StrictProtocol, converter_factory=get_converter)


def bind(host: "Host", method: str) -> Callable[[Any], Any]:
    """The handler of `method` as a function of raw params."""
    module = import_module(f"server.features.{_MODULES[method]}")
    kind, handle = module.PARAMS, module.handle
    if asyncio.iscoroutinefunction(handle):

        async def run(raw: Any) -> Any:
            return await handle(host, from_lsp.params(method, kind, raw))

        return run
    return lambda raw: handle(host, from_lsp.params(method, kind, raw))


def as_rpc_error(error: BaseException, method: str) -> RpcError:
    """Ours as they are, the engine's with their kind, anything else as an internal error in the log."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, RpcError):
        return error
    if isinstance(error, AntiphonError):
        data = {"kind": type(error).__name__, "exitCode": error.exit_code}
        return RpcError(REQUEST_FAILED, str(error), data)
    from providers.errors import ProviderError

    if isinstance(error, ProviderError):
        return RpcError(REQUEST_FAILED, str(error), {"kind": type(error).__name__, "exitCode": 2})
    logger.error("%s failed", method, exc_info=error)
    return RpcError(
        INTERNAL_ERROR, f"{method}: internal error ({type(error).__name__}: {error}); the log has the details"
    )
