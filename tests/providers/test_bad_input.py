"""Bad input over real sockets, the same for every API: each has its clear error, and nothing is half-executed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from providers import errors
from providers.config import TimeLimits
from providers.messages import OutputSchema, Request, ToolCall, user
from tests.providers.adapters import KEY, MODELS, READ_FILE, adapter, ask, url_for
from tests.providers.assembling import RECORDED, assemble
from tests.providers.wire_server import HEAD, Exchange, chunk, plain, wire_server

APIS = list(MODELS)
STREAM = {
    "openai": "openai.sse",
    "openai-responses": "openai-responses_encrypted.sse",
    "anthropic": "anthropic_thinking.sse",
    "google": "google_signed.sse",
    "ollama": "ollama_thinking.ndjson",
}
TEXT: dict[str, Callable[[str], bytes]] = {
    "openai": lambda text: _sse({"choices": [{"index": 0, "delta": {"content": text}}]}),
    "openai-responses": lambda text: _sse(
        {"type": "response.output_text.delta", "output_index": 0, "delta": text}
    ),
    "anthropic": lambda text: _sse(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    ),
    "google": lambda text: _sse({"candidates": [{"content": {"parts": [{"text": text}]}}]}),
    "ollama": lambda text: json.dumps({"message": {"content": text}, "done": False}).encode() + b"\n",
}


def _sse(event: Any) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def recorded(api: str) -> bytes:
    return (RECORDED / STREAM[api]).read_bytes()


async def failed(
    api: str,
    answer: Callable[[Exchange], None],
    kind: type[errors.ProviderError] | tuple[type[errors.ProviderError], ...],
    *,
    limits: TimeLimits | None = None,
) -> errors.ProviderError:
    """The error of a call that `answer` answers."""

    async def answers(exchange: Exchange) -> None:
        if "/api/show" in exchange.head:
            exchange.send(plain(404, b"{}"))
        else:
            answer(exchange)

    async with wire_server(answers) as server:
        origin = server.base_url.removesuffix("/v1")
        async with adapter(api, url_for(api, origin), limits=limits) as provider:
            with pytest.raises(kind) as raised:
                await provider.complete(ask(api, tools=(READ_FILE,)))
    assert KEY not in str(raised.value)
    return raised.value


@pytest.mark.parametrize("api", APIS)
async def test_a_base_url_that_is_a_web_page(api: str) -> None:
    page = b"<!doctype html><title>Sign in</title>" + KEY.encode()
    error = await failed(
        api,
        lambda exchange: exchange.send(plain(200, page, content_type="text/html")),
        errors.BadResponseError,
    )
    assert "Sign in" in str(error)
    assert not error.retryable


@pytest.mark.parametrize("api", APIS)
async def test_a_redirect_loop(api: str) -> None:
    error = await failed(
        api,
        lambda exchange: exchange.send(plain(307, b"", "location: /again")),
        errors.ProviderConfigurationError,
    )
    assert "redirects to /again" in str(error)


@pytest.mark.parametrize("api", APIS)
async def test_a_200_with_an_error_body(api: str) -> None:
    body = json.dumps({"error": {"type": "overloaded_error", "message": "busy"}}).encode()
    await failed(api, lambda exchange: exchange.send(plain(200, body)), errors.OverloadedError)


@pytest.mark.parametrize("api", APIS)
async def test_an_error_event_inside_a_stream(api: str) -> None:
    said = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    event = _sse(said) if api != "ollama" else json.dumps({"error": "server overloaded"}).encode() + b"\n"
    error = await failed(
        api, lambda exchange: exchange.stream(TEXT[api]("begun"), event), errors.OverloadedError
    )
    assert error.answer_begun


@pytest.mark.parametrize("api", APIS)
async def test_a_clean_truncation(api: str) -> None:
    """The official SDKs raise nothing here."""
    error = await failed(api, lambda exchange: exchange.stream(TEXT[api]("begun")), errors.BadResponseError)
    assert "without finishing it" in str(error)
    assert error.answer_begun
    assert error.retryable


@pytest.mark.parametrize("api", APIS)
async def test_a_connection_that_breaks_in_the_middle(api: str) -> None:
    def breaks(exchange: Exchange) -> None:
        exchange.stream(recorded(api)[: len(recorded(api)) // 2], ends=False)
        exchange.close()

    await failed(api, breaks, errors.ConnectionFailedError)


@pytest.mark.parametrize("api", APIS)
async def test_garbage_in_the_stream(api: str) -> None:
    junk = b"{not json}\n" if api == "ollama" else b"data: {not json}\n\n"
    error = await failed(
        api,
        lambda exchange: exchange.stream(TEXT[api]("begun"), junk, recorded(api)),
        errors.BadResponseError,
    )
    assert "{not json}" in str(error)


@pytest.mark.parametrize("api", APIS)
async def test_a_stream_that_never_ends_and_one_of_comments_alone(api: str) -> None:
    comment = b"\n" if api == "ollama" else b": keep-alive\n\n"
    limits = TimeLimits(first_token=0.3, between_tokens=0.3)

    def silent(exchange: Exchange) -> None:
        exchange.stream(comment, ends=False)

    error = await failed(api, silent, errors.ProviderTimeoutError, limits=limits)
    assert "no first token within 0.3 s" in str(error)

    def stalls(exchange: Exchange) -> None:
        exchange.stream(TEXT[api]("begun"), comment, ends=False)

    error = await failed(api, stalls, errors.ProviderTimeoutError, limits=limits)
    assert "nothing more within 0.3 s" in str(error)


@pytest.mark.parametrize("api", APIS)
async def test_an_answer_of_50_mb(api: str) -> None:
    piece = TEXT[api]("x" * 1_000_000)

    def floods(exchange: Exchange) -> None:
        exchange.send(HEAD)
        for _ in range(50):
            exchange.send(chunk(piece))

    error = await failed(api, floods, errors.BadResponseError)
    assert "more than 16777216 characters" in str(error)
    assert not error.retryable


@pytest.mark.parametrize("api", APIS)
async def test_a_model_that_the_vendor_does_not_know(api: str) -> None:
    says = {
        "openai": {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}},
        "openai-responses": {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}},
        "anthropic": {"type": "error", "error": {"type": "not_found_error", "message": "model: x"}},
        "google": {"error": {"code": 404, "message": "models/x is not found for API version v1beta"}},
        "ollama": {"error": "model 'x' not found"},
    }
    body = json.dumps(says[api]).encode()
    error = await failed(api, lambda exchange: exchange.send(plain(404, body)), errors.ModelNotFoundError)
    assert MODELS[api] in str(error)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("headers", [("content-encoding: gzip",), ("content-encoding: br",)])
async def test_a_proxy_that_compresses_badly(api: str, headers: tuple[str, ...]) -> None:
    await failed(api, lambda exchange: exchange.send(plain(200, b"junk", *headers)), errors.BadResponseError)


@pytest.mark.parametrize("api", APIS)
async def test_a_proxy_that_buffers_the_whole_answer(api: str) -> None:
    async def answers(exchange: Exchange) -> None:
        exchange.send(plain(200, recorded(api), content_type="text/event-stream"))

    async with (
        wire_server(answers) as server,
        adapter(api, url_for(api, server.base_url.removesuffix("/v1"))) as provider,
    ):
        answer = await provider.complete(ask(api))
    assert answer.message.text == "I look. 🎼"


@pytest.mark.parametrize("api", APIS)
def test_usage_that_is_missing_or_absurd_is_unknown(api: str) -> None:
    count = {"openai": b'"prompt_tokens":120', "anthropic": b'"input_tokens":25', "ollama": b'_count": 1125'}
    good = count.get(api, b":1125")
    name = good.rstrip(b"0123456789 ")
    data = recorded(api)
    assert assemble(api, data).usage.input_tokens
    for bad in (b"-7", b'"many"', b"99999999999999", b"null", b"[]"):
        answer = assemble(api, data.replace(good, name + bad))
        assert answer.usage.input_tokens is None
        assert answer.message.text == "I look. 🎼"


@pytest.mark.parametrize("api", ["openai", "openai-responses", "anthropic"])
def test_arguments_that_are_a_string_of_json_in_json(api: str) -> None:
    wrapped = json.dumps('{"path": "ü.py"}')
    streams = {
        "openai": _sse(
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {
                            "tool_calls": [
                                {
                                    "index": 0,
                                    "id": "a",
                                    "function": {"name": "read_file", "arguments": wrapped},
                                }
                            ]
                        },
                        "finish_reason": "tool_calls",
                    }
                ]
            }
        ),
        "openai-responses": _sse(
            {
                "type": "response.completed",
                "response": {
                    "status": "completed",
                    "output": [
                        {"type": "function_call", "call_id": "a", "name": "read_file", "arguments": wrapped}
                    ],
                },
            }
        ),
        "anthropic": b"".join(
            map(
                _sse,
                [
                    {
                        "type": "content_block_start",
                        "index": 0,
                        "content_block": {"type": "tool_use", "id": "a", "name": "read_file", "input": {}},
                    },
                    {
                        "type": "content_block_delta",
                        "index": 0,
                        "delta": {"type": "input_json_delta", "partial_json": wrapped},
                    },
                    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}},
                ],
            )
        ),
    }
    assert assemble(api, streams[api]).message.tool_calls == (ToolCall("a", "read_file", '{"path": "ü.py"}'),)


@pytest.mark.parametrize("api", APIS)
def test_a_call_of_a_tool_that_was_not_offered_comes_through_by_its_name(api: str) -> None:
    """What it may do is for whoever offers tools to decide; here it is only told as it was made."""
    answer = assemble(api, recorded(api).replace(b"read_file", b"rm_rf"))
    assert answer.message.tool_calls[0].name == "rm_rf"


def test_text_that_looks_like_a_tool_call_is_text() -> None:
    text = '<tool_call>{"name": "rm", "arguments": {}}</tool_call>'
    for api in ("openai", "ollama"):
        ends = {
            "openai": _sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            "ollama": b'{"message":{"content":""},"done":true,"done_reason":"stop"}\n',
        }
        answer = assemble(api, TEXT[api](text), ends[api])
        assert answer.message.text == text
        assert answer.message.tool_calls == ()
        assert answer.stop == "end"


@pytest.mark.parametrize(
    ("api", "stream", "says"),
    [
        ("openai", {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]}, "filter"),
        (
            "openai-responses",
            {"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}},
            "filter",
        ),
        (
            "anthropic",
            {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": {"category": "cyber", "explanation": "no"}}, "usage": {}},
            "cyber no",
        ),
        ("google", {"candidates": [{"finishReason": "SAFETY"}]}, "SAFETY"),
        ("google", {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, "PROHIBITED_CONTENT"),
    ],
)  # fmt: skip
def test_refusals_and_filters_are_errors_of_their_own(api: str, stream: Any, says: str) -> None:
    with pytest.raises(errors.RefusalError, match=says):
        assemble(api, _sse(stream))


@pytest.mark.parametrize(
    ("api", "stream", "stop"),
    [
        ("openai-responses", {"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []}}, "length"),
        ("anthropic", {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}, "length"),
        ("anthropic", {"type": "message_delta", "delta": {"stop_reason": "model_context_window_exceeded"}}, "length"),
        ("anthropic", {"type": "message_delta", "delta": {"stop_reason": "stop_sequence"}}, "end"),
        ("anthropic", {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}}, "other"),
        ("google", {"candidates": [{"finishReason": "MAX_TOKENS"}]}, "length"),
        ("google", {"candidates": [{"finishReason": "LANGUAGE"}]}, "other"),
    ],
)  # fmt: skip
def test_stop_reasons(api: str, stream: Any, stop: str) -> None:
    assert assemble(api, _sse(stream)).stop == stop


def test_a_call_that_the_length_limit_cut_is_not_executed() -> None:
    cut = (RECORDED / "anthropic_thinking.sse").read_bytes()
    cut = cut.replace(b'tool_use","stop_seq', b'max_tokens","stop_seq').replace(b'.py\\"}"', b'"')
    answer = assemble("anthropic", cut)
    assert answer.stop == "length"
    assert answer.message.tool_calls == ()


@pytest.mark.parametrize(
    ("api", "stream", "kind"),
    [
        ("google", {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "bad"}]}, errors.BadResponseError),
        ("openai-responses", {"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "x"}}}, errors.OverloadedError),
        ("openai-responses", {"type": "response.failed", "response": {"status": "cancelled"}}, errors.AnswerCancelledError),
        ("openai-responses", {"type": "error", "code": "rate_limit_exceeded", "message": "x"}, errors.RateLimitError),
    ],
)  # fmt: skip
def test_ends_that_are_errors(api: str, stream: Any, kind: type[errors.ProviderError]) -> None:
    with pytest.raises(kind):
        assemble(api, _sse(stream))


@pytest.mark.parametrize(
    ("api", "request_of", "refuses", "field"),
    [
        ("anthropic", {"reasoning": "low"}, "adaptive thinking is not supported on this model", "adaptive"),
        ("anthropic", {"temperature": 0.1}, "temperature: unsupported", "temperature"),
        ("openai-responses", {"reasoning": "low"}, "Unsupported parameter: 'reasoning.effort'", "reasoning"),
        ("openai-responses", {"temperature": 0.1}, "Unsupported parameter: 'temperature'", "temperature"),
        ("openai", {"reasoning": "low"}, "Unrecognized request argument supplied: reasoning_effort", "reasoning_effort"),
        ("openai", {"tool_choice": "required"}, "unknown field: tool_choice", "tool_choice"),
        ("google", {"reasoning": "low"}, "Unable to submit: thinking is not supported by this model", "thinkingConfig"),
        ("ollama", {"reasoning": "low"}, '"qwen3" does not support thinking', "think"),
    ],
)  # fmt: skip
async def test_a_setting_that_is_refused_is_left_out_and_remembered(
    api: str, request_of: dict[str, Any], refuses: str, field: str
) -> None:
    async def answers(exchange: Exchange) -> None:
        if "/api/show" in exchange.head:
            exchange.send(plain(404, b"{}"))
        elif f'"{field}"'.encode() in exchange.body:
            exchange.send(
                plain(
                    400, json.dumps({"error": {"message": refuses, "type": "invalid_request_error"}}).encode()
                )
            )
        else:
            exchange.stream(recorded(api))

    async with (
        wire_server(answers) as server,
        adapter(api, url_for(api, server.base_url.removesuffix("/v1"))) as provider,
    ):
        request = Request(MODELS[api], (user("x"),), (READ_FILE,), **request_of)
        for _ in range(2):
            assert (await provider.complete(request)).stop == "tool_calls"
    calls = [exchange for exchange in server.exchanges if "/api/show" not in exchange.head]
    assert [f'"{field}"'.encode() in exchange.body for exchange in calls] == [True, False, False]


async def test_an_output_limit_that_is_too_high_is_lowered_to_what_the_server_names() -> None:
    async def answers(exchange: Exchange) -> None:
        if json.loads(exchange.body)["max_tokens"] > 4096:
            said = "max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens for m"
            exchange.send(plain(400, json.dumps({"error": {"message": said}}).encode()))
        else:
            exchange.stream(recorded("anthropic"))

    async with (
        wire_server(answers) as server,
        adapter("anthropic", server.base_url.removesuffix("/v1")) as provider,
    ):
        await provider.complete(ask("anthropic"))
        await provider.complete(ask("anthropic"))
    assert [json.loads(exchange.body)["max_tokens"] for exchange in server.exchanges] == [8192, 4096, 4096]


@pytest.mark.parametrize(
    ("api", "field", "refusal"),
    [
        ("openai", "response_format", "Unrecognized request argument supplied: response_format"),
        (
            "openai-responses",
            'text":{"format',
            "Unsupported parameter: 'text.format' is not supported with this model.",
        ),
        ("anthropic", "output_config", "output_config: Extra inputs are not permitted"),
        ("google", "responseJsonSchema", "responseJsonSchema is not supported by this model"),
        ("ollama", "format", "format is not supported by this model"),
    ],
)
async def test_a_schema_that_is_refused_becomes_a_tool(api: str, field: str, refusal: str) -> None:
    async def answers(exchange: Exchange) -> None:
        if "/api/show" in exchange.head:
            exchange.send(plain(404, b"{}"))
        elif f'"{field}":'.encode() in exchange.body:
            exchange.send(plain(400, json.dumps({"error": {"message": refusal}}).encode()))
        else:
            assert b'"verdict"' in exchange.body, "it is offered as a tool"
            exchange.stream(recorded(api).replace(b"read_file", b"verdict"))

    schema = OutputSchema("verdict", {"type": "object", "properties": {"path": {"type": "string"}}})
    async with (
        wire_server(answers) as server,
        adapter(api, url_for(api, server.base_url.removesuffix("/v1"))) as provider,
    ):
        answer = await provider.complete(Request(MODELS[api], (user("x"),), output=schema))
    assert json.loads(answer.message.text) == {"path": "ü.py"}
    assert (answer.message.tool_calls, answer.stop) == ((), "end")
