"""What a program prints, as lines and as events: cut anywhere, dressed up, absurd."""

import json
from typing import Any

import pytest

from providers.agents.description import EventRule, UsagePaths, load_descriptions
from providers.agents.event_rules import RuleReader
from providers.agents.printed_lines import LineSplitter, plain
from providers.base import AgentEvent
from providers.usage import Usage

OUTPUT = 'first\nsecönd 🎼\r\n\n{"a": 1}\nlast'.encode()
LINES = [b"first", "secönd 🎼\r".encode(), b"", b'{"a": 1}', b"last"]


def test_lines_are_the_same_wherever_the_output_is_cut() -> None:
    for at in range(len(OUTPUT) + 1):
        splitter = LineSplitter()
        found = splitter.feed(OUTPUT[:at]) + splitter.feed(OUTPUT[at:]) + splitter.end()
        assert found == LINES
    splitter = LineSplitter()
    found = [line for byte in OUTPUT for line in splitter.feed(bytes([byte]))]
    assert found + splitter.end() == LINES


def test_of_a_line_that_is_too_long_nothing_is_kept_and_the_next_one_is_whole() -> None:
    splitter = LineSplitter(longest=10)
    found = [line for _ in range(100) for line in splitter.feed(b"x" * 5)]
    assert found == []
    assert splitter.feed(b"\nshort\n") == [b"short"]
    assert splitter.too_long == 1
    assert splitter.feed(b"exactly 10\n") == [b"exactly 10"]


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (" 10 %\r 50 %\r100 %\r\n", "100 %\n"),
        ("bell\x07 back\x08space\x7f", "bell backspace"),
        ("\x1b(Bplain\x1b=", "plain"),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_text_is_inert(printed: str, shown: str) -> None:
    assert plain(printed) == shown


def read(rules: list[EventRule], *lines: Any) -> tuple[list[AgentEvent], RuleReader]:
    reader = RuleReader(tuple(rules))
    return [event for line in lines for event in reader.read(line)], reader


def test_keyed_usage_counts_each_message_once() -> None:
    rule = EventRule(kind="usage", scope="keyed", key="id", usage=UsagePaths(input=("in",), output=("out",)))
    events, _ = read(
        [rule],
        {"id": "a", "in": 10, "out": 1},
        {"id": "a", "in": 10, "out": 5},
        {"id": "b", "in": 3, "out": 2},
    )
    assert [(event.usage.input_tokens, event.usage.output_tokens) for event in events] == [
        (10, 1),
        (0, 4),
        (3, 2),
    ]


def test_usage_so_far_is_told_as_what_is_new() -> None:
    rule = EventRule(
        kind="usage", scope="total", usage=UsagePaths(input=("in",), output=("out",), cost=("usd",))
    )
    events, _ = read(
        [rule],
        {"in": 10, "out": 1, "usd": 0.5},
        {"in": 10, "out": 1, "usd": 0.5},
        {"in": 30, "out": 2, "usd": 0.75},
    )
    assert [event.usage.cost_usd for event in events] == [0.5, 0.25]


@pytest.mark.parametrize("absurd", [-5, "12", True, 1e30, None, [3], float("nan")])
def test_what_is_no_sensible_number_is_unknown(absurd: object) -> None:
    rule = EventRule(kind="usage", usage=UsagePaths(input=("in",), output=("out",)))
    events, _ = read([rule], {"in": absurd, "out": 7})
    assert [event.usage for event in events] == [Usage(None, 7, None, None, None)]


@pytest.mark.parametrize(
    "line", [{}, {"type": None}, {"type": ["end"]}, {"type": "end", "result": {"a": [1]}}, {"message": 3}]
)
@pytest.mark.parametrize("name", list(load_descriptions({}, "x")))
def test_no_line_breaks_a_reader(name: str, line: dict[str, Any]) -> None:
    read(list(load_descriptions({}, "x")[name].events), line)


def test_a_result_of_claude_code_that_is_an_error_though_it_says_success() -> None:
    rules = list(load_descriptions({}, "x")["claude-code"].events)
    line = {"type": "result", "subtype": "success", "is_error": True, "result": "API Error: 529 overloaded"}
    _, reader = read(rules, line)
    assert (reader.said.ended, reader.said.failed, reader.said.summary) == (True, True, line["result"])


def test_a_denied_call_of_claude_code() -> None:
    rules = list(load_descriptions({}, "x")["claude-code"].events)
    denials = [{"tool_name": "Bash", "tool_use_id": "1", "tool_input": {"command": "rm -rf ."}}]
    _, reader = read(
        rules, {"type": "result", "is_error": False, "result": "x", "permission_denials": denials}
    )
    assert reader.said.denied == ["Bash"]


def test_a_stream_of_goose_as_its_source_writes_it() -> None:
    rules = list(load_descriptions({}, "x")["goose"].events)
    request = {
        "type": "toolRequest",
        "id": "t1",
        "toolCall": {
            "status": "success",
            "value": {"name": "developer__shell", "arguments": {"command": "ls"}},
        },
    }
    response = {
        "type": "toolResponse",
        "id": "t1",
        "toolResult": {"status": "success", "value": {"content": [{"type": "text", "text": "a.txt"}]}},
    }
    events, reader = read(
        rules,
        {
            "type": "message",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "I look."}, request]},
        },
        {"type": "message", "message": {"role": "user", "content": [response]}},
        json.loads('{"type": "complete", "total_tokens": 12}'),
    )
    assert [(event.kind, event.text or event.subject) for event in events] == [
        ("text", "I look."),
        ("tool", "ls"),
        ("tool_result", "a.txt"),
    ]
    assert reader.said.ended
