"""The settings of a process: layers put on top of each other, as frozen typed values.

    defaults < user file < workspace file < editor < environment < flags

The workspace file may only lower rights; the rest of it waits until the user trusts the workspace, an address
until the user has approved the file that names it, and keys and the data directory are never taken from it. The
keys and their checks are in `settings_keys.py`; what the values mean to a provider or an engine is the composition
root's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.provider_keys import OPEN_TABLES, endpoint_of
from server.settings_checks import Value
from server.settings_files import WORKSPACE_FILE, parse, read, read_inside, user_file
from server.settings_keys import find_key, lowers
from server.settings_layers import (
    EDITOR,
    Below,
    Layer,
    Tables,
    checked,
    from_editor,
    from_environment,
    from_flag,
    split_agents,
    split_models,
)

COMMAND_LINE = "the command line"
EndpointValue = Value | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EditorSettings:
    """What a client sent at its start (`own`: whoever configured the client wrote it), and what it answered when it was
    asked, over it (`asked`: editors mix in what the workspace brings).
    """

    own: Mapping[str, object] = field(default_factory=dict)
    asked: Mapping[str, object] = field(default_factory=dict)


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
    """None: the provider's own default, or its variable of the environment. Times in seconds. `endpoints` by the
    provider's name, then by key (`provider_keys.py`), are never shown: keys are among them.
    """

    endpoints: Mapping[str, Mapping[str, EndpointValue]] = field(default_factory=dict, repr=False)
    scripts: Path | None = None
    connect_s: float | None = None
    first_token_s: float | None = None
    between_tokens_s: float | None = None
    whole_call_s: float | None = None
    max_attempts: int | None = None
    max_concurrent_calls: int | None = None
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    keyring: bool = False
    temperature: float | None = None
    cache_mb: int | None = None
    record: Path | None = None
    replay: Path | None = None

    def secrets(self) -> list[str]:
        """What no log may hold."""
        found: list[str] = []
        for values in self.endpoints.values():
            for name in ("api_key", *OPEN_TABLES):
                value = values.get(name, "")
                found += value.values() if isinstance(value, Mapping) else [str(value)]
        return [secret for secret in found if secret]


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
    models: Tables = field(default_factory=dict)
    agents: Tables = field(default_factory=dict)
    dependency_folders: tuple[str, ...] = ()
    checkpoints: CheckpointSettings = CheckpointSettings()
    data_dir: Path | None = None
    log_level: str = "info"
    sources: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def addresses_from(self, source: str) -> dict[str, str]:
        """Where a layer (by its name in `sources`) sends the calls of providers, by the provider's name."""
        return {
            name: str(values["base_url"])
            for name, values in self.providers.endpoints.items()
            if self.sources.get(f"providers.{name}.base_url") == source
        }

    def data_folder(self, environ: Mapping[str, str]) -> Path:
        """Where journals, snapshots, trust and logs are kept. Raises ConfigurationError."""
        from orchestration.journal.data_dir import data_root  # msgspec with it

        return data_root(environ, self.data_dir)


def load(
    *,
    environ: Mapping[str, str],
    workspace: Path | None = None,
    trusted: bool = False,
    approved: bool | None = None,
    editor: EditorSettings | None = None,
    flags: Mapping[str, Value | None] | None = None,
    user: Path | None = None,
) -> Settings:
    """All layers together. `user` is the user's file (default: `user_file()`); `flags` are by dotted
    key, None for those not given; `editor`'s are camelCase or as they are. `trusted`: the workspace is; `approved`: so is
    its file as it stands (None: as `trusted`).

    Raises ConfigurationError for a file that cannot be read or parsed, an unknown key (with the near
    one), and a value of the wrong type: it names the key and the file or variable.
    """
    warnings: list[str] = []
    values: Layer = {}
    sources: dict[str, str] = {}
    models: dict[str, Mapping[str, object]] = {}
    below = Below(values)

    source = user_file() if user is None else user
    if (content := read(source, follow=True)) is not None:
        table, models = split_models(parse(content, source), str(source))
        below = Below(values, split_agents(table, str(source)))
        _take(values, sources, checked(table, str(source), content, below), str(source))
    if workspace is not None:
        source = workspace / WORKSPACE_FILE
        if (content := read_inside(source, workspace)) is not None:
            table, its_models = split_models(parse(content, source), str(source))
            if split_agents(table, str(source)):
                warnings.append(
                    f"{source}: `agents` is ignored; what may be started is said in {user_file()} alone"
                )
            layer = checked(table, str(source), content, below)
            rights = _Rights(trusted, trusted if approved is None else approved)
            _take(values, sources, _allowed(layer, values, source, warnings, rights), str(source))
            if its_models:
                warnings.append(f"{source}: `models` is ignored; prices and windows belong in {user_file()}")
    if editor is not None:
        _take(values, sources, from_editor(editor.own, below, warnings), EDITOR)
        _take(values, sources, from_editor(editor.asked, below, warnings, trusted=trusted), EDITOR)
    _take(values, sources, from_environment(environ, warnings, below), "the environment")
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    for name, value in given.items():
        _take(values, sources, from_flag(name, value, below), COMMAND_LINE)
    return _settings(values, models, below.agents, sources, tuple(warnings))


# --- layers ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rights:
    """What the user granted a workspace."""

    trusted: bool
    approved: bool


def _allowed(layer: Layer, below: Layer, file: Path, warnings: list[str], rights: _Rights) -> Layer:
    defaults = _as_layer(Settings())
    taken: Layer = {}
    for name, value in layer.items():
        key = find_key(name)
        assert key is not None
        if key.workspace == "lower":
            if lowers(name, value, below.get(name, defaults.get(name))):
                taken[name] = value
            else:
                warnings.append(f"{file}: {name} = {value} is ignored; a workspace may only lower it")
        elif key.workspace == "never":
            warnings.append(f"{file}: {name} is ignored; set it in {user_file()} or the environment")
        elif rights.approved if key.workspace == "approved" else rights.trusted:
            taken[name] = value
        else:
            warnings.append(f"{file}: {name} is ignored until you trust this workspace (antiphon trust)")
    return taken


def _take(values: Layer, sources: dict[str, str], layer: Layer, source: str) -> None:
    for name, value in layer.items():
        values[name] = value
        sources[name] = source


# --- values ----------------------------------------------------------------------------------------

_PROVIDER_FIELDS = {"providers.scripted.scripts": "scripts"}


def _settings(
    values: Layer, models: Tables, agents: Tables, sources: Mapping[str, str], warnings: tuple[str, ...]
) -> Settings:
    # Any: the checks of KEYS have given every value the type of its field.
    sections: dict[str, dict[str, Any]] = {
        name: {} for name in ("", "budget", "quality", "checkouts", "checkpoints", "providers", "log")
    }
    endpoints: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, last = name.partition(".")
        place = endpoint_of(name)
        if place is not None:
            provider, field_name, inner = place
            endpoint = endpoints.setdefault(provider, {})
            if inner:
                endpoint.setdefault(field_name, {})[inner] = value
            else:
                endpoint[field_name] = value
        elif not last:
            sections[""][name] = value
        else:
            sections[section][_PROVIDER_FIELDS.get(name, last)] = value
    return Settings(
        **sections[""],
        budget=BudgetSettings(**sections["budget"]),
        quality=GateSettings(**sections["quality"]),
        providers=ProviderSettings(**sections["providers"], endpoints=endpoints),
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
