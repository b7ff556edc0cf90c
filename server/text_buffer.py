r"""The text of an open document as the editor holds it: immutable, one value per version.

Lines end with `\n`, `\r\n` or `\r` and nothing else, as the protocol says (the stock library's documents
also split at form feeds and U+2028, which would put edits into the wrong line). A keystroke costs a
splice of the list of lines, not a scan of the text.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from orchestration.edits.text import split_lines
from server.client_profile import PositionEncoding
from server.positions import from_units


@dataclass(frozen=True, slots=True)
class Place:
    """As the client counts: `line` from 0, `character` in units of the negotiated encoding."""

    line: int
    character: int


@dataclass(frozen=True, slots=True)
class Change:
    """`text` replaces what lies between `start` and `end`; both None: the whole document."""

    text: str
    start: Place | None = None
    end: Place | None = None


@dataclass(frozen=True, slots=True)
class LineChange:
    """A change seen by lines: `[start, end)` of the old lines became `count` lines."""

    start: int
    end: int
    count: int


@dataclass(frozen=True)
class OpenText:
    """`path` is None for documents that are no local files. `dirty`: changed since it was last known to be
    what the disk holds.
    """

    uri: str
    path: str | None
    version: int
    lines: Sequence[str]
    dirty: bool = False

    @cached_property
    def text(self) -> str:
        return "".join(self.lines)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the text as UTF-8."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    def changed(
        self, changes: Sequence[Change], version: int, encoding: PositionEncoding
    ) -> "tuple[OpenText, list[LineChange]]":
        """The document after `changes`, one after the other, and what each did to the lines."""
        lines = self.lines
        shifts = []
        for change in changes:
            lines, shift = _apply(lines, change, encoding)
            shifts.append(shift)
        return replace(self, lines=lines, version=version, dirty=True), shifts

    def saved(self) -> "OpenText":
        return replace(self, dirty=False)


def _apply(
    lines: Sequence[str], change: Change, encoding: PositionEncoding
) -> tuple[Sequence[str], LineChange]:
    if change.start is None or change.end is None:
        replaced = split_lines(change.text)
        return replaced, _difference(lines, replaced)
    first, head = _split_at(lines, change.start, encoding, before=True)
    last, tail = _split_at(lines, change.end, encoding, before=False)
    if last < first:
        last, tail = first, ""
    end = min(last + 1, len(lines))
    # `\r` at the end of the line before and `\n` at the beginning of the new text are one ending.
    begins = (change.text or tail)[:1]
    if not head and first > 0 and begins == "\n" and lines[first - 1].endswith("\r"):
        first -= 1
        head = lines[first]
    middle = split_lines(head + change.text + tail)
    whole = not head and (not change.text or change.text.endswith(("\n", "\r"))) and last < len(lines)
    joins = change.text.endswith("\r") and tail.startswith("\n")  # one ending out of two
    if whole and not joins and tail == lines[last]:
        shift = LineChange(first, last, len(middle) - (1 if tail else 0))
    else:
        shift = LineChange(first, end, len(middle))
    return [*lines[:first], *middle, *lines[end:]], shift


def _split_at(
    lines: Sequence[str], place: Place, encoding: PositionEncoding, *, before: bool
) -> tuple[int, str]:
    """The line of `place`, and what lies in it before (or after) `place`. Beyond the end means the end."""
    if place.line >= len(lines):
        if lines and not lines[-1].endswith(("\n", "\r")):
            return len(lines) - 1, lines[-1] if before else ""
        return len(lines), ""
    line = lines[max(place.line, 0)]
    column = from_units(line, place.character, encoding)
    return max(place.line, 0), line[:column] if before else line[column:]


def _difference(old: Sequence[str], new: Sequence[str]) -> LineChange:
    """What a replacement of the whole document changed, from the first to the last different line."""
    shorter = min(len(old), len(new))
    start = next((index for index in range(shorter) if old[index] != new[index]), shorter)
    same = next(
        (index for index in range(shorter - start) if old[-1 - index] != new[-1 - index]), shorter - start
    )
    return LineChange(start, len(old) - same, len(new) - same - start)
