"""Each API against a mock server that we did not write: text, reasoning, tool calls over two turns, errors, cuts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers import errors
from providers.messages import (
    Image,
    Message,
    Opaque,
    OutputSchema,
    Request,
    Text,
    TextDelta,
    ToolResult,
    system,
    tool_results,
    user,
)
from tests.providers.adapters import MODELS, READ_FILE, SEARCH, adapter, ask, url_for
from tests.providers.aimock import Mock, running

CALLS = [
    {"name": "read_file", "arguments": '{"path": "ü.py"}'},
    {"name": "search", "arguments": '{"pattern": "x y"}'},
]
USAGE = {"input_tokens": 120, "output_tokens": 9, "prompt_tokens": 120, "completion_tokens": 9}
GEMINI_USAGE = {"promptTokenCount": 120, "candidatesTokenCount": 9, "totalTokenCount": 129}
FIXTURES: list[dict[str, Any]] = [
    {
        "match": {"userMessage": "hello"},
        "response": {
            "content": "Hello from the mock, naïve 🎼.",
            "usage": {**USAGE, **GEMINI_USAGE, "total_tokens": 129},
        },
    },
    {
        "match": {"userMessage": "look", "hasToolResult": False},
        "response": {"content": "I look.", "reasoning": "Two files.", "toolCalls": CALLS},
        "chunkSize": 3,
    },
    {"match": {"userMessage": "look", "hasToolResult": True}, "response": {"content": "Done."}},
    {
        "match": {"userMessage": "busy"},
        "response": {
            "error": {"message": "Slow down", "type": "rate_limit_error"},
            "status": 429,
            "retryAfter": 7,
        },
    },
    {
        "match": {"userMessage": "broken"},
        "response": {"error": {"message": "Oops", "type": "server_error"}, "status": 500},
    },
    {
        "match": {"userMessage": "cut"},
        "response": {"content": "A long answer that is never told to its end."},
        "chunkSize": 4,
        "truncateAfterChunks": 8,
        "latency": 20,
    },
]
APIS = list(MODELS)


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    folder: Path = tmp_path_factory.mktemp("aimock")
    with running(FIXTURES, folder) as started:
        yield started


@pytest.mark.parametrize("api", APIS)
async def test_a_streamed_text(mock: Mock, api: str) -> None:
    shown: list[TextDelta] = []
    async with adapter(api, url_for(api, mock.origin)) as provider:
        request = ask(api, system("Be brief."), user("hello"))
        answer = await provider.complete(request, on_delta=shown.append)
    assert answer.message.text == "Hello from the mock, naïve 🎼."
    assert "".join(delta.text for delta in shown) == answer.message.text
    assert answer.stop == "end"
    if api == "ollama":  # the mock reports no tokens there
        assert answer.usage.input_tokens is None
    else:
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (120, 9)


@pytest.mark.parametrize("api", APIS)
async def test_parallel_calls_and_their_results_over_two_turns(mock: Mock, api: str) -> None:
    tools = (READ_FILE, SEARCH)
    async with adapter(api, url_for(api, mock.origin)) as provider:
        first = await provider.complete(ask(api, system("s"), user("look"), tools=tools))
        calls = first.message.tool_calls
        results = tool_results(*(ToolResult(call.id, f"result of {call.name}") for call in calls))
        second = await provider.complete(
            ask(api, system("s"), user("look"), first.message, results, tools=tools)
        )
    assert [call.name for call in calls] == ["read_file", "search"]
    assert [call.arguments.replace(" ", "") for call in calls] == ['{"path":"ü.py"}', '{"pattern":"xy"}']
    assert len({call.id for call in calls}) == 2
    assert first.stop == "tool_calls"
    assert first.message.text == "I look."
    if api != "ollama":  # the mock names the field there as no such server does
        assert first.reasoning == "Two files."
    assert (second.message.text, second.stop) == ("Done.", "end")


async def test_thinking_goes_back_with_its_signature(mock: Mock) -> None:
    """The mock refuses a turn after a tool call whose leading thinking lost its signature."""
    async with adapter("anthropic", mock.origin) as provider:
        asked = Request(MODELS["anthropic"], (user("look"),), (READ_FILE, SEARCH), reasoning="low")
        first = await provider.complete(asked)
        results = tool_results(*(ToolResult(call.id, "r") for call in first.message.tool_calls))
        again = Request(
            MODELS["anthropic"], (user("look"), first.message, results), (READ_FILE, SEARCH), reasoning="low"
        )
        assert (await provider.complete(again)).message.text == "Done."
        bare = Message(
            "assistant", tuple(part for part in first.message.parts if not isinstance(part, Opaque))
        )
        assert len(bare.parts) == len(first.message.parts) - 1


@pytest.mark.parametrize("api", APIS)
async def test_errors_are_mapped(mock: Mock, api: str) -> None:
    async with adapter(api, url_for(api, mock.origin)) as provider:
        with pytest.raises(errors.RateLimitError) as limited:
            await provider.complete(ask(api, text="busy"))
        assert limited.value.retry_after == 7
        with pytest.raises(errors.OverloadedError):
            await provider.complete(ask(api, text="broken"))
        assert (await provider.complete(ask(api, text="hello"))).stop == "end"


@pytest.mark.parametrize("api", APIS)
async def test_a_stream_that_is_cut_is_no_answer(mock: Mock, api: str) -> None:
    async with adapter(api, url_for(api, mock.origin)) as provider:
        with pytest.raises((errors.ConnectionFailedError, errors.BadResponseError)) as cut:
            await provider.complete(ask(api, text="cut"))
    assert cut.value.answer_begun


@pytest.mark.parametrize("api", APIS)
async def test_pictures_schemas_and_settings_are_taken(mock: Mock, api: str) -> None:
    picture = Message("user", (Text("hello"), Image("image/png", b"\x89PNG\r\n\x1a\n")))
    request = Request(
        MODELS[api],
        (picture,),
        max_output_tokens=64,
        temperature=0.0,
        reasoning="low",
        output=OutputSchema("verdict", {"type": "object", "properties": {}}),
    )
    async with adapter(api, url_for(api, mock.origin)) as provider:
        answer = await provider.complete(request)
    assert answer.message.text


@pytest.mark.parametrize(
    ("api", "form", "path"),
    [
        ("openai", "azure", "/openai/deployments/{model}"),
        ("google", "vertex", "/v1/projects/p/locations/l"),
        ("anthropic", "bedrock", ""),
    ],
)
async def test_the_forms_of_clouds(mock: Mock, api: str, form: str, path: str) -> None:
    async with adapter(api, mock.origin + path, form=form, query={"api-version": "2025-01-01"}) as provider:
        answer = await provider.complete(ask(api, text="hello"))
    assert answer.message.text == "Hello from the mock, naïve 🎼."
