"""The sockets under httpcore2's pool: an asyncio transport read with few wake-ups and written in one piece.

Why not the stock backend: it pauses and resumes the transport (two system calls) and opens a cancel scope
for each read, 90 us a piece, and a model sends its answer in hundreds of pieces. Here pieces that arrive
within `WINDOW_S` of the last wake-up are handed over together; a lone piece, the first one of an answer, the end
of a chunked body and the end of the connection are handed over at once.

Nothing here knows HTTP beyond the five bytes that end a chunked body, and those only save waiting.
"""

import asyncio
import select
import ssl
from collections.abc import Iterable
from typing import Any

import anyio
import anyio.lowlevel
import httpcore2

WINDOW_S = 0.010  # pieces are shown at most this late; a screen draws every 16 ms
_PAUSE_AT = 1024 * 1024  # bytes held for a reader that does not come, before the server is made to wait
_END_OF_CHUNKED_BODY = b"0\r\n\r\n"
_SEND_AT = 64 * 1024  # bytes of request held back to be sent with the next piece

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class _Connection(asyncio.Protocol):
    """One connection's received bytes and its reader."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.ended = False
        self.lost = False
        self.error: Exception | None = None
        self._received: list[bytes] = []
        self._size = 0
        self._paused = False
        self._reader: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._woken_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        self._size += len(data)
        if self._size > _PAUSE_AT and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
        if self._reader is None:
            return
        due = self._woken_at + WINDOW_S
        if self._paused or data.endswith(_END_OF_CHUNKED_BODY) or due <= self.loop.time():
            self._wake()
        elif self._timer is None:
            self._timer = self.loop.call_at(due, self._wake)

    def eof_received(self) -> bool:
        self.ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.lost = True
        self.error = exc
        self._wake()

    def waiting(self) -> bool:
        """Whether a read would return now, as far as the event loop has noticed."""
        return bool(self._received) or self.ended

    async def next_piece(self) -> bytes:
        """What has arrived; waits for it; empty at the end of the connection."""
        if not self._received and not self.ended:
            self._reader = self.loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        received = self._received
        piece = received[0] if len(received) == 1 else b"".join(received)
        received.clear()
        self._size = 0
        if self._paused and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()
        return piece

    def expect_answer(self) -> None:
        """The next piece begins an answer: it is handed over at once."""
        self._woken_at = 0.0

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reader is not None and not self._reader.done():
            self._woken_at = self.loop.time()
            self._reader.set_result(None)


class AsyncioStream(httpcore2.AsyncNetworkStream):
    """A connected socket. What is written leaves with the next read, or once it is 64 KiB."""

    def __init__(self, connection: _Connection, transport: asyncio.Transport) -> None:
        self._connection = connection
        self._transport = transport
        self._poll: select.poll | None = None
        self._unsent: list[bytes] = []
        self._unsent_size = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109 - httpcore2's interface; our time limits are one scope around the call
        if self._unsent:
            self._send()
        piece = await self._connection.next_piece()
        if not piece and self._connection.error is not None:
            raise httpcore2.ReadError(str(self._connection.error)) from self._connection.error
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - see read
        self._unsent.append(buffer)
        self._unsent_size += len(buffer)
        if self._unsent_size > _SEND_AT:
            self._send()

    async def aclose(self) -> None:
        """At once: nothing that is still unsent matters when an HTTP/1.1 client closes."""
        self._unsent.clear()
        if self._connection.lost:  # aborting a transport that has ended by itself can fail inside asyncio
            return
        self._transport.abort()
        # The loop closes the socket in its next round; whoever ends the loop after this leaves none open.
        await anyio.lowlevel.cancel_shielded_checkpoint()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's interface
    ) -> httpcore2.AsyncNetworkStream:
        try:
            with anyio.fail_after(timeout):
                transport = await self._connection.loop.start_tls(
                    self._transport, self._connection, ssl_context, server_hostname=server_hostname
                )
        except BaseException as error:
            self._transport.abort()
            if isinstance(error, TimeoutError):
                raise httpcore2.ConnectTimeout("TLS handshake") from error
            if isinstance(error, OSError):  # ssl.SSLError too
                raise httpcore2.ConnectError(str(error)) from error
            raise
        if transport is None:
            raise httpcore2.ConnectError("the server closed the connection during the TLS handshake")
        self._connection.transport = transport
        return AsyncioStream(self._connection, transport)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._connection.waiting() or self._is_readable()
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))

    def _is_readable(self) -> bool:
        """Asks the kernel: a close that the event loop has not seen yet must not meet the next request. The pool
        asks for each idle connection at each call.
        """
        if self._transport.is_closing():
            return True
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    def _send(self) -> None:
        self._connection.expect_answer()
        self._transport.write(self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent))
        self._unsent.clear()
        self._unsent_size = 0


class AsyncioBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections for the pool. Proxies of a scheme that needs more than this do not come here."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's interface
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,  # noqa: ARG002 - none are configured
    ) -> httpcore2.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        local = None if local_address is None else (local_address, 0)
        try:
            with anyio.fail_after(timeout):
                transport, connection = await loop.create_connection(
                    _Connection, host, port, local_addr=local, happy_eyeballs_delay=0.25
                )
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"{host}:{port}") from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        return AsyncioStream(connection, transport)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)
