r"""Bytes of a file as lines of text, and back, without losing any of them.

A line keeps its own ending; only `\n`, `\r\n` and a lone `\r` end one (a form feed, a vertical tab or
U+2028 does not). Encoding and byte order mark are remembered, so that an untouched file encodes to the
very bytes it was decoded from. Finding and replacing text is `match.py` and `apply.py`.
"""

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestration.errors import EditRefusedError

Encoding = Literal["utf-8", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]

# Control characters that text does not hold: all of C0 but BEL, BS, TAB, LF, VT, FF, CR, SUB and ESC.
_CONTROLS = re.compile(rb"[\x00-\x06\x0e-\x19\x1c-\x1f]")
_BOMS: tuple[tuple[bytes, Encoding], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BOM_OF: dict[Encoding, bytes] = {encoding: bom for bom, encoding in _BOMS}


class BinaryContentError(EditRefusedError):
    """Raised by `FileText.decode` for bytes that are no text in an encoding we can keep exactly."""


class UnencodableTextError(EditRefusedError):
    """Raised by `FileText.encode` when a character has no place in the file's encoding."""


@dataclass(frozen=True, slots=True)
class FileText:
    """A text file. `lines` carry their endings; an empty file has none; only the last may lack one."""

    lines: tuple[str, ...] = ()
    encoding: Encoding = "utf-8"
    bom: bool = False

    @classmethod
    def decode(cls, data: bytes) -> "FileText":
        """Raises BinaryContentError. `decode(data).encode() == data` holds for whatever it returns."""
        if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
            raise BinaryContentError("UTF-32 text is not edited; convert the file to UTF-8 first")
        for mark, encoding in _BOMS:
            if data.startswith(mark):
                text = _strict(data[len(mark) :], encoding)
                if text is None or "\0" in text:
                    raise BinaryContentError(
                        f"the file begins as {encoding} and is not valid {encoding} text; replace it as a whole"
                    )
                return cls(tuple(split_lines(text)), encoding, bom=True)
        if b"\0" in data:
            raise BinaryContentError("the file is binary (it holds NUL bytes); replace it as a whole")
        text = _strict(data, "utf-8")
        if text is not None:
            return cls(tuple(split_lines(text)))
        if _CONTROLS.search(data):
            raise BinaryContentError("the file is binary (control bytes, not UTF-8); replace it as a whole")
        text = _strict(data, "cp1252")
        if text is not None:
            return cls(tuple(split_lines(text)), "cp1252")
        return cls(tuple(split_lines(data.decode("latin-1"))), "latin-1")

    def decode_alike(self, data: bytes) -> "FileText":
        """`data` in this file's own encoding where that is plausible: ASCII is any encoding, and bytes that
        are no UTF-8 may be either of the one-byte ones. Else as `decode`. Raises BinaryContentError.
        """
        natural = FileText.decode(data)
        if natural.encoding == self.encoding or natural.bom or self.bom:
            return natural
        one_byte = {"cp1252", "latin-1"}
        if self.encoding in one_byte and (data.isascii() or natural.encoding in one_byte):
            text = _strict(data, self.encoding)
            if text is not None:
                return self.with_text(text)
        return natural

    @property
    def contents(self) -> list[str]:
        """The lines without their endings."""
        text = self.text
        if "\r" in text:
            return [line.rstrip("\r\n") for line in self.lines]
        # Far faster, and the same: only \n ends a line here.
        contents = text.split("\n")
        if not contents[-1]:
            contents.pop()
        return contents

    @property
    def text(self) -> str:
        """The whole text, without the byte order mark."""
        return "".join(self.lines)

    def encode(self) -> bytes:
        """Raises UnencodableTextError."""
        mark = _BOM_OF[self.encoding] if self.bom else b""
        try:
            return mark + self.text.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise UnencodableTextError(
                f"the file is {self.encoding} and cannot hold {error.object[error.start]!r}; "
                "use characters of that encoding or convert the file first"
            ) from None

    def with_lines(self, lines: Iterable[str]) -> "FileText":
        """The same encoding and byte order mark over other lines (each with its ending)."""
        return FileText(tuple(lines), self.encoding, self.bom)

    def with_text(self, text: str) -> "FileText":
        return self.with_lines(split_lines(text))


def is_binary(data: bytes) -> bool:
    try:
        FileText.decode(data)
    except BinaryContentError:
        return True
    return False


def split_lines(text: str) -> list[str]:
    """Lines with their endings; `"".join` gives the text back. Never `str.splitlines`, which also splits
    at form feeds and other characters that end no line in an editor.
    """
    # Universal newlines without translation: the one splitter of the standard library that knows
    # exactly \n, \r\n and \r, at C speed.
    return list(io.StringIO(text, newline=""))


def content_of(line: str) -> str:
    """The line without its ending."""
    return line.rstrip("\r\n")


def ending_of(line: str) -> str:
    r"""`\n`, `\r\n`, `\r`, or nothing."""
    return line[len(line.rstrip("\r\n")) :]


def contents_of(text: str) -> list[str]:
    r"""The contents of the lines of `text`; `"a\n"` and `"a"` both give `["a"]`."""
    return [line.rstrip("\r\n") for line in split_lines(text)]


def dominant_ending(lines: Sequence[str]) -> str:
    r"""The most frequent ending (the earlier one on a tie); `\n` when there is none."""
    counts = Counter(ending_of(line) for line in lines)
    counts.pop("", None)
    return counts.most_common(1)[0][0] if counts else "\n"


def _strict(data: bytes, encoding: Encoding) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None
