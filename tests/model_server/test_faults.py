"""Every fault reaches the client as it is meant to: read from the socket, not through a client library."""

import json
import socket
from contextlib import nullcontext

import httpx2
import pytest

from tests.model_server import Answer, Echo, ModelServer, Reply, faults

REQUEST = json.dumps(
    {
        "model": "test-model",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "hi"}],
    }
).encode()


def received(reply: Reply) -> tuple[bytes, bool]:
    """All bytes until the server closes or the body is whole, and whether the connection was reset."""
    with (
        ModelServer(faults.Sequence([reply])) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection,
    ):
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(REQUEST)
        connection.sendall(head + REQUEST)
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                return data, True
            if not piece:
                break
            data += piece
        return data, False


def test_a_clean_cut_is_a_whole_body_without_an_end_of_the_answer() -> None:
    data, was_reset = received(faults.cut(clean=True))
    assert data.endswith(b"0\r\n\r\n")
    assert b"[DONE]" not in data
    assert b'"finish_reason":"stop"' not in data
    assert not was_reset


def test_an_unclean_cut_ends_the_connection_in_the_body() -> None:
    data, was_reset = received(faults.cut())
    assert b'"role":"assistant"' in data
    assert not data.endswith(b"0\r\n\r\n")
    assert not was_reset


def test_a_cut_inside_an_event() -> None:
    data, _ = received(faults.cut_inside_event())
    assert data.rstrip(b"\r\n").rpartition(b"data: ")[2].count(b"{") > data.rpartition(b"data: ")[2].count(
        b"}"
    )


def test_resets_reset() -> None:
    assert received(faults.reset()) == (b"", True)
    assert received(faults.reset_in_stream())[1]


@pytest.mark.parametrize(
    ("reply", "status", "needle"),
    [
        (faults.rate_limited("7"), 429, b"Retry-After: 7"),
        (faults.out_of_quota(), 429, b"insufficient_quota"),
        (faults.server_error(503), 503, b"server_error"),
        (faults.bad_key(), 401, b"invalid_api_key"),
        (faults.context_overflow(), 400, b"context_length_exceeded"),
        (faults.html_body(502), 502, b"Content-Type: text/html"),
    ],
)
def test_errors(reply: Reply, status: int, needle: bytes) -> None:
    with ModelServer(faults.Sequence([reply])) as server:
        response = httpx2.post(f"{server.base_url}/chat/completions", content=REQUEST)
    raw = b"\n".join(name.title() + b": " + value for name, value in response.headers.raw) + response.content
    assert response.status_code == status
    assert needle in raw


def test_the_redirects_never_end() -> None:
    with (
        ModelServer(faults.Sequence([faults.redirect_loop()])) as server,
        httpx2.Client(max_redirects=5) as client,
    ):
        with pytest.raises(httpx2.TooManyRedirects):
            client.post(f"{server.base_url}/chat/completions", content=REQUEST, follow_redirects=True)
        assert len(server.records.all()) == 6


@pytest.mark.parametrize(
    "reply",
    [
        faults.with_comments(),
        faults.with_crlf(),
        faults.in_single_bytes(),
        faults.in_one_piece(),
        faults.HELLO,
    ],
)
def test_harmless_oddities_carry_the_same_text(reply: Reply) -> None:
    with ModelServer(faults.Sequence([reply])) as server:
        response = httpx2.post(f"{server.base_url}/chat/completions", content=REQUEST)
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    choices = [choice for line in lines for choice in json.loads(line)["choices"]]
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == faults.HELLO.text
    assert json.loads(lines[-1])["usage"]["total_tokens"] > 0


def test_an_error_event_and_garbage() -> None:
    with ModelServer(faults.Sequence([faults.error_event(), faults.garbage_event()])) as server:
        texts = [httpx2.post(f"{server.base_url}/chat/completions", content=REQUEST).text for _ in range(2)]
    assert 'data: {"error":{"message"' in texts[0]
    assert "[DONE]" not in texts[0]
    assert "data: {not json\n\n" in texts[1]


def test_usage_can_be_missing_although_it_was_asked_for() -> None:
    with ModelServer(faults.Sequence([faults.without_usage()])) as server:
        text = httpx2.post(f"{server.base_url}/chat/completions", content=REQUEST).text
    assert '"choices":[]' not in text
    assert text.endswith("data: [DONE]\n\n")


def test_after_the_sequence_the_next_script_answers() -> None:
    with ModelServer(faults.Sequence([faults.server_error()], then=Echo(size=10))) as server:
        statuses = [
            httpx2.post(f"{server.base_url}/chat/completions", content=REQUEST).status_code for _ in range(3)
        ]
    assert statuses == [500, 200, 200]


@pytest.mark.parametrize("name", sorted(set(faults.BY_NAME) - {"hang", "hang_before_headers"}))
def test_every_fault_ends_by_itself(name: str) -> None:
    reply = faults.BY_NAME[name]()
    with (
        ModelServer(faults.Sequence([reply, Answer(text="after")])) as server,
        httpx2.Client(timeout=10) as client,
    ):
        breaks = name in {"cut", "cut_inside_event", "reset", "reset_in_stream"}
        with pytest.raises(httpx2.TransportError) if breaks else nullcontext():
            client.post(f"{server.base_url}/chat/completions", content=REQUEST)
        assert client.post(f"{server.base_url}/chat/completions", content=REQUEST).status_code == 200


@pytest.mark.parametrize("reply", [faults.hang(after_events=1), faults.hang_before_headers()])
def test_hanging_ends_when_the_client_closes(reply: Reply) -> None:
    with ModelServer(faults.Sequence([reply])) as server:
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"{server.base_url}/chat/completions", content=REQUEST, timeout=0.05)
        server.records.wait_until_idle()
        assert server.records.completions()[0].closed_early


def test_leaving_the_server_ends_what_still_hangs() -> None:
    with ModelServer(faults.Sequence([faults.hang(after_events=1)])) as server:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(REQUEST)
        connection.sendall(head + REQUEST)
        server.records.wait_for_completions(1)
    with connection:
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass
    assert server.records.completions()[0].closed_early
