r"""Columns: the client counts code units of the negotiated encoding, we count code points. Pure.

A line here carries its ending; no column reaches into it. A column in the middle of a character means
the place before that character.
"""

from server.client_profile import PositionEncoding


def content_length(line: str) -> int:
    """Code points without the line's ending."""
    return len(line.rstrip("\r\n"))


def to_units(line: str, column: int, encoding: PositionEncoding) -> int:
    """The client's column for the code point `column` (clamped to the line's content)."""
    head = line[: min(column, content_length(line))]
    if encoding == "utf-32" or head.isascii():
        return len(head)
    if encoding == "utf-8":
        return len(head.encode("utf-8", "surrogatepass"))
    return len(head.encode("utf-16-le", "surrogatepass")) // 2


def from_units(line: str, units: int, encoding: PositionEncoding) -> int:
    """The code point at the client's column `units` (clamped to the line's content)."""
    content = line.rstrip("\r\n")
    if encoding == "utf-32" or content.isascii():
        return min(max(units, 0), len(content))
    if encoding == "utf-8":
        head = content.encode("utf-8", "surrogatepass")[: max(units, 0)]
        return len(head.decode("utf-8", "ignore"))
    head = content.encode("utf-16-le", "surrogatepass")[: 2 * max(units, 0)]
    return len(head.decode("utf-16-le", "ignore"))
