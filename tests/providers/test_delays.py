"""When to come back: every form in which vendors say it."""

from typing import Any

import msgspec
import pytest

from providers import errors
from providers.http.delays import Allowance, allowances, delay_in_body, duration, reset_delay
from providers.http.failures import Place, error_of_payload, error_of_status

PLACE = Place("http://h/v1", "BASE_URL", "API_KEY", "sk-secret")
DATE = ("date", "Tue, 24 Nov 2026 12:00:00 GMT")


def wire(*headers: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360),
        ("1s", 1),
        ("20ms", 0.02),
        ("7.66s", 7.66),
        ("1h2m3s", 3723),
        ("", None),
        ("soon", None),
        ("5", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "requests", "tokens"),
    [
        (
            [
                ("x-ratelimit-limit-requests", "60"),
                ("x-ratelimit-remaining-requests", "59"),
                ("x-ratelimit-reset-requests", "1s"),
                ("x-ratelimit-limit-tokens", "150000"),
                ("x-ratelimit-remaining-tokens", "149984"),
                ("x-ratelimit-reset-tokens", "6m0s"),
            ],
            Allowance(60, 59, 1.0),
            Allowance(150000, 149984, 360.0),
        ),
        (
            [
                DATE,
                ("anthropic-ratelimit-requests-limit", "50"),
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-11-24T12:00:12Z"),
                ("anthropic-ratelimit-input-tokens-remaining", "4000"),
                ("anthropic-ratelimit-input-tokens-reset", "2026-11-24T12:00:30+00:00"),
            ],
            Allowance(50, 0, 12.0),
            Allowance(None, 4000, 30.0),
        ),
        (
            [DATE, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795521645000")],
            Allowance(None, 0, 45.0),
            Allowance(),
        ),
        ([("ratelimit-remaining", "3"), ("ratelimit-reset", "9")], Allowance(None, 3, 9.0), Allowance()),
        ([("content-type", "x")], Allowance(), Allowance()),
        ([("x-ratelimit-remaining-requests", "many")], Allowance(), Allowance()),
    ],
)
def test_allowances(headers: list[tuple[str, str]], requests: Allowance, tokens: Allowance) -> None:
    known = allowances(wire(*headers))
    assert (known.requests, known.tokens) == (requests, tokens)


def test_a_spent_allowance_tells_when_to_come_back() -> None:
    spent = wire(("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "8s"))
    assert reset_delay(spent) == 8
    assert (
        reset_delay(wire(("x-ratelimit-remaining-tokens", "5"), ("x-ratelimit-reset-tokens", "8s"))) is None
    )


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached … Please try again in 7.66s. Visit", 7.66),
        ("Please try again in 1m2.5s.", 62.5),
        ("try again in 120ms", 0.12),
        ("Please retry after 26 seconds.", 26),
        ("Please wait 2 minutes and 3 seconds", 123),
        ("You have 5 seats", None),
        ("Limit 30000, Used 29000, Requested 2000", None),
    ],
)
def test_delays_in_words(message: str, seconds: float | None) -> None:
    assert delay_in_body({}, message) == (None if seconds is None else pytest.approx(seconds))


def google(status: int, kind: str, *details: dict[str, Any]) -> bytes:
    said = "You exceeded your current quota, please check your plan and billing details."
    error = {"code": status, "message": said, "status": kind, "details": list(details)}
    return msgspec.json.encode({"error": error})


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}
PER_DAY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
}


def failure(status: int, body: Any, *headers: tuple[str, str]) -> errors.ProviderError:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return error_of_status(status, wire(*headers), data, place=PLACE, model="m")


def test_googles_quota_words_mean_a_passing_limit_when_it_says_when() -> None:
    limited = failure(429, google(429, "RESOURCE_EXHAUSTED", RETRY))
    assert isinstance(limited, errors.RateLimitError)
    assert limited.retry_after == 34.07
    assert isinstance(
        failure(429, google(429, "RESOURCE_EXHAUSTED", RETRY, PER_DAY)), errors.QuotaExhaustedError
    )
    assert isinstance(failure(429, google(429, "RESOURCE_EXHAUSTED")), errors.QuotaExhaustedError)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            400,
            {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "Your credit balance is too low to access the API",
                },
            },
            errors.QuotaExhaustedError,
        ),
        (
            529,
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            errors.OverloadedError,
        ),
        (
            504,
            {"type": "error", "error": {"type": "timeout_error", "message": "x"}},
            errors.ProviderTimeoutError,
        ),
        (
            413,
            {"type": "error", "error": {"type": "request_too_large", "message": "x"}},
            errors.ContextOverflowError,
        ),
        (
            404,
            {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-nope"}},
            errors.ModelNotFoundError,
        ),
        (
            404,
            {
                "error": {
                    "code": 404,
                    "message": "models/nope is not found for API version v1beta",
                    "status": "NOT_FOUND",
                }
            },
            errors.ModelNotFoundError,
        ),
        (404, {"error": "model 'nope' not found"}, errors.ModelNotFoundError),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT",
                    "details": [{"reason": "API_KEY_INVALID"}],
                }
            },
            errors.AuthenticationError,
        ),
        (
            429,
            {
                "error": {
                    "message": "You exceeded your current quota",
                    "type": "insufficient_quota",
                    "code": "insufficient_quota",
                }
            },
            errors.QuotaExhaustedError,
        ),
        (
            429,
            {
                "type": "error",
                "error": {
                    "type": "rate_limit_error",
                    "message": "This request would exceed your organization's rate limit",
                },
            },
            errors.RateLimitError,
        ),
        (
            503,
            {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}},
            errors.OverloadedError,
        ),
        (
            400,
            {"error": {"message": "temperature: range", "type": "invalid_request_error"}},
            errors.InvalidRequestError,
        ),
    ],
)
def test_failures_of_every_vendor(status: int, body: Any, kind: type[errors.ProviderError]) -> None:
    error = failure(status, body)
    assert type(error) is kind
    assert "sk-secret" not in str(error)


@pytest.mark.parametrize(
    ("message", "requested", "limit"),
    [
        ("prompt is too long: 208310 tokens > 200000 maximum", 208310, 200000),
        (
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease",
            None,
            200000,
        ),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            1200000,
            1048576,
        ),
    ],
)
def test_overflows_with_their_counts(message: str, requested: int | None, limit: int) -> None:
    error = failure(400, {"error": {"type": "invalid_request_error", "message": message}})
    assert isinstance(error, errors.ContextOverflowError)
    assert (error.requested, error.limit) == (requested, limit)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            errors.OverloadedError,
        ),
        ({"type": "error", "error": {"type": "api_error", "message": "x"}}, errors.OverloadedError),
        (
            {"type": "error", "code": "rate_limit_exceeded", "message": "try again in 3s"},
            errors.RateLimitError,
        ),
        ({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x"}}, errors.RateLimitError),
        ({"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}, errors.OverloadedError),
        ({"error": {"code": "server_error", "message": "x"}}, errors.OverloadedError),
        ({"error": {"type": "permission_error", "message": "x"}}, errors.PermissionDeniedError),
        ({"error": "llama runner process has terminated"}, errors.BadResponseError),
    ],
)
def test_errors_inside_a_stream(payload: Any, kind: type[errors.ProviderError]) -> None:
    error = error_of_payload(payload, place=PLACE, model="m")
    assert type(error) is kind
    if "try again" in str(payload):
        assert error.retry_after == 3
