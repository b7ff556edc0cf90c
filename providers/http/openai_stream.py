"""Puts the events of a Chat Completions stream together into one answer, or says why there is none.

Nothing of an answer leaves here before it is whole: a stream that ends early yields an error, never half a
tool call. Deltas shown on the way are display only.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from providers import errors
from providers.base import OnDelta
from providers.http.assembly import DECODE_ERRORS, Assembly, OpenCall
from providers.http.conversation import ToolNames
from providers.http.failures import Place, error_of_payload
from providers.http.openai_wire import (
    API,
    RULES,
    STOP_REASONS,
    CallPiece,
    Chunk,
    Delta,
    decode_chunk,
    usage_of,
)
from providers.http.sse import Event
from providers.http.think_tags import ThinkSplitter
from providers.http.wire_json import encode_json
from providers.messages import Answer, Message, Opaque, Part, StopReason, Text, ToolCall


class AnswerAssembler:
    """A `streamed_call.Assembler`. `think_tags`: thinking that comes as text at the start is separated."""

    def __init__(
        self,
        *,
        place: Place,
        model: str,
        call_prefix: str,
        on_delta: OnDelta | None,
        names: ToolNames | None = None,
        think_tags: bool = False,
    ) -> None:
        names = ToolNames(RULES) if names is None else names
        self._assembly = Assembly(
            place=place, model=model, call_prefix=call_prefix, names=names, on_delta=on_delta
        )
        self._place = place
        self._splitter = ThinkSplitter() if think_tags else None
        self._refusal: list[str] = []
        self._calls: list[tuple[int | None, OpenCall]] = []
        self._state: dict[str, list[Any]] = {}  # reasoning that must go back, by its field
        self._finish: str | None = None
        self._usage: Any = None
        self._model = ""
        self._answered = False  # a choice of ours has come, be it empty
        self.begun = False
        self.closed = False

    @property
    def whole(self) -> bool:
        return self._finish is not None or (self.closed and self._answered)

    def feed(self, events: Sequence[Event]) -> bool:
        """Whether content came, reasoning included. Raises ProviderError for an error event, garbage or too much."""
        content = False
        for kind, data in events:
            if data == b"[DONE]":
                self.closed = True
            elif self._take(self._decode(kind, data)):
                content = True
        if content:
            self.begun = True
            self._assembly.show()
        return content

    def feed_whole(self, body: bytes) -> None:
        self.feed([("message", body.strip())])
        self.closed = True

    def answer(self) -> Answer:
        """Raises BadResponseError when the stream ended before the answer was whole, RefusalError on a refusal."""
        if not self.whole:
            raise self._assembly.unfinished()
        if self._splitter is not None:
            self._add_split(*self._splitter.rest())
        stop: StopReason = STOP_REASONS.get(self._finish or "stop", "other")
        parts = self._assembly.parts(cut=stop == "length")
        said = any(isinstance(part, Text) for part in parts)
        calls = any(isinstance(part, ToolCall) for part in parts)
        if self._refusal and not said:
            raise errors.RefusalError(f"the model declined: {self._place.quote(''.join(self._refusal))}")
        if stop == "content_filter" and not said and not calls:
            raise errors.RefusalError(f"a content filter of {self._place.url} withheld the answer")
        if calls and stop == "end":
            stop = "tool_calls"
        message = Message("assistant", self._reasoning_state() + parts)
        return Answer(
            message, stop, usage_of(self._usage), model=self._model, reasoning=self._assembly.reasoning
        )

    def _decode(self, kind: str, data: bytes) -> Chunk:
        try:
            chunk = self._assembly.decode(decode_chunk, data)
        except DECODE_ERRORS as error:
            if kind == "error":
                payload: object = data.decode("utf-8", "replace")
                raise error_of_payload(payload, place=self._place, model=self._assembly.model) from error
            raise self._assembly.garbage(data, error) from error
        if chunk.error is not None:
            raise error_of_payload({"error": chunk.error}, place=self._place, model=self._assembly.model)
        if kind == "error" or chunk.object == "error":
            raise error_of_payload(msgspec.json.decode(data), place=self._place, model=self._assembly.model)
        return chunk

    def _take(self, chunk: Chunk) -> bool:
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.model and not self._model:
            self._model = chunk.model
        content = False
        for choice in chunk.choices or ():
            if choice.index:  # one answer is asked for: another one is none of ours
                continue
            self._answered = True
            delta = choice.delta or choice.message
            if delta is not None and self._take_delta(delta):
                content = True
            if choice.finish_reason:
                self._finish = choice.finish_reason
                content = True
        return content

    def _take_delta(self, delta: Delta) -> bool:
        content = False
        piece = delta.content
        if piece:
            text = piece if isinstance(piece, str) else _text_of_parts(piece)
            if self._splitter is None:
                self._assembly.text(text)
            else:
                self._add_split(*self._splitter.feed(text))
            content = True
        if delta.tool_calls:
            for call in delta.tool_calls:
                self._take_call(call)
            content = True
        if delta.refusal:
            self._refusal.append(delta.refusal)
            content = True
        return self._take_reasoning(delta) or content

    def _add_split(self, thought: str, text: str) -> None:
        if thought:
            self._assembly.think(thought)
        if text:
            self._assembly.text(text)

    def _take_reasoning(self, delta: Delta) -> bool:
        """The same text may come under two names; it is shown once, and each name goes back as it came."""
        if delta.reasoning_content is delta.reasoning is delta.reasoning_details is None:
            return False  # nearly always
        given = {
            "reasoning_content": delta.reasoning_content,
            "reasoning": delta.reasoning,
            "reasoning_details": delta.reasoning_details,
        }
        came = {field: value for field, value in given.items() if value}
        for field, value in came.items():
            self._state.setdefault(field, []).append(value)
        shown = next((value for value in came.values() if isinstance(value, str)), "")
        if shown:
            self._assembly.think(shown)
        return bool(came)

    def _reasoning_state(self) -> tuple[Part, ...]:
        state: dict[str, Any] = {}
        for field, values in self._state.items():
            if all(isinstance(value, str) for value in values):
                state[field] = self._assembly.join(values)
            elif all(isinstance(value, list) for value in values):
                state[field] = [item for value in values for item in value]
        return (Opaque(API, encode_json(state).decode()),) if state else ()

    def _take_call(self, piece: CallPiece) -> None:
        function = piece.function
        call = self._call_for(piece, starts=function is not None and bool(function.name))
        if piece.id and not call.id:
            call.id = piece.id
        if function is None:
            return
        if function.name and not call.name:
            call.name = function.name
        arguments = function.arguments
        if arguments:
            text = arguments if isinstance(arguments, str) else encode_json(arguments).decode()
            self._assembly.arguments(call, text)

    def _call_for(self, piece: CallPiece, *, starts: bool) -> OpenCall:
        """By index; some servers leave the index out, or send 0 for every one of several calls."""
        calls = self._calls
        if not calls:
            found = None
        elif piece.index in (None, calls[-1][0]):
            found = calls[-1][1]
        else:
            found = next((call for index, call in reversed(calls) if index == piece.index), None)
        another = starts and found is not None and bool(piece.id and found.id and piece.id != found.id)
        if found is None or another or (piece.index is None and starts and found.name and not piece.id):
            found = self._assembly.call("", "")
            calls.append((piece.index, found))
        return found


def _text_of_parts(parts: list[dict[str, Any]]) -> str:
    """Some servers send content as typed parts; only text ones are text."""
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
