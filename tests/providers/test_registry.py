from pathlib import Path

import anyio
import pytest

from providers import errors
from providers.base import ModelProfile, Prices
from providers.config import EndpointSettings, ProvidersConfig
from providers.messages import Request, user
from providers.registry import Registry, build_providers
from providers.survey import ProviderStatus
from tests.providers.chat import HELLO, KEY, ask
from tests.providers.virtual_time import VirtualTime
from tests.providers.wire_server import Exchange, plain, wire_server


def registry(config: ProvidersConfig | None = None, **environment: str) -> Registry:
    time = VirtualTime()
    return build_providers(
        config or ProvidersConfig(),
        environment=environment,
        sleep=time.sleep,
        monotonic=time.monotonic,
        rand=lambda: 0.5,
    )


def keyed(key: str) -> ProvidersConfig:
    return ProvidersConfig(endpoints={"openai": EndpointSettings(api_key=key)})


async def hello(exchange: Exchange) -> None:
    exchange.stream(*HELLO)


async def test_a_call_through_everything_with_one_fault_on_the_way() -> None:
    async def fails_once(exchange: Exchange) -> None:
        if len(server.exchanges) == 1:
            exchange.send(plain(429, b"{}", "retry-after: 3"))
        else:
            exchange.stream(*HELLO)

    profile = ModelProfile(context_window=1000, prices=Prices(1.0, 1.0))
    async with wire_server(fails_once) as server:
        providers = registry(
            ProvidersConfig(models={"openai/org/gpt-x": profile}),
            OPENAI_BASE_URL=server.base_url + "/",
            OPENAI_API_KEY=KEY,
        )
        provider, name = providers.resolve("openai/org/gpt-x")
        assert (provider.name, name) == ("openai", "org/gpt-x")
        assert provider.profile(name) == profile == providers.profile("openai/org/gpt-x")
        assert providers.resolve("openai/other")[0] is provider
        answer = await provider.complete(ask(model=name))
        await providers.aclose()
    assert answer.message.text == "Hello."
    assert answer.usage.cost_usd == 1020 / 1e6
    assert server.exchanges[1].header("authorization") == f"Bearer {KEY}"


async def test_a_server_on_this_machine_needs_no_key() -> None:
    async with wire_server(hello) as server:
        providers = registry(OPENAI_BASE_URL=server.base_url)
        provider, name = providers.resolve("openai/local")
        await provider.complete(ask(model=name))
        await providers.aclose()
    assert server.exchanges[0].header("authorization") is None


@pytest.mark.parametrize(
    ("model_id", "says"),
    [
        ("gpt-4o", "write PROVIDER/NAME, e.g. openai/gpt-4o"),
        ("", "write PROVIDER/NAME"),
        ("opnai/gpt-4o", "did you mean 'openai'"),
        ("OpenAI/gpt-4o", "did you mean 'openai'"),
        ("zzz/x", "known are openai, openai-responses, anthropic, google, ollama, scripted"),
        ("openai/", "names no model"),
        ("scripted/demo", "none is configured"),
        ("openai/gpt-4o", "set OPENAI_API_KEY"),
    ],
)
def test_what_cannot_be_resolved_names_the_mend(model_id: str, says: str) -> None:
    with pytest.raises(errors.ProviderConfigurationError) as raised:
        registry().resolve(model_id)
    assert says in str(raised.value)


@pytest.mark.parametrize("key", ["sk-abc\n", "sk abc", "sk-abc\r\n", "sk-äbc", "\tsk"])
def test_a_key_that_no_header_carries_is_refused_without_showing_it(key: str) -> None:
    for providers in (registry(OPENAI_API_KEY=key), registry(keyed(key))):
        with pytest.raises(errors.ProviderConfigurationError, match="copy it anew") as raised:
            providers.resolve("openai/x")
        assert "abc" not in str(raised.value) + repr(providers.survey.configured())
        assert ("OPENAI_API_KEY" in str(raised.value)) or ("providers.openai.api_key" in str(raised.value))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:8000/v1", "must begin with http"),
        ("ftp://host/v1", "must begin with http"),
        ("http://", "names no host"),
        ("http:///v1", "names no host"),
        ("http://host:port/v1", "is no URL"),
        ("http://host:99999/v1", "is no URL"),
        ("http://[::1/v1", "is no URL"),
        ("http://user:secret@host/v1", "does not belong in it"),
        ("http://host/v1#x", "does not belong in it"),
        ("http://ho st/v1", "character that no URL may hold"),
        ("http://host/v1\n", "character that no URL may hold"),
        ("http://bücher.example/v1", "character that no URL may hold"),
    ],
)
def test_a_base_url_that_cannot_be_is_named_with_its_setting(url: str, says: str) -> None:
    with pytest.raises(errors.ProviderConfigurationError, match="OPENAI_BASE_URL") as raised:
        registry(OPENAI_BASE_URL=url, OPENAI_API_KEY=KEY).resolve("openai/x")
    assert says in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_environment_wins_over_the_configuration_and_empty_is_not_set() -> None:
    config = ProvidersConfig(
        endpoints={"openai": EndpointSettings(base_url="http://10.0.0.1/v1", api_key=KEY)}
    )
    assert registry(config).survey.configured()[0] == ProviderStatus(
        "openai",
        ready=True,
        address="http://10.0.0.1/v1",
        sources=(
            ("base URL", "providers.openai.base_url"),
            ("key", "providers.openai.api_key"),
        ),
        chosen=True,
    )
    overridden = registry(
        config, OPENAI_BASE_URL="http://10.0.0.2/v1", OPENAI_API_KEY=""
    ).survey.configured()[0]
    assert overridden.address == "http://10.0.0.2/v1"
    assert overridden.sources == (
        ("base URL", "OPENAI_BASE_URL"),
        ("key", "providers.openai.api_key"),
    )


def test_what_is_missing_is_said_and_no_key_shown() -> None:
    missing = registry().survey.configured()
    assert [(status.name, status.ready) for status in missing] == [
        ("openai", False),
        ("openai-responses", False),
        ("anthropic", False),
        ("google", False),
        ("ollama", True),  # a server on this machine needs no key; whether it runs is not asked here
        ("scripted", False),
    ]
    assert "set OPENAI_API_KEY" in missing[0].problem
    assert missing[0].address == "https://api.openai.com/v1"
    for providers in (
        registry(OPENAI_API_KEY=KEY),
        registry(keyed(KEY)),
        registry(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"http://user:{KEY}@host/v1"),
    ):
        assert KEY not in repr(providers.survey.configured()) + repr(providers._config)


async def test_scripts_are_found_by_name_in_a_folder_or_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text("- {answer: {text: hi}}", encoding="utf-8")
    (tmp_path / "broken.yml").write_text("- {", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("", encoding="utf-8")
    for scripts in (tmp_path, tmp_path / "demo.yaml"):
        providers = registry(ProvidersConfig(scripts=scripts))
        provider, name = providers.resolve("scripted/demo")
        assert (await provider.complete(Request(name, (user("x"),)))).message.text == "hi"
    status = registry(ProvidersConfig(scripts=tmp_path)).survey.configured()[-1]
    assert status.ready
    assert status.sources == (("script", "scripted/broken"), ("script", "scripted/demo"))
    with pytest.raises(errors.ProviderConfigurationError, match=r"broken\.yml is not valid YAML"):
        registry(ProvidersConfig(scripts=tmp_path)).resolve("scripted/broken")
    with pytest.raises(errors.ProviderConfigurationError, match="did you mean 'demo'"):
        registry(ProvidersConfig(scripts=tmp_path)).resolve("scripted/demos")
    nowhere = registry(ProvidersConfig(scripts=tmp_path / "none"))
    assert not nowhere.survey.configured()[-1].ready


async def test_a_script_keeps_its_place_between_resolutions(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text(
        "- {answer: {text: a}, times: 1}\n- {answer: {text: b}}", encoding="utf-8"
    )
    providers = registry(ProvidersConfig(scripts=tmp_path))
    texts = [
        (await providers.resolve("scripted/demo")[0].complete(ask())).message.text  # two calls, one counter
        for _ in range(2)
    ]
    assert texts == ["a", "b"]


async def test_a_fault_of_a_script_is_retried_like_any_other(tmp_path: Path) -> None:
    script = "- {fault: {kind: overloaded}, times: 2}\n- {answer: {text: well}}"
    (tmp_path / "demo.yaml").write_text(script, encoding="utf-8")
    providers = registry(ProvidersConfig(scripts=tmp_path))
    with anyio.fail_after(5):
        assert (await providers.resolve("scripted/demo")[0].complete(ask())).message.text == "well"
