"""What tests of the OpenAI chat adapter share: an adapter at a base URL, events in the shape of the wire."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from providers.base import ModelProfile, Prices
from providers.config import TimeLimits
from providers.http.endpoint import Endpoint
from providers.http.failures import Place
from providers.http.openai_chat import OpenAIChat
from providers.messages import Request, user
from providers.pricing import PricedProvider, profile_pricing

KEY = "sk-secret-0123456789"
PROFILES: Mapping[str, ModelProfile] = {"priced": ModelProfile(8192, None, Prices(2.0, 8.0, 0.5))}


@asynccontextmanager
async def chat(
    base_url: str, *, limits: TimeLimits | None = None, proxy: str | None = None
) -> AsyncIterator[PricedProvider]:
    endpoint = Endpoint(
        Place(base_url, "OPENAI_BASE_URL", "OPENAI_API_KEY", KEY),
        headers={"content-type": "application/json", "authorization": f"Bearer {KEY}"},
        limits=TimeLimits() if limits is None else limits,
        proxy=proxy,
    )
    provider = OpenAIChat(endpoint, profiles=lambda model: PROFILES.get(model, ModelProfile()))
    try:
        yield PricedProvider(provider, profile_pricing(provider.profile))
    finally:
        await provider.aclose()


def ask(text: str = "Say hello.", model: str = "test-model") -> Request:
    return Request(model, (user(text),))


def event(data: Any) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def delta(finish: str | None = None, index: int = 0, **fields: Any) -> bytes:
    choice = {"index": index, "delta": fields, "finish_reason": finish}
    return event(
        {"id": "c1", "object": "chat.completion.chunk", "model": "served-model", "choices": [choice]}
    )


def call_piece(
    index: int | None, *, call_id: str | None = None, name: str | None = None, arguments: Any = None
) -> bytes:
    piece: dict[str, Any] = {"index": index} if index is not None else {}
    if call_id is not None:
        piece["id"] = call_id
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    piece["function"] = function
    return delta(tool_calls=[piece])


USAGE = event(
    {
        "choices": [],
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 400},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }
)
DONE = b"data: [DONE]\n\n"
HELLO = (
    delta(role="assistant", content=""),
    delta(content="Hel"),
    delta(content="lo."),
    delta("stop"),
    USAGE,
    DONE,
)
