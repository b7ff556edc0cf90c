"""What each kind of body is taken for."""

import pytest

from server.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    Invalid,
    Notification,
    Request,
    Response,
    error_reply,
    parse,
)


@pytest.mark.parametrize(
    ("body", "reply_to", "code"),
    [
        (b"", None, PARSE_ERROR),
        (b"{", None, PARSE_ERROR),
        (b"\xff\xfe", None, PARSE_ERROR),
        (b'{"a": NaN}', None, PARSE_ERROR),
        (b"[" * 100_000, None, PARSE_ERROR),
        (b"1" * 5_000, None, PARSE_ERROR),
        (b"[]", None, INVALID_REQUEST),
        (b'[{"jsonrpc":"2.0","id":1,"method":"shutdown"}]', None, INVALID_REQUEST),
        (b"3", None, INVALID_REQUEST),
        (b"null", None, INVALID_REQUEST),
        (b"{}", None, INVALID_REQUEST),
        (b'{"id":1,"method":"shutdown"}', 1, INVALID_REQUEST),
        (b'{"jsonrpc":"1.0","id":1,"method":"shutdown"}', 1, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":5}', 1, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":""}', 1, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":null,"method":"shutdown"}', None, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"shutdown"}', None, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":true,"method":"shutdown"}', None, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":{},"method":"shutdown"}', None, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1}', 1, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"result":1,"error":{}}', 1, INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":"a","method":"x","params":5}', "a", INVALID_PARAMS),
        (b'{"jsonrpc":"2.0","method":"x","params":"y"}', None, INVALID_REQUEST),
    ],
)
def test_invalid(body: bytes, reply_to: object, code: int) -> None:
    message = parse(body)
    assert isinstance(message, Invalid)
    assert (message.id, message.code) == (reply_to, code)
    assert message.message


def test_valid() -> None:
    assert parse(b'{"jsonrpc":"2.0","id":1,"method":"x"}') == Request(1, "x", None)
    assert parse(b'{"jsonrpc":"2.0","id":"1","method":"x","params":[1]}') == Request("1", "x", [1])
    assert parse(b'{"jsonrpc":"2.0","method":"x","params":{}}') == Notification("x", {})
    assert parse(b'{"jsonrpc":"2.0","id":1,"result":null}') == Response(1, None, None)
    assert parse(b'{"jsonrpc":"2.0","id":null,"error":{"code":1}}') == Response(None, None, {"code": 1})


def test_a_nested_jsonrpc_key_is_data() -> None:
    message = parse(b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"jsonrpc":"2.0","id":2}}')
    assert message == Request(1, "x", {"jsonrpc": "2.0", "id": 2})


def test_half_characters_become_the_replacement_character() -> None:
    message = parse(rb'{"jsonrpc":"2.0","method":"x","params":{"t\ud800":["a\udc00b","\ud83d\ude00"]}}')
    assert message == Notification("x", {"t\ufffd": ["a\ufffdb", "\U0001f600"]})


def test_an_error_without_a_known_id_says_null() -> None:
    assert error_reply(None, PARSE_ERROR, "m") == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": PARSE_ERROR, "message": "m"},
    }
