"""A raw server on loopback for what a well-behaved one cannot send: any bytes, any cut, any silence.

A test gives a coroutine that answers one request by writing bytes itself. The server records requests, and when a
client closes its connection.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def plain(status: int, body: bytes, *headers: str, content_type: str = "application/json") -> bytes:
    lines = [
        f"HTTP/1.1 {status} X",
        f"content-length: {len(body)}",
        f"content-type: {content_type}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Exchange:
    """One request and the way to answer it."""

    head: str
    body: bytes
    transport: asyncio.Transport
    client_closed: asyncio.Event

    def header(self, name: str) -> str | None:
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name:
                return value
        return None

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def stream(self, *pieces: bytes, ends: bool = True) -> None:
        """A chunked body of these pieces."""
        self.send(HEAD)
        for piece in pieces:
            self.send(chunk(piece))
        if ends:
            self.send(LAST_CHUNK)

    def close(self) -> None:
        self.transport.close()


Handler = Callable[[Exchange], Awaitable[None]]


@dataclass
class WireServer:
    scheme: str
    port: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    connections: list[asyncio.Transport] = field(default_factory=list)
    open_connections: dict[asyncio.Transport, None] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"


class _Connection(asyncio.Protocol):
    def __init__(self, server: WireServer, handler: Handler) -> None:
        self._server = server
        self._handler = handler
        self._received = b""
        self._closed = asyncio.Event()
        self._answering: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.append(transport)
        self._server.open_connections[transport] = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if not end or len(rest) < length:
            return
        self._received = rest[length:]
        assert self._transport is not None
        exchange = Exchange(head.decode("latin-1"), rest[:length], self._transport, self._closed)
        self._server.exchanges.append(exchange)
        task = asyncio.ensure_future(self._handler(exchange))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        del self._server.open_connections[self._transport]
        self._closed.set()


@asynccontextmanager
async def wire_server(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[WireServer]:
    served = WireServer("http" if tls is None else "https")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(served, handler), "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for transport in list(served.open_connections):
            transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)
