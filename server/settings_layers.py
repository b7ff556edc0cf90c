"""One layer of settings: from a table of a file or an editor, from variables or flags, to checked values by dotted key.

How layers are put on top of each other, and what a workspace may say, is in `settings.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestration.errors import ConfigurationError
from server.provider_keys import APIS, OTHERS, reaches_out
from server.settings_checks import BadValueError, Key, Value
from server.settings_files import user_file
from server.settings_keys import AGENTS, CHAIN, FLAGS, find_key, is_table, near, variables

EDITOR = "the editor's settings"
Layer = dict[str, Value]
Tables = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Below:
    """What the layers beneath said: their values, and the agents that the user describes."""

    values: Layer = field(default_factory=dict)
    agents: Tables = field(default_factory=dict)


def split_models(
    table: dict[str, object], source: str
) -> tuple[dict[str, object], dict[str, Mapping[str, object]]]:
    if isinstance(table.get(CHAIN), list):
        if "model" in table:
            raise ConfigurationError(f"{source}: `model` and `{CHAIN}` say the same; keep one of them")
        table["model"] = table.pop(CHAIN)
    raw = table.pop(CHAIN, {})
    if not isinstance(raw, dict) or not all(isinstance(entry, dict) for entry in raw.values()):
        raise ConfigurationError(
            f'{source}: models must be tables, as [models."openai/NAME"], or a list: the models to try in turn'
        )
    for name, entry in raw.items():
        _check_model(str(name), entry, source)
    return table, raw


def split_agents(table: dict[str, object], source: str) -> Tables:
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


def _value(key: Key, value: object, agents: Tables) -> Value:
    """Raises BadValueError. The name of an agent is a model's id too."""
    if key.name == "model" and isinstance(value, str) and value.strip() in {*AGENTS, *agents}:
        return value.strip()
    return key.check(value)


def checked(table: Mapping[str, object], source: str, content: str, below: Below) -> Layer:
    """Raises ConfigurationError for an unknown key (with the near one) and a value of the wrong type."""
    _check_providers(table, source, content, below.values)
    layer: Layer = {}
    for name, value in _flat(table):
        key = find_key(name)
        if key is None:
            raise ConfigurationError(_unknown(name, source, content))
        try:
            layer[name] = _value(key, value, below.agents)
        except BadValueError as error:
            shown = "" if key.secret else f", not {value!r}"
            raise ConfigurationError(
                f"{_place(name, source, content)}: {name} must be {error}{shown}"
            ) from error
    return layer


def _check_providers(table: Mapping[str, object], source: str, content: str, below: Layer) -> None:
    """A provider that nobody knows must say which API it speaks; most often its name is a typing error."""
    section = table.get("providers")
    for name, values in section.items() if isinstance(section, Mapping) else ():
        full = f"providers.{name}"
        known = name in APIS or name in OTHERS or f"{full}.api" in below
        if known or not isinstance(values, Mapping) or not is_table(full) or "api" in values:
            continue
        guess = near(full)
        mend = f"did you mean `{guess}`? A" if guess else "a"
        raise ConfigurationError(
            f"{_place(full, source, content)}: unknown key `{full}`; {mend} provider of your own needs `api` "
            f"({', '.join(APIS)}) and `base_url`"
        )


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every value by its dotted key; a table that is not known is given as it stands, to be refused whole."""
    for name, value in table.items():
        full = f"{prefix}{name}"
        if isinstance(value, Mapping) and is_table(full):
            yield from _flat(value, f"{full}.")
        else:
            yield full, value


def _unknown(name: str, source: str, content: str) -> str:
    if is_table(name) and near(name) in {"", name}:
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


def from_environment(environ: Mapping[str, str], warnings: list[str], below: Below) -> Layer:
    known: Mapping[str, Key] | None = None  # looked up when a variable is ours: most environments have none
    layer: Layer = {}
    for variable, value in environ.items():
        if not variable.startswith("ANTIPHON_") or not value:
            continue
        known = known or variables()
        key = known.get(variable)
        if key is None:
            guess = find_key(near(variable.removeprefix("ANTIPHON_").lower()))
            if guess is not None and variable not in _OTHER_VARIABLES:
                warnings.append(f"unknown variable {variable}; did you mean {guess.variable}?")
            continue
        try:
            layer[key.name] = _value(key, value, below.agents)
        except BadValueError as error:
            shown = "" if key.secret else f", not {value!r}"
            raise ConfigurationError(f"{variable} must be {error}{shown}") from error
    return layer


def from_flag(name: str, value: Value, below: Below) -> Layer:
    key = find_key(name)
    assert key is not None
    try:
        return {name: _value(key, value, below.agents)}
    except BadValueError as error:
        raise ConfigurationError(f"{FLAGS[name]} must be {error}, not {value}") from error


_OTHER_VARIABLES = frozenset({"ANTIPHON_DEBUG"})


def from_editor(
    editor: Mapping[str, object], below: Below, warnings: list[str], *, trusted: bool = True
) -> Layer:
    """Editors send settings of their own beside ours, so an unknown key is a warning, never an error."""
    table, _ = split_models(_snake(editor), EDITOR)
    _check_providers(table, EDITOR, "", below.values)
    layer: Layer = {}
    for name, value in _flat(table):
        key = find_key(name)
        if key is None:
            guess = near(name)
            if guess:
                warnings.append(f"{EDITOR}: unknown key `{name}`; did you mean `{guess}`?")
        elif value is None or value == "":
            continue
        elif reaches_out(name) and not trusted:
            warnings.append(
                f"{EDITOR}: {name} is ignored until you trust this workspace: what an editor answers can come from "
                f"the workspace; {user_file()}, the environment and `initializationOptions` hold without it"
            )
        else:
            layer |= checked({name: value}, EDITOR, "", below)
    return layer


def _snake(table: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Names that are the user's (of providers, models, headers, parts of a query) stay as they are."""
    free = prefix == f"{CHAIN}." or prefix.count(".") > 2
    renamed: dict[str, object] = {}
    for name, value in table.items():
        named = free or (prefix == "providers." and isinstance(value, Mapping))
        key = str(name) if named else _snake_name(str(name))
        renamed[key] = _snake(value, f"{prefix}{key}.") if isinstance(value, Mapping) else value
    return renamed


def _snake_name(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
