"""The settings of a process: layers put on top of each other, as frozen typed values.

    defaults < user file < workspace file < editor < environment < flags

The workspace file may only lower rights; the rest of it waits until the user trusts the workspace, and
URLs, keys and the data directory are never taken from it. The keys and their checks are in
`settings_keys.py`; what the values mean to a provider or an engine is the composition root's business.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.errors import ConfigurationError
from server.settings_keys import (
    AGENTS,
    FLAGS,
    KEYS,
    TABLES,
    BadValueError,
    Key,
    Value,
    lowers,
    model_id,
    near,
)

WORKSPACE_FILE = Path(".antiphon", "config.toml")
COMMAND_LINE = "the command line"
_LARGEST_FILE = 1 << 20
Layer = dict[str, Value]
Models = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings:
    """USD, tokens, seconds; None: no limit."""

    usd: float | None = None
    tokens: int | None = None
    wall_seconds: float | None = None
    turns_per_task: int = 40
    attempts: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """As `orchestration.quality.settings.QualitySettings`, without importing the engine for it."""

    test_command: tuple[str, ...] = ()
    setup_command: tuple[str, ...] = ()
    interpreter: str = ""
    timeout_s: float = 120.0
    baseline_s: float = 60.0
    analyzers: bool = True
    changed_lines_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """None: the provider's own default, or its variable of the environment. Times in seconds."""

    openai_base_url: str | None = None
    openai_api_key: str | None = field(default=None, repr=False)
    scripts: Path | None = None
    connect_s: float | None = None
    first_token_s: float | None = None
    between_tokens_s: float | None = None
    whole_call_s: float | None = None
    max_attempts: int | None = None
    max_concurrent_calls: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSettings:
    """What `antiphon gc` leaves: checkpoints of so many days, and the newest `keep` whatever their age."""

    keep_days: float = 30.0
    keep: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`models` and `agents` are the raw tables by id, checked where they are used. `sources` names, for
    each key that some layer set, where its value came from. `dependency_folders`: from the root. `warnings` are for people.
    """

    model: str | None = None
    max_parallel: int = 8
    plan: str = "auto"
    approval: str = "ask"
    review: bool = False
    budget: BudgetSettings = BudgetSettings()
    quality: GateSettings = GateSettings()
    providers: ProviderSettings = ProviderSettings()
    models: Models = field(default_factory=dict)
    agents: Models = field(default_factory=dict)
    dependency_folders: tuple[str, ...] = ()
    checkpoints: CheckpointSettings = CheckpointSettings()
    data_dir: Path | None = None
    log_level: str = "info"
    sources: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def data_folder(self, environ: Mapping[str, str]) -> Path:
        """Where journals, snapshots, trust and logs are kept. Raises ConfigurationError."""
        from orchestration.journal.data_dir import data_root  # msgspec with it

        return data_root(environ, self.data_dir)


def user_file() -> Path:
    import platformdirs

    return platformdirs.user_config_path("antiphon", appauthor=False) / "config.toml"


def load(
    *,
    environ: Mapping[str, str],
    workspace: Path | None = None,
    trusted: bool = False,
    editor: Mapping[str, object] | None = None,
    flags: Mapping[str, Value | None] | None = None,
    user: Path | None = None,
) -> Settings:
    """All layers together. `user` is the user's file (default: `user_file()`); `flags` are by dotted
    key, None for those not given; `editor` is what the client sent, camelCase tolerated.

    Raises ConfigurationError for a file that cannot be read or parsed, an unknown key (with the near
    one), and a value of the wrong type: it names the key and the file or variable.
    """
    warnings: list[str] = []
    values: Layer = {}
    sources: dict[str, str] = {}
    models: dict[str, Mapping[str, object]] = {}
    agents: Models = {}

    source = user_file() if user is None else user
    if (content := _read(source, follow=True)) is not None:
        table, models = _split_models(_parse(content, source), str(source))
        agents = _split_agents(table, str(source))
        _take(values, sources, _checked(table, str(source), content, agents), str(source))
    if workspace is not None:
        source = workspace / WORKSPACE_FILE
        if (content := _read_inside(source, workspace)) is not None:
            table, its_models = _split_models(_parse(content, source), str(source))
            if _split_agents(table, str(source)):
                warnings.append(
                    f"{source}: `agents` is ignored; what may be started is said in {user_file()} alone"
                )
            layer = _allowed(
                _checked(table, str(source), content, agents), values, source, warnings, trusted=trusted
            )
            _take(values, sources, layer, str(source))
            if its_models:
                warnings.append(f"{source}: `models` is ignored; prices and windows belong in {user_file()}")
    if editor:
        _take(values, sources, _from_editor(editor, warnings, agents), "the editor's settings")
    _take(values, sources, _from_environment(environ, warnings, agents), "the environment")
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    for name, value in given.items():
        _take(values, sources, _from_flag(name, value, agents), COMMAND_LINE)
    return _settings(values, models, agents, sources, tuple(warnings))


# --- reading ---------------------------------------------------------------------------------------


def _read(file: Path, *, follow: bool) -> str | None:
    """None when there is no such file. Opens without blocking, so that a pipe cannot hold us up."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(file, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigurationError(f"{file} is not a regular file; a configuration must be one")
        data = stream.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise ConfigurationError(f"{file} is larger than 1 MB; that is no configuration")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8 (byte {error.start}); save it as UTF-8") from error


def _read_inside(file: Path, workspace: Path) -> str | None:
    """A workspace's own file; one that leads out of the workspace by a symbolic link is refused."""
    real = Path(os.path.realpath(file))
    if real != Path(os.path.realpath(workspace)) / WORKSPACE_FILE:
        raise ConfigurationError(f"{file} is a symbolic link to {real}; make it a regular file")
    return _read(file, follow=False)


def _parse(content: str, file: Path) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from error


def _split_models(
    table: dict[str, object], source: str
) -> tuple[dict[str, object], dict[str, Mapping[str, object]]]:
    raw = table.pop("models", {})
    if not isinstance(raw, dict) or not all(isinstance(entry, dict) for entry in raw.values()):
        raise ConfigurationError(f'{source}: models must be tables, as [models."openai/NAME"]')
    for name, entry in raw.items():
        _check_model(str(name), entry, source)
    return table, raw


def _split_agents(table: dict[str, object], source: str) -> Models:
    raw = table.pop("agents", {})
    if not isinstance(raw, dict) or not all(isinstance(entry, dict) for entry in raw.values()):
        raise ConfigurationError(f"{source}: agents must be tables, as [agents.NAME]")
    return raw


def _check_model(name: str, table: Mapping[str, object], source: str) -> None:
    from providers.errors import ProviderConfigurationError  # only who prices a model pays for these
    from providers.profiles import profile_from_settings

    try:
        profile_from_settings(name, table)
    except ProviderConfigurationError as error:
        raise ConfigurationError(f"{source}: {error}") from error


# --- checking --------------------------------------------------------------------------------------


def _value(key: Key, value: object, agents: Models) -> Value:
    """Raises BadValueError. The name of an agent is a model's id too."""
    if key.check is model_id and isinstance(value, str) and value.strip() in {*AGENTS, *agents}:
        return value.strip()
    return key.check(value)


def _checked(table: Mapping[str, object], source: str, content: str, agents: Models) -> Layer:
    layer: Layer = {}
    for name, value in _flat(table):
        key = KEYS.get(name)
        if key is None:
            raise ConfigurationError(_unknown(name, source, content))
        try:
            layer[name] = _value(key, value, agents)
        except BadValueError as error:
            shown = "" if key.secret else f", not {value!r}"
            raise ConfigurationError(
                f"{_place(name, source, content)}: {name} must be {error}{shown}"
            ) from error
    return layer


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every value by its dotted key; a table that is not known is given as it stands, to be refused whole."""
    for name, value in table.items():
        full = f"{prefix}{name}"
        if isinstance(value, Mapping) and full in TABLES:
            yield from _flat(value, f"{full}.")
        else:
            yield full, value


def _unknown(name: str, source: str, content: str) -> str:
    if name in TABLES:
        return f"{_place(name, source, content)}: `{name}` must be a table, as [{name}]"
    guess = near(name)
    mend = f"did you mean `{guess}`?" if guess else "docs/configuration.md lists the keys"
    return f"{_place(name, source, content)}: unknown key `{name}`; {mend}"


def _place(name: str, source: str, content: str) -> str:
    """`source`, with the line where the last part of `name` is set or opened, when that is certain."""
    last = name.rpartition(".")[2]
    lines = [
        number
        for number, line in enumerate(content.splitlines(), 1)
        if line.split("=")[0].strip().strip("[]\"'").rpartition(".")[2].strip() == last
    ]
    return f"{source}, line {lines[0]}" if len(lines) == 1 else source


def _allowed(layer: Layer, below: Layer, file: Path, warnings: list[str], *, trusted: bool) -> Layer:
    defaults = _as_layer(Settings())
    taken: Layer = {}
    for name, value in layer.items():
        rule = KEYS[name].workspace
        if rule == "lower":
            if lowers(name, value, below.get(name, defaults.get(name))):
                taken[name] = value
            else:
                warnings.append(f"{file}: {name} = {value} is ignored; a workspace may only lower it")
        elif rule == "never":
            warnings.append(f"{file}: {name} is ignored; set it in {user_file()} or the environment")
        elif trusted:
            taken[name] = value
        else:
            warnings.append(f"{file}: {name} is ignored until you trust this workspace (antiphon trust)")
    return taken


def _take(values: Layer, sources: dict[str, str], layer: Layer, source: str) -> None:
    for name, value in layer.items():
        values[name] = value
        sources[name] = source


def _from_environment(environ: Mapping[str, str], warnings: list[str], agents: Models) -> Layer:
    variables = {key.variable: key for key in KEYS.values()}
    layer: Layer = {}
    for variable, value in environ.items():
        if not variable.startswith("ANTIPHON_") or not value:
            continue
        key = variables.get(variable)
        if key is None:
            guess = near(variable.removeprefix("ANTIPHON_").lower())
            if guess in KEYS and variable not in _OTHER_VARIABLES:
                warnings.append(f"unknown variable {variable}; did you mean {KEYS[guess].variable}?")
            continue
        try:
            layer[key.name] = _value(key, value, agents)
        except BadValueError as error:
            shown = "" if key.secret else f", not {value!r}"
            raise ConfigurationError(f"{variable} must be {error}{shown}") from error
    return layer


def _from_flag(name: str, value: Value, agents: Models) -> Layer:
    try:
        return {name: _value(KEYS[name], value, agents)}
    except BadValueError as error:
        raise ConfigurationError(f"{FLAGS[name]} must be {error}, not {value}") from error


_OTHER_VARIABLES = frozenset({"ANTIPHON_DEBUG"})


def _from_editor(editor: Mapping[str, object], warnings: list[str], agents: Models) -> Layer:
    """Editors send settings of their own beside ours, so an unknown key is a warning, never an error."""
    layer: Layer = {}
    for name, value in _flat(_snake(editor)):
        if name not in KEYS:
            guess = near(name)
            if guess:
                warnings.append(f"the editor's settings: unknown key `{name}`; did you mean `{guess}`?")
        elif value is not None and value != "":
            layer |= _checked({name: value}, "the editor's settings", "", agents)
    return layer


def _snake(table: Mapping[str, object]) -> dict[str, object]:
    renamed: dict[str, object] = {}
    for name, value in table.items():
        key = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in str(name))
        renamed[key] = _snake(value) if isinstance(value, Mapping) else value
    return renamed


# --- values ----------------------------------------------------------------------------------------

_PROVIDER_FIELDS = {
    "providers.openai.base_url": "openai_base_url",
    "providers.openai.api_key": "openai_api_key",
    "providers.scripted.scripts": "scripts",
}


def _settings(
    values: Layer, models: Models, agents: Models, sources: Mapping[str, str], warnings: tuple[str, ...]
) -> Settings:
    # Any: the checks of KEYS have given every value the type of its field.
    sections: dict[str, dict[str, Any]] = {
        name: {} for name in ("", "budget", "quality", "checkouts", "checkpoints", "providers", "log")
    }
    for name, value in values.items():
        section, _, last = name.partition(".")
        if not last:
            sections[""][name] = value
        else:
            sections[section][_PROVIDER_FIELDS.get(name, last)] = value
    return Settings(
        **sections[""],
        budget=BudgetSettings(**sections["budget"]),
        quality=GateSettings(**sections["quality"]),
        providers=ProviderSettings(**sections["providers"]),
        **sections["checkouts"],
        checkpoints=CheckpointSettings(**sections["checkpoints"]),
        log_level=sections["log"].get("level", "info"),
        models=models,
        agents=agents,
        sources=sources,
        warnings=warnings,
    )


def _as_layer(settings: Settings) -> Layer:
    return {
        "max_parallel": settings.max_parallel,
        "plan": settings.plan,
        "approval": settings.approval,
        "budget.turns_per_task": settings.budget.turns_per_task,
        "budget.attempts": settings.budget.attempts,
    }
