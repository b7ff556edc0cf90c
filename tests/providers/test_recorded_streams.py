"""Every recorded stream, cut in two at every byte and ended at every byte.

Those named after an API alone were recorded from the mock server of `aimock.py`; the others hold what that cannot send,
in the shapes of the vendors' references: signatures, redacted and encrypted reasoning, cached tokens.
"""

from pathlib import Path

import msgspec
import pytest

from providers import errors
from providers.messages import Answer, Opaque, Text, TextDelta, ToolCall
from providers.usage import UNKNOWN, Usage
from tests.providers.assembling import RECORDED, api_of, assemble, assembler_of

STREAMS = sorted(path for path in RECORDED.iterdir())
WHOLE = Usage(1125, 89, 1000, 40, None)


def parts(answer: Answer) -> list[object]:
    return [part for part in answer.message.parts if not isinstance(part, Opaque)]


def test_there_are_streams_of_every_api() -> None:
    found = {api_of(path) for path in STREAMS}
    assert found == {"openai", "openai-responses", "anthropic", "google", "ollama", "bedrock"}


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.name)
def test_cut_in_two_at_every_byte(path: Path) -> None:
    api, data = api_of(path), path.read_bytes()
    whole = assemble(api, data)
    assert whole.stop == "tool_calls"
    assert whole.message.text == "I look. 🎼"
    assert whole.message.tool_calls[0].name == "read_file"
    for cut in range(len(data) + 1):
        assert assemble(api, data[:cut], data[cut:]) == whole, cut


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.name)
def test_byte_by_byte(path: Path) -> None:
    api, data = api_of(path), path.read_bytes()
    shown: list[TextDelta] = []
    answer = assemble(api, *(data[at : at + 1] for at in range(len(data))), shown=shown.append)
    assert answer == assemble(api, data)
    assert "".join(delta.text for delta in shown) == answer.message.text


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.name)
def test_ended_at_every_byte_it_is_the_whole_answer_or_none(path: Path) -> None:
    """However cleanly it ends: no truncation passes as complete, and no part of a call gets out."""
    api, data = api_of(path), path.read_bytes()
    whole = assemble(api, data)
    passed = 0
    for end in range(len(data)):
        try:
            answer = assemble(api, data[:end])
        except errors.BadResponseError:
            assert not passed, "once whole it stays whole"
        else:
            passed += 1
            assert parts(answer) == parts(whole), end
            assert answer.stop == whole.stop
            assert answer.usage in {whole.usage, UNKNOWN}, end


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("anthropic_thinking.sse", Usage(1125, 89, 1000, 40, None, 100)),
        ("bedrock_thinking.bin", Usage(1125, 89, 1000, 40, None, 100)),
        ("openai-responses_encrypted.sse", WHOLE),
        ("google_signed.sse", WHOLE),
        ("ollama_thinking.ndjson", Usage(1125, 89, None, None, None)),
    ],
)
def test_usage_with_cached_and_reasoning_tokens(name: str, usage: Usage) -> None:
    path = RECORDED / name
    assert assemble(api_of(path), path.read_bytes()).usage == usage


@pytest.mark.parametrize(
    ("name", "kinds", "reasoning"),
    [
        ("openai.sse", [Opaque, Text, ToolCall, ToolCall], "Two files."),
        ("anthropic_thinking.sse", [Opaque, Opaque, Text, ToolCall], 'Let me "see" \\ '),
        ("bedrock_thinking.bin", [Opaque, Opaque, Text, ToolCall], 'Let me "see" \\ '),
        ("openai-responses_encrypted.sse", [Opaque, Text, ToolCall], "Hm."),
        ("google_signed.sse", [Text, Opaque, Text, Opaque, ToolCall, ToolCall, Opaque], "Hm."),
        ("ollama_thinking.ndjson", [Opaque, Text, ToolCall], "Hm."),
    ],
)
def test_state_stands_where_it_came_and_thinking_is_shown_apart(
    name: str, kinds: list[type], reasoning: str
) -> None:
    path = RECORDED / name
    answer = assemble(api_of(path), path.read_bytes())
    assert [type(part) for part in answer.message.parts] == kinds
    assert answer.reasoning == reasoning
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Answer) == answer


@pytest.mark.parametrize("api", ["openai", "openai-responses", "anthropic", "google"])
def test_the_same_answer_as_one_object(api: str) -> None:
    """Of servers and gateways that do not stream."""
    bodies = {
        "openai": b'{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}',
        "openai-responses": b'{"status":"completed","model":"m","output":[{"type":"message","content":'
        b'[{"type":"output_text","text":"Hi"}]}],"usage":{"input_tokens":3,"output_tokens":1}}',
        "anthropic": b'{"type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn",'
        b'"usage":{"input_tokens":3,"output_tokens":1}}',
        "google": b'[{"candidates":[{"content":{"parts":[{"text":"H"}]}}]},'
        b'{"candidates":[{"content":{"parts":[{"text":"i"}]},"finishReason":"STOP"}]}]',
    }
    assembler = assembler_of(api)
    assembler.feed_whole(bodies[api])
    answer = assembler.answer()
    assert (answer.message.text, answer.stop) == ("Hi", "end")


def test_a_damaged_binary_stream_is_no_answer() -> None:
    data = bytearray((RECORDED / "bedrock.bin").read_bytes())
    for at in (0, 9, 60, len(data) - 1):
        damaged = bytearray(data)
        damaged[at] ^= 0x55
        with pytest.raises(errors.BadResponseError):
            assemble("bedrock", bytes(damaged))
