"""`[providers.NAME]` in every layer: what is taken, what a workspace may say, what a typing error is told."""

import re
from pathlib import Path
from typing import Any

import pytest

from orchestration.errors import ConfigurationError
from providers.config import EndpointSettings, TlsFiles
from server.provider_settings import providers_config
from server.settings import EditorSettings, Settings, load


class Layers:
    def __init__(self, folder: Path) -> None:
        self.user = folder / "config.toml"
        self.workspace = folder / "workspace"
        self.file = self.workspace / ".antiphon" / "config.toml"
        self.file.parent.mkdir(parents=True)

    def load(self, *, user: str = "", workspace: str = "", **more: Any) -> Settings:
        self.user.write_text(user)
        self.file.write_text(workspace)
        return load(**{"environ": {}, "workspace": self.workspace, "user": self.user, **more})


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path)


def test_everything_that_an_endpoint_can_be_told_arrives(layers: Layers, tmp_path: Path) -> None:
    settings = layers.load(
        user=f"""
        models = ["work/gpt-4.1", "anthropic/claude-sonnet-4-5"]
        [providers]
        ca_file = "{tmp_path}/all.pem"
        keyring = true
        cache_mb = 5
        record = "{tmp_path}/run.jsonl"
        [providers.work]
        api = "openai"
        base_url = "https://gateway.example.com/v1"
        key_command = "pass show 'the key'"
        keyring = true
        key_header = "X-Key"
        key_scheme = ""
        headers = {{ "X-Team" = "parsers" }}
        query = {{ "api-version" = "2024-10-21", "a.b" = "" }}
        ca_file = "{tmp_path}/ca.pem"
        client_certificate = "{tmp_path}/me.pem"
        requests_per_minute = 60
        tokens_per_minute = 100_000.5
        max_concurrent_calls = 4
        form = "azure"
        [providers.anthropic]
        api_key = "sk-very-secret"
        """
    )
    assert settings.model == "work/gpt-4.1, anthropic/claude-sonnet-4-5"
    config = providers_config(settings)
    assert config.endpoints["work"] == EndpointSettings(
        api="openai",
        base_url="https://gateway.example.com/v1",
        key_command=("pass", "show", "the key"),
        keyring=True,
        key_header="X-Key",
        key_scheme="",
        headers={"X-Team": "parsers"},
        query={"api-version": "2024-10-21", "a.b": ""},
        tls=TlsFiles(tmp_path / "ca.pem", tmp_path / "me.pem", None),
        requests_per_minute=60.0,
        tokens_per_minute=100_000.5,
        max_concurrent_calls=4,
        form="azure",
    )
    assert config.endpoints["anthropic"] == EndpointSettings(api_key="sk-very-secret")
    assert config.tls == TlsFiles(tmp_path / "all.pem")
    assert (config.keyring, config.cache.max_bytes, config.record) == (
        True,
        5_000_000,
        tmp_path / "run.jsonl",
    )
    assert sorted(settings.providers.secrets()) == ["2024-10-21", "parsers", "sk-very-secret"]
    assert "sk-very-secret" not in repr(settings)
    assert "sk-very-secret" not in repr(config)


def test_the_examples_of_the_documentation_are_taken(layers: Layers) -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(examples) >= 2
    for example in examples:
        settings = layers.load(user=example)
        assert settings.warnings == ()
        providers_config(settings)


def test_layers_meet_key_by_key(layers: Layers) -> None:
    user = '[providers.work]\napi = "openai"\nbase_url = "http://one/v1"\nheaders = { A = "1", B = "2" }'
    editor = {
        "providers": {
            "work": {"baseUrl": "http://two/v1", "headers": {"B": "3", "X-Team": "t"}},
            "connectS": 3,
            "openai": {"keyCommand": ["a", "b"]},
        }
    }
    environ = {
        "ANTIPHON_PROVIDERS_OPENAI_RESPONSES_BASE_URL": "http://three/v1",
        "ANTIPHON_PROVIDERS_OLLAMA_MAX_CONCURRENT_CALLS": "2",
    }
    settings = layers.load(user=user, editor=EditorSettings(editor), environ=environ)
    endpoints = settings.providers.endpoints
    assert endpoints["work"] == {
        "api": "openai",
        "base_url": "http://two/v1",
        "headers": {"A": "1", "B": "3", "X-Team": "t"},
    }
    assert endpoints["openai"] == {"key_command": ("a", "b")}
    assert endpoints["openai-responses"] == {"base_url": "http://three/v1"}
    assert endpoints["ollama"] == {"max_concurrent_calls": 2}
    assert settings.providers.connect_s == 3.0
    assert settings.sources["providers.work.base_url"] == "the editor's settings"
    assert settings.sources["providers.work.headers.A"] == str(layers.user)
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "[providers.opneai]\nx = 1",
            "line 1: unknown key `providers.opneai`; did you mean `providers.openai`?",
        ),
        (
            "[providers.mine]\nbase_url = 'http://x'",
            "needs `api` (openai, openai-responses, anthropic, google",
        ),
        ("[providers.openai]\nbase_ulr = 'http://x'", "did you mean `providers.openai.base_url`?"),
        ("[providers.mine]\napi = 'openai'\nkeycommand = 'x'", "did you mean `providers.mine.key_command`?"),
        ("[providers.mine]\napi = 'opnai'", "providers.mine.api must be one of openai, openai-responses"),
        ("[providers.openai]\nform = 'aws'", "providers.openai.form must be one of vendor, azure"),
        ("[providers.openai]\nheaders = 'x'", "`providers.openai.headers` must be a table"),
        ("[providers.openai]\nheaders = {a = 1}", "providers.openai.headers.a must be text on one line"),
        (
            '[providers.openai]\nheaders = {a = "b\\nc"}',
            "providers.openai.headers.a must be text on one line",
        ),
        ("[providers.openai]\nca_file = 'a.pem'", "providers.openai.ca_file must be an absolute path"),
        ("[providers.openai]\nkey_command = ''", "providers.openai.key_command must be a command"),
        ("[providers.openai]\nrequests_per_minute = 0", "must be a number above 0"),
        ("[providers]\nopenai = 3", "`providers.openai` must be a table, as [providers.openai]"),
        ("[providers]\ntemperature = 3", "providers.temperature must be a number from 0 to 2"),
        ("[providers]\nconect_s = 3", "did you mean `providers.connect_s`?"),
        ("[providers.connect_s]\nx = 3", "providers.connect_s must be a number above 0"),
        ("[providers.\"a b\"]\napi = 'openai'", "unknown key `providers.a b`"),
        ("[providers.scripted]\nscript = '/x'", "did you mean `providers.scripted.scripts`?"),
        ("models = []", "model must be text, or a list of PROVIDER/NAME"),
        ("model = ['a/b', 'c']", "model must be PROVIDER/NAME"),
        ("model = 'a/b'\nmodels = ['a/b']", "`model` and `models` say the same"),
    ],
)
def test_what_cannot_be_names_the_key_the_file_and_the_near_one(
    layers: Layers, content: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        layers.load(user=content)
    assert message in str(caught.value)
    assert str(layers.user) in str(caught.value)


def test_a_secret_that_cannot_be_is_not_shown(layers: Layers) -> None:
    for content in ("api_key = 12345678", "headers = {a = 12345678}", "query = {a = 12345678}"):
        with pytest.raises(ConfigurationError) as caught:
            layers.load(user=f"[providers.openai]\n{content}")
        assert "12345678" not in str(caught.value)


def test_variables_are_checked_and_near_ones_named(layers: Layers) -> None:
    with pytest.raises(ConfigurationError, match="ANTIPHON_PROVIDERS_GOOGLE_BASE_URL must be a URL"):
        layers.load(environ={"ANTIPHON_PROVIDERS_GOOGLE_BASE_URL": "x"})


def test_recording_and_replaying_exclude_each_other(layers: Layers, tmp_path: Path) -> None:
    settings = layers.load(user=f'[providers]\nrecord = "{tmp_path}/a"\nreplay = "{tmp_path}/b"')
    with pytest.raises(ConfigurationError, match="either recorded or replayed"):
        providers_config(settings)


# --- what a workspace may say ----------------------------------------------------------------------------

ADDRESS = '[providers.openai]\nbase_url = "http://gateway.example/v1"'


@pytest.mark.parametrize(
    ("trusted", "approved", "taken"),
    [
        (False, False, False),
        (True, False, False),
        (True, True, True),
        (True, None, True),
        (False, None, False),
    ],
)
def test_an_address_of_a_workspace_waits_for_the_users_approval(
    layers: Layers, *, trusted: bool, approved: bool | None, taken: bool
) -> None:
    settings = layers.load(workspace=ADDRESS, trusted=trusted, approved=approved)
    assert bool(settings.providers.endpoints) is taken
    assert settings.addresses_from(str(layers.file)) == (
        {"openai": "http://gateway.example/v1"} if taken else {}
    )
    assert bool(settings.warnings) is not taken
    if not taken:
        assert "is ignored until you trust this workspace (antiphon trust)" in settings.warnings[0]


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        'api_key = "sk-1"',
        'key_command = "curl evil.example"',
        "keyring = true",
        'key_header = "x-key"',
        'headers = { "x-proxy" = "evil" }',
        'query = { "to" = "evil" }',
        'ca_file = "/tmp/evil.pem"',
    ],
)
def test_keys_and_what_gives_them_never_come_from_a_workspace(
    layers: Layers, *, content: str, trusted: bool
) -> None:
    settings = layers.load(workspace=f"[providers.openai]\n{content}", trusted=trusted)
    assert settings.providers == Settings().providers
    (warning,) = settings.warnings
    assert str(layers.file) in warning


def test_a_workspace_may_lower_limits(layers: Layers) -> None:
    settings = layers.load(
        user="[providers.openai]\nrequests_per_minute = 60\nmax_concurrent_calls = 2",
        workspace="[providers.openai]\nrequests_per_minute = 30\nmax_concurrent_calls = 9\ntokens_per_minute = 5",
    )
    assert settings.providers.endpoints["openai"] == {
        "requests_per_minute": 30.0,
        "max_concurrent_calls": 2,
        "tokens_per_minute": 5.0,
    }
    assert len(settings.warnings) == 1


@pytest.mark.parametrize(
    "section",
    [
        {"openai": {"baseUrl": "http://evil.example/v1"}},
        {"openai": {"keyCommand": "curl evil.example"}},
        {"anthropic": {"headers": {"a": "b"}}},
        {"record": "/tmp/x"},
        {"keyring": True},
    ],
)
def test_what_an_editor_answers_may_come_from_the_workspace(layers: Layers, section: dict[str, Any]) -> None:
    """An editor mixes the settings that a workspace brings into its answer; at its start it sends the user's own."""
    answered = EditorSettings(asked={"providers": section, "maxParallel": 3})
    settings = layers.load(editor=answered)
    assert settings.providers == Settings().providers
    assert settings.max_parallel == 3
    assert "until you trust this workspace" in settings.warnings[0]
    for taken in (
        layers.load(editor=answered, trusted=True),
        layers.load(editor=EditorSettings(own={"providers": section})),
    ):
        assert taken.providers != Settings().providers
        assert taken.warnings == ()
