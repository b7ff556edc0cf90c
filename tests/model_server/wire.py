"""The bytes of the chat-completions wire: answers as server-sent events or as one object, errors, framing."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from tests.model_server.replies import Answer, Plain, ToolCall, Usage

DONE = b"data: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"
_PIECE_SIZES = (7, 13, 20, 9, 16, 11)
_FINGERPRINT = "fp_antiphon_test"


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(value: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + encode(value) + b"\n\n"


def cut(text: str, sizes: Iterable[int] = _PIECE_SIZES) -> list[str]:
    """The text in pieces of 7 to 20 characters, as a tokenizer would leave them: words and strings break."""
    wanted = tuple(sizes)
    pieces: list[str] = []
    start = 0
    while start < len(text):
        size = wanted[len(pieces) % len(wanted)]
        pieces.append(text[start : start + size])
        start += size
    return pieces


def arguments_text(call: ToolCall) -> str:
    if isinstance(call.arguments, str):
        return call.arguments
    return json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))


def call_id(call: ToolCall, request_index: int, position: int) -> str:
    """The call's own id, or one that no other call of this server has."""
    return call.id or f"call_{request_index:012x}{position:012x}"


def usage_object(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def usage_of(answer: Answer, request_bytes: int) -> Usage:
    """The answer's own counts, or an estimate of four bytes a token."""
    if answer.usage is not None:
        return answer.usage
    written = len(answer.text) + sum(len(call.name) + len(arguments_text(call)) for call in answer.calls)
    return Usage(prompt_tokens=request_bytes // 4 + 1, completion_tokens=written // 4 + 1)


def finish_reason(answer: Answer) -> str:
    return answer.finish_reason or ("tool_calls" if answer.calls else "stop")


def events(
    answer: Answer,
    *,
    index: int,
    model: str,
    request_bytes: int = 0,
    include_usage: bool = False,
    sizes: Iterable[int] = _PIECE_SIZES,
) -> list[bytes]:
    """The events of a streamed answer, `[DONE]` included."""
    created = int(time.time())

    def chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        value: dict[str, Any] = {
            "id": f"chatcmpl-{index:024x}",
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "service_tier": "default",
            "system_fingerprint": _FINGERPRINT,
            "choices": choices,
        }
        if include_usage:
            value["usage"] = usage
        return event(value)

    def delta(value: dict[str, Any], reason: str | None = None) -> bytes:
        return chunk([{"index": 0, "delta": value, "logprobs": None, "finish_reason": reason}])

    has_text = bool(answer.text) or not answer.calls
    out = [delta({"role": "assistant", "content": "" if has_text else None, "refusal": None})]
    out.extend(delta({"content": piece}) for piece in cut(answer.text, sizes))
    if answer.refusal is not None:
        out.extend(delta({"refusal": piece}) for piece in cut(answer.refusal, sizes))
    out.extend(delta({"tool_calls": [piece]}) for piece in _call_pieces(answer, index, tuple(sizes)))
    out.append(delta({}, finish_reason(answer)))
    if include_usage and answer.sends_usage:
        out.append(chunk([], usage_object(usage_of(answer, request_bytes))))
    out.append(DONE)
    return out


def _call_pieces(answer: Answer, request_index: int, sizes: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """The pieces of all calls; the first piece of a call alone carries its id and name."""
    queues: list[list[dict[str, Any]]] = []
    for position, call in enumerate(answer.calls):
        first = {
            "index": position,
            "id": call_id(call, request_index, position),
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        rest = [
            {"index": position, "function": {"arguments": piece}}
            for piece in cut(arguments_text(call), sizes)
        ]
        queues.append([first, *rest])
    if not answer.interleaved:
        for queue in queues:
            yield from queue
        return
    for turn in range(max(map(len, queues), default=0)):
        for queue in queues:
            if turn < len(queue):
                yield queue[turn]


def completion(answer: Answer, *, index: int, model: str, request_bytes: int = 0) -> bytes:
    """The body of an answer that is not streamed."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text if answer.text or not answer.calls else None,
        "refusal": answer.refusal,
        "annotations": [],
    }
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": call_id(call, index, position),
                "type": "function",
                "function": {"name": call.name, "arguments": arguments_text(call)},
            }
            for position, call in enumerate(answer.calls)
        ]
    value: dict[str, Any] = {
        "id": f"chatcmpl-{index:024x}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(answer)}
        ],
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }
    if answer.sends_usage:
        value["usage"] = usage_object(usage_of(answer, request_bytes))
    return encode(value)


def error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Plain:
    """An error as the API words it."""
    body = encode({"error": {"message": message, "type": kind, "param": param, "code": code}})
    return Plain(status=status, body=body, headers=dict(headers or {}))


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Status line and headers."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def stream_head() -> bytes:
    return head(
        200,
        {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache",
            "Transfer-Encoding": "chunked",
        },
    )


def framed(piece: bytes) -> bytes:
    """One chunk of the chunked transfer encoding."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def whole_response(plain: Plain) -> bytes:
    headers = {"Content-Type": plain.content_type, "Content-Length": str(len(plain.body)), **plain.headers}
    return head(plain.status, headers) + plain.body
