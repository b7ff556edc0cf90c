"""Bare adapters of every API at a base URL, as the composition makes them, without retries and limits."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from providers.base import ModelProfile, ModelProvider, ProcessPort
from providers.calibration import Calibration
from providers.composition import Surroundings, adapter_for, make_endpoint
from providers.config import EndpointSettings, ProvidersConfig, TimeLimits
from providers.messages import Message, Request, ToolSpec, user
from providers.price_table import PriceTable
from providers.retry_budget import RetryBudgets
from providers.vendors import APIS, resolve_endpoint

KEY = "sk-secret-0123456789"
MODELS = {
    "openai": "gpt-5",
    "openai-responses": "gpt-5",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-2.5-pro",
    "ollama": "qwen3",
}
PATHS = {
    "openai": "/chat/completions",
    "openai-responses": "/responses",
    "anthropic": "/v1/messages",
    "google": "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    "ollama": "/api/chat",
}
READ_FILE = ToolSpec(
    "read_file",
    "Reads a file.",
    {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
)
SEARCH = ToolSpec(
    "search",
    "Searches.",
    {"type": "object", "properties": {"pattern": {"type": "string"}}, "required": ["pattern"]},
)
assert tuple(MODELS) == APIS


def url_for(api: str, origin: str) -> str:
    """`origin` is scheme, host and port."""
    return f"{origin}/v1" if api.startswith("openai") else origin


@asynccontextmanager
async def adapter(
    api: str,
    base_url: str,
    *,
    limits: TimeLimits | None = None,
    environment: Mapping[str, str] | None = None,
    processes: ProcessPort | None = None,
    profiles: Mapping[str, ModelProfile] | None = None,
    **settings: Any,
) -> AsyncIterator[ModelProvider]:
    """The adapter of `api` with a key, unless the settings bring one."""
    if "key_command" not in settings:
        settings.setdefault("api_key", KEY)
    own = EndpointSettings(api=api, base_url=base_url, **settings)
    config = ProvidersConfig(endpoints={"mine": own}, time_limits=TimeLimits() if limits is None else limits)
    around = Surroundings(
        config,
        {} if environment is None else environment,
        anyio.sleep,
        anyio.current_time,
        lambda: 0.5,
        processes,
        Path.cwd(),
        PriceTable(),
        Calibration(),
        RetryBudgets(anyio.current_time),
    )
    resolved = resolve_endpoint("mine", config, around.environment)
    endpoint = make_endpoint(resolved, around)
    known = {} if profiles is None else profiles
    provider = adapter_for(resolved, endpoint, lambda model: known.get(model, ModelProfile()))
    try:
        yield provider
    finally:
        await provider.aclose()


def ask(api: str, *messages: Message, text: str = "hello", tools: tuple[ToolSpec, ...] = ()) -> Request:
    return Request(MODELS[api], messages or (user(text),), tools)
