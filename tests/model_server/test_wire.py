"""The server as a client sees it: over raw sockets byte by byte, and through httpx2."""

import json
import socket
from typing import Any

import httpx2
import pytest

from tests.model_server import (
    Answer,
    End,
    Gate,
    ModelRequest,
    ModelServer,
    Reply,
    Stream,
    ToolCall,
    Usage,
    wire,
)

TOOL = {
    "type": "function",
    "function": {"name": "write_file", "parameters": {"type": "object", "properties": {}}},
}
CALLS = (
    ToolCall("write_file", {"path": "a b.py", "content": "print('ä 🎼')\n" * 8}),
    ToolCall("read_file", {"path": "x"}),
    ToolCall("finish", {"summary": 'says "done" \\ and more than twenty characters'}),
)


class Says:
    def __init__(self, reply: Reply) -> None:
        self.reply = reply

    def respond(self, request: ModelRequest, /) -> Reply:
        return self.reply


def body(**more: Any) -> dict[str, Any]:
    return {"model": "test-model", "messages": [{"role": "user", "content": "Solve x\nplease"}], **more}


def ask(server: ModelServer, **more: Any) -> httpx2.Response:
    return httpx2.post(f"{server.base_url}/chat/completions", json=body(**more), timeout=10)


def data_lines(text: str) -> list[str]:
    events = text.split("\n\n")
    assert events.pop() == ""
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [event.removeprefix("data: ") for event in events]


def chunks(text: str) -> list[dict[str, Any]]:
    lines = data_lines(text)
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_a_streamed_text_has_the_shape_of_the_real_api() -> None:
    with ModelServer(Says(Answer(text="Hello there, this is a longer text. Grüße 🎼"))) as server:
        response = ask(server, stream=True, stream_options={"include_usage": True})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    *deltas, usage = chunks(response.text)
    assert {chunk["object"] for chunk in deltas} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in (*deltas, usage)}) == 1
    first, *rest, last = (chunk["choices"][0] for chunk in deltas)
    assert first["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert len(rest) > 2
    assert (
        "".join(choice["delta"]["content"] for choice in rest)
        == "Hello there, this is a longer text. Grüße 🎼"
    )
    assert all(choice["finish_reason"] is None for choice in (first, *rest))
    assert (last["delta"], last["finish_reason"]) == ({}, "stop")
    assert all(chunk["usage"] is None for chunk in deltas)
    assert usage["choices"] == []
    assert (
        usage["usage"]["total_tokens"]
        == usage["usage"]["prompt_tokens"] + usage["usage"]["completion_tokens"]
    )


def test_without_the_option_no_chunk_mentions_usage() -> None:
    with ModelServer(Says(Answer(text="Hello"))) as server:
        response = ask(server, stream=True)
    assert all("usage" not in chunk for chunk in chunks(response.text))


@pytest.mark.parametrize("interleaved", [True, False])
def test_parallel_calls_come_in_pieces_and_reassemble_by_index(*, interleaved: bool) -> None:
    with ModelServer(Says(Answer(text="Now.", calls=CALLS, interleaved=interleaved))) as server:
        response = ask(server, stream=True, tools=[TOOL])
    choices = [chunk["choices"][0] for chunk in chunks(response.text)]
    pieces = [piece for choice in choices for piece in choice["delta"].get("tool_calls", ())]
    for index, call in enumerate(CALLS):
        first, *rest = [piece for piece in pieces if piece["index"] == index]
        assert first["type"] == "function"
        assert first["id"]
        assert first["function"] == {"name": call.name, "arguments": ""}
        assert all(
            set(piece) == {"index", "function"} and set(piece["function"]) == {"arguments"} for piece in rest
        )
        texts = [piece["function"]["arguments"] for piece in rest]
        assert all(7 <= len(text) <= 20 for text in texts[:-1])
        assert json.loads("".join(texts)) == call.arguments
    order = [piece["index"] for piece in pieces]
    assert (order == sorted(order)) is not interleaved
    assert len({piece["id"] for piece in pieces if "id" in piece}) == len(CALLS)
    assert choices[-1]["finish_reason"] == "tool_calls"


def test_call_ids_are_new_in_every_answer() -> None:
    with ModelServer(Says(Answer(calls=CALLS))) as server:
        answers = [ask(server, tools=[TOOL]).json() for _ in range(2)]
    ids = [call["id"] for answer in answers for call in answer["choices"][0]["message"]["tool_calls"]]
    assert len(set(ids)) == 6


def test_an_answer_that_is_not_streamed() -> None:
    usage = Usage(prompt_tokens=11, completion_tokens=5, cached_tokens=3, reasoning_tokens=2)
    with ModelServer(Says(Answer(calls=CALLS, usage=usage))) as server:
        answer = ask(server, tools=[TOOL]).json()
    assert answer["object"] == "chat.completion"
    message = answer["choices"][0]["message"]
    assert message["content"] is None
    assert [json.loads(call["function"]["arguments"]) for call in message["tool_calls"]] == [
        call.arguments for call in CALLS
    ]
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 3
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 2


def test_models_and_unknown_places() -> None:
    with ModelServer(Says(Answer()), models=["one", "two"]) as server:
        models = httpx2.get(f"{server.base_url}/models").json()
        assert [model["id"] for model in models["data"]] == ["one", "two"]
        assert httpx2.get(f"{server.base_url}/nothing").status_code == 404
        refused = ask(server)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")


def test_a_key_is_asked_for_and_never_recorded() -> None:
    with ModelServer(Says(Answer(text="in")), api_key="sk-right") as server:
        url = f"{server.base_url}/chat/completions"
        for headers in ({}, {"Authorization": "Bearer sk-wrong"}):
            refused = httpx2.post(url, json=body(), headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        accepted = httpx2.post(url, json=body(), headers={"Authorization": "Bearer sk-right", "X-Trace": "7"})
        assert accepted.status_code == 200
        last = server.records.completions()[-1]
        assert last.headers["x-trace"] == "7"
        assert "sk-right" not in json.dumps(last.summary())


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USER = {"role": "user", "content": "go"}


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"messages": []}, "messages"),
        ({"model": ""}, "model"),
        ({"colour": "red"}, "colour"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"tools": []}, "tools"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {"name": "no blanks"}}]}, "no blanks"),
        ({"tools": [TOOL, TOOL]}, "unique"),
        ({"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}]}, "c1"),
        ({"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, USER]}, "c1"),
        ({"messages": [USER, {"role": "tool", "tool_call_id": "c9", "content": "x"}]}, "c9"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": None}]}, "content"),
        ({"messages": [USER, {"role": "assistant", "content": "", "tool_calls": []}]}, "tool_calls"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_what_the_real_api_refuses_is_refused(wrong: dict[str, Any], hint: str) -> None:
    with ModelServer(Says(Answer(text="never said"))) as server:
        response = ask(server, **wrong)
    assert response.status_code == 400
    assert hint in json.dumps(response.json()["error"])


def test_a_sound_conversation_with_calls_passes() -> None:
    messages = [
        {"role": "system", "content": "You code."},
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "one"}]},
    ]
    with ModelServer(Says(Answer(text="fine"))) as server:
        assert ask(server, messages=messages).status_code == 200
        request = server.records.completions()[0]
    assert request.turn == 1
    assert request.tool_results() == {"c2": "two", "c1": "one"}
    assert request.title == "go"


def test_a_closed_connection_is_recorded_as_early() -> None:
    stream = Stream(tuple(wire.events(Answer(text="half"), index=0, model="m")[:2]), End.HANG)
    with ModelServer(Says(stream)) as server:
        with httpx2.stream("POST", f"{server.base_url}/chat/completions", json=body(stream=True)) as response:
            pieces = response.iter_raw()
            assert next(pieces).startswith(b"data: ")
            assert server.records.open_now == 1
        server.records.wait_until_idle()
        assert [request.closed_early for request in server.records.completions()] == [True]


def test_a_whole_answer_is_not_early_and_the_connection_stays() -> None:
    with ModelServer(Says(Answer(text="short"))) as server, httpx2.Client() as client:
        for _ in range(3):
            client.post(f"{server.base_url}/chat/completions", json=body(stream=True))
        assert [request.closed_early for request in server.records.completions()] == [False] * 3
        assert server.records.most_open == 1


def test_a_gate_holds_an_answer_until_it_is_released() -> None:
    gate = Gate()
    with ModelServer(Says(Answer(text="late", gate=gate))) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            raw = json.dumps(body()).encode()
            request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(
                raw
            )
            for start in range(0, len(request), 17):
                connection.sendall(request[start : start + 17])
            connection.sendall(raw)
            server.records.wait_for_completions(1)
            assert server.records.open_now == 1
            gate.release()
            assert connection.recv(64).startswith(b"HTTP/1.1 200 OK\r\n")
        server.records.wait_until_idle()


def test_pipelined_requests_are_answered_in_order() -> None:
    with (
        ModelServer(Says(Answer(text="x"))) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection,
    ):
        ask_models = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall(ask_models + ask_models.replace(b"models", b"nothing"))
        received = b""
        while b"Invalid URL" not in received:
            received += connection.recv(65536)
    assert received.index(b"200 OK") < received.index(b"404 Not Found")


def test_a_request_without_a_length_is_refused() -> None:
    with (
        ModelServer(Says(Answer())) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection,
    ):
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert b" 411 " in connection.recv(65536)


class Broken:
    def respond(self, request: ModelRequest, /) -> Reply:
        raise RuntimeError("no idea")


def test_a_script_that_fails_answers_500_and_fails_the_test() -> None:
    server = ModelServer(Broken())
    with pytest.raises(AssertionError, match="no idea"), server:
        assert ask(server).status_code == 500


async def test_it_runs_beside_an_async_test() -> None:
    async with ModelServer(Says(Answer(text="hello"))) as server, httpx2.AsyncClient() as client:
        response = await client.post(f"{server.base_url}/chat/completions", json=body())
    assert response.json()["choices"][0]["message"]["content"] == "hello"


def test_counts_by_task() -> None:
    with ModelServer(Says(Answer(text="x"))) as server:
        ask(server)
        ask(server)
        ask(
            server,
            messages=[{"role": "user", "content": "Solve y\n..."}, {"role": "assistant", "content": "."}],
        )
        assert server.records.calls_by_task() == {"Solve x": 2, "Solve y": 1}
        assert server.records.attempts_by_task() == {"Solve x": 2}
        assert len(server.records.of_task("Solve y")) == 1
        with pytest.raises(TimeoutError, match="3 requests"):
            server.records.wait_for_completions(4, timeout_s=0.01)
