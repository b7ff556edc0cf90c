"""What loading each module may load: a process that only resolves a model id pays for no HTTP client."""

import subprocess
import sys

import pytest

ADAPTERS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini", "ollama")
HEAVY = (
    "httpx2",
    "httpcore2",
    "h11",
    "ssl",
    "pydantic",
    "tenacity",
    "yaml",
    "truststore",
    "tiktoken",
    "rich",
    "genai_prices",
)


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "providers.registry",
        "providers.base",
        "providers.errors",
        "providers.messages",
        "providers.profiles",
        "providers.tokens",
        "providers.retry",
        "providers.vendors",
        "providers.composition",
        "providers.price_table",
        "providers.recording",
        "providers.limits",
        "providers.scripted",
    ],
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    modules = loaded_by(f"import {module}")
    assert module in modules
    assert not modules.intersection(HEAVY)


def test_resolving_a_model_loads_no_http_client() -> None:
    modules = loaded_by(
        "from providers.registry import build_providers\n"
        "from providers.config import ProvidersConfig\n"
        "import asyncio, time, random\n"
        "registry = build_providers(ProvidersConfig(), environment={'OPENAI_API_KEY': 'sk-x'},"
        " sleep=asyncio.sleep, monotonic=time.monotonic, rand=random.random)\n"
        "registry.resolve('openai/gpt-x')\n"
        "registry.survey.configured()"
    )
    assert "providers.http.endpoint" in modules
    assert not modules.intersection(set(HEAVY) - {"ssl"})  # asyncio itself loads ssl
    assert not modules.intersection({f"providers.http.{name}" for name in ADAPTERS})


FIRST_CALL = """
import asyncio, sys, threading, time

loaded = {}

class Watch:
    def find_spec(self, name, path=None, target=None):
        loaded.setdefault(name, threading.current_thread() is threading.main_thread())

from providers import errors
from providers.config import EndpointSettings, ProvidersConfig, RetryPolicy
from providers.messages import Request, user
from providers.registry import build_providers

async def main():
    import anyio.to_thread
    await anyio.to_thread.run_sync(bool)
    ends = {api: EndpointSettings(api=api, base_url="https://127.0.0.1:9/v1", api_key="k") for api in sys.argv[1:]}
    registry = build_providers(
        ProvidersConfig(endpoints=ends, retry=RetryPolicy(2, first_backoff_s=0.001)),
        environment={}, sleep=asyncio.sleep, monotonic=time.monotonic, rand=lambda: 0.5,
    )
    sys.meta_path.insert(0, Watch())
    for api in ends:
        provider, name = registry.resolve(f"{api}/m")
        try:
            await provider.complete(Request(name, (user("x"),)))
        except errors.ConnectionFailedError:
            pass
    await registry.load_tables_soon()
    await registry.survey.usable("ollama")

asyncio.run(main())
print(*(name for name, by_loop in loaded.items() if by_loop))
print(*(name for name, by_loop in loaded.items() if not by_loop))
"""


def test_what_is_heavy_is_loaded_off_the_loop() -> None:
    """Adapters, transport, TLS, retries, tables and lists, each at its first use."""
    argv = [sys.executable, "-c", FIRST_CALL, "openai", "openai-responses", "anthropic", "google", "ollama"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    by_loop, by_thread = (set(line.split()) for line in done.stdout.split("\n")[:2])
    expected = {"httpcore2", "tenacity", "genai_prices", "providers.http.listing"}
    expected |= {f"providers.http.{name}" for name in ADAPTERS}
    assert expected <= by_thread, done.stdout
    assert not by_loop & expected
    assert not by_loop & set(HEAVY)
    assert all(
        name.startswith("providers.") for name in by_loop
    )  # and what the loop itself loads is ours and small


def test_initialize_loads_no_provider() -> None:
    """From `antiphon serve` to the answer of `initialize`: of the providers at most the values that events are made of."""
    code = (
        "import sys, server.stdio, server.handshake, server.serving\n"
        "print(*(name for name in sys.modules if name.startswith('providers')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    values = {"providers", "providers.messages", "providers.usage", "providers.errors"}
    assert set(done.stdout.split()) <= values
