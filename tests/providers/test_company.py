"""Company networks: a CA file, client certificates, extra headers and query, clouds' forms, a key command."""

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from orchestration.edge import SystemClock
from orchestration.workspace.local_launcher import LocalLauncher
from providers import errors
from providers.config import EndpointSettings, ProvidersConfig, TlsFiles
from providers.messages import ToolCall, ToolResult, assistant, tool_results, user
from providers.vendors import resolve_endpoint
from tests.providers.adapters import KEY, READ_FILE, adapter, ask
from tests.providers.assembling import RECORDED
from tests.providers.certificates import Authority, make_authority
from tests.providers.chat import HELLO
from tests.providers.wire_server import Exchange, plain, wire_server


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("ca"))


@asynccontextmanager
async def launcher(folder: Path) -> AsyncIterator[LocalLauncher]:
    started = LocalLauncher(folder / "processes", "test-keys", clock=SystemClock())
    try:
        yield started
    finally:
        await started.aclose()


async def hello(exchange: Exchange) -> None:
    exchange.stream(*HELLO)


async def test_a_ca_file_is_trusted(authority: Authority) -> None:
    async with wire_server(hello, tls=authority.serving()) as server:
        async with adapter("openai", server.base_url) as provider:
            with pytest.raises(errors.ProviderConfigurationError, match="does not trust"):
                await provider.complete(ask("openai"))
        async with adapter("openai", server.base_url, tls=TlsFiles(ca_file=authority.ca)) as provider:
            assert (await provider.complete(ask("openai"))).message.text == "Hello."


async def test_a_client_certificate_is_shown_and_its_lack_is_named(authority: Authority) -> None:
    files = TlsFiles(authority.ca, authority.client, authority.client_key)
    async with wire_server(hello, tls=authority.serving(asks_client=True)) as server:
        async with adapter("openai", server.base_url, tls=files) as provider:
            assert (await provider.complete(ask("openai"))).message.text == "Hello."
        async with adapter("openai", server.base_url, tls=TlsFiles(authority.ca)) as provider:
            with pytest.raises(errors.ProviderError):
                await provider.complete(ask("openai"))


async def test_certificate_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate", encoding="utf-8")
    for files in (TlsFiles(tmp_path / "ca.pem"), TlsFiles(client_certificate=tmp_path / "absent.pem")):
        async with adapter("openai", "https://127.0.0.1:1/v1", tls=files) as provider:
            with pytest.raises(errors.ProviderConfigurationError, match=r"ca\.pem|absent\.pem"):
                await provider.complete(ask("openai"))


async def test_extra_headers_and_query_and_another_header_for_the_key() -> None:
    async with (
        wire_server(hello) as server,
        adapter(
            "openai",
            f"{server.base_url}?team=blue",
            headers={"X-Project": "antiphon"},
            query={"api-version": "2025-01 01"},
            key_header="x-gateway-key",
        ) as provider,
    ):
        await provider.complete(ask("openai"))
    exchange = server.exchanges[0]
    assert exchange.head.startswith("POST /v1/chat/completions?team=blue&api-version=2025-01+01 HTTP/1.1")
    assert exchange.header("x-project") == "antiphon"
    assert exchange.header("x-gateway-key") == KEY
    assert exchange.header("authorization") is None


@pytest.mark.parametrize("headers", [{"bad name": "x"}, {"x": "line\nbreak"}, {"x": "ünicode"}])
def test_headers_that_cannot_be_are_refused(headers: dict[str, str]) -> None:
    config = ProvidersConfig(
        endpoints={"mine": EndpointSettings(api="openai", base_url="http://127.0.0.1:1/v1", headers=headers)}
    )
    with pytest.raises(errors.ProviderConfigurationError, match=r"providers\.mine"):
        resolve_endpoint("mine", config, {})


@pytest.mark.parametrize(
    ("api", "base", "path"),
    [
        ("openai", "/openai/deployments/{model}", "/openai/deployments/gpt-5/chat/completions"),
        ("openai-responses", "/openai/v1", "/openai/v1/responses"),
    ],
)
async def test_the_azure_form(api: str, base: str, path: str) -> None:
    async def answers(exchange: Exchange) -> None:
        exchange.stream(*(HELLO if api == "openai" else ((RECORDED / f"{api}.sse").read_bytes(),)))

    async with (
        wire_server(answers) as server,
        adapter(
            api, server.base_url.replace("/v1", base), form="azure", query={"api-version": "2024-10-21"}
        ) as provider,
    ):
        await provider.complete(ask(api))
    exchange = server.exchanges[0]
    assert exchange.head.startswith(f"POST {path}?api-version=2024-10-21 HTTP/1.1")
    assert exchange.header("api-key") == KEY


async def test_the_bedrock_form_by_bearer_token() -> None:
    async def answers(exchange: Exchange) -> None:
        exchange.stream((RECORDED / "bedrock_thinking.bin").read_bytes())

    async with (
        wire_server(answers) as server,
        adapter("anthropic", server.base_url.removesuffix("/v1"), form="bedrock") as provider,
    ):
        request = ask("anthropic", user("look"), tools=(READ_FILE,))
        answer = await provider.complete(request)
    assert answer.message.tool_calls[0].arguments == '{"path": "ü.py"}'
    exchange = server.exchanges[0]
    assert exchange.head.startswith("POST /model/claude-sonnet-4-5/invoke-with-response-stream HTTP/1.1")
    assert exchange.header("authorization") == f"Bearer {KEY}"
    body = json.loads(exchange.body)
    assert body["anthropic_version"] == "bedrock-2023-05-31"
    assert "model" not in body
    assert "stream" not in body


@pytest.mark.parametrize(
    ("api", "path", "stream"),
    [
        ("anthropic", "/publishers/anthropic/models/claude-sonnet-4-5:streamRawPredict", "anthropic.sse"),
        ("google", "/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse", "google.sse"),
    ],
)
async def test_the_vertex_form_by_bearer_token(api: str, path: str, stream: str) -> None:
    async def answers(exchange: Exchange) -> None:
        exchange.stream((RECORDED / stream).read_bytes())

    place = "/v1/projects/p/locations/europe-west4"
    async with (
        wire_server(answers) as server,
        adapter(api, server.base_url.removesuffix("/v1") + place, form="vertex") as provider,
    ):
        call = ToolCall("id-of-another-api", "read_file", "{}")
        talked = (user("look"), assistant("", call), tool_results(ToolResult(call.id, "r")))
        await provider.complete(ask(api, *talked, tools=(READ_FILE,)))
    exchange = server.exchanges[0]
    assert exchange.head.startswith(f"POST {place}{path} HTTP/1.1")
    assert exchange.header("authorization") == f"Bearer {KEY}"
    assert exchange.header("x-goog-api-key") is None
    assert (b"id-of-another-api" in exchange.body) == (api == "anthropic")  # that form knows no ids


def counting_command(folder: Path) -> tuple[str, ...]:
    """Prints `key-1`, `key-2` … each time it runs."""
    script = folder / "key.py"
    script.write_text(
        "import pathlib\n"
        f"file = pathlib.Path({str(folder / 'count')!r})\n"
        "count = int(file.read_text()) + 1 if file.exists() else 1\n"
        "file.write_text(str(count))\n"
        "print(f'key-{count}')\n",
        encoding="utf-8",
    )
    return (sys.executable, str(script))


async def test_a_key_command_runs_once_for_all_and_once_more_after_a_401(tmp_path: Path) -> None:
    valid = ["Bearer key-1"]

    async def answers(exchange: Exchange) -> None:
        if exchange.header("authorization") in valid:
            exchange.stream(*HELLO)
        else:
            exchange.send(plain(401, b'{"error":{"message":"expired"}}'))

    async with (
        launcher(tmp_path) as processes,
        wire_server(answers) as server,
        adapter(
            "openai",
            server.base_url,
            key_command=counting_command(tmp_path),
            processes=processes,
            environment=dict(os.environ),
        ) as provider,
    ):
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(provider.complete, ask("openai"))
        assert (tmp_path / "count").read_text(encoding="utf-8") == "1"
        valid[:] = ["Bearer key-2"]
        async with anyio.create_task_group() as group:  # all five are refused together
            for _ in range(5):
                group.start_soon(provider.complete, ask("openai"))
        assert (tmp_path / "count").read_text(encoding="utf-8") == "2"
        valid.clear()
        with pytest.raises(errors.AuthenticationError) as refused:
            await provider.complete(ask("openai"))
        assert (tmp_path / "count").read_text(encoding="utf-8") == "3"
        assert "key-" not in str(refused.value)
        assert not processes.live()


@pytest.mark.parametrize(
    ("program", "kind", "says"),
    [
        ("raise SystemExit(3)", errors.AuthenticationError, "ended with 3"),
        ("pass", errors.AuthenticationError, "printed nothing"),
        ("print('two words')", errors.ProviderConfigurationError, "holds a line break, a space"),
        ("print('x' * 100_000)", errors.AuthenticationError, "printed too much"),
        (None, errors.ProviderConfigurationError, "cannot start"),
    ],
)
async def test_a_key_command_that_gives_no_key(
    tmp_path: Path, program: str | None, kind: type[errors.ProviderError], says: str
) -> None:
    argv = ("/nonexistent/key",) if program is None else (sys.executable, "-c", program)
    async with (
        launcher(tmp_path) as processes,
        wire_server(hello) as server,
        adapter(
            "openai", server.base_url, key_command=argv, processes=processes, environment=dict(os.environ)
        ) as provider,
    ):
        with pytest.raises(kind, match=says):
            await provider.complete(ask("openai"))
        assert not server.exchanges
        assert not processes.live()


async def test_without_a_launcher_a_key_command_is_refused_before_any_call() -> None:
    with pytest.raises(errors.ProviderConfigurationError, match="cannot be run here"):
        async with adapter("openai", "https://api.example.com/v1", key_command=("gcloud", "auth")):
            pass


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://127.0.0.1:11434"),
        ({"OLLAMA_HOST": "0.0.0.0"}, "http://127.0.0.1:11434"),
        ({"OLLAMA_HOST": "0.0.0.0:8080"}, "http://127.0.0.1:8080"),
        ({"OLLAMA_HOST": ":9000"}, "http://127.0.0.1:9000"),
        ({"OLLAMA_HOST": "box.lan", "OLLAMA_API_KEY": "k"}, "http://box.lan:11434"),
        ({"OLLAMA_HOST": "https://ollama.com/api/", "OLLAMA_API_KEY": "k"}, "https://ollama.com:443"),
        ({"OLLAMA_HOST": "[::1]"}, "http://[::1]:11434"),
    ],
)
def test_ollamas_variable(environment: dict[str, str], url: str) -> None:
    assert resolve_endpoint("ollama", ProvidersConfig(), environment).place.url == url


@pytest.mark.parametrize(
    ("name", "environment", "header", "url"),
    [
        ("openai", {"OPENAI_API_KEY": "k"}, ("authorization", "Bearer k"), "https://api.openai.com/v1"),
        (
            "openai-responses",
            {"OPENAI_API_KEY": "k"},
            ("authorization", "Bearer k"),
            "https://api.openai.com/v1",
        ),
        ("anthropic", {"ANTHROPIC_API_KEY": "k"}, ("x-api-key", "k"), "https://api.anthropic.com"),
        (
            "anthropic",
            {"ANTHROPIC_AUTH_TOKEN": "k", "ANTHROPIC_BASE_URL": "https://gate/v1/"},
            ("authorization", "Bearer k"),
            "https://gate",
        ),
        (
            "google",
            {"GEMINI_API_KEY": "k", "GOOGLE_API_KEY": "other"},
            ("x-goog-api-key", "k"),
            "https://generativelanguage.googleapis.com",
        ),
        (
            "google",
            {"GOOGLE_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": "https://gate/v1beta"},
            ("x-goog-api-key", "k"),
            "https://gate",
        ),
    ],
)
def test_variables_by_the_vendors_conventions(
    name: str, environment: dict[str, str], header: tuple[str, str], url: str
) -> None:
    resolved = resolve_endpoint(name, ProvidersConfig(), environment)
    assert resolved.place.url == url
    assert resolved.headers[header[0]] == header[1]
    assert "k" not in repr(resolved.sources)[1:-1].split("'")


@pytest.mark.parametrize("name", ["openai", "anthropic", "google"])
def test_a_missing_key_is_named(name: str) -> None:
    with pytest.raises(errors.ProviderConfigurationError, match=r"set \w+_API_KEY"):
        resolve_endpoint(name, ProvidersConfig(), {})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (EndpointSettings(base_url="http://127.0.0.1"), "needs `api`"),
        (EndpointSettings(api="smtp", base_url="http://127.0.0.1"), "not 'smtp'"),
        (EndpointSettings(api="openai"), "needs `base_url`"),
        (
            EndpointSettings(api="google", form="bedrock", base_url="http://127.0.0.1"),
            "none of vendor, vertex",
        ),
        (EndpointSettings(api="openai", base_url="ftp://x"), "must begin with http"),
        (EndpointSettings(api="openai", base_url="http://127.0.0.1", api_key="a\nb"), "line break"),
    ],
)
def test_endpoints_that_cannot_be(settings: EndpointSettings, says: str) -> None:
    with pytest.raises(errors.ProviderConfigurationError, match=says):
        resolve_endpoint("mine", ProvidersConfig(endpoints={"mine": settings}), {})
