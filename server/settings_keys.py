"""The table of settings: every key with its type, its environment variable and what a workspace may do to it.

Values are checked here, one at a time; where they come from and which layer wins is in `settings.py`.
"""

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

WorkspaceRule = Literal["lower", "trusted", "never"]
"""What a workspace's own file may do: lower the value of the layers below it, set it once the user
trusts the workspace, or nothing at all. A URL or a key from a workspace would send the user's key to
whoever wrote the workspace, so those are never taken from it, trusted or not.
"""

Value = str | int | float | bool | tuple[str, ...] | Path
Check = Callable[[object], Value]

APPROVAL = ("never", "ask", "auto")  # in the order of rights
PLAN = ("auto", "confirm")
LOG_LEVELS = ("error", "warning", "info", "debug")


AGENTS = (
    "claude-code", "codex", "gemini-cli", "opencode", "qwen-code", "copilot-cli", "cline", "goose", "aider",
)  # fmt: skip
"""Built-in external agents: a `model` may name one alone."""


class BadValueError(ValueError):
    """Raised by a check; the message ends the sentence `KEY must be …`."""


def text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadValueError("text")
    return value.strip()


def model_id(value: object) -> str:
    name = text(value)
    provider, slash, model = name.partition("/")
    if not (provider and slash and model):
        raise BadValueError("PROVIDER/NAME, for example openai/gpt-4.1")
    return name


def url(value: object) -> str:
    from urllib.parse import urlsplit  # 4 ms for a key that few set

    address = text(value)
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise BadValueError(f"a URL ({error})") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadValueError("a URL that begins with http:// or https://")
    return address


def flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "1", "yes", "on"}:
        return True
    if isinstance(value, str) and value.lower() in {"false", "0", "no", "off"}:
        return False
    raise BadValueError("true or false")


def count(value: object) -> int:
    number = value
    if isinstance(value, str):
        try:
            number = int(value.replace("_", ""))
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise BadValueError("a whole number from 1 up")
    return number


def amount(value: object) -> float:
    number = value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise BadValueError("a number above 0")
    if not math.isfinite(number) or number <= 0:
        raise BadValueError("a number above 0")
    return float(number)


def words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError as error:
            raise BadValueError(f"a command ({error})") from error
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise BadValueError('a command: "pytest -q", or a list of words')


def path(value: object) -> Path:
    folder = Path(text(value)).expanduser()
    if not folder.is_absolute():
        raise BadValueError("an absolute path, or one that begins with ~")
    return folder


def one_of(*choices: str) -> Check:
    def check(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise BadValueError(f"one of {', '.join(choices)}")

    return check


@dataclass(frozen=True, slots=True)
class Key:
    """`name` is dotted, as in the documentation. `secret` values are never shown."""

    name: str
    check: Check
    workspace: WorkspaceRule
    secret: bool = False

    @property
    def variable(self) -> str:
        return "ANTIPHON_" + self.name.upper().replace(".", "_")


KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        Key("model", model_id, "trusted"),
        Key("max_parallel", count, "lower"),
        Key("plan", one_of(*PLAN), "lower"),
        Key("approval", one_of(*APPROVAL), "lower"),
        Key("review", flag, "trusted"),
        Key("budget.usd", amount, "lower"),
        Key("budget.tokens", count, "lower"),
        Key("budget.wall_seconds", amount, "lower"),
        Key("budget.turns_per_task", count, "lower"),
        Key("budget.attempts", count, "lower"),
        Key("quality.test_command", words, "trusted"),
        Key("quality.setup_command", words, "trusted"),
        Key("quality.interpreter", text, "trusted"),
        Key("quality.timeout_s", amount, "trusted"),
        Key("quality.baseline_s", amount, "trusted"),
        Key("quality.analyzers", flag, "trusted"),
        Key("quality.changed_lines_only", flag, "trusted"),
        Key("checkouts.dependency_folders", words, "trusted"),
        Key("checkpoints.keep_days", amount, "never"),
        Key("checkpoints.keep", count, "never"),
        Key("providers.openai.base_url", url, "never"),
        Key("providers.openai.api_key", text, "never", secret=True),
        Key("providers.scripted.scripts", path, "never"),
        Key("providers.connect_s", amount, "never"),
        Key("providers.first_token_s", amount, "never"),
        Key("providers.between_tokens_s", amount, "never"),
        Key("providers.whole_call_s", amount, "never"),
        Key("providers.max_attempts", count, "never"),
        Key("providers.max_concurrent_calls", count, "never"),
        Key("data_dir", path, "never"),
        Key("log.level", one_of(*LOG_LEVELS), "never"),
    )
}

FLAGS: Mapping[str, str] = {
    "model": "--model",
    "max_parallel": "--max-parallel",
    "review": "--review",
    "plan": "--plan",
    "approval": "--approval",
    "budget.usd": "--max-cost",
    "budget.tokens": "--max-tokens",
}
"""What the command line calls a key."""

MODEL_KEYS = ("input", "output", "cached_input", "context_window", "max_output_tokens")
TABLES = frozenset({"models"} | {name.rpartition(".")[0] for name in KEYS if "." in name} | {"providers"})

_RIGHTS: Mapping[str, tuple[str, ...]] = {"approval": APPROVAL, "plan": tuple(reversed(PLAN))}


def lowers(key: str, new: Value, below: Value | None) -> bool:
    """Whether `new` grants no more than `below` does; None below means no limit."""
    if below is None:
        return True
    if key in _RIGHTS:
        order = _RIGHTS[key]
        return order.index(str(new)) <= order.index(str(below))
    if isinstance(new, int | float) and isinstance(below, int | float):
        return new <= below
    return False


def near(word: str) -> str:
    """The known key that `word` was probably meant to be, or an empty text."""
    import difflib  # only on the way to an error

    candidates = [*KEYS, *sorted(TABLES), *(f"models.{key}" for key in MODEL_KEYS)]
    found = difflib.get_close_matches(word, candidates, n=1, cutoff=0.7)
    if found:
        return found[0]
    last = {name.rpartition(".")[2]: name for name in KEYS}
    found = difflib.get_close_matches(word.rpartition(".")[2], list(last), n=1, cutoff=0.8)
    return last[found[0]] if found else ""
