"""Requests of every API as bytes, without a connection."""

import json
from typing import Any

from providers.base import ModelProfile
from providers.http import anthropic_wire, gemini_wire, ollama_wire, openai_wire, responses_wire
from providers.http.conversation import ToolNames
from providers.messages import Message, Request, ToolSpec
from tests.providers.adapters import MODELS

NONE: frozenset[str] = frozenset()


def encode(api: str, request: Request, profile: ModelProfile | None = None) -> bytes:
    profile = ModelProfile() if profile is None else profile
    match api:
        case "openai":
            return openai_wire.encode_request(request, openai_wire.Dialect("max_completion_tokens"))
        case "openai-responses":
            names = ToolNames.of(request.tools, responses_wire.RULES)
            return responses_wire.encode_request(request, NONE, names)
        case "anthropic":
            names = ToolNames.of(request.tools, anthropic_wire.RULES)
            dialect = anthropic_wire.Dialect()
            limit = profile.max_output_tokens
            return anthropic_wire.encode_request(request, dialect, names, output_limit=limit)
        case "google":
            names = ToolNames.of(request.tools, gemini_wire.RULES)
            return gemini_wire.encode_request(request, NONE, names)
        case _:
            names = ToolNames.of(request.tools, ollama_wire.RULES)
            return ollama_wire.encode_request(request, NONE, names, window=8192)


def encoded(
    api: str, *messages: Message, tools: tuple[ToolSpec, ...] = (), model: str | None = None
) -> bytes:
    return encode(api, Request(model or MODELS[api], messages, tools))


def body_of(api: str, *messages: Message, **more: Any) -> Any:
    return json.loads(encoded(api, *messages, **more))
