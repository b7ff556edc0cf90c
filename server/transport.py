"""The two pipes to the client: messages in, bytes out, neither of them ever blocking the event loop.

Reading needs no thread: the loop says when bytes are there. Writing is a bounded queue: a client that
does not read makes senders wait (`room`), its requests are refused above `CROWDED` and left unread
above `FULL`, so it costs at most that much memory.
"""

import asyncio
import os
import stat
from collections import deque
from collections.abc import Callable

from server.framing import Framer
from server.framing import frame as framed
from server.handshake import READ_SIZE, messages_of
from server.jsonrpc import Message

# Bytes waiting to be written.
EASY = 256 << 10
CROWDED = 8 << 20
FULL = 32 << 20
_CHUNK = 256 << 10


class StdioTransport:
    """`on_message` gets every message in order; `on_end` is called once, with the reason."""

    def __init__(
        self,
        read_fd: int,
        write_fd: int,
        framer: Framer,
        *,
        on_message: Callable[[Message], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._framer = framer
        self._on_message = on_message
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._queue: deque[memoryview] = deque()
        self._pending = 0
        self._room = asyncio.Event()
        self._room.set()
        self._reading = False
        self._polls = True
        self._ended = False
        self._writing = False
        self._write_blocks = not _is_pipe(write_fd)
        if not self._write_blocks:
            os.set_blocking(write_fd, False)

    @property
    def pending(self) -> int:
        """Bytes that the client has not read yet."""
        return self._pending

    @property
    def crowded(self) -> bool:
        return self._pending > CROWDED

    def start(self) -> None:
        self._resume_reading()

    def send(self, body: bytes) -> None:
        """Queues a message, whatever the queue holds; never blocks."""
        if self._ended:
            return
        data = framed(body)
        self._queue.append(memoryview(data))
        self._pending += len(data)
        if self._pending > EASY:
            self._room.clear()
        if not self._writing:
            self._write()

    async def room(self) -> None:
        """Returns when the client keeps up (or is gone)."""
        await self._room.wait()

    async def drain(self, seconds: float) -> None:
        """Waits until all is written, at most `seconds`."""
        deadline = self._loop.time() + seconds
        while self._pending and not self._ended and (left := deadline - self._loop.time()) > 0:
            self._room.clear()
            try:
                await asyncio.wait_for(self._room.wait(), left)
            except TimeoutError:
                return

    def close(self) -> None:
        """Stops reading and writing. The descriptors stay open."""
        self._pause_reading()
        self._stop_writing()
        self._ended = True
        self._room.set()
        if not self._write_blocks:
            os.set_blocking(self._write_fd, True)

    # --- in ------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            data = os.read(self._read_fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(f"reading failed: {error.strerror}")
            return
        if not data:
            self._end("end of input")
            return
        for message in messages_of(self._framer, data):
            self._on_message(message)
        if self._pending > FULL:
            self._pause_reading()

    def _resume_reading(self) -> None:
        if self._reading or self._ended:
            return
        self._reading = True
        try:
            self._loop.add_reader(self._read_fd, self._readable)
        except PermissionError:
            # A regular file cannot be polled and is always readable.
            self._polls = False
            self._loop.call_soon(self._read_file)

    def _read_file(self) -> None:
        if self._reading and not self._ended:
            self._readable()
            self._loop.call_soon(self._read_file)

    def _pause_reading(self) -> None:
        if self._reading and self._polls:
            self._loop.remove_reader(self._read_fd)
        self._reading = False

    # --- out -----------------------------------------------------------------------------------------

    def _write(self) -> None:
        while self._queue and not self._ended:
            chunk = self._queue[0][:_CHUNK]
            try:
                written = os.write(self._write_fd, chunk)
            except BlockingIOError:
                self._wait_writable()
                return
            except OSError as error:
                self._end(f"writing failed: {error.strerror}")
                return
            self._pending -= written
            if written == len(self._queue[0]):
                self._queue.popleft()
            else:
                self._queue[0] = self._queue[0][written:]
        self._stop_writing()
        if not self._pending:
            self._room.set()

    def _wait_writable(self) -> None:
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self._write_fd, self._writable)

    def _writable(self) -> None:
        self._write()
        if self._pending <= EASY:
            self._room.set()
        if self._pending <= CROWDED:
            self._resume_reading()

    def _stop_writing(self) -> None:
        if self._writing:
            self._loop.remove_writer(self._write_fd)
        self._writing = False

    def _end(self, reason: str) -> None:
        if not self._ended:
            self.close()
            self._on_end(reason)


def _is_pipe(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
