"""JSON-RPC messages of an agent over its standard input and output, one a line; what is no message is counted.

It is the transport that the SDK's `Connection` is given, so it lets through only what that survives: objects with an
id that can be one. Updates go another way: the `Connection` would start a task for each of them, without any bound, so
they are taken here, in order, and an agent that reports faster than it is listened to has to wait.
"""

import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import msgspec

from providers.base import ProviderProcess
from providers.http.half_characters import decode_marked
from providers.http.wire_json import without_surrogates

Message = dict[str, Any]
OnUpdate = Callable[[Any], Awaitable[None]]

UPDATE = "session/update"
LONGEST_LINE = (
    64 * 1024 * 1024
)  # agents send whole files and command outputs in one line; 50 MB is usual in the SDKs
GARBAGE_IN_A_ROW = 1_000
GARBAGE_BYTES_IN_A_ROW = 8 * 1024 * 1024
_SHOWN = 200

_decode = msgspec.json.Decoder().decode


class Tail:
    """The last bytes of a stream, for a message to people."""

    def __init__(self, limit: int = 16 * 1024) -> None:
        self._limit = limit
        self._pieces: deque[bytes] = deque()
        self._size = 0

    def add(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        while self._size - len(self._pieces[0]) >= self._limit:
            self._size -= len(self._pieces.popleft())

    def text(self) -> str:
        return b"".join(self._pieces)[-self._limit :].decode("utf-8", "replace").strip()


class AgentStream:
    """An `acp` transport. `fault` says why reading ended, when it was not the end of the output; `garbage` is the last
    line that was no message, and `garbage_lines` how many there were; `heard` counts messages; `ended`: no more will come.
    """

    def __init__(
        self, process: ProviderProcess, *, on_update: OnUpdate, longest_line: int = LONGEST_LINE
    ) -> None:
        """`on_update` is given the parameters of each `session/update`."""
        self._process = process
        self._on_update = on_update
        self._lines = _lines(process.stdout(), longest_line)
        self._sending = anyio.Lock()
        self._broken = False
        self._row = 0
        self._row_bytes = 0
        self.fault = ""
        self.garbage = ""
        self.garbage_lines = 0
        self.heard = 0
        self.ended = False

    async def send(self, message: Message) -> None:
        """Raises ConnectionError for a request that cannot be delivered; an answer is then of no use to anybody."""
        data = (
            json.dumps(without_surrogates(message), ensure_ascii=False, separators=(",", ":")).encode()
            + b"\n"
        )
        async with self._sending:
            try:
                if not self._broken:
                    await self._process.send(data)
                    return
            except BrokenPipeError:
                self._broken = True
        if "method" in message and "id" in message:
            raise ConnectionError("the agent reads no more")

    async def receive(self) -> Message | None:
        """The next message that is no update; None at the end, or at a fault."""
        while not self.fault:
            try:
                line = await anext(self._lines, None)
            except _LineTooLongError as error:
                self.fault = str(error)
                break
            if line is None:
                break
            message = _message(line)
            if message is None:
                self._note(line)
                continue
            self._row = self._row_bytes = 0
            self.heard += 1
            if message.get("method") != UPDATE or "id" in message:
                return message
            await self._on_update(message.get("params"))
        self.ended = True
        return None

    async def close(self) -> None:
        self._broken = True

    def _note(self, line: bytes) -> None:
        self.garbage_lines += 1
        self.garbage = line[:_SHOWN].decode("utf-8", "replace").strip()
        self._row += 1
        self._row_bytes += len(line)
        if self._row > GARBAGE_IN_A_ROW or self._row_bytes > GARBAGE_BYTES_IN_A_ROW:
            self.fault = f"it printed {self._row} lines in a row that are no messages"


class _LineTooLongError(Exception):
    pass


async def _lines(pieces: AsyncIterator[bytes], longest: int) -> AsyncIterator[bytes]:
    """Lines without their end; empty ones are left out. What follows the last line end is a line as well."""
    parts: list[bytes] = []
    size = 0
    async for piece in pieces:
        first, *rest = piece.split(b"\n")
        parts.append(first)
        size += len(first)
        if size > longest:
            raise _LineTooLongError(f"it sent a line of more than {longest // (1024 * 1024)} MB")
        for following in rest:
            if line := b"".join(parts).strip():
                yield line
            parts, size = [following], len(following)
    if line := b"".join(parts).strip():
        yield line


def _message(line: bytes) -> Message | None:
    """None for what is no message. Characters that were cut in half are marked (`half_characters`)."""
    try:
        message, _ = decode_marked(_decode, line)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    identity = message.get("id")
    if isinstance(message.get("method"), str):
        return message if identity is None or isinstance(identity, int | str) else None
    if not isinstance(identity, int) or not ("result" in message or "error" in message):
        return None
    fault = message.get("error")
    if "result" not in message and not isinstance(fault, dict):
        message["error"] = {"code": -32603, "message": str(fault)}
    return message
