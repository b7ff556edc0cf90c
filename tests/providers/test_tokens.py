import pytest

from providers.messages import (
    Message,
    Opaque,
    Request,
    ToolCall,
    ToolResult,
    ToolSpec,
    assistant,
    system,
    tool_results,
    user,
)
from providers.tokens import estimate_message, estimate_request, estimate_text, estimate_tools

# Counted once with o200k_base.
COUNTED = [
    ("The quick brown fox jumps over the lazy dog.", 10),
    ("def add(a: int, b: int) -> int:\n    return a + b\n", 19),
    ("Der schnelle braune Fuchs springt über den faulen Hund.", 13),
]


@pytest.mark.parametrize(("text", "tokens"), COUNTED)
def test_prose_and_code_are_estimated_within_half(text: str, tokens: int) -> None:
    assert 0.5 * tokens <= estimate_text(text) <= 1.5 * tokens


def test_only_an_empty_text_has_no_tokens() -> None:
    assert estimate_text("") == 0
    assert estimate_text("a") == 1
    assert estimate_text("\ud800") == 1


def test_text_outside_ascii_counts_its_bytes() -> None:
    assert estimate_text("模型" * 37) == 60
    assert estimate_text("ab" * 37) == 20


def test_every_part_of_a_request_counts() -> None:
    tool = ToolSpec("read_file", "Reads a file.", {"type": "object"})
    messages = (
        system("s" * 37),
        assistant("a" * 37, ToolCall("1", "f" * 37, "{" * 37)),
        tool_results(ToolResult("1", "r" * 37)),
        Message("assistant", (Opaque("api", "o" * 37),)),
        user("u" * 37),
    )
    assert [estimate_message(message) for message in messages] == [14, 38, 18, 14, 14]
    assert estimate_request(Request("m", messages, (tool,))) == 98 + estimate_tools((tool,))
