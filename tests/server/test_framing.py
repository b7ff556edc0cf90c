"""The framing layer alone: every wrong header is told, and the message after it is found."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.framing import MAX_BODY, Body, Frame, Framer, Violation, frame
from server.jsonrpc import PARSE_ERROR, Invalid, parse

GOOD = b'{"jsonrpc":"2.0","id":7,"method":"shutdown"}'


def bodies(frames: list[Frame]) -> list[bytes]:
    return [item.data for item in frames if isinstance(item, Body)]


def violations(frames: list[Frame]) -> list[str]:
    return [item.message for item in frames if isinstance(item, Violation)]


def feed(framer: Framer, data: bytes) -> list[Frame]:
    return list(framer.feed(data))


def feed_bytewise(data: bytes) -> list[Frame]:
    framer = Framer()
    return [item for index in range(len(data)) for item in framer.feed(data[index : index + 1])]


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: %d\r\n\r\n",
        b"content-length:%d\r\n\r\n",
        b"Content-Length: %d\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n",
        b"Content-Type: x; charset=utf8\r\nContent-Length: %d\r\n\r\n",
        b"Content-Length: %d\n\n",
    ],
)
def test_well_formed_headers(header: bytes) -> None:
    data = header % len(GOOD) + GOOD
    assert feed(Framer(), data) == [Body(GOOD)]
    assert feed_bytewise(data) == [Body(GOOD)]


@pytest.mark.parametrize(
    "wrong",
    [
        b"garbage\r\n\r\n",
        b"\x00\xff\xfe\r\n\r\n",
        b"Content-Length: x\r\n\r\n",
        b"Content-Length: -5\r\n\r\n{}",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"Content-Type: a\r\n\r\n{}",
        b"Content-Length: 5\r\nno colon\r\n\r\n{}",
        b"Content-Length: 10000000000\r\n\r\n{}",
        b"Content-Length: " + b"9" * 7000 + b"\r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Type: x; charset=utf-16\r\n\r\n{}",
        b"X: " + b"y" * 9000,
        b"junk without an end",
        b"k",
        b"k:",
        b"k: ",
        b"Content-",
        b"Content-Length: 500\r\n\r\n{}",
        b"Content-Length: 60000000\r\n\r\n" + b"x" * 100,
    ],
)
def test_the_message_after_a_wrong_header_is_found(wrong: bytes) -> None:
    for frames in (feed(Framer(), wrong + frame(GOOD)), feed_bytewise(wrong + frame(GOOD))):
        assert bodies(frames) == [GOOD]
        assert violations(frames)


def test_a_too_short_length_loses_only_its_own_message() -> None:
    data = b"Content-Length: 10\r\n\r\n" + GOOD + frame(GOOD)
    frames = feed(Framer(), data)
    assert bodies(frames) == [GOOD[:10], GOOD]
    assert isinstance(parse(GOOD[:10]), Invalid)


def test_a_too_long_length_gives_the_rest_back() -> None:
    framer = Framer()
    found: list[Frame] = []
    for item in framer.feed(b"Content-Length: %d\r\n\r\n" % (len(GOOD) + 5) + GOOD + frame(GOOD)):
        found.append(item)
        if len(found) == 1:
            assert isinstance(item, Body)
            first = parse(item.data)
            assert isinstance(first, Invalid)
            assert first.code == PARSE_ERROR
            framer.unread(first.rest)
    assert found[1:] == [Body(GOOD)]


def test_an_empty_body_is_a_body() -> None:
    assert feed(Framer(), b"Content-Length: 0\r\n\r\n" + frame(GOOD)) == [Body(b""), Body(GOOD)]


def test_a_document_that_speaks_of_headers_is_no_header() -> None:
    text = "Content-Length: 12\r\n\r\n{}"
    body = json.dumps({"text": text}).encode()
    assert feed(Framer(), frame(body) + frame(GOOD)) == [Body(body), Body(GOOD)]


def test_the_limit_itself_is_allowed() -> None:
    framer = Framer(max_body=100)
    assert feed(framer, frame(b"x" * 100)) == [Body(b"x" * 100)]
    (refused,) = feed(framer, frame(b"x" * 101))
    assert isinstance(refused, Violation)
    assert refused.too_large
    assert feed(framer, frame(GOOD)) == [Body(GOOD)]
    assert MAX_BODY == 64 * 1024 * 1024


@given(st.lists(st.binary(max_size=60), max_size=6), st.data())
def test_any_split_gives_the_same_bodies(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frame(message.replace(b"C", b"")) for message in messages)
    framer = Framer()
    frames: list[Frame] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        frames += feed(framer, stream[:size])
        stream = stream[size:]
    assert frames == [Body(message.replace(b"C", b"")) for message in messages]


@given(st.binary(max_size=300))
def test_no_garbage_hides_two_good_messages(garbage: bytes) -> None:
    framer = Framer(max_header=128)
    frames = feed(framer, garbage)
    frames += feed(framer, frame(GOOD) + frame(GOOD))
    assert bodies(frames)[-1] == GOOD
