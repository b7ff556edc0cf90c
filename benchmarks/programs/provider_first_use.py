"""How long the first use of each thing of the providers stalls an event loop. Arguments: what, and the server's origin.

A ticker asks for the time every millisecond; the longest gap between two ticks, beyond that, is what anything else on
the loop would have waited. Everything is new in this process: modules, pools, tables.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

if TYPE_CHECKING:
    from providers.base import ModelProfile
    from providers.messages import Answer, Request

TICK_S = 0.001


class Ticker:
    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.perf_counter()
            self.longest = max(self.longest, now - last - TICK_S)
            last = now


class Busy:
    """A provider that is always busy."""

    name = "busy"

    def profile(self, model: str) -> "ModelProfile":
        raise NotImplementedError(model)

    async def complete(self, request: "Request", *, on_delta: object = None) -> "Answer":
        from providers.errors import OverloadedError

        raise OverloadedError(f"{request.model} {on_delta}")

    async def aclose(self) -> None: ...


def prepared(what: str, origin: str) -> Callable[[], Awaitable[object]]:
    """What is measured, as a function to await; what a server has loaded anyway is loaded before."""
    from orchestration.edge import SystemClock
    from orchestration.workspace.local_launcher import LocalLauncher
    from providers import errors
    from providers.config import EndpointSettings, ProvidersConfig, RetryPolicy
    from providers.exact_tokens import TokenCounter
    from providers.key_stores import SystemKeyring
    from providers.messages import Request, user
    from providers.registry import build_providers
    from providers.retry import RetryingProvider

    api, _, scheme = what.partition(" ")
    url = f"{origin}/v1" if api.startswith("openai") else origin
    if (
        scheme
    ):  # nothing answers there: what is measured is the way to the connection, the TLS context included
        url = "https://127.0.0.1:9/v1"
    launcher = LocalLauncher(Path(origin) / "processes", "bench", clock=SystemClock())
    known = ("openai", "openai-responses", "anthropic", "google", "ollama")
    endpoints = {"bench": EndpointSettings(api=api, base_url=url, api_key="k")} if api in known else {}
    registry = build_providers(
        ProvidersConfig(endpoints=endpoints),
        environment={"OPENAI_API_KEY": "k", "OLLAMA_HOST": "127.0.0.1:9"},
        sleep=asyncio.sleep,
        monotonic=time.monotonic,
        rand=lambda: 0.5,
    )

    async def call() -> None:
        provider, name = registry.resolve("bench/m")
        try:
            await provider.complete(Request(name, (user("x"),)))
        except errors.ProviderError:
            if not scheme and api in {"openai", "anthropic"}:
                raise

    async def prices() -> None:
        await registry.load_tables_soon()
        assert registry.profile("openai/gpt-5").context_window

    async def tokens() -> None:
        counter = TokenCounter(launcher, folder=Path(origin), environment=dict(os.environ))
        assert await counter.count("o200k_base", ["hello world"]) == 2
        await counter.aclose()
        await launcher.aclose()

    async def keyring() -> None:
        store = SystemKeyring(launcher, folder=Path(origin), environment=dict(os.environ))
        with suppress(errors.AuthenticationError):  # there is seldom one where this is measured
            await store.find("openai")
        await launcher.aclose()

    async def retry() -> None:
        patient = RetryingProvider(
            Busy(),
            RetryPolicy(2, first_backoff_s=0.001),
            sleep=asyncio.sleep,
            monotonic=time.monotonic,
            rand=lambda: 0.5,
        )
        with suppress(errors.OverloadedError):
            await patient.complete(Request("m", (user("x"),)))

    async def models() -> None:
        await registry.survey.usable()

    named = {"prices": prices, "tokens": tokens, "keyring": keyring, "retry": retry, "models": models}
    return named.get(what, call)


async def main(what: str, origin: str) -> None:
    await anyio.to_thread.run_sync(bool)  # every program of ours has used a thread before
    use = prepared(what, origin)
    ticker = Ticker()
    ticking = asyncio.create_task(ticker.run())
    await asyncio.sleep(0.05)
    ticker.longest = 0.0
    began = time.perf_counter()
    await use()
    took = time.perf_counter() - began
    await asyncio.sleep(0.01)
    ticking.cancel()
    print(json.dumps({"stall_ms": 1000 * ticker.longest, "took_ms": 1000 * took}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
