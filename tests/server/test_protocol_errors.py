"""Bad messages over the real process: each gets its error, none hangs, and the server goes on."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Serve
from tests.server.lsp_client import LspClient, LspError

PARSE, INVALID, UNKNOWN, PARAMS = -32700, -32600, -32601, -32602


@pytest.fixture
def client(serve: Serve, workspace: Path) -> LspClient:
    started = serve()
    started.initialize(workspace)
    return started


def refusal(client: LspClient) -> dict[str, Any]:
    """The next error that belongs to no request."""
    found: dict[str, Any] = client.until(
        lambda: client.refusals.pop(0) if client.refusals else None, 30, "a refusal"
    )
    return found


def error_of(client: LspClient, method: str, params: Any = None) -> LspError:
    with pytest.raises(LspError) as caught:
        client.request(method, params)
    return caught.value


def still_answers(client: LspClient) -> bool:
    answer: object = client.request("textDocument/codeLens", {"textDocument": {"uri": "file:///none"}})
    return answer == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"Content-Length: 5\r\n\r\n{oops", PARSE),
        (b"Content-Length: 0\r\n\r\n", PARSE),
        (b"Content-Length: 4\r\n\r\n\xff\xfe{}", PARSE),
        (b'Content-Length: 44\r\n\r\n[{"jsonrpc":"2.0","id":1,"method":"shutdown"}', PARSE),
        (b'Content-Length: 46\r\n\r\n[{"jsonrpc":"2.0","id":1,"method":"shutdown"}]', INVALID),
        (b'Content-Length: 17\r\n\r\n{"jsonrpc":"2.0"}', INVALID),
        (b"garbage\r\n\r\n", PARSE),
        (b"Content-Length: 10000000000\r\n\r\n{}", INVALID),
        (b"Content-Length: x\r\n\r\n", PARSE),
    ],
)
def test_malformed_input_gets_an_error_without_an_id(client: LspClient, data: bytes, code: int) -> None:
    client.raw(data)
    assert refusal(client)["code"] == code
    assert still_answers(client)
    client.refusals.clear()
    client.close()


def test_a_length_that_is_too_long_does_not_wedge_the_stream(client: LspClient) -> None:
    client.raw(b"Content-Length: 5000\r\n\r\n{}")
    assert still_answers(client)
    assert refusal(client)["code"] == PARSE
    client.close()


def test_a_length_that_takes_the_beginning_of_the_next_header(client: LspClient) -> None:
    for wrong in (b"{}", b"{}\xff", b"\xff"):
        client.raw(b"Content-Length: 9\r\n\r\n" + wrong)
        assert still_answers(client)
        assert refusal(client)["code"] == PARSE
    client.close()


def test_unknown_methods(client: LspClient) -> None:
    assert error_of(client, "textDocument/nonsense", {}).code == UNKNOWN
    assert error_of(client, "antiphon/nonsense").code == UNKNOWN
    assert error_of(client, "$/nonsense").code == UNKNOWN
    client.notify("antiphon/nonsense", {})
    client.notify("$/nonsense")
    assert still_answers(client)
    client.close()


def test_invalid_params_name_the_field(client: LspClient) -> None:
    error = error_of(client, "textDocument/codeLens", {"textDocument": {"uri": 5}})
    assert error.code == PARAMS
    assert "textDocument.uri" in error.message
    error = error_of(client, "textDocument/codeLens", [1, 2])
    assert error.code == PARAMS
    error = error_of(client, "textDocument/codeLens")
    assert error.code == PARAMS
    error = error_of(client, "antiphon/run/start", {})
    assert error.code == PARAMS
    assert "`goal`" in error.message
    error = error_of(client, "antiphon/run/start")
    assert "`goal`" in error.message
    error = error_of(client, "antiphon/run/start", {"goal": "x", "plan": "sometimes"})
    assert "`plan`" in error.message
    error = error_of(client, "antiphon/run/subscribe", {"runId": "r", "afterSeq": "many"})
    assert "`afterSeq`" in error.message
    error = error_of(client, "antiphon/changes/decide", {"runId": "r", "decision": "accept"})
    assert "exactly one" in error.message
    client.close()


def test_params_of_the_wrong_shape(client: LspClient) -> None:
    assert error_of(client, "antiphon/run/start", 5).code == PARAMS
    assert error_of(client, "antiphon/run/start", ["goal"]).code == PARAMS
    client.close()


def test_commands_without_what_they_need(client: LspClient) -> None:
    nothing: list[list[Any]] = [[], [{}], [None]]
    for arguments in nothing:
        with pytest.raises(LspError) as caught:
            client.command("run.start", *arguments)
        assert caught.value.code == PARAMS
        assert "`goal`" in caught.value.message
    with pytest.raises(LspError, match="one argument"):
        client.command("run.start", {"goal": "x"}, {})
    with pytest.raises(LspError, match="no command"):
        client.command("run.fly")
    client.close()


def test_a_nested_jsonrpc_key_gets_a_reply(client: LspClient) -> None:
    params = {"jsonrpc": "2.0", "id": 99, "method": "shutdown", "textDocument": {"uri": "file:///x"}}
    assert client.request("textDocument/codeLens", params) == []
    assert (
        client.request("antiphon/usage/read", {"jsonrpc": "2.0", "nested": {"jsonrpc": "1"}})["tasks"] == []
    )
    client.close()


def test_an_open_id_is_not_used_twice(client: LspClient) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": "same", "method": "antiphon/run/list"}).encode()
    frame = b"Content-Length: %d\r\n\r\n" % len(body) + body
    client.raw(frame + frame)
    replies = [client.until(lambda: client._replies.pop("same", None), 30, "a reply")]
    replies.append(client.until(lambda: client._replies.pop("same", None), 30, "a reply"))
    assert sum("error" in reply and reply["error"]["code"] == INVALID for reply in replies) == 1
    client.close(allow_errors=True)


def test_initialize_comes_first_and_once(serve: Serve, workspace: Path) -> None:
    client = serve()
    assert error_of(client, "textDocument/codeLens", {"textDocument": {"uri": "file:///x"}}).code == -32002
    assert error_of(client, "shutdown").code == -32002
    client.notify("textDocument/didOpen", {})
    assert error_of(client, "initialize", {"capabilities": []}).code == PARAMS
    assert error_of(client, "initialize", None).code == PARAMS
    assert "processId" in error_of(client, "initialize", {"capabilities": {}, "processId": "me"}).message
    client.raw(b"Content-Length: 5\r\n\r\n{oops")
    assert refusal(client)["code"] == PARSE
    client.initialize(workspace)
    assert error_of(client, "initialize", {"capabilities": {}}).code == INVALID
    client.close()


def test_after_shutdown_nothing_but_exit(client: LspClient) -> None:
    client.request("shutdown")
    error = error_of(client, "textDocument/codeLens", {"textDocument": {"uri": "file:///x"}})
    assert error.code == INVALID
    client.notify("exit")
    assert client.wait_exit() == 0


def test_a_message_of_twenty_megabytes(client: LspClient) -> None:
    text = "x" * (20 << 20)
    item = {"uri": "file:///big", "languageId": "plain", "version": 1, "text": text}
    client.notify("textDocument/didOpen", {"textDocument": item})
    assert still_answers(client)
    client.close()


def test_answers_to_questions_nobody_asked(client: LspClient) -> None:
    client.send({"jsonrpc": "2.0", "id": "antiphon-77", "result": None})
    client.send({"jsonrpc": "2.0", "id": 3, "result": None})
    client.send({"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "x"}})
    assert still_answers(client)
    client.close()


def test_cancelling_what_is_not_open(client: LspClient) -> None:
    client.notify("$/cancelRequest", {"id": 12345})
    client.notify("$/cancelRequest", {"id": {}})
    client.notify("$/cancelRequest")
    assert still_answers(client)
    client.close()


def test_notifications_with_wrong_params_are_logged_and_survived(client: LspClient) -> None:
    client.notify("textDocument/didChange", {"textDocument": 3})
    client.notify("textDocument/didOpen")
    client.notify(
        "textDocument/didChange", {"textDocument": {"uri": "file:///no", "version": 2}, "contentChanges": []}
    )
    assert still_answers(client)
    client.close()
