"""From what a server or a connection did wrong to the one error tree.

Two foreign forms come in: an HTTP status with a body, and an error object inside a stream. Connection
faults are translated in `endpoint.py`, where they are met. Texts of the server are quoted shortened, on one
line, with the key taken out.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from providers import errors
from providers.http.delays import Headers, delay_in_body, header, reset_delay, retry_after
from providers.http.late_pattern import LatePattern

QUOTE_CHARACTERS = 300

_CONTEXT = LatePattern(
    r"context_length_exceeded|exceed_context_size|context (?:length|size|window)|maximum context|"
    r"prompt is too long|too many tokens|exceed(?:s)? context limit|input token count|context window|"
    r"request_too_large",
    re.IGNORECASE,
)
# Not the bare words "billing" or "quota": texts of passing limits send people to the billing page too.
_QUOTA = LatePattern(
    r"insufficient[_ ](?:quota|balance|credit|funds)|exceeded your current quota|billing_|out of credits|"
    r"credit balance is too low|payment required|spend[_ ]limit",
    re.IGNORECASE,
)
_NO_MODEL = LatePattern(
    r"model_not_found|not_found_error model:|models?\b.*\b(?:not found|not exist|does not exist|not a valid|unknown)|not a valid model",
    re.IGNORECASE,
)
_FILTERED = LatePattern(r"content_filter|content_policy|responsibleai", re.IGNORECASE)
_BAD_KEY = LatePattern(r"api_key_invalid|invalid_api_key|api key (?:not valid|expired)", re.IGNORECASE)
_RATE = LatePattern(r"rate[_ ]limit|\b429\b|resource_exhausted|throttl")
_BUSY = LatePattern(r"overloaded|server_error|api_error|unavailable|internal|\b50[023]\b")
_LIMIT = LatePattern(
    r"(?:maximum context length is|context window of|n_ctx\D{1,6}|available context size \(|"
    r"tokens? >|\d \+ \d+ >|tokens allowed \()\s*(\d+)"
)
_REQUESTED = LatePattern(
    r"(?:(?:requested|resulted in|request \()\s*(?:about )?|too long: |token count \()(\d+)"
)


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


class ServerError(msgspec.Struct, frozen=True):
    """An error object of any of the known shapes, flattened."""

    message: str = ""
    code: str = ""
    parameter: str = ""
    limit: int | None = None
    requested: int | None = None
    delay: float | None = None
    details: str = ""  # further objects of the body, as JSON in lower case

    @property
    def words(self) -> str:
        return f"{self.code} {self.message}"

    @property
    def used_up(self) -> bool:
        """Credit or quota is gone, which waiting does not mend. One vendor uses the same words for limits that pass,
        and then says when; what counts by the day does not pass in time.
        """
        if "insufficient_quota" in self.words or "perday" in self.details:
            return True
        return self.delay is None and _QUOTA.search(self.words) is not None


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
        delay=delay_in_body(payload, message),
        details=msgspec.json.encode(inner.get("details") or inner.get("metadata") or "").decode().lower(),
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
        return _refused_key(at, place)
    if status == 403:
        return errors.PermissionDeniedError(f"{at}; the key of {place.key_setting} may not do this")
    if status == 429 and not said.used_up:
        known = (delay, said.delay, reset_delay(headers))
        return errors.RateLimitError(at, retry_after=next((each for each in known if each is not None), None))
    if status in {402, 429} or (status == 400 and said.used_up):
        return errors.QuotaExhaustedError(f"{at}; the credit or quota of this key is used up")
    if status in {408, 504}:
        return errors.ProviderTimeoutError(at, retry_after=delay)
    if status >= 500 or status in {409, 425}:
        return errors.OverloadedError(at, retry_after=said.delay if delay is None else delay)
    return _refused_request(said, at, status, place=place, model=model)


def _refused_key(at: str, place: Place) -> errors.AuthenticationError:
    mend = "check" if place.key or place.secrets else "set"
    return errors.AuthenticationError(f"{at}; {mend} {place.key_setting}")


def error_of_payload(payload: object, *, place: Place, model: str) -> errors.ProviderError:
    """The error of an error object that came with status 200, inside a stream or as the whole body."""
    said = read_error(payload)
    at = f"{place.url} sent an error instead of an answer: {place.quote(said.words) or 'without a reason'}"
    words = said.words.lower()
    if said.used_up:
        return errors.QuotaExhaustedError(at)
    if _RATE.search(words):
        return errors.RateLimitError(at, retry_after=said.delay)
    if "authentication" in words or _BAD_KEY.search(words):
        return errors.AuthenticationError(f"{at}; check {place.key_setting}")
    if "permission_error" in words or "permission_denied" in words:
        return errors.PermissionDeniedError(f"{at}; the key of {place.key_setting} may not do this")
    if _BUSY.search(words):
        return errors.OverloadedError(at, retry_after=said.delay)
    if "timeout" in words or "timed out" in words:
        return errors.ProviderTimeoutError(at)
    if (
        "invalid_request" in words
        or "invalid_argument" in words
        or _CONTEXT.search(words)
        or _NO_MODEL.search(words)
        or _FILTERED.search(words)
    ):
        return _refused_request(said, at, 400, place=place, model=model)
    return errors.BadResponseError(at)


def _refused_request(
    said: ServerError, at: str, status: int, *, place: Place, model: str
) -> errors.ProviderError:
    if _BAD_KEY.search(said.words) or "api_key_invalid" in said.details:
        return _refused_key(at, place)
    if status == 413 or _CONTEXT.search(said.words):
        return errors.ContextOverflowError(at, requested=said.requested, limit=said.limit)
    if _NO_MODEL.search(said.words):
        return errors.ModelNotFoundError(f"{at}; the model asked for was {model!r}: name one that is there")
    if _FILTERED.search(said.words):
        return errors.RefusalError(at)
    if status in {404, 405}:
        return errors.ProviderConfigurationError(
            f"{at}; nothing answers there: check {place.setting}{place.path_hint}"
        )
    return errors.InvalidRequestError(at)


def _count(given: Any, pattern: LatePattern, message: str) -> int | None:
    if isinstance(given, int):
        return given
    found = pattern.search(message)
    return int(found.group(1)) if found else None
