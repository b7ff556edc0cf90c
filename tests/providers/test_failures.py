import json

import pytest

from providers import errors
from providers.http.delays import retry_after
from providers.http.failures import Place, error_of_status, read_error

PLACE = Place("http://host/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY", "sk-secret")


def failure(status: int, body: object = None, **headers: str) -> errors.ProviderError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    wire = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return error_of_status(status, wire, raw, place=PLACE, model="gpt-x")


def openai(message: str = "m", **fields: object) -> dict[str, object]:
    return {"error": {"message": message, **fields}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (301, b"", errors.ProviderConfigurationError),
        (400, openai(), errors.InvalidRequestError),
        (400, openai(code="context_length_exceeded"), errors.ContextOverflowError),
        (400, openai(type="exceed_context_size_error"), errors.ContextOverflowError),
        (400, openai("gpt-x is not a valid model ID"), errors.ModelNotFoundError),
        (400, openai(code="content_filter"), errors.RefusalError),
        (401, openai(), errors.AuthenticationError),
        (402, openai("Insufficient credits"), errors.QuotaExhaustedError),
        (403, openai(), errors.PermissionDeniedError),
        (404, openai("The model `gpt-x` does not exist", code="model_not_found"), errors.ModelNotFoundError),
        (404, openai('model "gpt-x" not found, try pulling it first'), errors.ModelNotFoundError),
        (404, {"detail": "Not Found"}, errors.ProviderConfigurationError),
        (404, b"<html>nginx</html>", errors.ProviderConfigurationError),
        (405, b"", errors.ProviderConfigurationError),
        (408, b"", errors.ProviderTimeoutError),
        (413, b"", errors.ContextOverflowError),
        (422, {"detail": [{"msg": "field required"}]}, errors.InvalidRequestError),
        (429, openai("slow down", code="rate_limit_exceeded"), errors.RateLimitError),
        (429, openai("Limit reached. Add a payment method: /account/billing"), errors.RateLimitError),
        (429, openai("no", code="insufficient_quota"), errors.QuotaExhaustedError),
        (429, openai("You exceeded your current quota"), errors.QuotaExhaustedError),
        (500, b"", errors.OverloadedError),
        (502, b"<html>Bad gateway</html>", errors.OverloadedError),
        (503, openai(), errors.OverloadedError),
        (529, openai(), errors.OverloadedError),
    ],
)
def test_status_and_body_to_error(status: int, body: object, kind: type[errors.ProviderError]) -> None:
    error = failure(status, body)
    assert type(error) is kind
    assert "http://host/v1" in str(error)


def test_texts_name_the_mend() -> None:
    assert "OPENAI_API_KEY" in str(failure(401, openai()))
    assert "OPENAI_BASE_URL" in str(failure(404, {"detail": "Not Found"}))
    assert "'gpt-x'" in str(failure(404, openai("The model does not exist")))
    assert "redirects to nowhere" in str(failure(302, b""))


@pytest.mark.parametrize(
    ("error", "requested", "limit"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            9000,
            8192,
        ),
        ("maximum context length is 4096 tokens. However, you requested 5000 tokens (…)", 5000, 4096),
        (
            {"type": "exceed_context_size_error", "n_prompt_tokens": 5000, "n_ctx": 4096, "message": "m"},
            5000,
            4096,
        ),
        ("the context window is exceeded", None, None),
    ],
)
def test_counts_of_an_overflow(error: object, requested: int | None, limit: int | None) -> None:
    found = failure(400, {"error": error})
    assert isinstance(found, errors.ContextOverflowError)
    assert (found.requested, found.limit) == (requested, limit)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    wire = [(name.title().encode(), value.encode()) for name, value in headers.items()]
    assert retry_after(wire) == seconds


def test_the_delay_goes_with_the_error() -> None:
    assert failure(429, openai(), retry_after="7").retry_after == 7
    assert failure(503, openai(), retry_after="7").retry_after == 7


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"error": "text"}, "text"),
        ({"error": {"message": {"deep": 1}}}, '{"deep":1}'),
        ({"message": "m"}, "m"),
        ({"detail": "d"}, "d"),
        ([{"error": {"message": "in a list"}}], "in a list"),
        ("bare", "bare"),
        (7, ""),
        ({"error": None, "message": "m"}, "m"),
    ],
)
def test_shapes_of_error_objects(payload: object, message: str) -> None:
    assert read_error(payload).message == message


def test_foreign_text_is_one_short_line_without_the_key() -> None:
    quoted = PLACE.quote("a sk-secret\n\x1b[31mred\u202e" + "x" * 1000)
    assert quoted.startswith("a [key] [31mred xxx")
    assert len(quoted) == 301
    assert quoted.isprintable()
