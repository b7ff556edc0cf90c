import gzip
import json
import zlib
from typing import Any

import anyio
import pytest

from providers import errors
from providers.config import TimeLimits
from providers.http.conversation import UNANSWERED
from providers.messages import (
    Message,
    Opaque,
    Request,
    Text,
    TextDelta,
    ToolCall,
    ToolResult,
    ToolSpec,
    assistant,
    system,
    tool_results,
    user,
)
from providers.usage import Usage
from tests.providers.chat import DONE, HELLO, KEY, ask, call_piece, chat, delta
from tests.providers.wire_server import HEAD, Exchange, chunk, plain, wire_server

NEVER = 60.0


async def hello(exchange: Exchange) -> None:
    exchange.stream(*HELLO)


def refusal(message: str, status: int = 400, **fields: Any) -> bytes:
    return plain(status, json.dumps({"error": {"message": message, **fields}}).encode())


async def test_what_is_sent() -> None:
    tool = ToolSpec("read_file", "Reads.", {"type": "object", "properties": {"path": {"type": "string"}}})
    conversation = (
        system("Be brief."),
        user("Go."),
        assistant(
            "I look.", ToolCall("a", "read_file", '{"path":"ü.py"}'), ToolCall("b", "read_file", "{oops")
        ),
        tool_results(ToolResult("a", "text"), ToolResult("b", "not JSON", is_error=True)),
        Message("assistant", (Opaque("other-api", "{}"), ToolCall("c", "read_file", "{}"))),
    )
    request = Request("test-model", conversation, (tool,), max_output_tokens=99, temperature=0.5)
    async with wire_server(hello) as server, chat(server.base_url) as provider:
        await provider.complete(request)
    exchange = server.exchanges[0]
    assert exchange.head.startswith("POST /v1/chat/completions HTTP/1.1\r\n")
    assert exchange.header("host") == f"127.0.0.1:{server.port}"
    assert exchange.header("authorization") == f"Bearer {KEY}"
    assert exchange.header("content-type") == "application/json"
    function = {"name": "read_file", "description": "Reads.", "parameters": tool.parameters}

    def call(name: str, arguments: str) -> dict[str, Any]:
        return {"id": name, "type": "function", "function": {"name": "read_file", "arguments": arguments}}

    assert json.loads(exchange.body) == {
        "model": "test-model",
        "tools": [{"type": "function", "function": function}],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Go."},
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [call("a", '{"path":"ü.py"}'), call("b", '{"invalid_json":"{oops"}')],
            },
            {"role": "tool", "tool_call_id": "a", "content": "text"},
            {"role": "tool", "tool_call_id": "b", "content": "not JSON"},
            {"role": "assistant", "content": None, "tool_calls": [call("c", "{}")]},
            {"role": "tool", "tool_call_id": "c", "content": UNANSWERED},
        ],
        "temperature": 0.5,
        "max_tokens": 99,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_a_longer_conversation_begins_with_the_same_bytes() -> None:
    first = (system("s"), user("Go."))
    longer = (*first, assistant("", ToolCall("a", "f", "{}")), tool_results(ToolResult("a", "r")))
    async with wire_server(hello) as server, chat(server.base_url) as provider:
        for messages in (first, longer):
            await provider.complete(Request("m", messages, (ToolSpec("f", "d", {"type": "object"}),)))
    shorter_body, longer_body = (exchange.body for exchange in server.exchanges)
    prefix = shorter_body[: shorter_body.index(b'],"stream"')]
    assert longer_body.startswith(prefix)


async def test_one_connection_serves_calls_one_after_the_other() -> None:
    shown: list[TextDelta] = []
    async with wire_server(hello) as server, chat(server.base_url) as provider:
        answers = [await provider.complete(ask(model="priced"), on_delta=shown.append) for _ in range(3)]
    assert len(server.connections) == 1
    assert "".join(piece.text for piece in shown) == "Hello." * 3
    assert answers[-1].usage == Usage(1000, 20, 400, 5, (600 * 2 + 400 * 0.5 + 20 * 8) / 1e6)


async def test_calls_at_once_get_connections_of_their_own() -> None:
    async with (
        wire_server(hello) as server,
        chat(server.base_url) as provider,
        anyio.create_task_group() as group,
    ):
        for _ in range(20):
            group.start_soon(provider.complete, ask())
    assert len(server.exchanges) == 20


async def test_a_connection_that_the_server_closed_while_idle_is_not_used_again() -> None:
    async def once(exchange: Exchange) -> None:
        exchange.stream(*HELLO)
        exchange.close()

    async with wire_server(once) as server, chat(server.base_url) as provider:
        await provider.complete(ask())
        await server.exchanges[0].client_closed.wait()
        await provider.complete(ask())
    assert len(server.connections) == 2


@pytest.mark.parametrize(
    ("message", "fields", "dropped"),
    [
        ("Unrecognized request argument supplied: stream_options", {}, "stream_options"),
        ("extra_forbidden: include_usage", {}, "stream_options"),
        ("Unsupported value: only the default works", {"param": "temperature"}, "temperature"),
    ],
)
async def test_an_optional_field_that_is_refused_is_left_out_and_remembered(
    message: str, fields: dict[str, Any], dropped: str
) -> None:
    async def picky(exchange: Exchange) -> None:
        if dropped in json.loads(exchange.body):
            exchange.send(refusal(message, **fields))
        else:
            exchange.stream(*HELLO)

    request = Request("m", (user("x"),), temperature=0.1)
    async with wire_server(picky) as server, chat(server.base_url) as provider:
        for _ in range(2):
            assert (await provider.complete(request)).message.text == "Hello."
    assert [dropped in json.loads(exchange.body) for exchange in server.exchanges] == [True, False, False]


async def test_the_output_limit_goes_by_its_other_name_and_then_away() -> None:
    async def picky(exchange: Exchange) -> None:
        body = json.loads(exchange.body)
        for field in ("max_tokens", "max_completion_tokens"):
            if field in body:
                exchange.send(refusal(f"Unsupported parameter: '{field}'", param=field))
                return
        exchange.stream(*HELLO)

    async with wire_server(picky) as server, chat(server.base_url) as provider:
        await provider.complete(Request("m", (user("x"),), max_output_tokens=5))
    assert len(server.exchanges) == 3


async def test_a_server_that_refuses_everything_is_not_asked_forever() -> None:
    async def sullen(exchange: Exchange) -> None:
        exchange.send(refusal("stream_options unsupported"))

    async with wire_server(sullen) as server, chat(server.base_url) as provider:
        with pytest.raises(errors.InvalidRequestError, match="stream_options unsupported"):
            await provider.complete(ask())
    assert len(server.exchanges) == 2


async def test_a_bad_value_is_not_mistaken_for_a_refused_field() -> None:
    async def strict(exchange: Exchange) -> None:
        exchange.send(refusal("temperature must be at most 2", param="temperature"))

    async with wire_server(strict) as server, chat(server.base_url) as provider:
        with pytest.raises(errors.InvalidRequestError, match="at most 2"):
            await provider.complete(Request("m", (user("x"),), temperature=3))
    assert len(server.exchanges) == 1


async def test_a_server_that_does_not_stream() -> None:
    choice = {"index": 0, "message": {"content": "Whole."}, "finish_reason": "stop"}

    async def whole(exchange: Exchange) -> None:
        exchange.send(plain(200, b"\n " + json.dumps({"choices": [choice]}).encode()))

    async with wire_server(whole) as server, chat(server.base_url) as provider:
        assert (await provider.complete(ask())).message.text == "Whole."


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "busy", "type": "server_error"}}, errors.OverloadedError),
        ({"error": "no such thing"}, errors.BadResponseError),
        ({"choices": []}, errors.BadResponseError),
        ([{"error": {"message": "x"}}], errors.BadResponseError),
        ({}, errors.BadResponseError),
    ],
)
async def test_an_object_of_status_200_that_is_no_answer(
    body: object, kind: type[errors.ProviderError]
) -> None:
    async def wrong(exchange: Exchange) -> None:
        exchange.send(plain(200, json.dumps(body).encode()))

    async with wire_server(wrong) as server, chat(server.base_url) as provider:
        with pytest.raises(kind):
            await provider.complete(ask())


async def test_half_characters_are_replaced() -> None:
    request = Request("m", (user("a\ud83cb"), assistant("🎼", ToolCall("x", "f", '{"p": "\udcff"}'))))
    async with wire_server(hello) as server, chat(server.base_url) as provider:
        await provider.complete(request)
    messages = json.loads(server.exchanges[0].body)["messages"]
    assert messages[0]["content"] == "a\ufffdb"
    assert messages[1]["content"] == "🎼"


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)], ids=["gzip", "deflate"]
)
async def test_a_proxy_that_compresses(encoding: str, compress: Any) -> None:
    async def packed(exchange: Exchange) -> None:
        exchange.send(plain(200, compress(b"".join(HELLO)), f"content-encoding: {encoding}"))

    async with wire_server(packed) as server, chat(server.base_url) as provider:
        assert (await provider.complete(ask())).message.text == "Hello."


async def test_an_encoding_that_cannot_be_read_is_named() -> None:
    async def packed(exchange: Exchange) -> None:
        exchange.send(plain(200, b"??", "content-encoding: br"))

    async with wire_server(packed) as server, chat(server.base_url) as provider:
        with pytest.raises(errors.BadResponseError, match="'br'"):
            await provider.complete(ask())


async def test_a_body_that_ends_with_the_connection() -> None:
    async def old(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.0 200 OK\r\n\r\n" + b"".join(HELLO))
        exchange.close()

    async with wire_server(old) as server, chat(server.base_url) as provider:
        assert (await provider.complete(ask())).message.text == "Hello."


async def test_an_answer_is_whole_although_the_connection_breaks_after_it() -> None:
    async def breaks(exchange: Exchange) -> None:
        exchange.stream(*HELLO[:-2], ends=False)
        exchange.close()

    async with wire_server(breaks) as server, chat(server.base_url) as provider:
        answer = await provider.complete(ask())
    assert (answer.message.text, answer.usage.input_tokens) == ("Hello.", None)


async def test_a_server_that_never_ends_its_body_costs_no_more_than_a_moment() -> None:
    async def open_ended(exchange: Exchange) -> None:
        exchange.stream(*HELLO, ends=False)

    async with wire_server(open_ended) as server, chat(server.base_url) as provider:
        with anyio.fail_after(5):
            answer = await provider.complete(ask())
            assert answer.usage.input_tokens == 1000
            await server.exchanges[0].client_closed.wait()


@pytest.mark.parametrize("begun", [False, True])
async def test_a_clean_truncation_is_a_bad_response(begun: bool) -> None:
    async def cut(exchange: Exchange) -> None:
        exchange.stream(*(HELLO[:3] if begun else ()))

    async with wire_server(cut) as server, chat(server.base_url) as provider:
        with pytest.raises(errors.BadResponseError, match="without finishing it") as raised:
            await provider.complete(ask())
    assert raised.value.retryable
    assert raised.value.answer_begun is begun


async def test_a_connection_that_breaks_in_the_middle_is_retryable_and_half_a_call_is_nothing() -> None:
    async def breaks(exchange: Exchange) -> None:
        exchange.stream(call_piece(0, call_id="a", name="f", arguments="{}"), ends=False)
        exchange.close()

    async with wire_server(breaks) as server, chat(server.base_url) as provider:
        with pytest.raises(errors.ConnectionFailedError, match=r"broke") as raised:
            await provider.complete(ask())
    assert raised.value.answer_begun


async def test_a_reset_before_the_head() -> None:
    async def reset(exchange: Exchange) -> None:
        exchange.transport.abort()

    async with wire_server(reset) as server, chat(server.base_url) as provider:
        with pytest.raises(errors.ConnectionFailedError, match=server.base_url) as raised:
            await provider.complete(ask())
    assert not raised.value.answer_begun


async def test_bytes_that_are_no_http() -> None:
    async def babble(exchange: Exchange) -> None:
        exchange.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    async with wire_server(babble) as server, chat(server.base_url) as provider:
        with pytest.raises(errors.ConnectionFailedError, match="broke"):
            await provider.complete(ask())


async def test_a_web_page_is_named_with_its_title_and_the_mend() -> None:
    page = b"<!doctype html><html><head><title>Sign in\n to Acme</title></head></html>"

    async def login(exchange: Exchange) -> None:
        exchange.send(plain(200, page, content_type="text/html"))

    async with wire_server(login) as server, chat(server.base_url) as provider:
        with pytest.raises(errors.BadResponseError, match=r"web page \(Sign in to Acme\)") as raised:
            await provider.complete(ask())
    assert server.base_url in str(raised.value)
    assert "OPENAI_BASE_URL" in str(raised.value)
    assert not raised.value.retryable


async def test_a_redirect_is_not_followed_and_its_target_named() -> None:
    async def elsewhere(exchange: Exchange) -> None:
        exchange.send(plain(307, b"", "location: https://elsewhere.example/v1/chat/completions"))

    async with wire_server(elsewhere) as server, chat(server.base_url) as provider:
        with pytest.raises(
            errors.ProviderConfigurationError, match=r"redirects to https://elsewhere\.example"
        ):
            await provider.complete(ask())
    assert len(server.exchanges) == 1


async def test_an_address_where_nobody_listens() -> None:
    async with wire_server(hello) as server:
        free = server.base_url
    async with chat(free) as provider:
        with pytest.raises(errors.ConnectionFailedError, match="is the server running") as raised:
            await provider.complete(ask())
    assert free in str(raised.value)
    assert raised.value.retryable


async def test_a_host_that_does_not_exist() -> None:
    async with chat("http://no-such-host.invalid/v1") as provider:
        with pytest.raises(errors.ConnectionFailedError, match=r"no-such-host\.invalid/v1 cannot be reached"):
            await provider.complete(ask())


async def test_the_key_never_shows_though_the_server_repeats_it() -> None:
    async def echo(exchange: Exchange) -> None:
        exchange.send(refusal(f"Incorrect API key\x1b[31m provided: {KEY}.\nSee the page", 401))

    async with wire_server(echo) as server, chat(server.base_url) as provider:
        with pytest.raises(errors.AuthenticationError, match="check OPENAI_API_KEY") as raised:
            await provider.complete(ask())
    text = str(raised.value)
    assert KEY not in text
    assert "provided: [key]. See the page" in text
    assert text.isprintable()


async def test_no_first_token() -> None:
    async def silent(exchange: Exchange) -> None:
        exchange.stream(HELLO[0], ends=False)
        await exchange.client_closed.wait()

    limits = TimeLimits(first_token=0.1, between_tokens=NEVER)
    async with wire_server(silent) as server, chat(server.base_url, limits=limits) as provider:
        with pytest.raises(errors.ProviderTimeoutError, match=r"no first token within 0\.1 s"):
            await provider.complete(ask())
        with anyio.fail_after(5):
            await server.exchanges[0].client_closed.wait()


async def test_comments_and_empty_deltas_do_not_count_as_tokens() -> None:
    async def chatters(exchange: Exchange) -> None:
        exchange.stream(HELLO[1], ends=False)
        while not exchange.client_closed.is_set():
            exchange.send(chunk(b": keep-alive\n\n") + chunk(delta(content="")))
            await anyio.sleep(0.01)

    limits = TimeLimits(first_token=NEVER, between_tokens=0.15)
    async with wire_server(chatters) as server, chat(server.base_url, limits=limits) as provider:
        with pytest.raises(errors.ProviderTimeoutError, match=r"nothing more within 0\.15 s") as raised:
            await provider.complete(ask())
    assert raised.value.answer_begun


async def test_tokens_that_keep_coming_outlive_every_limit_but_the_whole() -> None:
    async def slow(exchange: Exchange) -> None:
        exchange.send(HEAD)
        for _ in range(20):
            exchange.send(chunk(delta(content="x")))
            await anyio.sleep(0.05)
        exchange.send(chunk(delta("stop")) + chunk(DONE) + b"0\r\n\r\n")

    async with wire_server(slow) as server:
        patient = TimeLimits(first_token=0.6, between_tokens=0.6, whole_call=NEVER)
        async with chat(server.base_url, limits=patient) as provider:
            assert (await provider.complete(ask())).message.text == "x" * 20
        hasty = TimeLimits(first_token=NEVER, between_tokens=NEVER, whole_call=0.3)
        async with chat(server.base_url, limits=hasty) as provider:
            with pytest.raises(errors.ProviderTimeoutError, match=r"not finished within 0\.3 s"):
                await provider.complete(ask())


async def test_cancelling_closes_the_connections_at_once() -> None:
    async def hangs(exchange: Exchange) -> None:
        exchange.stream(HELLO[1], ends=False)
        await exchange.client_closed.wait()

    async with wire_server(hangs) as server, chat(server.base_url) as provider:
        async with anyio.create_task_group() as group:
            showing = anyio.Semaphore(0)
            for _ in range(200):
                group.start_soon(lambda: provider.complete(ask(), on_delta=lambda _: showing.release()))
            for _ in range(200):
                await showing.acquire()
            group.cancel_scope.cancel()
        with anyio.fail_after(3):
            for exchange in server.exchanges:
                await exchange.client_closed.wait()


async def test_cancelling_before_the_head_closes_too_and_the_next_call_is_clean() -> None:
    hang = [True]

    async def hangs_once(exchange: Exchange) -> None:
        if hang.pop() if hang else False:
            await exchange.client_closed.wait()
        else:
            exchange.stream(*HELLO)

    async with wire_server(hangs_once) as server, chat(server.base_url) as provider:
        with anyio.move_on_after(0.1):
            await provider.complete(ask())
        with anyio.fail_after(3):
            await server.exchanges[0].client_closed.wait()
        assert (await provider.complete(ask())).message.text == "Hello."


async def test_an_answer_of_many_megabytes() -> None:
    big = "x" * (3 * 1024 * 1024)

    async def long(exchange: Exchange) -> None:
        exchange.stream(delta(content=big), delta(content="!"), delta("stop"), DONE)

    async with wire_server(long) as server, chat(server.base_url) as provider:
        answer = await provider.complete(ask())
    assert answer.message == Message("assistant", (Text(big + "!"),))
