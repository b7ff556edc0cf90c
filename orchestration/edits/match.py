"""Where lines stand in a file: the match ladder.

exact, then one uniform shift of the indentation, then trailing blanks and Unicode punctuation. A tier
is looked at only when the one before found nothing; nothing fuzzier exists. Which of several places is
meant is not decided here (`placement.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestration.edits.model import Tier

_BLANKS = " \t"
_FEW_SEARCHES = 4
_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys(
            "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
        ),
        "\u2026": "...",
    }
)


class ShiftError(ValueError):
    """Raised by `Shift.apply` for a line that has less indentation than is to be taken away."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How the file's indentation differs from the search's: `add` before each line, or `drop` from it."""

    add: str = ""
    drop: str = ""

    def apply(self, content: str) -> str:
        """The line as the file would indent it; blank lines stay. Raises ShiftError."""
        if not content.strip():
            return content
        if not content.startswith(self.drop):
            raise ShiftError(content)
        return self.add + content[len(self.drop) :]


@dataclass(frozen=True, slots=True)
class Match:
    """`size` lines from the 0-based line `start`."""

    start: int
    size: int
    tier: Tier
    shift: Shift = Shift()

    @property
    def end(self) -> int:
        return self.start + self.size


class Lines:
    """The contents of a file's lines, ready to be searched."""

    def __init__(self, contents: Sequence[str]) -> None:
        self.contents = contents
        self._exact: _Haystack | None = None
        self._stripped: _Haystack | None = None
        self._trimmed: _Haystack | None = None

    def find(self, wanted: Sequence[str]) -> list[Match]:
        """All places of the first tier that has any, ascending; empty when `wanted` is nowhere."""
        return self.exact(wanted) or self.indented(wanted) or self.trimmed(wanted)

    def exact(self, wanted: Sequence[str]) -> list[Match]:
        if self._exact is None:
            self._exact = _Haystack(self.contents)
        return [Match(start, len(wanted), "exact") for start in self._exact.places(wanted)]

    def indented(self, wanted: Sequence[str]) -> list[Match]:
        """Places where every line that is not blank has the same blanks more, or less, than in `wanted`."""
        stripped = [line.lstrip(_BLANKS) for line in wanted]
        if not any(stripped):
            return []
        if self._stripped is None:
            self._stripped = _Haystack([line.lstrip(_BLANKS) for line in self.contents])
        found = []
        for start in self._stripped.places(stripped):
            shift = _uniform_shift(self.contents[start : start + len(wanted)], wanted)
            if shift is not None:
                found.append(Match(start, len(wanted), "indent", shift))
        return found

    def trimmed(self, wanted: Sequence[str]) -> list[Match]:
        """Places that differ from `wanted` in trailing blanks and the form of punctuation only."""
        if not any(line.strip() for line in wanted):
            return []
        if self._trimmed is None:
            self._trimmed = _Haystack([plain(line) for line in self.contents])
        places = self._trimmed.places([plain(line) for line in wanted])
        return [Match(start, len(wanted), "trim") for start in places]

    def matching(self, line: str) -> list[int]:
        """The lines that an anchor means: equal, else equal but for blanks around and punctuation, else
        those that begin with it as whole words.
        """
        bare = plain(line).strip()
        tests: tuple[Callable[[str], bool], ...] = (
            lambda content: content == line,
            lambda content: plain(content).strip() == bare,
            lambda content: _begins(plain(content).strip(), bare),
        )
        for test in tests:
            found = [number for number, content in enumerate(self.contents) if test(content)]
            if found:
                return found
        return []


def plain(line: str) -> str:
    """The line as the last tier compares it."""
    return (line if line.isascii() else line.translate(_PUNCTUATION)).rstrip()


def _begins(content: str, start: str) -> bool:
    if not start or not content.startswith(start):
        return False
    following = content[len(start) : len(start) + 1]
    return not (following.isalnum() or following == "_") or not (start[-1].isalnum() or start[-1] == "_")


class _Haystack:
    """Lines to find other lines in. A few searches run over the joined text; for many, an index of the
    lines pays.
    """

    def __init__(self, contents: Sequence[str]) -> None:
        self._contents = contents
        # No line has a newline inside, so "\nline\nline\n" is found at whole lines only.
        self._text = "\n".join(("", *contents, ""))
        self._index: dict[str, list[int]] | None = None
        self._searches = 0

    def places(self, wanted: Sequence[str]) -> list[int]:
        """The first lines of all places, also overlapping ones, where `wanted` stands; ascending."""
        self._searches += 1
        if not wanted:
            return []
        return self._by_text(wanted) if self._searches <= _FEW_SEARCHES else self._by_index(wanted)

    def _by_text(self, wanted: Sequence[str]) -> list[int]:
        needle = "\n".join(("", *wanted, ""))
        found: list[int] = []
        line = counted = 0
        at = self._text.find(needle)
        while at >= 0:
            line += self._text.count("\n", counted, at)
            counted = at
            found.append(line)
            at = self._text.find(needle, at + 1)
        return found

    def _by_index(self, wanted: Sequence[str]) -> list[int]:
        if self._index is None:
            self._index = {}
            for number, content in enumerate(self._contents):
                self._index.setdefault(content, []).append(number)
        index = self._index
        rarest = min(range(len(wanted)), key=lambda number: len(index.get(wanted[number], ())))
        size, whole = len(wanted), list(wanted)
        starts = (place - rarest for place in index.get(wanted[rarest], ()))
        return [
            start for start in starts if start >= 0 and list(self._contents[start : start + size]) == whole
        ]


def _uniform_shift(found: Sequence[str], wanted: Sequence[str]) -> Shift | None:
    shift: Shift | None = None
    for there, here in zip(found, wanted, strict=True):
        if not here.strip():
            continue
        deep, shallow = len(there) - len(here), 0
        if deep < 0:
            deep, shallow = 0, -deep
        this = Shift(there[:deep], here[:shallow])
        if there[deep:] != here[shallow:] or (shift is not None and this != shift):
            return None
        shift = this
    return shift if shift != Shift() else None
