"""The table of settings: every key with its type, its environment variable and what a workspace may do to it.

Values are checked one at a time (`settings_checks.py`); where they come from and which layer wins is in `settings.py`.
Settings of a provider, whose name is in the key, are in `provider_keys.py`.
"""

from collections.abc import Mapping

from server import provider_keys
from server.settings_checks import (
    Key,
    Value,
    amount,
    count,
    flag,
    model_chain,
    one_of,
    path,
    temperature,
    text,
    words,
)

APPROVAL = ("never", "ask", "auto")  # in the order of rights
PLAN = ("auto", "confirm")
LOG_LEVELS = ("error", "warning", "info", "debug")

AGENTS = (
    "claude-code", "codex", "gemini-cli", "opencode", "qwen-code", "copilot-cli", "cline", "goose", "aider",
)  # fmt: skip
"""Built-in external agents: a `model` may name one alone."""

KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        Key("model", model_chain, "trusted"),
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
        Key("providers.scripted.scripts", path, "never"),
        Key("providers.connect_s", amount, "never"),
        Key("providers.first_token_s", amount, "never"),
        Key("providers.between_tokens_s", amount, "never"),
        Key("providers.whole_call_s", amount, "never"),
        Key("providers.max_attempts", count, "never"),
        Key("providers.max_concurrent_calls", count, "never"),
        Key("providers.ca_file", path, "never"),
        Key("providers.client_certificate", path, "never"),
        Key("providers.client_key", path, "never"),
        Key("providers.keyring", flag, "never"),
        Key("providers.temperature", temperature, "never"),
        Key("providers.cache_mb", count, "never"),
        Key("providers.record", path, "never"),
        Key("providers.replay", path, "never"),
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
    "providers.record": "--record",
    "providers.replay": "--replay",
}
"""What the command line calls a key."""

CHAIN = "models"
"""As an array, another spelling of `model`; as a table, what the user says of models."""

MODEL_KEYS = ("input", "output", "cached_input", "context_window", "max_output_tokens")
TABLES = frozenset({"models"} | {name.rpartition(".")[0] for name in KEYS if "." in name} | {"providers"})

_RIGHTS: Mapping[str, tuple[str, ...]] = {"approval": APPROVAL, "plan": tuple(reversed(PLAN))}


def find_key(name: str) -> Key | None:
    return KEYS.get(name) or provider_keys.endpoint_key(name)


def variables() -> Mapping[str, Key]:
    """By variable of the environment."""
    return {**provider_keys.variables(), **{key.variable: key for key in KEYS.values()}}


def is_table(name: str) -> bool:
    return name in TABLES or (name not in KEYS and provider_keys.is_endpoint_table(name))


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

    section, _, rest = word.partition(".")
    provider, _, field = rest.partition(".")
    names = [*provider_keys.APIS, *([provider] if provider and field else [])]
    endpoints = [f"{provider_keys.SECTION}.{name}.{key}" for name in names for key in provider_keys.FIELDS]
    if section == provider_keys.SECTION and field:
        close = difflib.get_close_matches(field, provider_keys.FIELDS, n=1, cutoff=0.7)
        if close:
            return f"{section}.{provider}.{close[0]}"
    tables = [*sorted(TABLES), *(f"{provider_keys.SECTION}.{name}" for name in provider_keys.APIS)]
    candidates = [*KEYS, *tables, *(f"models.{key}" for key in MODEL_KEYS), *endpoints]
    found = difflib.get_close_matches(word, candidates, n=1, cutoff=0.7)
    if found:
        return found[0]
    last = {name.rpartition(".")[2]: name for name in reversed([*KEYS, *endpoints])}
    found = difflib.get_close_matches(word.rpartition(".")[2], list(last), n=1, cutoff=0.8)
    return last[found[0]] if found else ""
