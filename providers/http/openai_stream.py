"""Puts the events of a Chat Completions stream together into one answer, or says why there is none.

Nothing of an answer leaves here before it is whole: a stream that ends early yields an error, never half a
tool call. Deltas shown on the way are display only.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from providers import errors
from providers.base import OnDelta
from providers.http.failures import Place, error_of_payload
from providers.http.openai_wire import (
    STOP_REASONS,
    CallPiece,
    Chunk,
    Delta,
    WireUsage,
    decode_chunk,
    encode_json,
    usage_of,
)
from providers.http.sse import Event
from providers.messages import Answer, Message, StopReason, Text, TextDelta, ToolCall
from providers.usage import Usage

MAX_ANSWER_CHARACTERS = 16 * 1024 * 1024


class _OpenCall:
    """A tool call whose pieces are still coming."""

    __slots__ = ("arguments", "id", "index", "name")

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class AnswerAssembler:
    """Feed it events in order, then take `answer()`.

    `begun`: some content has come. `whole`: the answer is complete, only usage may still follow. `closed`: the
    server said that nothing follows.
    """

    def __init__(self, *, place: Place, model: str, call_prefix: str, on_delta: OnDelta | None) -> None:
        self._place = place
        self._model_asked = model
        self._call_prefix = call_prefix
        self._on_delta = on_delta
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[_OpenCall] = []
        self._size = 0
        self._finish: str | None = None
        self._usage: WireUsage | None = None
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
        shown = len(self._text)
        for kind, data in events:
            if data == b"[DONE]":
                self.closed = True
            elif self._take(self._decode(kind, data)):
                content = True
        if content:
            self.begun = True
            if self._on_delta is not None and len(self._text) > shown:
                self._on_delta(TextDelta("".join(self._text[shown:])))
        return content

    def feed_whole(self, body: bytes) -> None:
        """The answer of a server that was asked to stream and sent one JSON object instead."""
        self.feed([("message", body.strip())])
        self.closed = True

    def answer(self, *, usage_priced: Any = None) -> Answer:
        """Raises BadResponseError when the stream ended before the answer was whole, RefusalError on a refusal."""
        if not self.whole:
            got = f"after {self._size} characters" if self.begun else "before its first token"
            raise errors.BadResponseError(f"{self._place.url} ended the answer {got} without finishing it")
        text = "".join(self._text)
        if self._refusal and not text:
            raise errors.RefusalError(f"the model declined: {self._place.quote(''.join(self._refusal))}")
        stop: StopReason = STOP_REASONS.get(self._finish or "stop", "other")
        calls = self._finished_calls(cut=stop == "length")
        if stop == "content_filter" and not text and not calls:
            raise errors.RefusalError(f"a content filter of {self._place.url} withheld the answer")
        if calls and stop == "end":
            stop = "tool_calls"
        usage: Usage = usage_of(self._usage)
        if usage_priced is not None:
            usage = usage_priced(usage)
        parts = ((Text(text),) if text else ()) + calls
        return Answer(Message("assistant", parts), stop, usage, model=self._model)

    def _decode(self, kind: str, data: bytes) -> Chunk:
        try:
            chunk = decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if kind == "error":
                payload: object = data.decode("utf-8", "replace")
                raise error_of_payload(payload, place=self._place, model=self._model_asked) from error
            said = self._place.quote(data[:400].decode("utf-8", "replace"))
            raise errors.BadResponseError(
                f"{self._place.url} sent an event that is no answer ({error}): {said}"
            ) from error
        if chunk.error is not None:
            raise error_of_payload({"error": chunk.error}, place=self._place, model=self._model_asked)
        if kind == "error" or chunk.object == "error":
            raise error_of_payload(msgspec.json.decode(data), place=self._place, model=self._model_asked)
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
            self._text.append(text)
            self._grow(len(text))
            content = True
        if delta.tool_calls:
            for call in delta.tool_calls:
                self._take_call(call)
            content = True
        if delta.refusal:
            self._refusal.append(delta.refusal)
            content = True
        return content or bool(delta.reasoning_content or delta.reasoning)

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
            call.arguments.append(text)
            self._grow(len(text))

    def _call_for(self, piece: CallPiece, *, starts: bool) -> _OpenCall:
        """By index; some servers leave the index out, or send 0 for every one of several calls."""
        calls = self._calls
        if piece.index is not None:
            found = next((call for call in reversed(calls) if call.index == piece.index), None)
        else:
            found = calls[-1] if calls else None
        another = starts and found is not None and bool(piece.id and found.id and piece.id != found.id)
        if found is None or another or (piece.index is None and starts and found.name and not piece.id):
            found = _OpenCall(piece.index)
            calls.append(found)
        return found

    def _finished_calls(self, *, cut: bool) -> tuple[ToolCall, ...]:
        """`cut`: the answer hit its length limit, so a call whose arguments do not parse was not finished."""
        finished: list[ToolCall] = []
        taken: set[str] = set()
        for number, call in enumerate(self._calls):
            arguments = "".join(call.arguments) or "{}"
            if cut and not _parses(arguments):
                continue
            if not call.name:
                raise errors.BadResponseError(f"{self._place.url} sent a tool call without a name")
            identity = call.id or f"{self._call_prefix}_{number}"
            if identity in taken:
                identity = f"{identity}_{number}"
            taken.add(identity)
            finished.append(ToolCall(identity, call.name, arguments))
        return tuple(finished)

    def _grow(self, characters: int) -> None:
        self._size += characters
        if self._size > MAX_ANSWER_CHARACTERS:
            raise errors.BadResponseError(
                f"{self._place.url} sent an answer of more than {MAX_ANSWER_CHARACTERS} characters",
                retryable=False,
            )


def _text_of_parts(parts: list[dict[str, Any]]) -> str:
    """Some servers send content as typed parts; only text ones are text."""
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _parses(arguments: str) -> bool:
    try:
        msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return False
    return True
