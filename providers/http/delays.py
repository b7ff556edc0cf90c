"""When a server says to come back, and how much of its limits is left: by headers and by bodies.

Standard `Retry-After` in both forms; the reset headers of OpenAI and its kin (`1s`, `6m0s`, `20ms`), of Anthropic
(a date), of the IETF draft and of gateways (seconds, or an epoch); Google's `RetryInfo`; a delay named in a message.
Times are seconds from now, measured by the server's own clock where it sent a `Date`.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from providers.http.late_pattern import LatePattern

Headers = Sequence[tuple[bytes, bytes]]

_DURATION = LatePattern(
    r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
_IN_TEXT = LatePattern(
    r"(?:try again|retry|wait|available again)\b[^.\d]{0,30}?((?:\d+(?:\.\d+)?\s?(?:hours?|h|minutes?|min|ms|m|"
    r"seconds?|secs?|s)(?![a-z])\s?(?:and\s)?)+)",
    re.IGNORECASE,
)
_UNIT = LatePattern(r"(\d+(?:\.\d+)?)\s?(ms|h|m|s)", re.IGNORECASE)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_EPOCH = 1_000_000_000  # a number of seconds beyond it is a date


class Allowance(msgspec.Struct, frozen=True):
    """What is left of one limit, and in how many seconds it is whole again. None: not said."""

    limit: int | None = None
    remaining: int | None = None
    reset_s: float | None = None


class Allowances(msgspec.Struct, frozen=True):
    requests: Allowance = Allowance()
    tokens: Allowance = Allowance()


_FAMILIES: tuple[tuple[str, str, str, str], ...] = (
    # what, limit, remaining, reset
    (
        "requests",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    ("tokens", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    (
        "requests",
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    (
        "tokens",
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    (
        "tokens",
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    ("requests", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"),
    ("requests", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
)


def header(headers: Headers, name: bytes) -> str:
    """The value of the header `name` (given in lower case), or an empty string."""
    for key, value in headers:
        if key.lower() == name:
            return value.decode("latin-1")
    return ""


def retry_after(headers: Headers) -> float | None:
    """Seconds from `retry-after-ms` or from either form of `Retry-After`; None when absent or senseless."""
    milliseconds = _number(header(headers, b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = header(headers, b"retry-after")
    seconds = _number(value)
    if seconds is not None or not value:
        return seconds
    return _until_http_date(value, header(headers, b"date"))


def allowances(headers: Headers) -> Allowances:
    """What the headers of any answer say of the limits; the first family of names that is there counts."""
    given = {key.lower().decode("latin-1"): value.decode("latin-1") for key, value in headers}
    found: dict[str, Allowance] = {}
    if not any("ratelimit" in name for name in given):
        return Allowances()
    for what, limit, remaining, reset in _FAMILIES:
        if what not in found and (remaining in given or reset in given):
            found[what] = Allowance(
                _whole(given.get(limit, "")),
                _whole(given.get(remaining, "")),
                _reset(given.get(reset, ""), given.get("date", "")),
            )
    return Allowances(found.get("requests", Allowance()), found.get("tokens", Allowance()))


def reset_delay(headers: Headers) -> float | None:
    """Of a refused call without `Retry-After`: until the limit that is used up is whole again."""
    known = allowances(headers)
    spent = [each.reset_s for each in (known.requests, known.tokens) if each.remaining == 0]
    delays = [delay for delay in spent if delay is not None]
    return max(delays) if delays else None


def delay_in_body(payload: object, message: str) -> float | None:
    """Google's `RetryInfo`, a gateway's `retry_after`, or the words of the message ("try again in 7.66s")."""
    for found in _objects(payload):
        delay = found.get("retryDelay", found.get("retry_after"))
        seconds = _number(str(delay)) if isinstance(delay, int | float) else duration(str(delay or ""))
        if seconds is not None:
            return seconds
    named = _IN_TEXT.search(message)
    if named is None:
        return None
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _UNIT.findall(named.group(1)))


def duration(text: str) -> float | None:
    """`6m0s`, `1.5s`, `20ms`, `34.07s`; None for anything else."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _objects(payload: object, depth: int = 0) -> list[dict[str, Any]]:
    """Every object inside, the outer first, a few levels deep."""
    if depth > 5:
        return []
    if isinstance(payload, dict):
        inner = [found for value in payload.values() for found in _objects(value, depth + 1)]
        return [payload, *inner]
    if isinstance(payload, list):
        return [found for value in payload[:50] for found in _objects(value, depth + 1)]
    return []


def _reset(value: str, now: str) -> float | None:
    number = _number(value)
    if number is None:
        lasting = duration(value)
        return lasting if lasting is not None else _until_iso_date(value, now)
    if number > 1000 * _EPOCH:
        number /= 1000  # an epoch in milliseconds
    return max(0.0, number - _epoch_of(now)) if number > _EPOCH else number


def _until_http_date(when: str, now: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        then = parsedate_to_datetime(when).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, then - _epoch_of(now))


def _until_iso_date(when: str, now: str) -> float | None:
    import datetime as dt

    try:
        then = dt.datetime.fromisoformat(when)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=dt.UTC)
    return max(0.0, then.timestamp() - _epoch_of(now))


def _epoch_of(now: str) -> float:
    """The server's own clock, so that ours need not agree with it; ours when it sent none."""
    import datetime as dt
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(now).timestamp()
    except (ValueError, TypeError, OverflowError):
        return dt.datetime.now(dt.UTC).timestamp()


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _whole(text: str) -> int | None:
    number = _number(text)
    return None if number is None else int(number)
