"""Bytes that a program prints, as lines: bounded, without colours, cursor movements and progress bars."""

import re

LONGEST = 64 * 1024 * 1024
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)


class LineSplitter:
    """Gives each line once it is whole, without its end. Of a line over `longest` bytes nothing is kept."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0
        self.too_long = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        *whole, rest = chunk.split(b"\n")
        lines = []
        for piece in whole:
            self._keep(piece)
            line = self._take()
            if line is not None:
                lines.append(line)
        self._keep(rest)
        return lines

    def end(self) -> list[bytes]:
        """A last line that had no end."""
        line = self._take()
        return [line] if line else []

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._longest:
            self._parts.append(piece)
        else:
            self._parts.clear()

    def _take(self) -> bytes | None:
        line, fits = b"".join(self._parts), self._size <= self._longest
        self._parts, self._size = [], 0
        if not fits:
            self.too_long += 1
            return None
        return line


def plain(text: str) -> str:
    """Without escape sequences and control characters; of a line that was written over, what stands there last."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return _ESCAPES.sub("", "\n".join(lines))
