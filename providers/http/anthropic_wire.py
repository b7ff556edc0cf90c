"""The wire of Anthropic Messages: requests to JSON, the parts of its events that we read.

Shapes follow the vendor's reference of the Messages API (version 2023-06-01). Marks for the prompt cache are set at the
end of the system text, of the last message and of the message of the user before it, so that each turn finds what
the turn before has written. No connection is made here.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from providers.http.conversation import ToolNames, WireRules, fitted, leading_system, merged
from providers.http.late_pattern import LatePattern
from providers.http.wire_json import base64_of, encode_body, object_arguments, raw, token_count
from providers.messages import Image, Message, Opaque, Part, Request, StopReason, Text, ToolCall, ToolResult
from providers.usage import Usage

API = "anthropic"
RULES = WireRules(API)
DEFAULT_MAX_TOKENS = 8192  # the API demands a limit; for a model whose own limit is not known
MOST_MAX_TOKENS = 32_000
_MARK = {"type": "ephemeral"}
_THINKING_TOKENS = {"low": 2048, "medium": 8192, "high": 16_384}
_ALLOWED_LIMIT = LatePattern(r"max_tokens: \d+ > (\d+)")

Form = Literal["vendor", "bedrock", "vertex"]
VERSIONS = {"bedrock": "bedrock-2023-05-31", "vertex": "vertex-2023-10-16"}

STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


class Block(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class BlockDelta(msgspec.Struct, frozen=True, gc=False):
    """A delta of a block, or of the message (its stop reason)."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_details: Any = None


class WireMessage(msgspec.Struct, frozen=True, gc=False):
    model: str | None = None
    usage: Any = None


class WireEvent(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream, or the whole message of a server that does not stream."""

    type: str = ""
    index: int = 0
    delta: BlockDelta | None = None
    content_block: Block | None = None
    message: WireMessage | str | None = None
    usage: Any = None
    error: Any = None
    content: list[Block] | None = None
    model: str | None = None
    stop_reason: str | None = None


decode_event = msgspec.json.Decoder(WireEvent).decode


class Dialect(msgspec.Struct, frozen=True):
    """What this model takes; learnt from its refusals. `thinking`: newer models decide themselves how much
    (`adaptive`), older ones are given a budget, the oldest have none.
    """

    thinking: Literal["adaptive", "budget", "none"] = "adaptive"
    temperature: bool = True
    schema: bool = True
    marks: bool = True
    max_tokens: int | None = None

    def sends(self, request: Request) -> tuple[str, ...]:
        """The optional fields that a call of `request` carries."""
        fields = []
        if self.thinks(request):
            fields += ["thinking", "adaptive"]
            if self.thinking == "adaptive":
                fields += ["effort", "output_config"]
        elif self.temperature and request.temperature is not None:
            fields.append("temperature")
        if self.schema and request.output is not None:
            fields += ["output_config", "output_format", "format"]
        if self.marks:
            fields.append("cache_control")
        return tuple(fields)

    def thinks(self, request: Request) -> bool:
        return self.thinking != "none" and request.reasoning not in {None, "off"}

    def without(self, field: str, request: Request) -> "Dialect | None":
        """What to try after `field` was refused; None when there is nothing left to change."""
        if field in {"thinking", "adaptive", "effort"} or (field == "output_config" and self.thinks(request)):
            lower: Literal["budget", "none"] = "budget" if self.thinking == "adaptive" else "none"
            return None if self.thinking == "none" else msgspec.structs.replace(self, thinking=lower)
        if field == "temperature" and self.temperature:
            return msgspec.structs.replace(self, temperature=False)
        if field in {"output_config", "output_format", "format"} and self.schema:
            return msgspec.structs.replace(self, schema=False)
        if field == "cache_control" and self.marks:
            return msgspec.structs.replace(self, marks=False)
        return None

    def limited(self, said: str) -> "Dialect | None":
        """A server that names the highest limit it takes is believed, once."""
        found = _ALLOWED_LIMIT.search(said)
        if found is None or self.max_tokens is not None:
            return None
        return msgspec.structs.replace(self, max_tokens=int(found.group(1)))


def encode_request(
    request: Request, dialect: Dialect, names: ToolNames, *, output_limit: int | None, form: Form = "vendor"
) -> bytes:
    """Tools, system text and messages first, so that a longer conversation begins with the same bytes, marks aside.

    `output_limit` is what is known of the model.
    """
    body: dict[str, Any] = {}
    if form == "vendor":
        body["model"] = request.model
    else:
        body["anthropic_version"] = VERSIONS[form]
    if request.tools:
        body["tools"] = [
            {"name": names.wire(tool.name), "description": tool.description, "input_schema": tool.parameters}
            for tool in request.tools
        ]
    system, rest = leading_system(fitted(request.messages, RULES))
    if system.strip():
        body["system"] = [{"type": "text", "text": system}]
    turns = merged(rest)
    body["messages"] = [{"role": turn.role, "content": _content(turn, names)} for turn in turns]
    if dialect.marks:
        _mark(body, turns)
    limit = request.max_output_tokens or min(output_limit or DEFAULT_MAX_TOKENS, MOST_MAX_TOKENS)
    limit = min(limit, dialect.max_tokens or limit)
    fields = dialect.sends(request)
    if "thinking" in fields and request.reasoning is not None:
        limit = _add_thinking(body, dialect, request.reasoning, limit, room=request.max_output_tokens is None)
    body["max_tokens"] = limit
    if "temperature" in fields:
        body["temperature"] = request.temperature
    if request.output is not None and dialect.schema:
        config = body.setdefault("output_config", {})
        config["format"] = {"type": "json_schema", "schema": request.output.schema}
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice, names, forced="thinking" not in fields)
    if form != "bedrock":
        body["stream"] = True
    return encode_body(body)


def _add_thinking(body: dict[str, Any], dialect: Dialect, effort: str, limit: int, *, room: bool) -> int:
    """Returns the output limit, which holds the thinking too."""
    if dialect.thinking == "adaptive":
        body["thinking"] = {"type": "adaptive"}
        body["output_config"] = {"effort": effort}
        return limit
    budget = _THINKING_TOKENS[effort]
    if room:
        limit = max(limit, min(2 * budget, dialect.max_tokens or 2 * budget))
    budget = min(budget, limit // 2)
    if budget >= 1024:  # the API's smallest
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return limit


def _tool_choice(choice: str, names: ToolNames, *, forced: bool) -> dict[str, Any]:
    """While it thinks, a model may not be made to call a tool."""
    if choice == "auto" or not forced:
        return {"type": "auto"}
    return {"type": "any"} if choice == "required" else {"type": "tool", "name": names.wire(choice)}


def _mark(body: dict[str, Any], turns: Sequence[Message]) -> None:
    if "system" in body:
        body["system"][-1]["cache_control"] = _MARK
    elif body.get("tools"):
        body["tools"][-1]["cache_control"] = _MARK
    users = [place for place, turn in enumerate(turns) if turn.role == "user"]
    for place in users[-2:]:
        body["messages"][place]["content"][-1]["cache_control"] = _MARK


def _content(message: Message, names: ToolNames) -> list[Any]:
    return [_block(part, names) for part in message.parts]


def _block(part: Part, names: ToolNames) -> Any:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            source = {"type": "base64", "media_type": part.media_type, "data": base64_of(part)}
            return {"type": "image", "source": source}
        case ToolCall():
            block = {"type": "tool_use", "id": part.id, "name": names.wire(part.name)}
            return {**block, "input": raw(object_arguments(part.arguments))}
        case ToolResult():
            result: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.call_id}
            result["content"] = part.text or "(empty)"
            return {**result, "is_error": True} if part.is_error else result
        case Opaque():
            return raw(part.data)


def usage_of(wire: dict[str, Any]) -> Usage:
    """The API counts fresh, cached and newly cached input apart; ours holds their sum."""
    fresh = token_count(wire.get("input_tokens"))
    read = token_count(wire.get("cache_read_input_tokens"))
    written = token_count(wire.get("cache_creation_input_tokens"))
    whole = None if fresh is None else fresh + (read or 0) + (written or 0)
    details = wire.get("output_tokens_details")
    reasoning = details.get("thinking_tokens") if isinstance(details, dict) else None
    output = token_count(wire.get("output_tokens"))
    return Usage(whole, output, read, token_count(reasoning), None, written or 0)
