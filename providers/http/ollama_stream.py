"""Puts the lines of an Ollama stream together into one answer, or says why there is none."""

from collections.abc import Sequence

from providers import errors
from providers.http.assembly import DECODE_ERRORS, Assembly
from providers.http.failures import error_of_payload
from providers.http.ollama_wire import API, STOP_REASONS, Line, WireMessage, decode_line, usage_of
from providers.http.sse import Event
from providers.http.think_tags import ThinkSplitter
from providers.http.wire_json import encode_json, parses
from providers.messages import Answer, Message, Opaque, Part, ToolCall

MAX_LINE_BYTES = 16 * 1024 * 1024


class LineParser:
    """A `streamed_call.Parser` for JSON lines. Raises BadResponseError for a line over `MAX_LINE_BYTES`."""

    __slots__ = ("_size", "_tail")

    def __init__(self) -> None:
        self._tail: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Event]:
        if b"\n" not in chunk:
            self._tail.append(chunk)
            self._size += len(chunk)
            if self._size > MAX_LINE_BYTES:
                raise errors.BadResponseError(f"the stream holds a line of more than {MAX_LINE_BYTES} bytes")
            return []
        lines = b"".join((*self._tail, chunk)).split(b"\n")
        rest = lines.pop()
        self._tail = [rest] if rest else []
        self._size = len(rest)
        return [("message", line) for line in lines if line.strip()]

    def rest(self) -> list[Event]:
        """At the end of the stream: a last line that lacks only its line end."""
        line = b"".join(self._tail)
        return [("message", line)] if line.strip() and parses(line.decode("utf-8", "replace")) else []


class LineAssembler:
    """A `streamed_call.Assembler`. A line that the end of the stream cut off is dropped with what it says."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._splitter = ThinkSplitter()
        self._thinking: list[str] = []
        self._last: Line | None = None
        self._model = ""
        self.begun = False
        self.closed = False

    @property
    def whole(self) -> bool:
        return self._last is not None

    def feed(self, events: Sequence[Event]) -> bool:
        content = False
        for _, data in events:
            if self._take(self._decode(data)):
                content = True
        if content:
            self.begun = True
            self._assembly.show()
        return content

    def feed_whole(self, body: bytes) -> None:
        self.feed([("message", body)])

    def answer(self) -> Answer:
        if self._last is None:
            raise self._assembly.unfinished()
        self._split(*self._splitter.rest())
        reason = self._last.done_reason or "stop"
        if reason == "load":  # the server only loaded the model
            raise self._assembly.unfinished()
        stop = STOP_REASONS.get(reason, "other")
        parts = self._assembly.parts(cut=stop == "length")
        if stop == "end" and any(isinstance(part, ToolCall) for part in parts):
            stop = "tool_calls"
        state: tuple[Part, ...] = ()
        if self._thinking:
            state = (Opaque(API, encode_json({"thinking": self._assembly.join(self._thinking)}).decode()),)
        return Answer(
            Message("assistant", state + parts),
            stop,
            usage_of(self._last),
            model=self._model,
            reasoning=self._assembly.reasoning,
        )

    def _decode(self, data: bytes) -> Line:
        try:
            line = self._assembly.decode(decode_line, data)
        except DECODE_ERRORS as error:
            raise self._assembly.garbage(data, error) from error
        if line.error is not None:
            place, model = self._assembly.place, self._assembly.model
            raise error_of_payload({"error": line.error}, place=place, model=model)
        return line

    def _take(self, line: Line) -> bool:
        content = line.done
        if line.model and not self._model:
            self._model = line.model
        if line.message is not None:
            content = self._take_message(line.message) or content
        if line.done:
            self._last = line
            self.closed = True
        return content

    def _take_message(self, message: WireMessage) -> bool:
        if message.thinking:
            self._thinking.append(message.thinking)
            self._assembly.think(message.thinking)
        if message.content:
            self._split(*self._splitter.feed(message.content))
        for call in message.tool_calls or ():
            function = call.function
            opened = self._assembly.call("", (function.name if function else None) or "")
            if function is not None and bytes(function.arguments) not in {b"", b"null"}:
                self._assembly.arguments(opened, bytes(function.arguments).decode())
        return bool(message.thinking or message.content or message.tool_calls)

    def _split(self, thought: str, text: str) -> None:
        if thought:
            self._assembly.think(thought)
        if text:
            self._assembly.text(text)
