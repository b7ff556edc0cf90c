"""Server-sent events, parsed from bytes as the WHATWG HTML standard (section 9.2.6) says.

Bytes in, (type, data) out; a chunk may end anywhere, inside a line end, a BOM or a UTF-8 character too. Only
LF, CR and CRLF end a line: U+2028 and U+0085 inside data are data. Decoding the data is the caller's.
`id` and `retry` are read over: none of our APIs resumes a stream.
"""

from providers.errors import BadResponseError

Event = tuple[str, bytes]  # type ("message" unless the stream names one), data without the last line end

_BOM = b"\xef\xbb\xbf"
MAX_EVENT_BYTES = 16 * 1024 * 1024


class SseParser:
    """Feed it chunks in order. At the end of the stream an unfinished event is dropped, as the standard says."""

    __slots__ = ("_after_cr", "_data", "_max", "_start", "_tail", "_type", "_unfinished")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._start: bytes | None = b""  # the first bytes, until it is known whether they are a BOM
        self._after_cr = False  # the chunk before ended in CR: a LF now belongs to it
        self._tail: list[bytes] = []  # pieces of the line that has not ended yet
        self._data: list[bytes] = []
        self._unfinished = 0  # bytes since the last event ended
        self._type = "message"

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises BadResponseError for an event over `max_event_bytes`."""
        if self._start is not None:
            chunk = self._without_bom(chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        events: list[Event] = []
        self._unfinished += len(chunk)
        if b"\n" not in chunk:
            if chunk:
                self._tail.append(chunk)
        else:
            if self._tail:
                chunk = b"".join((*self._tail, chunk))
            lines = chunk.split(b"\n")
            rest = lines.pop()
            self._tail = [rest] if rest else []
            if self._read(lines, events):
                self._unfinished = len(rest) + sum(map(len, self._data))
        if self._unfinished > self._max:
            raise BadResponseError(f"the stream holds an event of more than {self._max} bytes")
        return events

    def rest(self) -> list[Event]:
        """At the end of the stream: nothing, whatever is unfinished."""
        return []

    def _read(self, lines: list[bytes], events: list[Event]) -> bool:
        """Adds the events that these lines complete. Whether an empty line, the end of an event, was among them."""
        ended = False
        data = self._data
        for line in lines:
            if not line:
                ended = True
                if data:
                    events.append((self._type, data[0] if len(data) == 1 else b"\n".join(data)))
                    data.clear()
                self._type = "message"
            elif line.startswith(b"data:"):
                data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
            elif line == b"data":
                data.append(b"")
            elif line.startswith(b"event:"):
                name = line[7:] if line.startswith(b" ", 6) else line[6:]
                self._type = name.decode("utf-8", "replace") or "message"
        return ended

    def _without_bom(self, chunk: bytes) -> bytes:
        start = (self._start or b"") + chunk
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(_BOM)
