"""Every fault that the OpenAI-compatible test server knows, through the adapter as it is composed for use."""

import pytest

from providers import errors
from providers.config import TimeLimits
from tests.model_server.faults import BY_NAME, HELLO, Sequence
from tests.model_server.replies import Answer, ToolCall
from tests.model_server.running import ModelServer
from tests.providers.chat import KEY, ask, chat

RAISES: dict[str, type[errors.ProviderError]] = {
    "rate_limited": errors.RateLimitError,
    "out_of_quota": errors.QuotaExhaustedError,
    "server_error": errors.OverloadedError,
    "bad_key": errors.AuthenticationError,
    "context_overflow": errors.ContextOverflowError,
    "html_body": errors.BadResponseError,
    "redirect_loop": errors.ProviderConfigurationError,
    "reset": errors.ConnectionFailedError,
    "hang": errors.ProviderTimeoutError,
    "hang_before_headers": errors.ProviderTimeoutError,
    "cut": errors.ConnectionFailedError,
    "cut_inside_event": errors.ConnectionFailedError,
    "reset_in_stream": errors.ConnectionFailedError,
    "garbage_event": errors.BadResponseError,
    "error_event": errors.OverloadedError,
    "refusal": errors.RefusalError,
}
SHORT = TimeLimits(first_token=0.5, between_tokens=0.5)


@pytest.mark.parametrize("name", sorted(BY_NAME))
async def test_each_fault_is_its_error_or_the_whole_answer(name: str) -> None:
    reply = BY_NAME[name]()
    async with ModelServer(Sequence([reply]), api_key=KEY) as server:
        limits = SHORT if name.startswith("hang") else TimeLimits()
        async with chat(server.base_url, limits=limits) as provider:
            if name in RAISES:
                with pytest.raises(RAISES[name]):
                    await provider.complete(ask())
            else:
                answer = await provider.complete(ask())
                expected = reply if isinstance(reply, Answer) else HELLO
                assert answer.message.text == expected.text
                assert (answer.usage.input_tokens is None) == (name == "without_usage")
            assert (await provider.complete(ask())).message.text == HELLO.text


async def test_a_refused_key() -> None:
    async with ModelServer(Sequence([]), api_key="another") as server, chat(server.base_url) as provider:
        with pytest.raises(errors.AuthenticationError):
            await provider.complete(ask())


async def test_an_unknown_model() -> None:
    async with ModelServer(Sequence([])) as server, chat(server.base_url) as provider:
        with pytest.raises(errors.ModelNotFoundError, match="'no-such'"):
            await provider.complete(ask(model="no-such"))


async def test_parallel_tool_calls_in_pieces() -> None:
    calls = (
        ToolCall("read_file", {"path": "ü.py"}, "call_a"),
        ToolCall("search", {"pattern": "x" * 200}, "call_b"),
    )
    async with ModelServer(Sequence([Answer(calls=calls)])) as server, chat(server.base_url) as provider:
        answer = await provider.complete(ask())
    assert [(call.id, call.name) for call in answer.message.tool_calls] == [
        ("call_a", "read_file"),
        ("call_b", "search"),
    ]
    assert answer.stop == "tool_calls"
