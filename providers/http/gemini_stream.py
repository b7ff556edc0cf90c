"""Puts the chunks of a Gemini stream together into one answer, or says why there is none.

An answer is whole when a reason for its end has come. A part with a signature stays a part of its own, since the
signature belongs to exactly its text or call.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from providers import errors
from providers.http.assembly import DECODE_ERRORS, Assembly
from providers.http.failures import error_of_payload
from providers.http.gemini_wire import (
    API,
    BROKEN_CALLS,
    STOP_REASONS,
    Chunk,
    WirePart,
    decode_chunk,
    decode_chunks,
    usage_of,
)
from providers.http.sse import Event
from providers.http.wire_json import encode_json
from providers.messages import Answer, Message, Text, ToolCall


class ContentAssembler:
    """A `streamed_call.Assembler`."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._finish: str | None = None
        self._finish_message = ""
        self._blocked: str | None = None
        self._usage: Any = None
        self._model = ""
        self.begun = False
        self.closed = False

    @property
    def whole(self) -> bool:
        return self._finish is not None or self._blocked is not None

    def feed(self, events: Sequence[Event]) -> bool:
        content = False
        for kind, data in events:
            if data == b"[DONE]":  # some gateways end with it
                self.closed = self.whole
            elif self._take(self._decode(kind, data)):
                content = True
        if content:
            self.begun = True
            self._assembly.show()
        return content

    def feed_whole(self, body: bytes) -> None:
        """A list of chunks is what the API streams when no event stream was asked for."""
        try:
            chunks = decode_chunks(body) if body.startswith(b"[") else [decode_chunk(body)]
        except DECODE_ERRORS as error:
            raise self._assembly.garbage(body, error) from error
        for chunk in chunks:
            if chunk.error is not None:
                raise self._error({"error": chunk.error})
            self._take(chunk)
        self.begun = self.closed = True
        self._assembly.show()

    def answer(self) -> Answer:
        place = self._assembly.place
        if self._blocked is not None:
            raise errors.RefusalError(f"{place.url} refused the request: {place.quote(self._blocked)}")
        if self._finish is None:
            raise self._assembly.unfinished()
        if self._finish in BROKEN_CALLS:
            said = place.quote(self._finish_message)
            raise errors.BadResponseError(
                f"the model wrote a call that {place.url} could not read ({self._finish}): {said}"
            )
        stop = STOP_REASONS.get(self._finish, "other")
        parts = self._assembly.parts(cut=stop == "length")
        said_or_called = any(isinstance(part, Text | ToolCall) for part in parts)
        if stop == "content_filter" and not said_or_called:
            raise errors.RefusalError(f"a content filter of {place.url} withheld the answer ({self._finish})")
        if stop == "end" and any(isinstance(part, ToolCall) for part in parts):
            stop = "tool_calls"
        message = Message("assistant", parts)
        return Answer(
            message, stop, usage_of(self._usage), model=self._model, reasoning=self._assembly.reasoning
        )

    def _decode(self, kind: str, data: bytes) -> Chunk:
        try:
            chunk = self._assembly.decode(decode_chunk, data)
        except DECODE_ERRORS as error:
            if kind == "error":
                raise self._error(data.decode("utf-8", "replace")) from error
            raise self._assembly.garbage(data, error) from error
        if chunk.error is not None or kind == "error":
            raise self._error(msgspec.json.decode(data))
        return chunk

    def _error(self, payload: object) -> errors.ProviderError:
        return error_of_payload(payload, place=self._assembly.place, model=self._assembly.model)

    def _take(self, chunk: Chunk) -> bool:
        if chunk.usageMetadata is not None:
            self._usage = chunk.usageMetadata
        if chunk.modelVersion and not self._model:
            self._model = chunk.modelVersion
        feedback = chunk.promptFeedback
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            self._blocked = str(feedback.get("blockReasonMessage") or feedback["blockReason"])
        content = False
        for candidate in chunk.candidates or ():
            if candidate.index:  # one answer is asked for: another one is none of ours
                continue
            if candidate.content is not None:
                for part in candidate.content.parts or ():
                    content = self._take_part(part) or content
            if candidate.finishReason:
                self._finish = candidate.finishReason
                self._finish_message = candidate.finishMessage or ""
                content = True
        return content

    def _take_part(self, part: WirePart) -> bool:
        assembly = self._assembly
        if part.thought:
            assembly.think(part.text or "")
            return bool(part.text)
        signature = part.thoughtSignature
        call = part.functionCall
        if signature is not None:
            state: dict[str, Any] = {"thoughtSignature": signature}
            blank = call is None and not (part.text or "").strip()
            if blank:
                state = {"text": part.text or "", **state}
            assembly.opaque(API, encode_json(state).decode())
            assembly.grow(len(signature))
            if blank:
                return True
        if call is not None:
            opened = assembly.call(call.id or "", call.name or "")
            if bytes(call.args) not in {b"", b"null"}:
                assembly.arguments(opened, bytes(call.args).decode())
            return True
        if part.text:
            # What follows a signed text begins anew: an opaque part lies between only where one was signed.
            assembly.text(part.text, assembly.new_text() if signature is not None else None)
            if signature is not None:
                assembly.new_text()
            return True
        return False
