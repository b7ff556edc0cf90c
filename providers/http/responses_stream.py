"""Puts the events of a Responses stream together into one answer, or says why there is none.

What an item holds in the end is what `output_item.done` says; pieces before it are for display and for servers that
leave that event out. An answer is whole when the response itself was reported complete or incomplete.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from providers import errors
from providers.http.assembly import DECODE_ERRORS, Assembly, OpenCall
from providers.http.failures import error_of_payload
from providers.http.responses_wire import (
    API,
    Item,
    WireEvent,
    WireResponse,
    decode_event,
    decode_item,
    decode_response,
    usage_of,
)
from providers.http.sse import Event
from providers.messages import Answer, Message, Opaque, StopReason, Text, ToolCall
from providers.usage import UNKNOWN


class _Place:
    """Where an item stands in the answer: a text, a call, or the opaque state of the item `done`."""

    __slots__ = ("call", "done", "text")

    def __init__(self) -> None:
        self.text: list[str] | None = None
        self.call: OpenCall | None = None
        self.done = False


class ResponseAssembler:
    """A `streamed_call.Assembler`."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._items: dict[int, _Place] = {}
        self._refusal: list[str] = []
        self._end: WireResponse | None = None
        self._model = ""
        self.begun = False
        self.closed = False

    @property
    def whole(self) -> bool:
        return self._end is not None

    def feed(self, events: Sequence[Event]) -> bool:
        content = False
        for kind, data in events:
            if data == b"[DONE]":  # some gateways end with it
                self.closed = self.whole
            elif self._take(self._decode(kind, data), data):
                content = True
        if content:
            self.begun = True
            self._assembly.show()
        return content

    def feed_whole(self, body: bytes) -> None:
        try:
            response = decode_response(body)
        except DECODE_ERRORS as error:
            raise self._assembly.garbage(body, error) from error
        if response.output is None or response.error is not None:
            raise self._error(msgspec.json.decode(body))
        self._finish(response)
        self.begun = self.closed = True
        self._assembly.show()

    def answer(self) -> Answer:
        end = self._end
        if end is None:
            raise self._assembly.unfinished()
        reason = (end.incomplete_details.reason or "") if end.incomplete_details is not None else ""
        cut = end.status == "incomplete"
        parts = self._assembly.parts(cut=cut)
        said = any(isinstance(part, Text | ToolCall) for part in parts)
        if self._refusal and not said:
            text = self._assembly.place.quote("".join(self._refusal))
            raise errors.RefusalError(f"the model declined: {text}")
        stop: StopReason = "end"
        if cut:
            stop = "content_filter" if reason == "content_filter" else "length"
            if stop == "content_filter" and not said:
                raise errors.RefusalError(
                    f"a content filter of {self._assembly.place.url} withheld the answer"
                )
        elif any(isinstance(part, ToolCall) for part in parts):
            stop = "tool_calls"
        usage = usage_of(end.usage) if end.usage is not None else UNKNOWN
        message = Message("assistant", _followed(parts))
        return Answer(
            message, stop, usage, model=end.model or self._model, reasoning=self._assembly.reasoning
        )

    def _decode(self, kind: str, data: bytes) -> WireEvent:
        try:
            event = self._assembly.decode(decode_event, data)
        except DECODE_ERRORS as error:
            if kind == "error":
                raise self._error(data.decode("utf-8", "replace")) from error
            raise self._assembly.garbage(data, error) from error
        if event.type == "error" or kind == "error" or not event.type:
            payload = msgspec.json.decode(data)
            if event.type or kind == "error" or "error" in payload:
                raise self._error(payload)
        return event

    def _error(self, payload: object) -> errors.ProviderError:
        return error_of_payload(payload, place=self._assembly.place, model=self._assembly.model)

    def _take(self, event: WireEvent, data: bytes) -> bool:
        match event.type:
            case "response.output_text.delta":
                return self._text(event.output_index, event.delta)
            case "response.function_call_arguments.delta":
                return self._arguments(event.output_index, event.delta)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                if isinstance(event.delta, str):
                    self._assembly.think(event.delta)
                return bool(event.delta)
            case "response.refusal.delta":
                self._refusal.append(str(event.delta or ""))
                return True
            case "response.output_item.added" if event.item:
                return self._added(event.output_index, self._item(event.item))
            case "response.output_item.done" if event.item:
                self._done(event.output_index, event.item)
                return True
            case "response.created" if event.response is not None:
                self._model = event.response.model or ""
            case "response.completed" | "response.incomplete" if event.response is not None:
                self._finish(event.response)
                self.closed = True
                return True
            case "response.failed" | "response.cancelled":
                self._failed(event, data)
        return False

    def _failed(self, event: WireEvent, data: bytes) -> None:
        response = event.response
        if event.type == "response.cancelled" or (response is not None and response.status == "cancelled"):
            raise errors.AnswerCancelledError(f"{self._assembly.place.url} cancelled the answer")
        error = response.error if response is not None else None
        raise self._error({"error": error} if error else msgspec.json.decode(data))

    def _place(self, index: int) -> _Place:
        return self._items.setdefault(index, _Place())

    def _text(self, index: int, delta: Any) -> bool:
        if not isinstance(delta, str) or not delta:
            return False
        place = self._place(index)
        if place.text is None:
            place.text = self._assembly.new_text()
        self._assembly.text(delta, place.text)
        return True

    def _arguments(self, index: int, delta: Any) -> bool:
        place = self._place(index)
        if place.call is None:
            place.call = self._assembly.call("", "")
        if isinstance(delta, str):
            self._assembly.arguments(place.call, delta)
        return True

    def _added(self, index: int, item: Item) -> bool:
        if item.type == "function_call":
            place = self._place(index)
            if place.call is None:
                place.call = self._assembly.call(item.call_id or "", item.name or "")
            return True
        return False

    def _done(self, index: int, data: msgspec.Raw) -> None:
        item = self._item(data)
        place = self._place(index)
        place.done = True
        if item.type == "reasoning":
            self._assembly.opaque(API, bytes(data).decode())
            self._assembly.grow(len(data))
        elif item.type == "function_call":
            if place.call is None:
                place.call = self._assembly.call("", "")
            place.call.id = item.call_id or place.call.id or item.id or ""
            place.call.name = item.name or place.call.name
            if item.arguments:
                place.call.arguments = [item.arguments]
        elif item.type == "message":
            for content in item.content or ():
                if content.type == "refusal" and not self._refusal:
                    self._refusal.append(content.refusal or "")
            if place.text is None:
                whole = "".join(content.text or "" for content in item.content or ())
                self._text(index, whole)

    def _finish(self, response: WireResponse) -> None:
        """Items of which the stream said nothing are taken from the response itself."""
        if response.status in {"failed", "cancelled"}:
            self._failed(WireEvent(f"response.{response.status}", response=response), b"{}")
        for index, item in enumerate(response.output or ()):
            if index not in self._items:
                self._done(index, item)
        self._end = response

    def _item(self, data: msgspec.Raw) -> Item:
        try:
            return self._assembly.decode(decode_item, bytes(data))
        except DECODE_ERRORS as error:
            raise self._assembly.garbage(bytes(data), error) from error


def _followed(parts: Sequence[Any]) -> tuple[Any, ...]:
    """Without state at the end, which belongs to nothing that was said."""
    kept = list(parts)
    while kept and isinstance(kept[-1], Opaque):
        kept.pop()
    return tuple(kept)
