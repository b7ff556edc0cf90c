"""What a value of a setting may be: one check for each kind, and the key that ties a check to a name.

A check gives the value with its type or raises BadValueError. Which keys there are is in `settings_keys.py` and
`provider_keys.py`.
"""

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

WorkspaceRule = Literal["lower", "trusted", "approved", "never"]
"""What a workspace's own file may do: lower the value of the layers below it; set it once the user trusts the
workspace; set it as the user approved that file (the stored decision, which ends when the file changes: an editor's
word on a folder is not enough for an address); or nothing at all.
"""

Value = str | int | float | bool | tuple[str, ...] | Path
Check = Callable[[object], Value]


class BadValueError(ValueError):
    """Raised by a check; the message ends the sentence `KEY must be …`."""


def text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadValueError("text")
    return value.strip()


def model_chain(value: object) -> str:
    """One model, or several of which the next answers when one cannot: a list, or a text with commas."""
    several = value.split(",") if isinstance(value, str) else value
    if not isinstance(several, list | tuple) or not several:
        raise BadValueError("text, or a list of PROVIDER/NAME")
    return ", ".join(model_id(each) for each in several)


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


def temperature(value: object) -> float:
    number = value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 2:
        raise BadValueError("a number from 0 to 2")
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


def command(value: object) -> tuple[str, ...]:
    """As `words`, and it names a program."""
    argv = words(value)
    if not argv or not argv[0]:
        raise BadValueError('a command: "pass show openai", or a list of words')
    return argv


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
        return "ANTIPHON_" + self.name.upper().replace(".", "_").replace("-", "_")
