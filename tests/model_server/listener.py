"""The HTTP side, on one event loop: parses requests, routes them, plays replies, notices early closes.

Made by hand on an asyncio protocol, because a framework would show up in the measurements it serves.
"""

import asyncio
import socket
import struct
import traceback
from collections.abc import Sequence

from tests.model_server import validation, wire
from tests.model_server.replies import Answer, Drop, End, Plain, Prepared, Reply, Script, Stream
from tests.model_server.requests import ModelRequest, Records

COMPLETIONS_PATH = "/v1/chat/completions"
LOOP_PATH = "/v1/loop"
RECORDS_PATH = "/_requests"
Compiled = Stream | Plain | Prepared | Drop


class Listener:
    """A listening server on the running loop. `models` empty: every name is accepted."""

    def __init__(
        self, script: Script, records: Records, *, api_key: str | None, models: Sequence[str], strict: bool
    ) -> None:
        self._script = script
        self.records = records
        self._api_key = api_key
        self._models = tuple(models)
        self._strict = strict
        self._completions = 0
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self.failures: list[str] = []
        """Tracebacks of scripts that failed; each answered its request with a 500."""

    async def start(self, host: str, port: int) -> int:
        """Listens; the port. OSError when it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port, backlog=512)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stops listening and aborts what is open."""
        assert self._server is not None
        self._server.close()
        tasks = [connection.abort() for connection in list(self._connections)]
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)
        await self._server.wait_closed()

    def joined(self, connection: "Connection") -> None:
        self._connections.add(connection)

    def left(self, connection: "Connection") -> None:
        self._connections.discard(connection)

    def request(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> ModelRequest:
        index = -1
        if method == "POST" and path == COMPLETIONS_PATH:
            index = self._completions
            self._completions += 1
        return ModelRequest(index=index, method=method, path=path, headers=headers, raw=raw)

    def reply(self, request: ModelRequest, authorization: str | None) -> Compiled:
        if self._api_key is not None and authorization != f"Bearer {self._api_key}":
            return wire.error(401, "Incorrect API key provided.", code="invalid_api_key")
        if request.index >= 0:
            return self._complete(request)
        if request.path == LOOP_PATH:
            return Plain(307, headers={"Location": LOOP_PATH})
        if request.path == "/v1/models":
            if request.method == "GET":
                return Plain(200, wire.encode(self._model_list()))
            return wire.error(405, f"Not allowed to {request.method} on {request.path}.")
        return wire.error(404, f"Invalid URL ({request.method} {request.path})")

    def _complete(self, request: ModelRequest) -> Compiled:
        if self._strict:
            try:
                validation.check(request.body)
            except validation.Refused as refused:
                return refused.reply
            except ValueError:
                return wire.error(400, "We could not parse the JSON body of your request.")
            model = request.body["model"]
            if self._models and model not in self._models:
                return wire.error(
                    404,
                    f"The model `{model}` does not exist or you do not have access to it.",
                    code="model_not_found",
                )
        try:
            return _compiled(request, self._script.respond(request))
        except Exception:  # noqa: BLE001 - a test's script may fail in any way; it must show, not hang the client
            self.failures.append(traceback.format_exc())
            return wire.error(500, f"The script failed: {self.failures[-1]}", kind="server_error")

    def _model_list(self) -> dict[str, object]:
        names = self._models or ("test-model",)
        return {
            "object": "list",
            "data": [
                {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "test"}
                for name in names
            ],
        }


def _compiled(request: ModelRequest, reply: Reply) -> Compiled:
    """An answer in the form the request asked for; every other reply as it is."""
    if not isinstance(reply, Answer):
        return reply
    index, size, model = request.index, len(request.raw), str(request.body.get("model"))
    if not request.streams:
        body = wire.completion(reply, index=index, model=model, request_bytes=size)
        return Plain(200, body, delay_s=reply.delay_s, gate=reply.gate)
    pieces = wire.events(
        reply, index=index, model=model, request_bytes=size, include_usage=request.wants_usage
    )
    return Stream(tuple(pieces), delay_s=reply.delay_s, pause_s=reply.pause_s, gate=reply.gate)


class Connection(asyncio.Protocol):
    """One connection, kept alive over several requests, one at a time."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._current: ModelRequest | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport
        self._listener.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.left(self)
        self._transport = None
        if self._current is not None:
            self._end(closed_early=True)
        if self._task is not None:
            self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> asyncio.Task[None] | None:
        """Closes at once; the task that was still playing a reply, if any."""
        if self._transport is not None:
            self._transport.abort()
        if self._task is not None:
            self._task.cancel()
        return self._task

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        """Takes the next whole request from the buffer, if there is one and none is being answered."""
        if self._current is not None or self._transport is None:
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        parts = first.split(" ")
        length = headers.get("content-length", "0")
        if len(parts) != 3 or not length.isdecimal() or "transfer-encoding" in headers:
            self._transport.write(wire.whole_response(wire.error(411, "a Content-Length is required")))
            self._transport.close()
            return
        stop = end + 4 + int(length)
        if len(self._buffer) < stop:
            return
        raw = bytes(self._buffer[end + 4 : stop])
        del self._buffer[:stop]
        method, target, _ = parts
        self._answer(method, target.partition("?")[0], headers, raw)

    def _answer(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> None:
        assert self._transport is not None
        if path == RECORDS_PATH:
            body = wire.encode([request.summary() for request in self._listener.records.all()])
            self._transport.write(wire.whole_response(Plain(200, body)))
            return
        request = self._listener.request(method, path, headers, raw)
        self._current = request
        self._listener.records.begin(request)
        reply = self._listener.reply(request, headers.get("authorization"))
        loop = asyncio.get_running_loop()
        if not isinstance(reply, Prepared):
            self._task = loop.create_task(self._play(request, reply))
        elif reply.delay_s:
            self._timer = loop.call_later(reply.delay_s, self._send_prepared, reply.data)
        else:
            self._send_prepared(reply.data)

    def _send_prepared(self, data: bytes) -> None:
        assert self._transport is not None
        assert self._current is not None
        self._current.status = 200
        self._transport.write(data)
        self._end(closed_early=False)
        self._next()

    def _end(self, *, closed_early: bool) -> None:
        if self._current is not None:
            self._listener.records.end(self._current, closed_early=closed_early)
            self._current = None

    async def _play(self, request: ModelRequest, reply: Stream | Plain | Drop) -> None:
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if not isinstance(reply, Drop) and reply.gate is not None:
            await reply.gate.passed()
        if isinstance(reply, Drop):
            self._reset()
            return
        request.status = reply.status if isinstance(reply, Plain) else 200
        if isinstance(reply, Plain):
            await self._write(wire.whole_response(reply))
        else:
            await self._write(wire.stream_head())
            for position, piece in enumerate(reply.pieces):
                if position and reply.pause_s:
                    await asyncio.sleep(reply.pause_s)
                await self._write(wire.framed(piece))
            if reply.end is End.HANG:
                await asyncio.Event().wait()
            elif reply.end is End.RESET:
                self._reset()
                return
            elif reply.end is End.CUT:
                self._end(closed_early=False)
                if self._transport is not None:
                    self._transport.close()
                return
            await self._write(wire.LAST_CHUNK)
        self._end(closed_early=False)
        self._task = None
        self._next()

    async def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
        await self._writable.wait()

    def _reset(self) -> None:
        """Closes with RST instead of FIN: no time to linger."""
        self._end(closed_early=False)
        if self._transport is not None:
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
