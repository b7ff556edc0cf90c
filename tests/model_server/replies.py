"""What a script may answer: the values between a script and the wire.

Nothing here touches a socket; `wire.py` turns an `Answer` into bytes and `listener.py` sends them.
"""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from tests.model_server.requests import ModelRequest


class Gate:
    """Holds replies back until a test releases them. Any thread may call `release`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._released = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def release(self) -> None:
        with self._lock:
            self._released = True
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    async def passed(self) -> None:
        event = asyncio.Event()
        with self._lock:
            if self._released:
                return
            self._waiting.append((asyncio.get_running_loop(), event))
        await event.wait()


class End(Enum):
    """How a stream ends on the wire."""

    COMPLETE = "complete"  # the last chunk of the transfer encoding is sent
    CUT = "cut"  # the connection closes in the middle of the transfer encoding
    RESET = "reset"  # the connection is reset
    HANG = "hang"  # nothing more comes until the client closes


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the wire reports them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` as a string goes out as it stands, so that a test can send broken JSON."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer, streamed or whole as the request asks.

    `usage`: None estimates it from the sizes. `sends_usage=False` leaves it out even when it was asked for.
    `interleaved`: pieces of parallel calls alternate by index, else one call follows the other.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    refusal: str | None = None
    usage: Usage | None = None
    sends_usage: bool = True
    interleaved: bool = True
    delay_s: float = 0.0
    pause_s: float = 0.0
    gate: Gate | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """Status 200 and these pieces, each sent as a chunk of its own, whatever they hold."""

    pieces: tuple[bytes, ...]
    end: End = End.COMPLETE
    delay_s: float = 0.0
    pause_s: float = 0.0
    gate: Gate | None = None


@dataclass(frozen=True, slots=True)
class Plain:
    """A whole HTTP response that is no stream: an error, a page of HTML, a redirect."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    gate: Gate | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """The finished bytes of a response, status line included: the cheap way for measurements."""

    data: bytes
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is reset before a byte of an answer."""

    delay_s: float = 0.0


Reply = Answer | Stream | Plain | Prepared | Drop


class Script(Protocol):
    """Decides what the model says. Called on the server's own thread, one request at a time."""

    def respond(self, request: ModelRequest, /) -> Reply: ...
