"""The wire of OpenAI Responses: requests to JSON, the parts of its events that we read.

Shapes follow the vendor's reference of the Responses API. Nothing is kept at the vendor's (`store` is false): the
whole conversation goes with each call, and reasoning goes back as the encrypted items that came. No connection is made here.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from providers.http.conversation import ToolNames, WireRules, fitted, leading_system
from providers.http.openai_wire import count_in
from providers.http.wire_json import data_url, encode_body, object_arguments, raw, token_count
from providers.messages import Image, Message, Opaque, Part, Request, Text, ToolCall, ToolResult
from providers.usage import UNKNOWN, Usage

API = "openai-responses"
RULES = WireRules(API)
_EFFORTS = {"off": "none", "low": "low", "medium": "medium", "high": "high"}
OPTIONAL = ("temperature", "reasoning", "include", "text", "tool_choice", "store", "max_output_tokens")


class Content(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class Item(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    content: list[Content] | None = None


class Incomplete(msgspec.Struct, frozen=True, gc=False):
    reason: str | None = None


class WireResponse(msgspec.Struct, frozen=True, gc=False):
    model: str | None = None
    status: str | None = None
    usage: Any = None
    error: Any = None
    incomplete_details: Incomplete | None = None
    output: list[msgspec.Raw] | None = None


class WireEvent(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream."""

    type: str = ""
    output_index: int = 0
    delta: Any = None
    arguments: str | None = None
    item: msgspec.Raw = msgspec.Raw()
    response: WireResponse | None = None


decode_event = msgspec.json.Decoder(WireEvent).decode
decode_item = msgspec.json.Decoder(Item).decode
decode_response = msgspec.json.Decoder(WireResponse).decode


def optional_fields(request: Request, left_out: frozenset[str]) -> tuple[str, ...]:
    """The optional fields that a call of `request` carries, those that the server refused left out."""
    wanted = {
        "temperature": request.temperature is not None,
        "reasoning": request.reasoning is not None,
        "include": True,
        "text": request.output is not None,
        "tool_choice": request.tool_choice is not None,
        "store": True,
        "max_output_tokens": request.max_output_tokens is not None,
    }
    return tuple(field for field in OPTIONAL if wanted[field] and field not in left_out)


def encode_request(request: Request, left_out: frozenset[str], names: ToolNames) -> bytes:
    """Instructions, tools and items first, so that a longer conversation begins with the same bytes."""
    body: dict[str, Any] = {"model": request.model}
    instructions, rest = leading_system(fitted(request.messages, RULES))
    if instructions:
        body["instructions"] = instructions
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": names.wire(tool.name),
                "description": tool.description,
                "parameters": tool.parameters,
                "strict": False,
            }
            for tool in request.tools
        ]
    body["input"] = [item for message in rest for item in _items(message, names)]
    body.update(_settings(request, optional_fields(request, left_out), names))
    body["stream"] = True
    return encode_body(body)


def _settings(request: Request, fields: tuple[str, ...], names: ToolNames) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if "store" in fields:
        settings["store"] = False
    if "include" in fields:
        settings["include"] = ["reasoning.encrypted_content"]
    if "temperature" in fields:
        settings["temperature"] = request.temperature
    if "max_output_tokens" in fields:
        settings["max_output_tokens"] = request.max_output_tokens
    if "reasoning" in fields and request.reasoning is not None:
        settings["reasoning"] = {"effort": _EFFORTS[request.reasoning]}
        if request.reasoning != "off":
            settings["reasoning"]["summary"] = "auto"
    if "text" in fields and request.output is not None:
        schema = {"name": request.output.name, "schema": request.output.schema, "strict": False}
        settings["text"] = {"format": {"type": "json_schema", **schema}}
    choice = request.tool_choice
    if "tool_choice" in fields and choice is not None:
        bare = choice in {"auto", "required"}
        settings["tool_choice"] = choice if bare else {"type": "function", "name": names.wire(choice)}
    return settings


def _items(message: Message, names: ToolNames) -> Iterator[Any]:
    """Texts that follow each other are one message; a call, a result and opaque state are items of their own. An
    item of reasoning that nothing follows is refused, so it is left out.
    """
    parts = list(message.parts)
    while parts and isinstance(parts[-1], Opaque):
        parts.pop()
    texts: list[Text | Image] = []
    for part in parts:
        if isinstance(part, Text | Image):
            texts.append(part)
            continue
        if texts:
            yield _message(message.role, texts)
            texts = []
        yield _item(part, names)
    if texts:
        yield _message(message.role, texts)


def _item(part: Part, names: ToolNames) -> Any:
    match part:
        case ToolCall():
            arguments = object_arguments(part.arguments)
            item = {"type": "function_call", "call_id": part.id, "name": names.wire(part.name)}
            return {**item, "arguments": arguments}
        case ToolResult():
            return {"type": "function_call_output", "call_id": part.call_id, "output": part.text}
        case Opaque():
            return raw(part.data)
        case _:
            raise AssertionError(part)  # texts and images are messages


def _message(role: str, texts: list[Text | Image]) -> dict[str, Any]:
    if role == "assistant":
        text = "".join(part.text for part in texts if isinstance(part, Text))
        return {"role": "assistant", "content": text}
    content: list[dict[str, Any]] = []
    for part in texts:
        if isinstance(part, Text):
            content.append({"type": "input_text", "text": part.text})
        else:
            content.append({"type": "input_image", "image_url": data_url(part), "detail": "auto"})
    return {"role": role, "content": content}


def usage_of(wire: Any) -> Usage:
    """What was not reported, or cannot be, is unknown."""
    if not isinstance(wire, dict):
        return UNKNOWN
    prompt = token_count(wire.get("input_tokens"))
    cached = token_count(count_in(wire, "input_tokens_details", "cached_tokens", None))
    if cached is not None and prompt is not None and cached > prompt:
        cached = None
    reasoning = token_count(count_in(wire, "output_tokens_details", "reasoning_tokens", None))
    written = token_count(count_in(wire, "input_tokens_details", "cache_write_tokens", None))
    return Usage(prompt, token_count(wire.get("output_tokens")), cached, reasoning, None, written or 0)
