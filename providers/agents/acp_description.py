"""What is to be known of an ACP agent, as data: how it is started, and what is set so that it asks before it acts.

Built-in ones are the TOML files in `builtin_acp`; a user's `[agents.NAME]` with `protocol = "acp"` has the same keys and adds
one, or changes keys of a built-in. Nothing here starts a process or reads a workspace.
"""

import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from providers.agents.description import FailureRule
from providers.agents.on_demand import OnDemand
from providers.errors import ProviderConfigurationError

PREFIX = "acp"
_BUILTIN = Path(__file__).with_name("builtin_acp")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class AcpDescription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent of the Agent Client Protocol.

    `environment` names variables (patterns) of the user's that it may have, beside the usual ones without secrets; `set`
    are variables that it gets. `modes` are session modes by preference: the first that it offers is set; without one, its own
    default stays. `options` are values of its configuration options by their ids, set where they are offered. `key_methods` says which of its ways to log in uses the key in a variable. `meta` goes with
    `session/new` as `_meta`. `own_files`, `resumes`, `reports_cost`, `auto` (false for one that acts without
    asking): see `AgentProvider`. Times in seconds: `start_s` for
    each step before the prompt, `silence_s` between two messages during it, `limit_s` for the whole task. `failures`
    are patterns in what it says of a fault; `failed_text` is one in its words that means that it failed although it says that
    its turn is over, as far as it used no tool. `install` and `login` are mends; `minimum`: the oldest version that is used.
    """

    command: tuple[str, ...]
    protocol: Literal["acp"] = "acp"
    title: str = ""
    install: str = ""
    login: str = ""
    environment: tuple[str, ...] = ()
    set: dict[str, str] = {}
    modes: tuple[str, ...] = ()
    options: dict[str, str] = {}
    key_methods: dict[str, str] = {}
    meta: dict[str, Any] = {}
    own_files: tuple[str, ...] = ()
    resumes: bool = False
    reports_cost: bool = False
    auto: bool = True
    version: tuple[str, ...] = ("--version",)
    version_s: float = 20.0
    minimum: str = ""
    start_s: float = 90.0
    silence_s: float = 1_800.0
    limit_s: float = 7_200.0
    failures: tuple[FailureRule, ...] = ()
    failed_text: str = ""

    @property
    def program(self) -> str:
        return self.command[0]


def is_acp(table: Mapping[str, object]) -> bool:
    """Whether a user's table of an agent describes one of this protocol."""
    return table.get("protocol") == PREFIX


def load_acp(user: Mapping[str, Mapping[str, object]], source: str) -> Mapping[str, AcpDescription]:
    """Built-in descriptions with the user's on top, by their names in a model id (`acp/NAME`). Tables of other agents are left out.
    Built-in ones are read when they are asked for. `source` names the user's file in errors. Raises
    ProviderConfigurationError that names the agent and the key.
    """
    theirs = {f"{PREFIX}/{name}": table for name, table in user.items() if is_acp(table)}

    def described(full: str) -> AcpDescription:
        name = full.removeprefix(f"{PREFIX}/")
        below = _builtin(name) if name in _builtin_names() else {}
        return _described(name, {**below, **theirs.get(full, {})}, source if full in theirs else "built in")

    descriptions = OnDemand([*(f"{PREFIX}/{name}" for name in _builtin_names()), *theirs], described)
    for full in theirs:
        descriptions[full]
    return descriptions


def variables_of(agent: AcpDescription, environment: Mapping[str, str]) -> dict[str, str]:
    """What an agent gets of the user's environment, and what is set for it."""
    theirs = {
        name: value
        for name, value in environment.items()
        if value and any(fnmatchcase(name, pattern) for pattern in agent.environment)
    }
    return {**theirs, **agent.set}


@cache
def _builtin_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _BUILTIN.glob("*.toml")))


@cache
def _builtin(name: str) -> Mapping[str, object]:
    return tomllib.loads((_BUILTIN / f"{name}.toml").read_text(encoding="utf-8"))


def _described(name: str, table: Mapping[str, object], source: str) -> AcpDescription:
    try:
        description = msgspec.convert(table, AcpDescription)
    except msgspec.ValidationError as error:
        raise ProviderConfigurationError(f"{source}: [agents.{name}]: {error}") from None
    problem = _problem(name, description)
    if problem:
        raise ProviderConfigurationError(f"{source}: [agents.{name}]: {problem}")
    return description


def _problem(name: str, description: AcpDescription) -> str:
    if not _NAME.fullmatch(name):
        return "a name is made of a-z, 0-9, '-', '_' and '.'"
    if not description.command or not all(description.command):
        return 'command must be a list of words, as ["my-agent", "--acp"]'
    if min(description.start_s, description.silence_s, description.limit_s) <= 0:
        return "start_s, silence_s and limit_s must be above 0"
    patterns = [("failures.pattern", rule.pattern) for rule in description.failures]
    for key, pattern in [*patterns, ("failed_text", description.failed_text)]:
        try:
            re.compile(pattern)
        except re.error as error:
            return f"{key}: {pattern!r} is no regular expression: {error}"
    return ""
