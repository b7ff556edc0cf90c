"""A line of output as a value: pieces of text with a style each, drawn by a terminal or written plain.

Every piece is made inert when it is added, so nothing from outside can reach a terminal as it came.
"""

import re
import unicodedata
from collections.abc import Iterable

from server.terminal.inert import inert

Style = str  # as rich understands it: "bold red", "dim"
Piece = str | tuple[str, Style]
Line = tuple[tuple[str, Style], ...]
BLANK: Line = ()
_WORDS = re.compile(r" *[^ ]+ *| +")


def line(*pieces: Piece) -> Line:
    return tuple(
        (inert(piece), "") if isinstance(piece, str) else (inert(piece[0]), piece[1]) for piece in pieces
    )


def plain(drawn: Line) -> str:
    return "".join(text for text, _ in drawn)


def joined(parts: Iterable[Line], separator: str = " · ") -> Line:
    """The parts that are not empty, with a dim separator between them."""
    result: list[tuple[str, Style]] = []
    for part in parts:
        if not part:
            continue
        if result:
            result.append((separator, "dim"))
        result.extend(part)
    return tuple(result)


def cells(text: str) -> int:
    """How many columns a terminal gives to `text` (East Asian wide: two; combining: none)."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def clipped(text: str, columns: int) -> str:
    """At most `columns` wide, the end cut with an ellipsis."""
    if cells(text) <= columns:
        return text
    used, kept = 0, []
    for character in text:
        used += _width(character)
        if used > columns - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def padded(text: str, columns: int) -> str:
    return text + " " * max(0, columns - cells(text))


def cropped(drawn: Line, columns: int) -> Line:
    """The line, at most `columns` wide."""
    result: list[tuple[str, Style]] = []
    left = columns
    for text, style in drawn:
        if left <= 0:
            break
        piece = clipped(text, left)
        result.append((piece, style))
        left -= cells(piece)
        if piece != text:
            break
    return tuple(result)


def wrapped(drawn: Line, columns: int, *, indent: int = 4) -> list[Line]:
    """The line broken at blanks into lines of at most `columns`, all but the first indented. A longer word is
    left whole, so that it can be copied.
    """
    if cells(plain(drawn)) <= columns:
        return [drawn]
    rows: list[list[tuple[str, Style]]] = [[]]
    used = 0
    for text, style in drawn:
        for word in _WORDS.findall(text):
            wide = cells(word.rstrip(" "))
            if used + wide > columns and used > indent:
                text_before, style_before = rows[-1][-1]
                rows[-1][-1] = (text_before.rstrip(" "), style_before)
                rows.append([(" " * indent, "")])
                used = indent
                word = word.lstrip(" ")  # noqa: PLW2901 - a row does not begin with the blanks it was broken at
            rows[-1].append((word, style))
            used += cells(word)
    return [tuple(row) for row in rows]


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
