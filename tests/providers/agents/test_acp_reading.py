"""What is read of an ACP agent, without a process: lines cut anywhere, values of any shape."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from providers.agents.acp_permissions import chosen, request_of
from providers.agents.acp_stream import AgentStream, Tail
from providers.agents.acp_updates import LONGEST_SUMMARY, Updates, usage_of

UPDATES = (
    "agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update", "usage_update",
    "current_mode_update", "plan", "new_thing",
)  # fmt: skip
NAMES = (
    "toolCallId", "title", "kind", "status", "content", "locations", "rawInput", "cost", "amount", "currency", "path",
    "command", "type", "text", "optionId", "usage", "inputTokens", "outputTokens", "totalTokens", "_meta", "quota",
)  # fmt: skip
VALUES = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.text(max_size=5)
    | some.sampled_from(["text", "USD", "failed", "allow_once", "execute"]),
    lambda inner: (
        some.lists(inner, max_size=2) | some.dictionaries(some.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)


class Said:
    """A process that has said its last word, in the pieces given."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def send(self, data: bytes) -> None:
        raise BrokenPipeError

    async def close_input(self) -> None: ...

    async def stdout(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def stderr(self) -> AsyncIterator[bytes]:
        for piece in self._pieces[:0]:
            yield piece

    def errors(self, limit: int = 4096) -> bytes:
        return b""

    async def wait(self) -> int:
        return 0

    async def kill(self) -> None: ...


def read(*pieces: bytes) -> tuple[list[Any], list[Any], AgentStream]:
    updates: list[Any] = []

    async def take(params: Any) -> None:
        updates.append(params)

    async def all_of(stream: AgentStream) -> list[Any]:
        messages = []
        while (message := await stream.receive()) is not None:
            messages.append(message)
        return messages

    stream = AgentStream(Said(*pieces), on_update=take)
    return anyio.run(all_of, stream), updates, stream


def test_lines_are_the_same_wherever_they_are_cut() -> None:
    data = (
        '{"id":1,"result":{"a":"naïve 🎼"}}\r\n\n'
        'spam\n{"method":"session/update","params":{"n":2}}\n{"id":2,"error":{"code":1,"message":"x"}}'
    ).encode()
    whole = read(data)[:2]
    assert [message["id"] for message in whole[0]] == [1, 2]
    assert whole[1] == [{"n": 2}]
    for place in range(len(data)):
        messages, updates, stream = read(data[:place], data[place:])
        assert (messages, updates) == whole
        assert stream.garbage_lines == 1


def test_a_request_that_cannot_be_delivered_is_a_fault_and_an_answer_is_not() -> None:
    async def send(message: dict[str, Any]) -> None:
        async def ignore(params: Any) -> None: ...

        await AgentStream(Said(), on_update=ignore).send(message)

    anyio.run(send, {"id": 1, "result": {}})
    anyio.run(send, {"method": "session/cancel"})
    with pytest.raises(ConnectionError):
        anyio.run(send, {"id": 1, "method": "initialize"})


@given(some.binary(max_size=200))
def test_no_bytes_are_a_fault_of_ours(data: bytes) -> None:
    read(data)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a machine at work
@given(
    some.lists(some.dictionaries(some.sampled_from(NAMES), VALUES, max_size=4), max_size=3),
    some.sampled_from(UPDATES),
)
def test_no_update_is_a_fault_of_ours(updates: list[dict[str, Any]], name: str) -> None:
    reading = Updates()
    for update in updates:
        for event in reading.take({"sessionUpdate": name, **update}):
            event.text.encode()
            event.subject.encode()
    reading.take(updates)
    assert reading.cost_usd is None or reading.cost_usd >= 0


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(VALUES, VALUES, VALUES)
def test_no_permission_and_no_usage_is_a_fault_of_ours(call: Any, options: Any, answer: Any) -> None:
    told, _ = Updates().tool(call if isinstance(call, dict) else {}, asks=True)
    request = request_of(told, Path("/folder"))
    assert request is None or request.subject
    assert chosen(options, allow=True) is None or isinstance(chosen(options, allow=True), str)
    usage = usage_of(answer if isinstance(answer, dict) else {}, None)
    assert usage.input_tokens is None or usage.input_tokens >= 0


def test_what_is_kept_of_endless_words_is_bounded() -> None:
    reading, tail = Updates(), Tail(1000)
    for number in range(20_000):
        reading.take(
            {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": f"{number} word "}}
        )
        tail.add(b"%d line\n" % number)
    assert len(reading.summary) <= LONGEST_SUMMARY
    assert reading.summary.endswith("19999 word")
    assert len(tail.text()) <= 1000
    assert tail.text().endswith("19999 line")
