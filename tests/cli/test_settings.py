import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestration.errors import ConfigurationError
from server.provider_keys import FIELDS
from server.settings import EditorSettings, Settings, load
from server.settings_checks import Value
from server.settings_keys import KEYS


class Layers:
    """A user file and a workspace file in a folder of their own, and the call that reads them."""

    def __init__(self, folder: Path) -> None:
        self.user = folder / "config" / "config.toml"
        self.workspace = folder / "workspace"
        self.file = self.workspace / ".antiphon" / "config.toml"
        self.user.parent.mkdir()
        self.file.parent.mkdir(parents=True)

    def load(
        self,
        *,
        user: str | bytes | None = None,
        workspace: str | None = None,
        trusted: bool = False,
        editor: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, Value | None] | None = None,
    ) -> Settings:
        if user is not None:
            self.user.write_bytes(user if isinstance(user, bytes) else user.encode())
        if workspace is not None:
            self.file.write_text(workspace)
        return load(
            environ=environ or {},
            workspace=self.workspace,
            trusted=trusted,
            editor=None if editor is None else EditorSettings(editor),
            flags=flags,
            user=self.user,
        )


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path)


def test_without_any_file_the_defaults_hold(layers: Layers) -> None:
    settings = layers.load()
    assert settings == Settings()
    assert (settings.model, settings.max_parallel, settings.approval) == (None, 8, "ask")
    assert (settings.budget.turns_per_task, settings.budget.attempts, settings.budget.usd) == (40, 3, None)


def test_each_layer_wins_over_the_one_below(layers: Layers) -> None:
    user = 'model = "a/user"'
    assert layers.load(user=user).model == "a/user"
    assert layers.load(user=user, workspace='model = "a/ws"', trusted=True).model == "a/ws"
    editor = {"model": "a/editor"}
    assert layers.load(editor=editor, trusted=True).model == "a/editor"
    environ = {"ANTIPHON_MODEL": "a/env"}
    assert layers.load(editor=editor, environ=environ).model == "a/env"
    settings = layers.load(editor=editor, environ=environ, flags={"model": "a/flag", "budget.usd": None})
    assert settings.model == "a/flag"
    assert settings.sources["model"] == "the command line"


def test_every_section_arrives_with_its_type(layers: Layers, tmp_path: Path) -> None:
    settings = layers.load(
        user=f"""
        max_parallel = 4
        plan = "confirm"
        data_dir = "{tmp_path}/data"
        [budget]
        usd = 2
        tokens = 1_000_000
        wall_seconds = 60.5
        [quality]
        test_command = "pytest -q 'a b'"
        setup_command = ["make", "setup"]
        analyzers = false
        [providers.openai]
        base_url = "http://localhost:8080/v1"
        api_key = "sk-very-secret"
        [providers.scripted]
        scripts = "{tmp_path}"
        [providers]
        connect_s = 1
        [models."openai/gpt-x"]
        input = 2.5
        output = 10
        context_window = 128_000
        [checkouts]
        dependency_folders = ["vendor/js"]
        [log]
        level = "debug"
        """
    )
    assert settings.budget.usd == 2.0
    assert settings.budget.tokens == 1_000_000
    assert settings.budget.wall_seconds == 60.5
    assert settings.quality.test_command == ("pytest", "-q", "a b")
    assert settings.quality.setup_command == ("make", "setup")
    assert settings.quality.analyzers is False
    assert settings.providers.endpoints["openai"]["base_url"] == "http://localhost:8080/v1"
    assert settings.providers.scripts == tmp_path
    assert settings.providers.connect_s == 1.0
    assert settings.dependency_folders == ("vendor/js",)
    assert settings.models["openai/gpt-x"]["input"] == 2.5
    assert (settings.plan, settings.data_dir, settings.log_level) == ("confirm", tmp_path / "data", "debug")
    assert "sk-very-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("max_paralel = 3", "line 1: unknown key `max_paralel`; did you mean `max_parallel`?"),
        ("\n[budget]\nuds = 3", "line 3: unknown key `budget.uds`; did you mean `budget.usd`?"),
        ('[quallity]\ntest_command = "x"', "unknown key `quallity`; did you mean `quality`?"),
        ("[providers.opneai]\nx = 1", "unknown key `providers.opneai`; did you mean `providers.openai`?"),
        ("base_url = 'http://x'", "unknown key `base_url`; did you mean `providers.openai.base_url`?"),
        ("zzz = 1", "unknown key `zzz`; docs/configuration.md lists the keys"),
        ("budget = 5", "`budget` must be a table, as [budget]"),
        ('max_parallel = "many"', "max_parallel must be a whole number from 1 up, not 'many'"),
        ("max_parallel = true", "max_parallel must be a whole number from 1 up, not True"),
        ("max_parallel = 0", "max_parallel must be a whole number from 1 up, not 0"),
        ("[budget]\nusd = -1", "budget.usd must be a number above 0, not -1"),
        ("[budget]\nusd = nan", "budget.usd must be a number above 0, not nan"),
        ('approval = "yolo"', "approval must be one of never, ask, auto, not 'yolo'"),
        ('model = "gpt"', "model must be PROVIDER/NAME, for example openai/gpt-4.1, not 'gpt'"),
        ("[model]\nname = 1", "model must be text"),
        ('[providers.openai]\nbase_url = "localhost"', "must be a URL that begins with http:// or https://"),
        ("[quality]\ntest_command = [1]", "quality.test_command must be a command"),
        ('data_dir = "data"', "data_dir must be an absolute path"),
        ('[models."openai/x"]\nimput = 1', "unknown key 'imput'; did you mean 'input'?"),
        ('[models."openai/x"]\ninput = 1', "prices need both"),
        ("models = 3", "models must be tables"),
        ("max_parallel = ", "is not valid TOML: "),
        (b"model = '\xff'", "is not UTF-8 (byte 9)"),
        ("#" * (1 << 20) + "##", "is larger than 1 MB"),
    ],
)
def test_a_wrong_file_names_the_key_the_file_and_the_near_one(
    layers: Layers, content: str | bytes, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        layers.load(user=content)
    assert message in str(caught.value)
    assert str(layers.user) in str(caught.value)


def test_a_secret_of_the_wrong_type_is_not_shown(layers: Layers) -> None:
    with pytest.raises(ConfigurationError) as caught:
        layers.load(user="[providers.openai]\napi_key = 12345678")
    assert "12345678" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "trusted", "key", "value"),
    [
        ("max_parallel = 2", False, "max_parallel", 2),
        ("max_parallel = 64", False, "max_parallel", 8),
        ("max_parallel = 64", True, "max_parallel", 8),
        ('approval = "never"', False, "approval", "never"),
        ('approval = "auto"', False, "approval", "ask"),
        ('approval = "auto"', True, "approval", "ask"),
        ('plan = "confirm"', False, "plan", "confirm"),
        ('model = "a/b"', False, "model", None),
        ('model = "a/b"', True, "model", "a/b"),
        ("review = true", False, "review", False),
    ],
)
def test_a_workspace_may_only_lower_rights(
    layers: Layers, *, content: str, trusted: bool, key: str, value: object
) -> None:
    settings = layers.load(workspace=content, trusted=trusted)
    assert getattr(settings, key) == value
    taken = key in settings.sources
    assert bool(settings.warnings) is not taken


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        '[providers.openai]\napi_key = "sk-1"',
        'data_dir = "/var/elsewhere"',
        '[providers.scripted]\nscripts = "/var/elsewhere"',
        '[log]\nlevel = "debug"',
        '[models."openai/x"]\ninput = 0.0\noutput = 0.0',
    ],
)
def test_keys_prices_and_folders_never_come_from_a_workspace(
    layers: Layers, *, content: str, trusted: bool
) -> None:
    settings = layers.load(workspace=content, trusted=trusted)
    assert settings.providers == Settings().providers
    assert (settings.data_dir, settings.log_level, settings.models) == (None, "info", {})
    (warning,) = settings.warnings
    assert str(layers.file) in warning


def test_commands_of_a_workspace_wait_for_trust(layers: Layers) -> None:
    content = '[quality]\ntest_command = "make evil"'
    untrusted = layers.load(workspace=content)
    assert untrusted.quality.test_command == ()
    assert "until you trust" in untrusted.warnings[0]
    assert layers.load(workspace=content, trusted=True).quality.test_command == ("make", "evil")


def test_a_workspace_lowers_budgets_of_the_user_only(layers: Layers) -> None:
    settings = layers.load(
        user="[budget]\nusd = 1\nattempts = 2", workspace="[budget]\nusd = 5\ntokens = 9\nattempts = 1"
    )
    assert (settings.budget.usd, settings.budget.tokens, settings.budget.attempts) == (1.0, 9, 1)
    assert len(settings.warnings) == 1


def test_a_workspace_file_that_leads_elsewhere_is_refused(layers: Layers, tmp_path: Path) -> None:
    outside = tmp_path / "outside.toml"
    outside.write_text("private = 1")
    layers.file.symlink_to(outside)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        layers.load()
    layers.file.unlink()
    layers.file.parent.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    layers.file.parent.symlink_to(elsewhere)
    (elsewhere / "config.toml").write_text("private = 1")
    with pytest.raises(ConfigurationError, match="symbolic link"):
        layers.load()


def test_a_pipe_in_place_of_a_file_does_not_hold_us_up(layers: Layers) -> None:
    os.mkfifo(layers.file)
    with pytest.raises(ConfigurationError, match="not a regular file"):
        layers.load()


def test_the_environment_is_checked_too(layers: Layers) -> None:
    with pytest.raises(ConfigurationError, match="ANTIPHON_MAX_PARALLEL must be a whole number"):
        layers.load(environ={"ANTIPHON_MAX_PARALLEL": "x"})
    settings = layers.load(
        environ={"ANTIPHON_BUDGET_USD": "0.5", "ANTIPHON_MODLE": "a/b", "ANTIPHON_DEBUG": "1"}
    )
    assert settings.budget.usd == 0.5
    assert settings.warnings == ("unknown variable ANTIPHON_MODLE; did you mean ANTIPHON_MODEL?",)


def test_flags_are_named_as_the_user_typed_them(layers: Layers) -> None:
    with pytest.raises(ConfigurationError, match="--model must be PROVIDER/NAME"):
        layers.load(flags={"model": "gpt"})
    with pytest.raises(ConfigurationError, match="--max-cost must be a number above 0"):
        layers.load(flags={"budget.usd": -3})


def test_an_editor_speaks_camel_case_and_has_keys_of_its_own(layers: Layers) -> None:
    settings = layers.load(
        editor={"maxParallel": 3, "budget": {"wallSeconds": 5}, "trace": {"server": "off"}, "aproval": "auto"}
    )
    assert (settings.max_parallel, settings.budget.wall_seconds) == (3, 5.0)
    assert settings.warnings == ("the editor's settings: unknown key `aproval`; did you mean `approval`?",)
    with pytest.raises(ConfigurationError, match="the editor's settings: max_parallel must be"):
        layers.load(editor={"maxParallel": "x"})


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    assert [key for key in KEYS if f"`{key}`" not in page] == []
    assert [field for field in FIELDS if f"`{field}`" not in page] == []
