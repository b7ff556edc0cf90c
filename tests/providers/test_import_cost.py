"""What loading each module may load: a process that only resolves a model id pays for no HTTP client."""

import subprocess
import sys

import pytest

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
    assert "providers.http.openai_chat" in modules
    assert not modules.intersection(set(HEAVY) - {"ssl"})  # asyncio itself loads ssl
