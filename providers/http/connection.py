"""One HTTP/1.1 connection, a call after the other: h11 knows the protocol, `network.py` moves the bytes.

A body is handed over in the pieces in which it arrives, not in the chunks in which its server framed it: what came
together is decoded together. Heads longer than `LONGEST_HEAD` are refused.
"""

from collections.abc import Iterable

import h11

from providers.http.network import BrokenConnectionError, Stream, UncallableError

LONGEST_HEAD = 100 * 1024
Headers = list[tuple[bytes, bytes]]


class Connection:
    """`stream` is connected and belongs to it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD)
        self._fault: h11.RemoteProtocolError | None = None
        self._ended = False  # the answer was read to its end

    @property
    def stream(self) -> Stream:
        return self._stream

    async def ask(
        self, method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> tuple[int, str, Headers]:
        """Sends a request; status, reason and headers of its answer once they have come. `headers` hold `host`, and
        `content-length` with a body. Raises BrokenConnectionError, UncallableError.
        """
        state = self._state
        try:
            request = h11.Request(method=method, target=target, headers=list(headers))
            sent = [state.send(request), state.send(h11.Data(data=body)) if body else None]
            sent.append(state.send(h11.EndOfMessage()))
        except h11.LocalProtocolError as error:
            raise UncallableError(str(error)) from error
        for data in filter(None, sent):
            self._stream.write(data)
        while True:
            event = self._event()
            if event is h11.NEED_DATA:
                await self._receive()
            elif isinstance(event, h11.Response):
                return event.status_code, event.reason.decode("latin-1"), event.headers.raw_items()
            elif isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                raise BrokenConnectionError("the server switched to another protocol, unasked")

    async def piece(self) -> bytes:
        """The next bytes of the body; empty at its end. Raises BrokenConnectionError."""
        arrived: list[bytes] = []
        while not self._ended:
            try:
                event = self._event()
            except BrokenConnectionError:
                if arrived:  # what came before the fault counts; the fault comes next
                    return b"".join(arrived)
                raise
            if isinstance(event, h11.Data):
                arrived.append(event.data)
            elif event is not h11.NEED_DATA:
                self._ended = True
            elif arrived:
                break
            else:
                await self._receive()
        return b"".join(arrived)

    def is_reusable(self) -> bool:
        """Whether the answer was read to its end and the connection can take the next call, for which it is then
        ready.
        """
        if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
            return False
        self._state.start_next_cycle()
        self._ended = False
        return True

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if self._fault is None:
            try:
                return self._state.next_event()
            except h11.RemoteProtocolError as error:
                self._fault = error
        raise BrokenConnectionError(str(self._fault)) from self._fault

    async def _receive(self) -> None:
        data = await self._stream.read()
        if not data and self._state.their_state is h11.SEND_RESPONSE:
            raise BrokenConnectionError("the server closed the connection without an answer")
        self._state.receive_data(data)
