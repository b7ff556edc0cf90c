"""Keys that come late: from the system's keyring, asked in a process of its own, or from an editor's store."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from orchestration.edge import SystemClock
from orchestration.workspace.local_launcher import LocalLauncher
from providers import errors
from providers.config import EndpointSettings, ProvidersConfig
from providers.key_stores import SERVICE, TIME_LIMIT_S, StoredKey, SystemKeyring
from providers.registry import Registry, build_providers
from tests.providers.chat import HELLO, ask
from tests.providers.wire_server import Exchange, plain, wire_server

KEY = "sk-from-a-store-0123456789"
REMOTE = "https://api.example.com/v1"
# A backend for the real package keyring, named in the user's own keyringrc.cfg.
BACKEND = """
import json, pathlib, sys, time
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

class Backend(KeyringBackend):
    priority = 1
    def get_password(self, service, username):
        said = json.loads(pathlib.Path(__file__).with_suffix(".json").read_text())
        if said == "hangs":
            time.sleep(600)
        if said == "locked":
            raise KeyringLocked("the secret of it all")
        if said == "breaks":
            raise RuntimeError("no such collection")
        if said == "dies":
            sys.stdout.close()
            raise SystemExit(1)
        if said == "floods":
            return "x" * 1_000_000
        return said.get(f"{service}/{username}")
    def set_password(self, service, username, password): ...
    def delete_password(self, service, username): ...
"""


@asynccontextmanager
async def keyring(folder: Path, said: object) -> AsyncIterator[tuple[SystemKeyring, LocalLauncher]]:
    """The real child over the real package, whose backend says what it is told."""
    settings = folder / "config" / "python_keyring"
    settings.mkdir(parents=True, exist_ok=True)
    (folder / "told_backend.py").write_text(BACKEND, encoding="utf-8")
    (folder / "told_backend.json").write_text(json.dumps(said), encoding="utf-8")
    (settings / "keyringrc.cfg").write_text(
        f"[backend]\ndefault-keyring=told_backend.Backend\nkeyring-path={folder}\n", encoding="utf-8"
    )
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}
    launcher = LocalLauncher(folder / "processes", "test-keyring", clock=SystemClock())
    try:
        yield SystemKeyring(launcher, folder=folder, environment=environment), launcher
    finally:
        await launcher.aclose()


async def test_a_key_is_found_by_service_and_provider(tmp_path: Path) -> None:
    async with keyring(tmp_path, {f"{SERVICE}/openai": KEY}) as (store, launcher):
        assert await store.find("openai") == KEY
        assert await store.find("anthropic") is None
        assert not launcher.live()


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("locked", "it is locked"),
        ("breaks", "RuntimeError: no such collection"),
        ("dies", "its process ended early"),
        ("floods", "its process ended early"),
    ],
)
async def test_a_keyring_that_gives_nothing_says_why(tmp_path: Path, said: str, says: str) -> None:
    async with keyring(tmp_path, said) as (store, launcher):
        with pytest.raises(errors.AuthenticationError, match=says):
            await store.find("openai")
        assert not launcher.live()


async def test_a_keyring_that_hangs_is_given_up_and_its_process_ended(tmp_path: Path) -> None:
    async with keyring(tmp_path, "hangs") as (store, launcher):
        began = anyio.current_time()
        with pytest.raises(errors.AuthenticationError, match="did not answer within 2 s: unlock it"):
            await store.find("openai")
        assert TIME_LIMIT_S <= anyio.current_time() - began < TIME_LIMIT_S + 3
        assert not launcher.live()


async def test_cancelling_while_a_keyring_hangs_ends_its_process(tmp_path: Path) -> None:
    async with keyring(tmp_path, "hangs") as (store, launcher):
        with anyio.move_on_after(0.2) as scope:
            await store.find("openai")
        assert scope.cancelled_caught
        assert not launcher.live()


# --- who is asked, and when -----------------------------------------------------------------------------


class Told:
    """A store of an editor, in memory."""

    title = "the editor's secret store"
    mend = "set the key of {provider} there"

    def __init__(self, **keys: str) -> None:
        self.revision = 0
        self.keys = keys
        self.asked: list[str] = []

    async def find(self, provider: str) -> str | None:
        self.asked.append(provider)
        return self.keys.get(provider)


def registry(config: ProvidersConfig, store: Told | None, noted: list[str], **environment: str) -> Registry:
    return build_providers(
        config,
        environment=environment,
        sleep=anyio.sleep,
        monotonic=anyio.current_time,
        rand=lambda: 0.5,
        editor_keys=store,
        key_found=noted.append,
    )


async def authorised(exchange: Exchange) -> None:
    if exchange.header("authorization") == f"Bearer {KEY}":
        exchange.stream(*HELLO)
    else:
        exchange.send(plain(401, b'{"error":{"message":"no"}}'))


async def hello(exchange: Exchange) -> None:
    exchange.stream(*HELLO)


def test_what_is_known_already_is_not_asked_for() -> None:
    store = Told(openai=KEY, mine=KEY)
    config = ProvidersConfig(
        endpoints={
            "mine": EndpointSettings(api="openai", base_url=REMOTE, api_key="k"),
            "command": EndpointSettings(api="openai", base_url=REMOTE, key_command=("pass",)),
            "gateway": EndpointSettings(api="openai", base_url=REMOTE, headers={"x-team": "a"}),
            "bare": EndpointSettings(api="openai", base_url=REMOTE),
        }
    )
    providers = registry(config, store, [], OPENAI_API_KEY="k", OLLAMA_HOST="127.0.0.1:1")
    keys = {
        status.name: dict(status.sources).get("key", status.problem)
        for status in providers.survey.configured()
    }
    assert keys["openai"] == "OPENAI_API_KEY"
    assert keys["mine"] == "providers.mine.api_key"
    assert keys["command"] == "the command 'pass'"
    assert (keys["gateway"], keys["ollama"]) == ("", "")  # they do without
    assert keys["bare"] == keys["anthropic"] == "the editor's secret store, at the first call"
    assert store.asked == []


async def test_the_editors_store_is_asked_once_and_again_after_a_refusal() -> None:
    store, noted = Told(mine="sk-old-key"), list[str]()
    async with wire_server(authorised) as server:
        # `keyring` makes a server on this machine one that wants a key.
        settings = EndpointSettings(api="openai", base_url=server.base_url, keyring=True)
        providers = registry(ProvidersConfig(endpoints={"mine": settings}), store, noted)
        provider, name = providers.resolve("mine/m")
        assert store.asked == []
        with pytest.raises(errors.AuthenticationError):
            await provider.complete(ask(model=name))
        refusals = len(server.exchanges)  # of the call, and of the question for the served window before it
        assert store.asked == ["mine"] * (1 + refusals)
        store.keys["mine"] = KEY
        for _ in range(3):
            await provider.complete(ask(model=name))
        await providers.aclose()
    assert noted[-1] == KEY
    assert store.asked == ["mine"] * (1 + refusals + 1)
    assert server.exchanges[-1].header("authorization") == f"Bearer {KEY}"


async def test_a_key_that_was_changed_in_the_store_is_used_from_the_next_call_on() -> None:
    store = Told(mine="sk-first-0123456789")
    async with wire_server(hello) as server:
        settings = EndpointSettings(api="openai", base_url=server.base_url, keyring=True)
        providers = registry(ProvidersConfig(endpoints={"mine": settings}), store, [])
        provider, name = providers.resolve("mine/m")
        await provider.complete(ask(model=name))
        store.keys["mine"], store.revision = KEY, 1
        await provider.complete(ask(model=name))
        store.keys.clear()
        store.revision = 2
        with pytest.raises(errors.AuthenticationError, match="holds none"):
            await provider.complete(ask(model=name))
        await providers.aclose()
    sent = [exchange.header("authorization") for exchange in server.exchanges]
    assert sent[0] == "Bearer sk-first-0123456789"
    assert sent[-1] == f"Bearer {KEY}"


async def test_a_store_without_the_key_says_how_to_put_it_there() -> None:
    store = Told()
    providers = registry(
        ProvidersConfig(endpoints={"mine": EndpointSettings(api="openai", base_url=REMOTE)}), store, []
    )
    provider, name = providers.resolve("mine/m")
    with pytest.raises(errors.AuthenticationError) as raised:
        await provider.complete(ask(model=name))
    assert "set the key of mine there" in str(raised.value)
    assert "or set providers.mine.api_key" in str(raised.value)
    assert (await providers.survey.stored_keys())["mine"] == str(raised.value)
    await providers.aclose()


async def test_the_first_store_that_has_a_key_counts_and_one_that_fails_hides_no_other(
    tmp_path: Path,
) -> None:
    async with keyring(tmp_path, "locked") as (locked, _):
        fetch = StoredKey("openai", (locked, Told(openai=KEY)), url=REMOTE, setting="OPENAI_API_KEY")
        assert await fetch() == KEY
        none = StoredKey("other", (locked, Told()), url=REMOTE, setting="OTHER_KEY")
        with pytest.raises(errors.AuthenticationError, match=r"it is locked.*set the key of other there"):
            await none()
    async with keyring(tmp_path, {f"{SERVICE}/openai": KEY}) as (store, _):
        editor = Told(openai="sk-the-other")
        fetch = StoredKey("openai", (store, editor), url=REMOTE, setting="OPENAI_API_KEY")
        assert await fetch() == KEY
        assert editor.asked == []


async def test_a_stored_key_that_no_header_carries_is_refused_without_showing_it() -> None:
    fetch = StoredKey("openai", (Told(openai="two secret words"),), url=REMOTE, setting="OPENAI_API_KEY")
    with pytest.raises(errors.ProviderConfigurationError, match="editor's secret store") as raised:
        await fetch()
    assert "secret words" not in str(raised.value)


async def test_the_keyring_is_asked_only_when_the_configuration_says_so(tmp_path: Path) -> None:
    async with (
        keyring(tmp_path, {f"{SERVICE}/mine": KEY}) as (_, launcher),
        wire_server(authorised) as server,
    ):
        environment = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}

        def providers(*, wanted: bool) -> Registry:
            settings = EndpointSettings(api="openai", base_url=server.base_url, keyring=wanted)
            return build_providers(
                ProvidersConfig(endpoints={"mine": settings}),
                environment=environment,
                sleep=anyio.sleep,
                monotonic=anyio.current_time,
                rand=lambda: 0.5,
                processes=launcher,
                folder=tmp_path,
            )

        for wanted in (False, True):
            made = providers(wanted=wanted)
            provider, name = made.resolve("mine/m")
            if wanted:
                answer = await provider.complete(ask(model=name))
                assert answer.message.text == "Hello."
                assert await made.survey.stored_keys() == {"mine": ""}
            else:
                with pytest.raises(errors.AuthenticationError):
                    await provider.complete(ask(model=name))
                assert await made.survey.stored_keys() == {}
            await made.aclose()
