"""What is kept of a child's output: its beginning and its end, and how much was cut between."""

from collections import deque


class BoundedOutput:
    def __init__(self, limit: int) -> None:
        """`limit` in bytes; half of it for the beginning, half for the end."""
        self._head_limit = limit // 2
        self._tail_limit = limit - self._head_limit
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._total = 0

    def add(self, data: bytes) -> None:
        self._total += len(data)
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data:
            return
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail and self._tail_size - len(self._tail[0]) >= self._tail_limit:
            self._tail_size -= len(self._tail.popleft())

    @property
    def cut(self) -> int:
        """Bytes that are not kept."""
        return max(0, self._total - self._head_limit - self._tail_limit)

    def value(self) -> bytes:
        tail = b"".join(self._tail)
        if not self.cut:
            return bytes(self._head) + tail
        note = b"\n[... %d bytes of output cut here ...]\n" % self.cut
        return bytes(self._head) + note + tail[len(tail) - self._tail_limit :]
