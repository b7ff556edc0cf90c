"""A conversation of any origin made fit for each API: state, ids, names, open calls, stray results."""

import json
import re
from typing import Any

import msgspec
import pytest

from providers.http.conversation import UNANSWERED, ToolNames, WireRules, fitted, leading_system, merged
from providers.messages import (
    Message,
    Opaque,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    assistant,
    system,
    tool_results,
    user,
)
from tests.providers.adapters import MODELS, READ_FILE, SEARCH
from tests.providers.assembling import RECORDED, api_of, assemble
from tests.providers.encoding import body_of, encoded

RULES = WireRules("mine", id_max=40)
APIS = list(MODELS)


def test_state_of_another_api_is_dropped_and_ones_own_is_kept() -> None:
    message = Message("assistant", (Opaque("other", "{}"), Opaque("mine", '{"a":1}'), Text("t")))
    assert fitted([user("x"), message], RULES)[1].parts == (Opaque("mine", '{"a":1}'), Text("t"))


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    calls = (ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}"))
    told = fitted([user("x"), assistant("", *calls), tool_results(ToolResult("b", "r"))], RULES)
    assert told[2].parts == (ToolResult("a", UNANSWERED, is_error=True), ToolResult("b", "r"))
    cancelled = fitted([user("x"), assistant("", *calls), user("go on")], RULES)
    assert [message.role for message in cancelled] == ["user", "assistant", "tool", "user"]
    assert all(isinstance(part, ToolResult) and part.is_error for part in cancelled[2].parts)


def test_results_come_right_after_their_calls_and_strays_become_text() -> None:
    told = fitted(
        [
            tool_results(ToolResult("lost", "early")),
            assistant("", ToolCall("a", "f", "{}")),
            user("between"),
            tool_results(ToolResult("a", "r"), ToolResult("nobody", "stray")),
        ],
        RULES,
    )
    assert [message.role for message in told] == ["user", "assistant", "tool", "user", "user"]
    assert told[2].parts == (ToolResult("a", "r"),)
    assert "early" in told[0].text
    assert "stray" in told[4].text


@pytest.mark.parametrize("call_id", ["", "call.1|x", "ü", "x" * 65, "functions.read_file:0"])
def test_ids_are_made_fit_and_results_follow(call_id: str) -> None:
    told = fitted(
        [assistant("", ToolCall(call_id, "f", "{}")), tool_results(ToolResult(call_id, "r"))], RULES
    )
    call, result = told[0].parts[0], told[1].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert result.call_id == call.id
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", call.id)


def test_an_id_that_occurs_again_is_told_apart() -> None:
    turn = (assistant("", ToolCall("call_0", "f", "{}")), tool_results(ToolResult("call_0", "r")))
    told = fitted([*turn, *turn, *turn], RULES)
    ids = [part.id for message in told for part in message.parts if isinstance(part, ToolCall)]
    answered = [part.call_id for message in told for part in message.parts if isinstance(part, ToolResult)]
    assert ids == answered
    assert len(set(ids)) == 3
    assert fitted([*turn], RULES) == told[:2]  # what comes later changes nothing before


def test_names_of_tools_and_back() -> None:
    odd = ToolSpec("mcp.server/do it", "d", {})
    long = ToolSpec("n" * 80, "d", {})
    names = ToolNames.of([odd, long, ToolSpec("plain", "d", {})], RULES)
    for tool in (odd, long):
        wire = names.wire(tool.name)
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", wire)
        assert names.own(wire) == tool.name
    assert names.wire("plain") == "plain"
    assert names.own("never_offered") == "never_offered"


def test_system_messages_lead_or_become_the_users() -> None:
    text, rest = leading_system([system("a"), system("b"), user("x"), system("later")])
    assert text == "a\n\nb"
    assert rest == [user("x"), user("later")]


def test_neighbours_of_one_side_become_one_and_blank_texts_go() -> None:
    turns = merged([tool_results(ToolResult("a", "r")), user("x"), assistant(" \n"), user("y")])
    assert turns == [Message("user", (ToolResult("a", "r"), Text("x"), Text("y")))]


@pytest.mark.parametrize("api", APIS)
def test_a_change_of_api_in_the_middle_of_a_conversation(api: str) -> None:
    """Answers of every API, with all their state and ids, are told to every other one."""
    conversation: list[Message] = [system("s"), user("look")]
    for path in sorted(RECORDED.iterdir()):
        answer = assemble(api_of(path), path.read_bytes()).message
        results = [ToolResult(call.id, "r", is_error=True) for call in answer.tool_calls]
        conversation += [answer, tool_results(*results)]
    body = encoded(api, *conversation, tools=(READ_FILE, SEARCH))
    own = {
        "openai": b'"reasoning_content":"Two files."',
        "openai-responses": b"gAAAAABo+/w==",
        "anthropic": b"EqQBCgIYAhIM1gb",
    }
    own |= {"google": b"CiQB/+text==", "ollama": b'"thinking":"Hm."'}
    for other, mark in own.items():
        assert (mark in body) == (other == api), other
    ids = re.findall(rb'"(?:tool_use_id|tool_call_id)":"([^"]+)"', body)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "name",
    [
        "openai.sse",
        "anthropic_thinking.sse",
        "openai-responses_encrypted.sse",
        "google_signed.sse",
        "ollama_thinking.ndjson",
    ],
)
def test_state_goes_back_byte_for_byte_through_the_journal(name: str) -> None:
    api, data = api_of(RECORDED / name), (RECORDED / name).read_bytes()
    answer = assemble(api, data).message
    kept = msgspec.json.decode(msgspec.json.encode(answer), type=Message)
    assert kept == answer
    results = tool_results(*(ToolResult(call.id, "r") for call in kept.tool_calls))
    body = encoded(api, user("look"), kept, results, tools=(READ_FILE, SEARCH))
    state = [part.data.encode() for part in answer.parts if isinstance(part, Opaque)]
    assert state
    for part in state:
        assert part[1:-1] in body  # the braces may hold more beside it


def test_signatures_stand_inside_their_own_parts() -> None:
    answer = assemble("google", (RECORDED / "google_signed.sse").read_bytes()).message
    results = tool_results(*(ToolResult(call.id, "r") for call in answer.tool_calls))
    contents = body_of("google", user("look"), answer, results)["contents"]
    parts = contents[1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [
        None,
        "CiQB/+text==",
        "EjQKMgEB/+call==",
        None,
        "end==",
    ]
    assert parts[1]["text"] == "🎼"
    assert parts[2]["functionCall"] == {"name": "read_file", "args": {"path": "ü.py"}}
    assert parts[3]["functionCall"]["id"] == "fc-9"
    answers = [part["functionResponse"] for part in contents[2]["parts"]]
    assert [(each.get("id"), each["name"]) for each in answers] == [(None, "read_file"), ("fc-9", "search")]


def test_calls_of_another_model_carry_the_word_that_skips_the_check() -> None:
    calls = assistant("", ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}"))
    request: dict[str, Any] = body_of("google", user("x"), calls, model="gemini-3-pro")
    signatures = [part.get("thoughtSignature") for part in request["contents"][1]["parts"]]
    assert signatures == ["skip_thought_signature_validator", None]
    older = json.dumps(body_of("google", user("x"), calls, model="gemini-2.5-pro"))
    assert "thoughtSignature" not in older


def test_reasoning_that_nothing_follows_is_left_out() -> None:
    message = Message("assistant", (Text("t"), Opaque("openai-responses", '{"type":"reasoning"}')))
    items = body_of("openai-responses", user("x"), message, user("y"))["input"]
    assert [item.get("type", item.get("role")) for item in items] == ["user", "assistant", "user"]
