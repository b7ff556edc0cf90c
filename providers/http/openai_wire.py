"""The wire of OpenAI Chat Completions: requests to JSON, the parts of answers that we read.

Shapes follow the API reference of Chat Completions, widened by what compatible servers were seen to send
(null lists, tool arguments as objects, whole messages where deltas belong). Fields not named here are
ignored. No connection is made here.
"""

from typing import Any

import msgspec

from providers.http.conversation import ToolNames, WireRules, fitted
from providers.http.wire_json import data_url, encode_body, object_arguments, token_count
from providers.messages import (
    Image,
    Message,
    Opaque,
    Request,
    StopReason,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from providers.usage import UNKNOWN, Usage

API = "openai"
RULES = WireRules(API, id_max=40)
REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details")

STOP_REASONS: dict[str, StopReason] = {
    "stop": "end",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "content_filter": "content_filter",
}
_EFFORTS = {"off": "none", "low": "low", "medium": "medium", "high": "high"}


class Function(msgspec.Struct, frozen=True, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CallPiece(msgspec.Struct, frozen=True, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct, frozen=True, gc=False):
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[CallPiece] | None = None
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None


class Choice(msgspec.Struct, frozen=True, gc=False):
    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream, or the whole answer of a server that does not stream."""

    choices: list[Choice] | None = None
    usage: Any = None
    model: str | None = None
    error: Any = None
    object: str | None = None


decode_chunk = msgspec.json.Decoder(Chunk).decode


class Dialect(msgspec.Struct, frozen=True):
    """Which optional fields this server takes; learnt from its refusals, kept per endpoint and model."""

    limit_field: str | None
    stream_usage: bool = True
    temperature: bool = True
    tried_both_limits: bool = False
    effort: bool = True
    schema: bool = True
    reasoning: bool = True
    tool_choice: bool = True

    def without(self, parameter: str) -> "Dialect | None":
        """What to try after `parameter` was refused; None when there is nothing left to change."""
        if parameter == self.limit_field:
            other = "max_completion_tokens" if parameter == "max_tokens" else "max_tokens"
            field = None if self.tried_both_limits else other
            return msgspec.structs.replace(self, limit_field=field, tried_both_limits=True)
        switch = _SWITCHES.get(parameter, "reasoning" if parameter in REASONING_FIELDS else "")
        if switch and getattr(self, switch):
            return msgspec.structs.replace(self, **{switch: False})
        return None

    def sends(self, request: Request) -> tuple[str, ...]:
        """The optional fields that a call of `request` carries."""
        fields = ["stream_options"] if self.stream_usage else []
        if self.temperature and request.temperature is not None:
            fields.append("temperature")
        if self.limit_field is not None and request.max_output_tokens is not None:
            fields.append(self.limit_field)
        if self.effort and request.reasoning is not None:
            fields.append("reasoning_effort")
        if self.schema and request.output is not None:
            fields.append("response_format")
        if self.tool_choice and request.tool_choice is not None:
            fields.append("tool_choice")
        if self.reasoning and any(
            isinstance(part, Opaque) and part.api == API
            for message in request.messages
            for part in message.parts
        ):
            fields.extend(REASONING_FIELDS)
        return tuple(fields)


_SWITCHES = {
    "stream_options": "stream_usage",
    "temperature": "temperature",
    "reasoning_effort": "effort",
    "response_format": "schema",
    "tool_choice": "tool_choice",
}


def encode_request(request: Request, dialect: Dialect, names: ToolNames | None = None) -> bytes:
    """Tools and messages first and in the order given, so that a longer conversation begins with the same bytes."""
    names = ToolNames.of(request.tools, RULES) if names is None else names
    body: dict[str, Any] = {"model": request.model}
    if request.tools:
        body["tools"] = [_tool(tool, names) for tool in request.tools]
    messages: list[dict[str, Any]] = []
    for message in fitted(request.messages, RULES):
        _add_message(messages, message, names, reasoning=dialect.reasoning)
    body["messages"] = messages
    fields = dialect.sends(request)
    if "temperature" in fields:
        body["temperature"] = request.temperature
    if dialect.limit_field in fields:
        body[dialect.limit_field] = request.max_output_tokens
    if "reasoning_effort" in fields and request.reasoning is not None:
        body["reasoning_effort"] = _EFFORTS[request.reasoning]
    if "response_format" in fields and request.output is not None:
        schema = {"name": request.output.name, "schema": request.output.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if "tool_choice" in fields and request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice, names)
    body["stream"] = True
    if dialect.stream_usage:
        body["stream_options"] = {"include_usage": True}
    return encode_body(body)


def _tool_choice(choice: str, names: ToolNames) -> str | dict[str, Any]:
    if choice in {"auto", "required"}:
        return choice
    return {"type": "function", "function": {"name": names.wire(choice)}}


def _tool(tool: ToolSpec, names: ToolNames) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": names.wire(tool.name),
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


def _add_message(
    messages: list[dict[str, Any]], message: Message, names: ToolNames, *, reasoning: bool
) -> None:
    if message.role == "tool":
        messages.extend(
            {"role": "tool", "tool_call_id": part.call_id, "content": part.text}
            for part in message.parts
            if isinstance(part, ToolResult)
        )
        return
    wire: dict[str, Any] = {"role": message.role}
    calls = [_call(part, names) for part in message.parts if isinstance(part, ToolCall)]
    wire["content"] = _content(message, bare=bool(calls))
    if reasoning:
        for part in message.parts:
            if isinstance(part, Opaque):
                wire.update(_decode_state(part.data))
    if calls:
        wire["tool_calls"] = calls
    messages.append(wire)


def _content(message: Message, *, bare: bool) -> str | list[dict[str, Any]] | None:
    if not any(isinstance(part, Image) for part in message.parts):
        return message.text or (None if bare else "")
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, Image):
            content.append({"type": "image_url", "image_url": {"url": data_url(part)}})
    return content


_decode_state = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode  # values stay byte for byte


def _call(call: ToolCall, names: ToolNames) -> dict[str, Any]:
    function = {"name": names.wire(call.name), "arguments": object_arguments(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def usage_of(wire: Any) -> Usage:
    """What was not reported, or cannot be (a negative count), is unknown."""
    if not isinstance(wire, dict):
        return UNKNOWN
    prompt = token_count(wire.get("prompt_tokens"))
    cached = token_count(
        count_in(wire, "prompt_tokens_details", "cached_tokens", wire.get("prompt_cache_hit_tokens"))
    )
    if cached is not None and prompt is not None and cached > prompt:
        cached = None
    reasoning = token_count(count_in(wire, "completion_tokens_details", "reasoning_tokens", None))
    return Usage(prompt, token_count(wire.get("completion_tokens")), cached, reasoning, None)


def count_in(wire: dict[str, Any], details: str, name: str, otherwise: Any) -> Any:
    given = wire.get(details)
    return given.get(name, otherwise) if isinstance(given, dict) else otherwise
