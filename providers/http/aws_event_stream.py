"""Amazon's binary event stream (`application/vnd.amazon.eventstream`), as Bedrock frames an answer.

A message is: total length, length of the headers, CRC of these eight bytes, headers, payload, CRC of all before; numbers
are four bytes, big-endian. A chunk's payload is JSON whose `bytes` are the vendor's own event in base64; an
exception's payload is a JSON object with a `message`. Bytes in, (type, data) out, cut anywhere.
"""

import base64
import binascii
import zlib
from typing import Any

import msgspec

from providers.errors import BadResponseError
from providers.http.half_characters import decode_marked
from providers.http.sse import MAX_EVENT_BYTES, Event

_PRELUDE = 12
_STRING = 7  # the type of header value that all headers here have
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_STATUS = {
    "throttlingException": "rate_limit_error",
    "modelStreamErrorException": "api_error",
    "internalServerException": "api_error",
    "serviceUnavailableException": "overloaded_error",
    "modelTimeoutException": "timeout_error",
    "validationException": "invalid_request_error",
}


class _Chunk(msgspec.Struct, frozen=True):
    bytes: str | None = None
    message: Any = ""


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class AwsEventParser:
    """Feed it chunks in order. Raises BadResponseError for what is no such stream."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> list[Event]:
        self._held += chunk
        events: list[Event] = []
        while len(self._held) >= _PRELUDE:
            size = int.from_bytes(self._held[:4], "big")
            if size < _PRELUDE + 4 or size > MAX_EVENT_BYTES:
                raise BadResponseError("the answer is no event stream of Amazon's")
            if zlib.crc32(self._held[:8]) != int.from_bytes(self._held[8:12], "big"):
                raise BadResponseError("the event stream is damaged: a prelude's checksum does not fit")
            if len(self._held) < size:
                break
            message, self._held = self._held[:size], self._held[size:]
            events.append(_event(message))
        return events

    def rest(self) -> list[Event]:
        """At the end of the stream: a message that was cut off is dropped."""
        return []


def _event(message: bytes) -> Event:
    if zlib.crc32(message[:-4]) != int.from_bytes(message[-4:], "big"):
        raise BadResponseError("the event stream is damaged: a message's checksum does not fit")
    end = _PRELUDE + int.from_bytes(message[4:8], "big")
    headers = _headers(message[_PRELUDE:end])
    payload = message[end:-4]
    try:
        chunk = decode_marked(_decode_chunk, payload)[0] if payload else _Chunk()
        kind = headers.get(":exception-type")
        if kind is not None or headers.get(":message-type") in {"exception", "error"}:
            said = {"type": _STATUS.get(kind or "", "api_error"), "message": f"{kind}: {chunk.message}"}
            return "error", msgspec.json.encode({"type": "error", "error": said})
        if chunk.bytes is None:  # gateways send the event itself
            return "message", payload
        return "message", base64.b64decode(chunk.bytes, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error) as error:
        raise BadResponseError(f"the event stream holds an event that is no answer ({error})") from error


def _headers(data: bytes) -> dict[str, str]:
    """Those that are strings; others are read over."""
    found: dict[str, str] = {}
    place = 0
    while place < len(data):
        name_end = place + 1 + data[place]
        name = data[place + 1 : name_end].decode("utf-8", "replace")
        kind = data[name_end] if name_end < len(data) else -1
        place = name_end + 1
        if kind in _SIZES:
            place += _SIZES[kind]
            continue
        size = int.from_bytes(data[place : place + 2], "big")
        place += 2
        if kind == _STRING:
            found[name] = data[place : place + size].decode("utf-8", "replace")
        place += size
    return found
