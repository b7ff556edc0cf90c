"""What is to be known of a coding CLI, as data: how it is started, what it prints, how it ends.

Built-in ones are the TOML files beside this module; a user's `[agents.NAME]` has the same keys and adds one, or
changes keys of a built-in. Nothing here starts a process or reads a workspace.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from providers.agents.on_demand import OnDemand
from providers.errors import ProviderConfigurationError

_BUILTIN = Path(__file__).with_name("builtin")
_GROUPS = frozenset({"input", "output", "cost", "session", "tool", "subject", "denied", "failure"})
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")

Fault = Literal["login", "quota", "rate_limit", "overloaded", "context", "model", "session", "configuration"]
Scalar = str | bool | int | None


class UsagePaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where tokens and USD stand; several places are summed. `input` includes what was read from a cache, `output`
    what was reasoned.
    """

    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    cached: tuple[str, ...] = ()
    cache_write: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()


class EventRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of JSON line, or of an element of the list at `each`, and what it means.

    Paths are keys with dots between them; `a|b` is the first of two that is there. `when` (of the line) and
    `where` (of the element) compare paths with values, a list holds alternatives, `"*"` is anything but null,
    and a text that begins with `~` is a regular expression for what stands there.

    `end` is the agent's own word that it has ended, `failed` (conditions) that it did so without success;
    `failure` an error it reports; `denied` something it was not allowed to do. `usage` counts once for each
    line (`scope` `step`), once for each `key` (`keyed`: a later line replaces), or is what was spent so far
    (`total`). `piece`: the text goes on where the last one ended.
    """

    kind: Literal["text", "tool", "tool_result", "usage", "session", "remark", "end", "failure", "denied"]
    when: dict[str, Scalar | list[Scalar]] = {}
    each: str = ""
    where: dict[str, Scalar | list[Scalar]] = {}
    text: str = ""
    piece: bool = False
    tool: str = ""
    subject: str = ""
    call: str = ""
    session: str = ""
    failed: dict[str, Scalar | list[Scalar]] = {}
    error: dict[str, Scalar | list[Scalar]] = {}
    usage: UsagePaths = UsagePaths()
    scope: Literal["step", "keyed", "total"] = "step"
    key: str = ""


class LineRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pattern for lines of an agent that prints text. Its named groups say what was found: `input`, `output` (tokens,
    as `2.1k` too), `cost` (USD), `session`, `tool` and `subject`, `denied`, `failure`. `tool` names the tool where no
    group does.
    """

    pattern: str
    tool: str = "tool"


class FailureRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pattern (regular expression, letter case ignored) in what a failed agent said, and what it means."""

    pattern: str
    fault: Fault


class AgentDescription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A coding CLI.

    `argv` follows `program`. In it `{prompt}`, `{folder}` and `{scratch}` are filled in; an element that is just
    `{model}`, `{session}` or `{budget}` gives way to the list of that name, which holds it (`{budget}` in USD) and
    is left out when there is none. With `prompt = "stdin"` the prompt is written to standard input, with `"file"` to
    `{scratch}/task.md`.

    `environment` names variables (patterns) of the user's that it may have, beside the usual ones without secrets;
    `set` are variables that it gets where the user has set none of that name that it may have, with the same fields filled in. `own_files`: see `AgentProvider`. Times in
    seconds: `idle_s` without a line, `limit_s` for the whole task. `stuck`: a pattern in what is printed that means
    that it waits for a person. `auto`: approval `auto` may start it; false for one whose commands nothing
    bounds, until the user says otherwise. `version` asks for it, for `version_s` at most, and
    `minimum` is the oldest that is used. `install` is shown when it is missing.
    """

    program: str
    argv: tuple[str, ...]
    title: str = ""
    install: str = ""
    prompt: Literal["argument", "stdin", "file"] = "argument"
    output: Literal["jsonl", "text"] = "jsonl"
    model: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    budget: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    set: dict[str, str] = {}
    own_files: tuple[str, ...] = ()
    reports_cost: bool = False
    auto: bool = True
    needs_end: bool = False
    version: tuple[str, ...] = ("--version",)
    version_s: float = 20.0
    minimum: str = ""
    idle_s: float = 900.0
    limit_s: float = 7200.0
    stuck: str = ""
    exit_codes: dict[str, Fault] = {}
    events: tuple[EventRule, ...] = ()
    lines: tuple[LineRule, ...] = ()
    failures: tuple[FailureRule, ...] = ()


def load_descriptions(
    user: Mapping[str, Mapping[str, object]], source: str
) -> Mapping[str, AgentDescription]:
    """Built-in descriptions with the user's on top; tables with a `protocol` are not of this kind. Built-in ones are read when they are
    asked for. `source` names the user's file in errors. Raises ProviderConfigurationError that names the agent
    and the key.
    """
    theirs = {name: table for name, table in user.items() if "protocol" not in table}
    for name in theirs:
        if not _NAME.fullmatch(name):
            raise ProviderConfigurationError(
                f"{source}: [agents.{name}]: a name is made of a-z, 0-9, '-', '_' and '.'"
            )

    def described(name: str) -> AgentDescription:
        below = builtin_table(name) if name in builtin_names() else {}
        if name not in theirs:
            return _described(name, below, "built in")
        return _described(name, _joined(below, theirs[name]), source)

    descriptions = OnDemand([*builtin_names(), *theirs], described)
    for name in theirs:
        descriptions[name]
    return descriptions


@cache
def builtin_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _BUILTIN.glob("*.toml")))


@cache
def builtin_table(name: str) -> Mapping[str, object]:
    """A built-in description as it is written."""
    return tomllib.loads((_BUILTIN / f"{name}.toml").read_text(encoding="utf-8"))


def _joined(below: Mapping[str, object], table: Mapping[str, object]) -> dict[str, object]:
    """Key by key; variables of `set` one by one."""
    whole = {**below, **table}
    ours, theirs = below.get("set"), table.get("set")
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        whole["set"] = {**ours, **theirs}
    return whole


def _described(name: str, table: Mapping[str, object], source: str) -> AgentDescription:
    try:
        description = msgspec.convert(table, AgentDescription)
    except msgspec.ValidationError as error:
        raise ProviderConfigurationError(f"{source}: [agents.{name}]: {error}") from None
    problem = _problem(description)
    if problem:
        raise ProviderConfigurationError(f"{source}: [agents.{name}]: {problem}")
    return description


def _problem(description: AgentDescription) -> str:
    if not description.program:
        return "`program` is empty"
    whole = " ".join(description.argv)
    if description.prompt == "argument" and "{prompt}" not in whole:
        return 'argv holds no {prompt}; write it where the prompt goes, or set prompt = "stdin"'
    if description.output == "jsonl" and not description.events:
        return 'events are missing: say what its JSON lines mean, or set output = "text"'
    if min(description.idle_s, description.limit_s, description.version_s) <= 0:
        return "idle_s, limit_s and version_s must be above 0"
    for rule in description.events:
        if rule.kind == "usage" and rule.scope == "keyed" and not rule.key:
            return "a usage rule of scope `keyed` needs a `key`"
    patterns = [(rule.pattern, "failures.pattern") for rule in description.failures]
    patterns += [(line.pattern, "lines.pattern") for line in description.lines]
    conditions = [
        part for rule in description.events for part in (rule.when, rule.where, rule.failed, rule.error)
    ]
    patterns += [
        (wanted[1:], f"events: {path}")
        for condition in conditions
        for path, wanted in condition.items()
        if isinstance(wanted, str) and wanted.startswith("~")
    ]
    for pattern, key in [*patterns, (description.stuck, "stuck")]:
        try:
            re.compile(pattern)
        except re.error as error:
            return f"{key}: {pattern!r} is no regular expression: {error}"
    for line in description.lines:
        names = re.compile(line.pattern).groupindex.keys()
        if not names or names - _GROUPS:
            known = ", ".join(sorted(_GROUPS))
            return f"lines.pattern: {line.pattern!r} must name what it finds, with groups among {known}"
    return ""
