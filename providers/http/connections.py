"""The connections to one origin: opened when there is none to spare, through a proxy where one is named, kept open for
the next call. How many calls are open at once is bounded elsewhere (`providers/limits.py`).
"""

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from providers.http.connection import Connection, Headers
from providers.http.network import ProxyRefusedError, Stream, connect

if TYPE_CHECKING:
    import ssl

KEEP_ALIVE_S = 30.0
MOST_KEPT = 64


@dataclass(frozen=True, slots=True)
class Proxy:
    """`tls`: how the proxy itself is spoken to, if not in clear. `headers` go to the proxy alone."""

    host: str
    port: int
    tls: "ssl.SSLContext | None"
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def at(cls, url: str, tls: "ssl.SSLContext | None") -> "Proxy":
        """`url` may hold a name and a password."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        headers: tuple[tuple[bytes, bytes], ...] = ()
        if parts.username is not None:
            said = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            headers = ((b"proxy-authorization", b"Basic " + base64.b64encode(said)),)
        return cls(parts.hostname or "", port, tls, headers)


@dataclass(frozen=True, slots=True)
class Origin:
    """`tls`: None for http."""

    host: str
    port: int
    tls: "ssl.SSLContext | None"

    @property
    def authority(self) -> bytes:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}".encode("ascii")


class Answer:
    """An answer whose head has come: read its pieces, then `aclose()`, whatever happened."""

    def __init__(self, status: int, headers: Headers, connection: Connection, owner: "Connections") -> None:
        self.status = status
        self.headers = headers
        self._connection: Connection | None = connection
        self._owner = owner

    async def piece(self) -> bytes:
        """The next bytes of the body; empty at its end. Raises BrokenConnectionError."""
        return b"" if self._connection is None else await self._connection.piece()

    async def aclose(self) -> None:
        """Frees the connection for the next call; one that is not at the end of its body is closed at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._owner.give_back(connection)


class Connections:
    """`connect_s`: the time limit for each step of opening one, in seconds."""

    def __init__(self, origin: Origin, *, connect_s: float, proxy: Proxy | None = None) -> None:
        self._origin = origin
        self._connect_s = connect_s
        self._proxy = proxy
        self._busy: set[Connection] = set()
        self._idle: list[tuple[float, Connection]] = []  # by the time of their last use
        self._closed = False

    async def call(
        self, method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> Answer:
        """The answer once its head has come, whatever its status. Raises NetworkError."""
        proxy = self._proxy
        if proxy is not None and self._origin.tls is None:
            target = b"http://" + self._origin.authority.removesuffix(b":80") + target
            headers = [*headers, *proxy.headers]
        connection = await self._spare()
        if connection is None:
            connection = Connection(await self._open())
        self._busy.add(connection)
        try:
            status, _, answered = await connection.ask(method, target, headers, body)
        except BaseException:
            await self._drop(connection)
            raise
        return Answer(status, answered, connection, self)

    async def give_back(self, connection: Connection) -> None:
        if self._closed or not connection.is_reusable():
            await self._drop(connection)
            return
        self._busy.discard(connection)
        self._idle.append((time.monotonic(), connection))
        if len(self._idle) > MOST_KEPT:
            await self._idle.pop(0)[1].aclose()

    async def aclose(self) -> None:
        self._closed = True
        for _, connection in self._idle:
            await connection.aclose()
        self._idle.clear()
        for connection in list(self._busy):
            await self._drop(connection)

    async def _spare(self) -> Connection | None:
        """The one that was used last, if it is still good; what is too old, or was closed by the server, goes."""
        oldest = time.monotonic() - KEEP_ALIVE_S
        while self._idle and self._idle[0][0] < oldest:
            await self._idle.pop(0)[1].aclose()
        while self._idle:
            _, connection = self._idle.pop()
            if not connection.stream.is_readable():
                return connection
            await connection.aclose()
        return None

    async def _drop(self, connection: Connection) -> None:
        self._busy.discard(connection)
        await connection.aclose()

    async def _open(self) -> Stream:
        origin, proxy, within = self._origin, self._proxy, self._connect_s
        if proxy is None:
            stream = await connect(origin.host, origin.port, within)
        else:
            stream = await connect(proxy.host, proxy.port, within)
            if proxy.tls is not None:
                stream = await stream.start_tls(proxy.tls, proxy.host, within)
            if origin.tls is not None:
                await _tunnel(stream, origin, proxy)
        return stream if origin.tls is None else await stream.start_tls(origin.tls, origin.host, within)


async def _tunnel(stream: Stream, origin: Origin, proxy: Proxy) -> None:
    """Asks a proxy for a connection to the origin; from then on the stream is the origin's."""
    headers = [(b"host", origin.authority), (b"accept", b"*/*"), *proxy.headers]
    try:
        status, reason, _ = await Connection(stream).ask("CONNECT", origin.authority, headers, b"")
    except BaseException:
        await stream.aclose()
        raise
    if not 200 <= status <= 299:
        await stream.aclose()
        raise ProxyRefusedError(f"{status} {reason}")
