"""The wire of Ollama's own API (`/api/chat`): requests to JSON, the parts of its lines that we read.

Shapes follow the server's API document. Calls have no ids there: results are told apart by order and name. No
connection is made here.
"""

from typing import Any

import msgspec

from providers.http.conversation import ToolNames, WireRules, fitted
from providers.http.wire_json import base64_of, encode_body, object_arguments, raw, token_count
from providers.messages import Image, Message, Opaque, Request, StopReason, ToolCall, ToolResult
from providers.usage import Usage

API = "ollama"
RULES = WireRules(API)
OPTIONAL = ("think", "format")
STOP_REASONS: dict[str, StopReason] = {"stop": "end", "length": "length"}


class Function(msgspec.Struct, frozen=True, gc=False):
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw()


class WireCall(msgspec.Struct, frozen=True, gc=False):
    id: str | None = None
    function: Function | None = None


class WireMessage(msgspec.Struct, frozen=True, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[WireCall] | None = None


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of a stream, or the whole answer."""

    model: str | None = None
    message: WireMessage | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: Any = None


decode_line = msgspec.json.Decoder(Line).decode


def optional_fields(request: Request, left_out: frozenset[str]) -> tuple[str, ...]:
    """The optional fields that a call of `request` carries, those that the server refused left out."""
    wanted = {"think": request.reasoning is not None, "format": request.output is not None}
    return tuple(field for field in OPTIONAL if wanted[field] and field not in left_out)


def encode_request(
    request: Request, left_out: frozenset[str], names: ToolNames, *, window: int | None
) -> bytes:
    """`window` is the context to serve, in tokens: without it the server takes its own default, often 4096."""
    body: dict[str, Any] = {"model": request.model}
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": names.wire(tool.name),
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in request.tools
        ]
    called: dict[str, str] = {}
    body["messages"] = [
        wire for message in fitted(request.messages, RULES) for wire in _messages(message, names, called)
    ]
    fields = optional_fields(request, left_out)
    if "think" in fields and request.reasoning is not None:
        body["think"] = _think(request.model, request.reasoning)
    if "format" in fields and request.output is not None:
        body["format"] = request.output.schema
    options: dict[str, Any] = {}
    if window is not None:
        options["num_ctx"] = window
    if request.max_output_tokens is not None:
        options["num_predict"] = request.max_output_tokens
    if request.temperature is not None:
        options["temperature"] = request.temperature
    if options:
        body["options"] = options
    body["stream"] = True
    return encode_body(body)


def _think(model: str, effort: str) -> bool | str:
    """Only one family takes levels; for all others thinking is on or off."""
    if "gpt-oss" in model:
        return "low" if effort == "off" else effort
    return effort != "off"


def _messages(message: Message, names: ToolNames, called: dict[str, str]) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [
            {"role": "tool", "tool_name": called.get(part.call_id, "unknown"), "content": part.text}
            for part in message.parts
            if isinstance(part, ToolResult)
        ]
    wire: dict[str, Any] = {"role": message.role, "content": message.text}
    images = [base64_of(part) for part in message.parts if isinstance(part, Image)]
    if images:
        wire["images"] = images
    for part in message.parts:
        if isinstance(part, Opaque):
            wire.update(_decode_state(part.data))
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    called.update((call.id, names.wire(call.name)) for call in calls)
    if calls:
        wire["tool_calls"] = [
            {"function": {"name": called[call.id], "arguments": raw(object_arguments(call.arguments))}}
            for call in calls
        ]
    return [wire]


_decode_state = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode  # values stay byte for byte


def usage_of(line: Line) -> Usage:
    """What was not reported, or cannot be, is unknown. The server counts no cached or reasoning tokens apart."""
    return Usage(token_count(line.prompt_eval_count), token_count(line.eval_count), None, None, None)
