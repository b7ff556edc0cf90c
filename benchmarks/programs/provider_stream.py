"""Reads streams of one API and counts its CPU. Arguments: ours | sdk, API, URL, calls one after the other.

With `paced` as the fifth argument the calls are made at once, and each event's text is the time it was sent at: the
delays from there to the consumer are reported.
"""

import asyncio
import importlib
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.outcome import percentile
from benchmarks.programs.measure import Meter

Call = Callable[[], Awaitable[None]]
DELAYS: list[float] = []


def shown(text: str) -> None:
    now = time.monotonic()
    if text[:1] in " 0123456789":
        DELAYS.extend(now - float(text[at : at + 20]) for at in range(0, len(text) - 19, 20))


def ours(api: str, url: str) -> tuple[Call, Call]:
    from providers.config import EndpointSettings, ProvidersConfig
    from providers.messages import Request, user
    from providers.registry import build_providers

    base = f"{url}/v1" if api == "openai" else url
    config = ProvidersConfig(
        endpoints={"bench": EndpointSettings(api=api, base_url=base, max_concurrent_calls=400)}
    )
    registry = build_providers(
        config, environment={}, sleep=asyncio.sleep, monotonic=time.monotonic, rand=lambda: 0.5
    )
    provider, _ = registry.resolve("bench/m")
    request = Request("m", (user("x"),))

    async def call() -> None:
        await provider.complete(request, on_delta=lambda delta: shown(delta.text))

    return call, registry.aclose


def sdk(api: str, url: str) -> tuple[Call, Call]:
    if api == "openai":
        openai = importlib.import_module("openai")
        chat: Any = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)

        async def call_chat() -> None:
            asked = [{"role": "user", "content": "x"}]
            stream = await chat.chat.completions.create(model="m", messages=asked, stream=True)
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    shown(chunk.choices[0].delta.content)

        return call_chat, chat.close
    anthropic = importlib.import_module("anthropic")
    client: Any = anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0)

    async def call_messages() -> None:
        asked = [{"role": "user", "content": "x"}]
        stream = await client.messages.create(model="m", max_tokens=9, messages=asked, stream=True)
        async for event in stream:
            if event.type == "content_block_delta":
                shown(event.delta.text)

    return call_messages, client.close


async def main(kind: str, api: str, url: str, calls: int, *, paced: bool) -> None:
    call, close = (ours if kind == "ours" else sdk)(api, url)
    if not paced:
        await call()  # imports, pools
    DELAYS.clear()
    meter = Meter()
    meter.start()
    if paced:
        await asyncio.gather(*(call() for _ in range(calls)))
    else:
        for _ in range(calls):
            await call()
    meter.stop()
    await close()
    p99 = 1000 * percentile(DELAYS, 99) if paced else 0.0
    meter.report(p99_ms=p99)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), paced="paced" in sys.argv[5:]))
