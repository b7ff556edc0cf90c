"""The settings of one provider, `providers.NAME.…`: the vendors' own names, and any name for a provider of the user's.

Names of keys and their checks alone; layers are in `settings.py`, what the values mean in `providers/config.py`.
"""

import re
from collections.abc import Mapping

from server.settings_checks import (
    BadValueError,
    Check,
    Key,
    WorkspaceRule,
    amount,
    command,
    count,
    flag,
    one_of,
    path,
    text,
    url,
)

SECTION = "providers"
APIS = ("openai", "openai-responses", "anthropic", "google", "ollama")
FORMS = ("vendor", "azure", "bedrock", "vertex")
# Tables below `providers` that are no endpoint.
OTHERS = frozenset({"scripted"})
# Whose keys are names of the user's: of headers, of parts of a query.
OPEN_TABLES = ("headers", "query")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\Z", re.IGNORECASE)


def line(value: object) -> str:
    """A text without a line break, which may be empty."""
    if not isinstance(value, str) or not value.isprintable():
        raise BadValueError("text on one line")
    return value


# What a workspace may say: an address is taken from one only as the user approved it; whatever could carry a key
# away, start a program or read a file never is.
_FIELDS: Mapping[str, tuple[Check, WorkspaceRule, bool]] = {
    "api": (one_of(*APIS), "approved", False),
    "base_url": (url, "approved", False),
    "form": (one_of(*FORMS), "approved", False),
    "api_key": (text, "never", True),
    "key_command": (command, "never", False),
    "keyring": (flag, "never", False),
    "key_header": (text, "never", False),
    "key_scheme": (line, "never", False),
    "headers": (line, "never", True),
    "query": (line, "never", True),
    "ca_file": (path, "never", False),
    "client_certificate": (path, "never", False),
    "client_key": (path, "never", False),
    "requests_per_minute": (amount, "lower", False),
    "tokens_per_minute": (amount, "lower", False),
    "max_concurrent_calls": (count, "lower", False),
}
FIELDS = tuple(_FIELDS)
_OUTWARD = frozenset(
    f"{SECTION}.{name}"
    for name in ("ca_file", "client_certificate", "client_key", "keyring", "record", "replay")
)


def endpoint_of(name: str) -> tuple[str, str, str] | None:
    """Of a dotted key: the provider, the field and, in an open table, the name there; None for any other key."""
    section, _, rest = name.partition(".")
    provider, _, rest = rest.partition(".")
    field, dot, inner = rest.partition(".")
    if section != SECTION or field not in _FIELDS or provider in OTHERS or not _NAME.match(provider):
        return None
    if (field in OPEN_TABLES) != bool(dot and inner):
        return None
    return provider, field, inner


def endpoint_key(name: str) -> Key | None:
    found = endpoint_of(name)
    if found is None:
        return None
    check, rule, secret = _FIELDS[found[1]]
    return Key(name, check, rule, secret)


def is_endpoint_table(name: str) -> bool:
    """Whether a table of this dotted name can hold settings of a provider: `providers.NAME`, or an open one in it."""
    parts = name.split(".")
    return (
        parts[0] == SECTION
        and (len(parts) == 2 or (len(parts) == 3 and parts[2] in OPEN_TABLES))
        and parts[1] not in OTHERS
        and _NAME.match(parts[1]) is not None
    )


def reaches_out(name: str) -> bool:
    """Whether a setting decides where calls go, what authorises them, what is started for a key or which file is
    written: what a stranger must not decide.
    """
    key = endpoint_key(name)
    return name in _OUTWARD if key is None else key.workspace != "lower"


def variables() -> Mapping[str, Key]:
    """By variable of the environment: what the vendors' own providers may be given there."""
    names = (f"{SECTION}.{api}.{field}" for api in APIS for field in FIELDS if field not in OPEN_TABLES)
    keys = [key for key in map(endpoint_key, names) if key is not None]
    return {key.variable: key for key in keys}
