"""Puts the events of a Messages stream together into one answer, or says why there is none.

Blocks keep their order; thinking, signed or redacted, is kept as it came for the way back. An answer is whole when
its stop reason has come: a stream that ends before, however cleanly, is none.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from providers import errors
from providers.http.anthropic_wire import (
    API,
    STOP_REASONS,
    Block,
    BlockDelta,
    WireEvent,
    decode_event,
    usage_of,
)
from providers.http.assembly import DECODE_ERRORS, Assembly, OpenCall
from providers.http.failures import error_of_payload
from providers.http.sse import Event
from providers.http.wire_json import encode_json
from providers.messages import Answer, Message, Opaque, ToolCall
from providers.usage import UNKNOWN


class _Thought:
    """A block of thinking that is still coming."""

    __slots__ = ("signature", "text")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.signature: list[str] | None = None

    def data(self, assembly: Assembly) -> str:
        block: dict[str, Any] = {"type": "thinking", "thinking": assembly.join(self.text)}
        if self.signature is not None:
            block["signature"] = "".join(self.signature)
        return encode_json(block).decode()


class MessageAssembler:
    """A `streamed_call.Assembler`."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._blocks: dict[int, list[str] | OpenCall | _Thought | None] = {}
        self._given_input: dict[int, str] = {}  # whole inputs that came with the start of their block
        self._thoughts: list[tuple[int, _Thought]] = []
        self._stop: str | None = None
        self._stop_details: Any = None
        self._usage: dict[str, Any] = {}
        self._model = ""
        self.begun = False
        self.closed = False

    @property
    def whole(self) -> bool:
        return self._stop is not None

    def feed(self, events: Sequence[Event]) -> bool:
        content = False
        for kind, data in events:
            if self._take(self._decode(kind, data)):
                content = True
        if content:
            self.begun = True
            self._assembly.show()
        return content

    def feed_whole(self, body: bytes) -> None:
        message = self._decode("message", body)
        for index, block in enumerate(message.content or ()):
            self._start(index, block)
        self._model = message.model or ""
        self._note_usage(message.usage)
        self._stop = message.stop_reason
        self.begun = self.closed = True
        self._assembly.show()

    def answer(self) -> Answer:
        if self._stop is None:
            raise self._assembly.unfinished()
        if self._stop == "refusal":
            raise errors.RefusalError(f"the model declined{self._reason()}")
        stop = STOP_REASONS.get(self._stop, "other")
        for index, text in self._given_input.items():
            call = self._blocks[index]
            if isinstance(call, OpenCall) and not call.arguments:
                call.arguments.append(text)
        parts = list(self._assembly.parts(cut=stop == "length"))
        thoughts = iter(self._thoughts)
        for place, part in enumerate(parts):
            if isinstance(part, Opaque) and not part.data:
                parts[place] = Opaque(API, next(thoughts)[1].data(self._assembly))
        if stop == "end" and any(isinstance(part, ToolCall) for part in parts):
            stop = "tool_calls"
        usage = usage_of(self._usage) if self._usage else UNKNOWN
        message = Message("assistant", tuple(parts))
        return Answer(message, stop, usage, model=self._model, reasoning=self._assembly.reasoning)

    def _reason(self) -> str:
        details = self._stop_details
        if not isinstance(details, dict):
            return ""
        said = " ".join(str(details[key]) for key in ("category", "explanation") if details.get(key))
        return f": {self._assembly.place.quote(said)}" if said else ""

    def _decode(self, kind: str, data: bytes) -> WireEvent:
        assembly = self._assembly
        try:
            event = assembly.decode(decode_event, data)
        except DECODE_ERRORS as error:
            if kind == "error":
                payload: object = data.decode("utf-8", "replace")
                raise error_of_payload(payload, place=assembly.place, model=assembly.model) from error
            raise assembly.garbage(data, error) from error
        if event.type == "error" or kind == "error" or event.error is not None:
            payload = msgspec.json.decode(data)
            raise error_of_payload(payload, place=assembly.place, model=assembly.model)
        return event

    def _take(self, event: WireEvent) -> bool:
        match event.type:
            case "content_block_delta" if event.delta is not None:
                return self._delta(event.index, event.delta)
            case "content_block_start" if event.content_block is not None:
                return self._start(event.index, event.content_block)
            case "message_start" if isinstance(event.message, msgspec.Struct):
                self._model = event.message.model or ""
                self._note_usage(event.message.usage)
            case "message_delta":
                self._note_usage(event.usage)
                if event.delta is not None and event.delta.stop_reason:
                    self._stop = event.delta.stop_reason
                    self._stop_details = event.delta.stop_details
                    return True
            case "message_stop":
                self.closed = True
        return False

    def _start(self, index: int, block: Block) -> bool:
        """A block that is not known (a vendor's own tool) is read over with its deltas."""
        assembly = self._assembly
        match block.type:
            case "text":
                part = assembly.new_text()
                self._blocks[index] = part
                if block.text:
                    assembly.text(block.text, part)
            case "tool_use":
                self._blocks[index] = assembly.call(block.id or "", block.name or "")
                if bytes(block.input) not in {b"", b"{}", b"null"}:
                    self._given_input[index] = bytes(block.input).decode()
                    assembly.grow(len(block.input))
                return True
            case "thinking":
                thought = _Thought()
                self._blocks[index] = thought
                self._thoughts.append((index, thought))
                assembly.opaque(API, "")  # its place; what it holds is known at the end
                self._think(thought, block.thinking, block.signature)
            case "redacted_thinking":
                state = {"type": "redacted_thinking", "data": block.data or ""}
                assembly.opaque(API, encode_json(state).decode())
                assembly.grow(len(block.data or ""))
                return True
            case _:
                self._blocks[index] = None
        return bool(block.text or block.thinking)

    def _delta(self, index: int, delta: BlockDelta) -> bool:
        block = self._blocks.get(index)
        if delta.text is not None and isinstance(block, list):
            self._assembly.text(delta.text, block)
            return bool(delta.text)
        if delta.partial_json is not None and isinstance(block, OpenCall):
            if delta.partial_json:
                self._assembly.arguments(block, delta.partial_json)
            return True
        if isinstance(block, _Thought):
            return self._think(block, delta.thinking, delta.signature)
        if index not in self._blocks and delta.text:  # some servers leave the start of a block out
            self._blocks[index] = part = self._assembly.new_text()
            self._assembly.text(delta.text, part)
            return True
        return False

    def _think(self, thought: _Thought, text: str | None, signature: str | None) -> bool:
        if text:
            thought.text.append(text)
            self._assembly.think(text)
        if signature is not None:
            thought.signature = [*(thought.signature or ()), signature]
            self._assembly.grow(len(signature))
        return bool(text or signature)

    def _note_usage(self, usage: Any) -> None:
        """Counts are totals; a later event corrects an earlier one."""
        if isinstance(usage, dict):
            self._usage.update({key: value for key, value in usage.items() if value is not None})
