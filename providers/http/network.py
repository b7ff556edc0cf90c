"""A socket under an HTTP connection: an asyncio transport read with few wake-ups and written in one piece.

Why not a stream of asyncio or anyio: a model sends its answer in hundreds of pieces, and a wake-up, a cancel scope or a
pause of the transport for each costs more than all that is done with it. Here pieces that arrive within `WINDOW_S` of
the last wake-up are handed over together; a lone piece, the first one of an answer, the end of a chunked body and
the end of the connection are handed over at once.

Nothing here knows HTTP beyond the five bytes that end a chunked body, and those only save waiting.
"""

import asyncio
import select
import ssl

import anyio
import anyio.lowlevel

WINDOW_S = 0.010  # pieces are shown at most this late; a screen draws every 16 ms
_PAUSE_AT = 1024 * 1024  # bytes held for a reader that does not come, before the server is made to wait
_END_OF_CHUNKED_BODY = b"0\r\n\r\n"
_SEND_AT = 64 * 1024  # bytes of request held back to be sent with the next piece


class NetworkError(Exception):
    """Why a connection could not be made or used, in the system's words; `endpoint.py` says it to people."""


class ConnectError(NetworkError):
    """Raised when a connection is refused, or its TLS handshake fails."""


class ConnectTimeoutError(NetworkError):
    """Raised when a connection was not made in time."""


class BrokenConnectionError(NetworkError):
    """Raised when a connection ended or broke before its answer did, or holds no answer in HTTP/1.1."""


class ProxyRefusedError(NetworkError):
    """Raised when a proxy does not make the tunnel it was asked for."""


class UncallableError(NetworkError):
    """Raised for a request that HTTP/1.1 cannot express: a header with a line end in it, say."""


class _Received(asyncio.Protocol):
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


class Stream:
    """A connected socket, made by `connect`. What is written leaves with the next read, or once it is 64 KiB."""

    def __init__(self, received: _Received, transport: asyncio.Transport) -> None:
        self._received = received
        self._transport = transport
        self._poll: select.poll | None = None
        self._unsent: list[bytes] = []
        self._unsent_size = 0

    async def read(self) -> bytes:
        """What has arrived; empty at the end of the connection. Raises BrokenConnectionError for a reset."""
        if self._unsent:
            self._send()
        piece = await self._received.next_piece()
        if not piece and self._received.error is not None:
            raise BrokenConnectionError(str(self._received.error)) from self._received.error
        return piece

    def write(self, data: bytes) -> None:
        self._unsent.append(data)
        self._unsent_size += len(data)
        if self._unsent_size > _SEND_AT:
            self._send()

    async def aclose(self) -> None:
        """At once: nothing that is still unsent matters when an HTTP/1.1 client closes."""
        self._unsent.clear()
        if self._received.lost:  # aborting a transport that has ended by itself can fail inside asyncio
            return
        self._transport.abort()
        # The loop closes the socket in its next round; whoever ends the loop after this leaves none open.
        await anyio.lowlevel.cancel_shielded_checkpoint()

    async def start_tls(self, context: ssl.SSLContext, host: str, within_s: float) -> "Stream":
        """The same connection, encrypted. Raises ConnectError, ConnectTimeoutError."""
        try:
            with anyio.fail_after(within_s):
                transport = await self._received.loop.start_tls(
                    self._transport, self._received, context, server_hostname=host
                )
        except BaseException as error:
            self._transport.abort()
            if isinstance(error, TimeoutError):
                raise ConnectTimeoutError("TLS handshake") from error
            if isinstance(error, OSError):  # ssl.SSLError too
                raise ConnectError(str(error)) from error
            raise
        if transport is None:
            raise ConnectError("the server closed the connection during the TLS handshake")
        self._received.transport = transport
        return Stream(self._received, transport)

    def is_readable(self) -> bool:
        """Asks the kernel too: a close that the event loop has not seen yet must not meet the next request."""
        if self._received.waiting() or self._transport.is_closing():
            return True
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    def _send(self) -> None:
        self._received.expect_answer()
        self._transport.write(self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent))
        self._unsent.clear()
        self._unsent_size = 0


async def connect(host: str, port: int, within_s: float) -> Stream:
    """Raises ConnectError, ConnectTimeoutError."""
    loop = asyncio.get_running_loop()
    try:
        with anyio.fail_after(within_s):
            transport, received = await loop.create_connection(
                _Received, host, port, happy_eyeballs_delay=0.25
            )
    except TimeoutError as error:
        raise ConnectTimeoutError(f"{host}:{port}") from error
    except OSError as error:
        raise ConnectError(f"{host}:{port}") from error
    return Stream(received, transport)
