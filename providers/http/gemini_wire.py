"""The wire of Google Gemini's `generateContent`: requests to JSON, the parts of its answers that we read.

Shapes follow the vendor's reference (v1beta; Vertex differs in the path alone). A thought's signature belongs to one
part: it is kept as an `Opaque` before that part and goes back inside it. No connection is made here.
"""

import re
from typing import Any

import msgspec

from providers.http.conversation import ToolNames, WireRules, fitted, leading_system, merged
from providers.http.wire_json import base64_of, encode_body, object_arguments, raw, token_count
from providers.messages import Image, Message, Opaque, Part, Request, StopReason, Text, ToolCall, ToolResult
from providers.usage import UNKNOWN, Usage

API = "google"
RULES = WireRules(API, id_extra="_-.", name_extra="_-.")
OWN_ID = "gemini_call"  # begins the ids of calls that the API gave none: they are not sent back
# The API's own word for a call that another model made, whose thought it cannot check.
FOREIGN_SIGNATURE = "skip_thought_signature_validator"
OPTIONAL = ("temperature", "thinkingConfig", "responseJsonSchema", "toolConfig", "maxOutputTokens")
_BUDGETS = {"off": 0, "low": 1024, "medium": 8192, "high": 24_576}
_LEVELS = {"off": "minimal", "low": "low", "medium": "medium", "high": "high"}

STOP_REASONS: dict[str, StopReason] = {
    "STOP": "end",
    "FUNCTION_CALL": "tool_calls",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
}
BROKEN_CALLS = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE")


class FunctionCall(msgspec.Struct, frozen=True, gc=False):
    id: str | None = None
    name: str | None = None
    args: msgspec.Raw = msgspec.Raw()


class WirePart(msgspec.Struct, frozen=True, gc=False):
    text: str | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None  # noqa: N815 - the wire's name
    functionCall: FunctionCall | None = None  # noqa: N815 - the wire's name


class Content(msgspec.Struct, frozen=True, gc=False):
    parts: list[WirePart] | None = None


class Candidate(msgspec.Struct, frozen=True, gc=False):
    index: int = 0
    content: Content | None = None
    finishReason: str | None = None  # noqa: N815 - the wire's name
    finishMessage: str | None = None  # noqa: N815 - the wire's name


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream, or the whole answer of a server that does not stream."""

    candidates: list[Candidate] | None = None
    promptFeedback: Any = None  # noqa: N815 - the wire's name
    usageMetadata: Any = None  # noqa: N815 - the wire's name
    modelVersion: str | None = None  # noqa: N815 - the wire's name
    error: Any = None


decode_chunk = msgspec.json.Decoder(Chunk).decode
decode_chunks = msgspec.json.Decoder(list[Chunk]).decode


def optional_fields(request: Request, left_out: frozenset[str]) -> tuple[str, ...]:
    """The optional fields that a call of `request` carries, those that the server refused left out."""
    wanted = {
        "temperature": request.temperature is not None,
        "thinkingConfig": request.reasoning is not None,
        "responseJsonSchema": request.output is not None,
        "toolConfig": request.tool_choice not in {None, "auto"},
        "maxOutputTokens": request.max_output_tokens is not None,
    }
    return tuple(field for field in OPTIONAL if wanted[field] and field not in left_out)


def encode_request(
    request: Request, left_out: frozenset[str], names: ToolNames, *, call_ids: bool = True
) -> bytes:
    """System text, tools and contents first, so that a longer conversation begins with the same bytes.

    `call_ids`: whether this form of the API knows ids of calls.
    """
    body: dict[str, Any] = {}
    system, rest = leading_system(fitted(request.messages, RULES))
    if system.strip():
        body["systemInstruction"] = {"parts": [{"text": system}]}
    if request.tools:
        declared = [
            {
                "name": names.wire(tool.name),
                "description": tool.description,
                "parametersJsonSchema": tool.parameters,
            }
            for tool in request.tools
        ]
        body["tools"] = [{"functionDeclarations": declared}]
    called: dict[str, str] = {}
    signed = _generation(request.model) >= 3
    body["contents"] = [
        _content(turn, names, called, signed=signed, call_ids=call_ids) for turn in merged(rest)
    ]
    fields = optional_fields(request, left_out)
    if "toolConfig" in fields:
        chosen: dict[str, Any] = {"mode": "ANY"}
        if request.tool_choice != "required":
            chosen["allowedFunctionNames"] = [names.wire(request.tool_choice or "")]
        body["toolConfig"] = {"functionCallingConfig": chosen}
    settings = _settings(request, fields)
    if settings:
        body["generationConfig"] = settings
    return encode_body(body)


def _settings(request: Request, fields: tuple[str, ...]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if "temperature" in fields:
        settings["temperature"] = request.temperature
    if "maxOutputTokens" in fields:
        settings["maxOutputTokens"] = request.max_output_tokens
    if "thinkingConfig" in fields and request.reasoning is not None:
        thinking: dict[str, Any] = {"includeThoughts": request.reasoning != "off"}
        if _generation(request.model) >= 3:
            thinking["thinkingLevel"] = _LEVELS[request.reasoning]
        else:
            thinking["thinkingBudget"] = _BUDGETS[request.reasoning]
        settings["thinkingConfig"] = thinking
    if "responseJsonSchema" in fields and request.output is not None:
        settings["responseMimeType"] = "application/json"
        settings["responseJsonSchema"] = request.output.schema
    return settings


def _generation(model: str) -> int:
    """Thinking is set by a level from Gemini 3 on, and there signatures are demanded."""
    found = re.search(r"gemini-(\d+)", model)
    return int(found.group(1)) if found else 3


def _content(
    message: Message, names: ToolNames, called: dict[str, str], *, signed: bool, call_ids: bool
) -> dict[str, Any]:
    """`called` collects the names of calls by their ids, which results need."""
    parts: list[Any] = []
    state: dict[str, Any] = {}
    foreign = signed and not any(isinstance(part, Opaque) for part in message.parts)
    for part in message.parts:
        if isinstance(part, Opaque):
            state = _decode_state(part.data)
            if "text" in state:  # a part of its own, of which nothing was said
                parts.append(raw(part.data))
                state = {}
            continue
        if isinstance(part, ToolCall):
            called[part.id] = names.wire(part.name)
            if foreign and not state:  # the first call of a message carries the signature for all
                state = {"thoughtSignature": FOREIGN_SIGNATURE}
                foreign = False
        parts.append({**_part(part, called, call_ids=call_ids), **state})
        state = {}
    return {"role": "model" if message.role == "assistant" else "user", "parts": parts}


_decode_state = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode  # values stay byte for byte


def _part(part: Part, called: dict[str, str], *, call_ids: bool) -> dict[str, Any]:
    match part:
        case Text():
            return {"text": part.text}
        case Image():
            return {"inlineData": {"mimeType": part.media_type, "data": base64_of(part)}}
        case ToolCall():
            call: dict[str, Any] = _id(part.id, call_ids=call_ids)
            call |= {"name": called[part.id], "args": raw(object_arguments(part.arguments))}
            return {"functionCall": call}
        case ToolResult():
            response = {"error" if part.is_error else "output": part.text}
            result: dict[str, Any] = _id(part.call_id, call_ids=call_ids)
            result |= {"name": called.get(part.call_id, "unknown"), "response": response}
            return {"functionResponse": result}
        case Opaque():
            raise AssertionError(part)  # goes inside the part that follows it


def _id(call_id: str, *, call_ids: bool) -> dict[str, Any]:
    return {"id": call_id} if call_ids and not call_id.startswith(OWN_ID) else {}


def usage_of(wire: Any) -> Usage:
    """Thoughts are counted apart from what was said; ours holds their sum."""
    if not isinstance(wire, dict):
        return UNKNOWN
    prompt = token_count(wire.get("promptTokenCount"))
    tools = token_count(wire.get("toolUsePromptTokenCount"))
    said = token_count(wire.get("candidatesTokenCount"))
    thought = token_count(wire.get("thoughtsTokenCount"))
    cached = token_count(wire.get("cachedContentTokenCount"))
    total = token_count(wire.get("totalTokenCount"))
    if said is None and total is not None and prompt is not None:  # left out when nothing was said
        said = max(0, total - prompt - (tools or 0) - (thought or 0))
    if prompt is not None:
        prompt += tools or 0
        if cached is not None and cached > prompt:
            cached = None
    output = None if said is None else said + (thought or 0)
    return Usage(prompt, output, cached, thought, None)
