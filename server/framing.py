"""The outermost layer of the wire: bytes to message bodies and back. Pure, no I/O.

A wrong header never wedges the stream. JSON has no raw line break inside a string, so a raw
`Content-Length: N` line cannot be part of a valid body: wherever one is found, a new message begins,
whatever the length before it claimed. That is how the reader finds its feet again.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_BODY = 64 << 20
MAX_HEADER = 8 << 10
_HEADER_LINE = re.compile(rb"Content-Length:[ \t]*\d+[ \t]*\r?\n")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"Content-Length:[ \t]*\d+[ \t]*(?=\r?\n|$)")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*")
_CHARSET = re.compile(rb"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
# A header line that is still arriving is at most this long.
_KEEP = 64


@dataclass(frozen=True, slots=True)
class Body:
    data: bytes


@dataclass(frozen=True, slots=True)
class Violation:
    """Bytes that are no message. `too_large`: well-formed, but above the limit."""

    message: str
    too_large: bool = False


Frame = Body | Violation


def frame(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def header_beginning(body: bytes) -> bytes:
    """The end of a body that was no JSON, when it looks like the beginning of the next header."""
    name = b"Content-Length: "
    return next((name[:size] for size in range(len(name), 0, -1) if body.endswith(name[:size])), b"")


class Framer:
    """Feed it what arrives; it gives bodies and violations in order and holds at most one body."""

    def __init__(self, max_body: int = MAX_BODY, max_header: int = MAX_HEADER) -> None:
        self._max_body = max_body
        self._max_header = max_header
        self._buffer = bytearray()
        self._need: int | None = None
        self._scanned = 0
        self._seeking = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """To be exhausted; `unread` may be called in between."""
        self._buffer += data
        while True:
            found = self._seek() if self._seeking else self._header() if self._need is None else self._body()
            if found is None:
                return
            yield from found

    def unread(self, data: bytes) -> None:
        """Gives back the end of the last body: its length was too long."""
        self._buffer[:0] = data
        self._need = None
        self._scanned = 0

    # Each step returns what it found, or None when it needs more bytes.

    def _header(self) -> list[Frame] | None:
        end = _HEADER_END.search(self._buffer, 0, self._max_header)
        if end is None:
            if len(self._buffer) < self._max_header:
                return None
            return self._lost(1, f"no end of header within {self._max_header} bytes")
        block, after = bytes(self._buffer[: end.start()]), end.end()
        fields = [_FIELD.fullmatch(line) for line in block.splitlines()]
        values = {(field[1].lower(), field[2]) for field in fields if field is not None}
        lengths = [value for name, value in values if name == b"content-length"]
        if not all(fields) or len(lengths) != 1 or not lengths[0].isdigit():
            starts = [found.start() for found in _LENGTH.finditer(block)]
            if len(lengths) < 2 and starts and starts[-1] > 0:
                del self._buffer[: starts[-1]]
                return [Violation(f"{starts[-1]} bytes before a header were skipped")]
            return self._lost(after, "a header is lines `Name: value`, one of them Content-Length: BYTES")
        digits = lengths[0].lstrip(b"0") or b"0"
        if len(digits) > 15 or int(digits) > self._max_body:
            shown = digits[:20].decode()
            return self._lost(after, f"{shown} bytes are above the limit of {self._max_body}", too_large=True)
        for name, value in values:
            charset = _CHARSET.search(value) if name == b"content-type" else None
            if charset and charset[1].lower() not in {b"utf-8", b"utf8"}:
                shown = charset[1].decode("ascii", "replace")
                return self._lost(after, f"charset {shown} is not supported, only utf-8")
        del self._buffer[:after]
        self._need, self._scanned = int(digits), 0
        return []

    def _body(self) -> list[Frame] | None:
        need = self._need or 0
        start = _HEADER_LINE.search(self._buffer, max(self._scanned - _KEEP, 0), need)
        if start is not None:
            del self._buffer[: start.start()]
            self._need = None
            return [
                Violation(f"Content-Length said {need} bytes, but a new message began after {start.start()}")
            ]
        self._scanned = len(self._buffer)
        if len(self._buffer) < need:
            return None
        body = bytes(memoryview(self._buffer)[:need])
        del self._buffer[:need]
        self._need = None
        return [Body(body)]

    def _seek(self) -> list[Frame] | None:
        start = _HEADER_LINE.search(self._buffer)
        if start is None:
            del self._buffer[:-_KEEP]
            return None
        del self._buffer[: start.start()]
        self._seeking = False
        return []

    def _lost(self, drop: int, message: str, *, too_large: bool = False) -> list[Frame]:
        """Drops a header that cannot be used and looks for the next one."""
        del self._buffer[:drop]
        self._seeking = True
        return [Violation(message, too_large)]
