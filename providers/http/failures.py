"""From what a server or a connection did wrong to the one error tree.

Two foreign forms come in: an HTTP status with a body, and an error object inside a stream. Connection
faults are translated in `endpoint.py`, where they are met. Texts of the server are quoted shortened, on one
line, with the key taken out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from providers import errors

Headers = Sequence[tuple[bytes, bytes]]
QUOTE_CHARACTERS = 300

_CONTEXT = re.compile(
    r"context_length_exceeded|exceed_context_size|context (?:length|size|window)|maximum context|"
    r"prompt is too long|too many tokens",
    re.IGNORECASE,
)
# Not the bare words "billing" or "quota": texts of passing limits send people to the billing page too.
_QUOTA = re.compile(
    r"insufficient[_ ](?:quota|balance|credit|funds)|exceeded your current quota|billing_|out of credits|"
    r"credit balance is too low|payment required",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model_not_found|model\b.*\b(?:not found|not exist|does not exist|not a valid|unknown)|not a valid model",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"content_filter|content_policy|responsibleai", re.IGNORECASE)
_LIMIT = re.compile(
    r"(?:maximum context length is|context window of|n_ctx\D{1,6}|available context size \()\s*(\d+)"
)
_REQUESTED = re.compile(r"(?:requested|resulted in|request \()\s*(?:about )?(\d+) tokens")


@dataclass(frozen=True, slots=True)
class Place:
    """Where calls go, for messages: `setting` is what the user changes to mend it. `key`, and the secrets that a
    key command gave since (`secrets`), are never shown. `path_hint` ends a message about a wrong address.
    """

    url: str
    setting: str
    key_setting: str
    key: str | None = None
    path_hint: str = " (most servers want it to end in /v1)"
    secrets: list[str] = field(default_factory=list, compare=False, repr=False)

    def quote(self, text: str) -> str:
        """A foreign text made safe to show: one line, short, without the key."""
        for secret in (self.key, *self.secrets):
            if secret:
                text = text.replace(secret, "[key]")
        line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * QUOTE_CHARACTERS]).split())
        return line if len(line) <= QUOTE_CHARACTERS else line[:QUOTE_CHARACTERS] + "…"


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error object of any of the known shapes, flattened."""

    message: str = ""
    code: str = ""
    parameter: str = ""
    limit: int | None = None
    requested: int | None = None

    @property
    def words(self) -> str:
        return f"{self.code} {self.message}"


def read_error(payload: object) -> ServerError:
    """Understands `{"error": {...}}`, `{"error": "text"}`, `{"message": ...}`, `{"detail": ...}` and a bare text."""
    inner: object = payload
    if isinstance(payload, list) and payload:
        inner = payload[0]  # one vendor's gateway wraps the object in a list
    if isinstance(inner, dict):
        inner = inner.get("error") or inner
    if isinstance(inner, str):
        inner = {"message": inner}
    if not isinstance(inner, dict):
        return ServerError()
    message = inner.get("message") or inner.get("detail") or ""
    if not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    code = " ".join(str(inner[key]) for key in ("type", "code", "status") if inner.get(key))
    return ServerError(
        message,
        code,
        parameter=str(inner.get("param") or ""),
        limit=_count(inner.get("n_ctx"), _LIMIT, message),
        requested=_count(inner.get("n_prompt_tokens"), _REQUESTED, message),
    )


def decode_error(body: bytes) -> ServerError:
    try:
        return read_error(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ServerError(message="" if is_html(body) else body.decode("utf-8", "replace"))


def is_html(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def error_of_status(
    status: int, headers: Headers, body: bytes, *, place: Place, model: str
) -> errors.ProviderError:
    """The error of an answer whose status is not 200."""
    said = decode_error(body)
    detail = place.quote(said.message)
    at = f"{place.url} answered {status}" + (f": {detail}" if detail else "")
    delay = retry_after(headers)
    if 300 <= status < 400:
        target = place.quote(header(headers, b"location")) or "nowhere"
        return errors.ProviderConfigurationError(
            f"{place.url} redirects to {target}; redirects are not followed with a key: "
            f"set {place.setting} to the address that answers itself"
        )
    if status == 401:
        mend = f"check {place.key_setting}" if place.key else f"set {place.key_setting}"
        return errors.AuthenticationError(f"{at}; {mend}")
    if status == 403:
        return errors.PermissionDeniedError(f"{at}; the key of {place.key_setting} may not do this")
    if status == 429 and not _QUOTA.search(said.words):
        return errors.RateLimitError(at, retry_after=delay)
    if status in {402, 429}:
        return errors.QuotaExhaustedError(f"{at}; the credit or quota of this key is used up")
    if status == 408:
        return errors.ProviderTimeoutError(at, retry_after=delay)
    if status >= 500 or status in {409, 425}:
        return errors.OverloadedError(at, retry_after=delay)
    return _refused_request(said, at, status, place=place, model=model)


def error_of_payload(payload: object, *, place: Place, model: str) -> errors.ProviderError:
    """The error of an error object that came with status 200, inside a stream or as the whole body."""
    said = read_error(payload)
    at = f"{place.url} sent an error instead of an answer: {place.quote(said.words) or 'without a reason'}"
    words = said.words.lower()
    if _QUOTA.search(words):
        return errors.QuotaExhaustedError(at)
    if "rate_limit" in words or "rate limit" in words or " 429" in f" {words}":
        return errors.RateLimitError(at)
    if "authentication" in words or "invalid_api_key" in words:
        return errors.AuthenticationError(f"{at}; check {place.key_setting}")
    if "overloaded" in words or "server_error" in words or "unavailable" in words or "internal" in words:
        return errors.OverloadedError(at)
    if "timeout" in words or "timed out" in words:
        return errors.ProviderTimeoutError(at)
    if (
        "invalid_request" in words
        or _CONTEXT.search(words)
        or _NO_MODEL.search(words)
        or _FILTERED.search(words)
    ):
        return _refused_request(said, at, 400, place=place, model=model)
    return errors.BadResponseError(at)


def retry_after(headers: Headers) -> float | None:
    """Seconds from `retry-after-ms` or from either form of `Retry-After`; None when absent or senseless."""
    milliseconds = _number(header(headers, b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = header(headers, b"retry-after")
    seconds = _number(value)
    if seconds is not None or not value:
        return seconds
    return _seconds_until(value, header(headers, b"date"))


def header(headers: Headers, name: bytes) -> str:
    """The value of the header `name` (given in lower case), or an empty string."""
    for key, value in headers:
        if key.lower() == name:
            return value.decode("latin-1")
    return ""


def _refused_request(
    said: ServerError, at: str, status: int, *, place: Place, model: str
) -> errors.ProviderError:
    if status == 413 or _CONTEXT.search(said.words):
        return errors.ContextOverflowError(at, requested=said.requested, limit=said.limit)
    if _NO_MODEL.search(said.words):
        return errors.ModelNotFoundError(f"{at}; the model asked for was {model!r}")
    if _FILTERED.search(said.words):
        return errors.RefusalError(at)
    if status in {404, 405}:
        return errors.ProviderConfigurationError(
            f"{at}; nothing answers there: check {place.setting}{place.path_hint}"
        )
    return errors.InvalidRequestError(at)


def _seconds_until(when: str, now: str) -> float | None:
    """Measured by the server's own clock where it sent a Date, so that ours need not agree with it."""
    import datetime as dt
    from email.utils import parsedate_to_datetime

    try:
        then = parsedate_to_datetime(when)
        reference = parsedate_to_datetime(now) if now else dt.datetime.now(dt.UTC)
        return max(0.0, (then - reference).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _count(given: Any, pattern: re.Pattern[str], message: str) -> int | None:
    if isinstance(given, int):
        return given
    found = pattern.search(message)
    return int(found.group(1)) if found else None
