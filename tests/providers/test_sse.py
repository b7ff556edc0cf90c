import pytest

from providers.errors import BadResponseError
from providers.http.sse import Event, SseParser

TRICKY = (
    "\ufeffdata: one\n\n"
    ": a comment\n\n"
    "data:no space\r\n\r\n"
    "data:  two spaces\r\r"
    'event: error\ndata: {"a":\ndata:  1}\n\n'
    "data\ndata\n\n"
    "data: after a plain type\r\n\n"
    "id: 7\nretry: 10\nunknown: x\ndata: \u2028and\u0085here \U0001f3bc\n\n"
    "event: nothing\n\n"
    "data: [DONE]\r\n\r\n"
    "data: unfinished"
).encode()  # fmt: skip
EVENTS: list[Event] = [
    ("message", b"one"),
    ("message", b"no space"),
    ("message", b" two spaces"),
    ("error", b'{"a":\n 1}'),
    ("message", b"\n"),
    ("message", b"after a plain type"),
    ("message", "\u2028and\u0085here \U0001f3bc".encode()),
    ("message", b"[DONE]"),
]


def parse(*chunks: bytes) -> list[Event]:
    parser = SseParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


def test_every_form_of_the_standard_in_one_piece() -> None:
    assert parse(TRICKY) == EVENTS


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_cut_at_every_byte_with_each_line_end(line_end: bytes) -> None:
    stream = TRICKY.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", line_end)
    for cut in range(len(stream) + 1):
        assert parse(stream[:cut], stream[cut:]) == EVENTS, cut


def test_the_mixed_stream_cut_at_every_byte_twice_and_byte_by_byte() -> None:
    for cut in range(len(TRICKY) + 1):
        assert parse(TRICKY[:cut], b"", TRICKY[cut : cut + 1], TRICKY[cut + 1 :]) == EVENTS, cut
    assert parse(*(bytes([byte]) for byte in TRICKY)) == EVENTS


def test_an_event_is_out_as_soon_as_its_line_end_is_there() -> None:
    parser = SseParser()
    assert parser.feed(b"data: x\r") == []
    assert parser.feed(b"\r") == [("message", b"x")]
    assert parser.feed(b"\ndata: y\n") == []
    assert parser.feed(b"\n") == [("message", b"y")]


def test_a_bom_only_at_the_start_is_taken_away() -> None:
    assert parse(b"\xef\xbb", b"\xbfdata: a\n\n") == [("message", b"a")]
    assert parse(b"data: \xef\xbb\xbfa\n\n") == [("message", b"\xef\xbb\xbfa")]
    assert parse(b"\xef\xbb", b"data: a\n\ndata: b\n\n") == [("message", b"b")]


def test_events_over_a_mebibyte_in_small_chunks() -> None:
    big = b"x" * (3 * 1024 * 1024)
    stream = b"data: " + big + b"\n\ndata: small\n\n"
    chunks = [stream[start : start + 7000] for start in range(0, len(stream), 7000)]
    assert parse(*chunks) == [("message", big), ("message", b"small")]


@pytest.mark.parametrize("separator", [b"", b"\ndata:"])
def test_an_event_that_never_ends_is_refused(separator: bytes) -> None:
    parser = SseParser(max_event_bytes=10_000)
    piece = b"x" * 1000 + separator
    for _ in range(9):
        parser.feed(piece)
    with pytest.raises(BadResponseError, match="more than 10000 bytes"):
        parser.feed(piece * 2)


def test_the_limit_counts_one_event_not_the_stream() -> None:
    parser = SseParser(max_event_bytes=1000)
    for _ in range(50):
        assert parser.feed(b"data: " + b"x" * 400 + b"\n\n: keep-alive\n\ndata: y\n\n") != []
