"""The wire of OpenAI Chat Completions: requests to JSON, the parts of answers that we read.

Shapes follow the API reference of Chat Completions, widened by what compatible servers were seen to send
(null lists, tool arguments as objects, whole messages where deltas belong). Fields not named here are
ignored. No connection is made here.
"""

from typing import Any

import msgspec

from providers.messages import Message, Request, StopReason, Text, ToolCall, ToolResult, ToolSpec
from providers.usage import UNKNOWN, Usage

STOP_REASONS: dict[str, StopReason] = {
    "stop": "end",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "content_filter": "content_filter",
}


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


class Choice(msgspec.Struct, frozen=True, gc=False):
    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class TokenDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct, frozen=True, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: TokenDetails | None = None
    completion_tokens_details: TokenDetails | None = None

    def normalized(self) -> Usage:
        """What was not reported, or cannot be (a negative count), is unknown."""
        cached, reasoning = self.prompt_tokens_details, self.completion_tokens_details
        return Usage(
            _count(self.prompt_tokens),
            _count(self.completion_tokens),
            _count(cached.cached_tokens) if cached is not None else None,
            _count(reasoning.reasoning_tokens) if reasoning is not None else None,
            None,
        )


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream, or the whole answer of a server that does not stream."""

    choices: list[Choice] | None = None
    usage: WireUsage | None = None
    model: str | None = None
    error: Any = None
    object: str | None = None


decode_chunk = msgspec.json.Decoder(Chunk).decode
encode_json = msgspec.json.Encoder().encode
_decode_arguments = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Dialect(msgspec.Struct, frozen=True):
    """Which optional fields this server takes; learnt from its refusals, kept per endpoint and model."""

    limit_field: str | None
    stream_usage: bool = True
    temperature: bool = True
    tried_both_limits: bool = False

    def without(self, parameter: str) -> "Dialect | None":
        """What to try after `parameter` was refused; None when there is nothing left to change."""
        if parameter == "stream_options" and self.stream_usage:
            return msgspec.structs.replace(self, stream_usage=False)
        if parameter == "temperature" and self.temperature:
            return msgspec.structs.replace(self, temperature=False)
        if parameter == self.limit_field:
            other = "max_completion_tokens" if parameter == "max_tokens" else "max_tokens"
            field = None if self.tried_both_limits else other
            return msgspec.structs.replace(self, limit_field=field, tried_both_limits=True)
        return None

    def sends(self, request: Request) -> tuple[str, ...]:
        """The optional fields that a call of `request` carries."""
        fields = ["stream_options"] if self.stream_usage else []
        if self.temperature and request.temperature is not None:
            fields.append("temperature")
        if self.limit_field is not None and request.max_output_tokens is not None:
            fields.append(self.limit_field)
        return tuple(fields)


def encode_request(request: Request, dialect: Dialect) -> bytes:
    """Tools and messages first and in the order given, so that a longer conversation begins with the same bytes."""
    body: dict[str, Any] = {"model": request.model}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    messages: list[dict[str, Any]] = []
    for message in request.messages:
        _add_message(messages, message)
    body["messages"] = messages
    fields = dialect.sends(request)
    if "temperature" in fields:
        body["temperature"] = request.temperature
    if dialect.limit_field in fields:
        body[dialect.limit_field] = request.max_output_tokens
    body["stream"] = True
    if dialect.stream_usage:
        body["stream_options"] = {"include_usage": True}
    try:
        return encode_json(body)
    except UnicodeEncodeError:
        return encode_json(_without_surrogates(body))


def _without_surrogates(value: Any) -> Any:
    """Half characters (from file names, or a program's output) cannot be sent: each becomes U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(inner) for inner in value]
    return value


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }


def _add_message(messages: list[dict[str, Any]], message: Message) -> None:
    """Opaque state of any API is left out: this API gives none back."""
    if message.role == "tool":
        messages.extend(
            {"role": "tool", "tool_call_id": part.call_id, "content": part.text}
            for part in message.parts
            if isinstance(part, ToolResult)
        )
        return
    wire: dict[str, Any] = {"role": message.role}
    texts = [part.text for part in message.parts if isinstance(part, Text)]
    calls = [_call(part) for part in message.parts if isinstance(part, ToolCall)]
    wire["content"] = "".join(texts) if texts or not calls else None
    if calls:
        wire["tool_calls"] = calls
    messages.append(wire)


def _call(call: ToolCall) -> dict[str, Any]:
    """Arguments that are no JSON object go back inside one: several servers parse them and refuse the rest."""
    arguments = call.arguments
    if not arguments.isascii():
        arguments = _without_surrogates(arguments)
    try:
        _decode_arguments(arguments)
    except msgspec.DecodeError:
        arguments = encode_json({"invalid_json": arguments}).decode()
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _count(value: int | None) -> int | None:
    return value if value is not None and value >= 0 else None


def usage_of(wire: WireUsage | None) -> Usage:
    return UNKNOWN if wire is None else wire.normalized()
