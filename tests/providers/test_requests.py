"""What each API is sent: the shapes of the vendors' own types, a stable prefix, marks for the cache."""

import importlib
import json
from typing import Any

import pytest

from providers.base import ModelProfile
from providers.messages import (
    Image,
    Message,
    OutputSchema,
    Request,
    Text,
    ToolCall,
    ToolResult,
    assistant,
    system,
    tool_results,
    user,
)
from tests.providers.adapters import MODELS, READ_FILE, SEARCH
from tests.providers.encoding import encode

APIS = list(MODELS)
PICTURE = Message("user", (Text("What is it?"), Image("image/png", b"\x89PNG")))
SCHEMA = OutputSchema("verdict", {"type": "object", "properties": {"ok": {"type": "boolean"}}})


def conversation(turns: int) -> tuple[Message, ...]:
    messages: list[Message] = [system("You are a coder. Ünicode."), user("Do the task.")]
    for turn in range(turns):
        calls = (
            ToolCall(f"c{turn}a", "read_file", json.dumps({"path": f"ü{turn}.py"})),
            ToolCall(f"c{turn}b", "search", "not JSON" if turn == 3 else '{"pattern": "x"}'),
        )
        messages.append(assistant(f"Turn {turn}.", *calls))
        messages.append(tool_results(ToolResult(f"c{turn}a", "text\n" * 3), ToolResult(f"c{turn}b", "")))
        if turn % 5 == 4:
            messages.append(user("Try another way."))
    return tuple(messages)


def full(api: str, turns: int = 2) -> Request:
    return Request(
        MODELS[api],
        (*conversation(turns), PICTURE),
        (READ_FILE, SEARCH),
        max_output_tokens=5000,
        reasoning="medium",
        tool_choice="auto",
    )


@pytest.mark.parametrize("api", APIS)
def test_over_twenty_turns_each_request_begins_with_the_one_before(api: str) -> None:
    """Tools, system text and earlier messages are the same bytes, cache marks aside."""
    mark = b',"cache_control":{"type":"ephemeral"}'
    before = b""
    for turns in range(1, 21):
        request = Request(MODELS[api], conversation(turns), (READ_FILE, SEARCH))
        body = encode(api, request).replace(mark, b"")
        assert body.startswith(before), turns
        end = {"openai": b'],"stream"', "ollama": b'],"options"', "google": b"]}"}
        end |= {"openai-responses": b'],"store"', "anthropic": b'],"max_tokens"'}
        before = body[: body.rindex(end[api])]
        assert before.count(b"Turn ") == turns


def test_marks_stand_at_the_system_text_and_the_last_two_messages_of_the_user() -> None:
    body = json.loads(encode("anthropic", Request("m", conversation(4), (READ_FILE,))))
    assert "cache_control" in body["system"][-1]
    marked = [
        place
        for place, message in enumerate(body["messages"])
        for block in message["content"]
        if "cache_control" in block
    ]
    assert marked == [len(body["messages"]) - 3, len(body["messages"]) - 1]
    assert "cache_control" not in body["tools"][-1]
    assert encode("anthropic", Request("m", conversation(4), (READ_FILE,))).count(b"cache_control") <= 4
    bare = json.loads(encode("anthropic", Request("m", (user("x"),), (READ_FILE,))))
    assert "cache_control" in bare["tools"][-1]


def test_anthropic_is_given_a_limit_and_thinking_room() -> None:
    asked = Request("m", (user("x"),))
    assert json.loads(encode("anthropic", asked))["max_tokens"] == 8192
    known = ModelProfile(max_output_tokens=64_000)
    assert json.loads(encode("anthropic", asked, known))["max_tokens"] == 32_000
    thinking = json.loads(encode("anthropic", Request("m", (user("x"),), reasoning="high", temperature=0.0)))
    assert thinking["thinking"] == {"type": "adaptive"}
    assert thinking["output_config"] == {"effort": "high"}
    assert "temperature" not in thinking


@pytest.mark.parametrize("api", APIS)
def test_half_characters_and_empty_texts_can_be_sent(api: str) -> None:
    messages = (system(""), user("a\ud83cb"), assistant("", ToolCall("a", "f", '{"x":"\ud83c"}')), user(" "))
    body = json.loads(encode(api, Request(MODELS[api], messages)))
    assert "a\ufffdb" in json.dumps(body, ensure_ascii=False)


@pytest.mark.parametrize("api", APIS)
def test_a_forced_tool_and_a_schema(api: str) -> None:
    forced = Request(MODELS[api], (user("x"),), (READ_FILE,), tool_choice="read_file")
    wanted: dict[str, Any] = {
        "openai": {"type": "function", "function": {"name": "read_file"}},
        "openai-responses": {"type": "function", "name": "read_file"},
        "anthropic": {"type": "tool", "name": "read_file"},
        "google": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["read_file"]}},
        "ollama": None,  # the API has no such setting
    }
    body = json.loads(encode(api, forced))
    assert body.get("toolConfig" if api == "google" else "tool_choice") == wanted[api]
    asked = json.loads(encode(api, Request(MODELS[api], (user("x"),), output=SCHEMA)))
    assert SCHEMA.schema in _values(asked)


def _values(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [value, *(found for inner in value.values() for found in _values(inner))]
    if isinstance(value, list):
        return [found for inner in value for found in _values(inner)]
    return [value]


# --- the vendors' own types --------------------------------------------------------------------------


def sdk(name: str) -> Any:
    """A module of an official SDK, a development dependency only: loaded by the tests that need it."""
    return importlib.import_module(name)


def validated(kind: Any, body: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_python(body)


@pytest.mark.parametrize("output", [None, SCHEMA])
def test_anthropic_shapes(output: OutputSchema | None) -> None:
    types = sdk("anthropic.types.message_create_params")
    request = full("anthropic")
    if output is not None:
        request = Request(request.model, request.messages, output=output)
    body = json.loads(encode("anthropic", request))
    kind = types.MessageCreateParamsStreaming
    assert set(body) <= set(kind.__annotations__) | set(types.MessageCreateParamsBase.__annotations__)
    validated(kind, body)


@pytest.mark.parametrize("output", [None, SCHEMA])
def test_openai_chat_shapes(output: OutputSchema | None) -> None:
    types = sdk("openai.types.chat.completion_create_params")
    request = full("openai")
    if output is not None:
        request = Request(request.model, request.messages, output=output)
    body = json.loads(encode("openai", request))
    kind = types.CompletionCreateParamsStreaming
    assert set(body) <= set(kind.__annotations__) | set(types.CompletionCreateParamsBase.__annotations__)
    validated(kind, body)


@pytest.mark.parametrize("output", [None, SCHEMA])
def test_openai_responses_shapes(output: OutputSchema | None) -> None:
    types = sdk("openai.types.responses.response_create_params")
    request = full("openai-responses")
    if output is not None:
        request = Request(request.model, request.messages, output=output)
    body = json.loads(encode("openai-responses", request))
    kind = types.ResponseCreateParamsStreaming
    assert set(body) <= set(kind.__annotations__) | set(types.ResponseCreateParamsBase.__annotations__)
    validated(kind, body)


@pytest.mark.parametrize("output", [None, SCHEMA])
def test_gemini_shapes(output: OutputSchema | None) -> None:
    """Every object is one of the SDK's, which refuses fields that it does not know."""
    types = sdk("google.genai.types")
    request = full("google")
    if output is not None:
        request = Request(request.model, request.messages, output=output)
    body = json.loads(encode("google", request))
    for content in [body["systemInstruction"], *body["contents"]]:
        types.Content.model_validate(content)
    for tool in body.get("tools", []):
        types.Tool.model_validate(tool)
    types.GenerationConfig.model_validate(body.get("generationConfig", {}))


def test_ollama_shapes() -> None:
    client = sdk("ollama._types")
    body = json.loads(encode("ollama", full("ollama")))
    client.ChatRequest.model_validate({**body, "options": client.Options(**body["options"])})
