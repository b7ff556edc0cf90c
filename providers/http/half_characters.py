r"""Halves of characters in JSON: servers that cut a text by UTF-16 units send `\ud83c` in one event and `\udfbc` in the next.

No strict decoder takes such an event. Here each lone half is put into the last private plane, where it survives until
the pieces are joined; there two halves become their character again, and one that stays alone becomes U+FFFD.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

Decoded = TypeVar("Decoded")

_PLACE = 0x10F800  # the last 2,048 code points, as many as there are halves
_TOKEN = re.compile(
    rb"\\\\|\\u(?:d[89ab][0-9a-f]{2})\\u(?:d[c-f][0-9a-f]{2})|\\u(d[89a-f][0-9a-f]{2})", re.IGNORECASE
)
_HELD = re.compile("([\U0010f800-\U0010fbff])([\U0010fc00-\U0010ffff])|[\U0010f800-\U0010ffff]")


def decode_marked(decode: Callable[[bytes], Decoded], data: bytes) -> tuple[Decoded, bool]:
    """What `decode` makes of `data`, and whether lone halves had to be marked for it. Raises msgspec.DecodeError."""
    try:
        return decode(data), False
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        marked = _TOKEN.sub(_marked, data)
        if marked == data:
            raise
        return decode(marked), True


def joined(text: str) -> str:
    return _HELD.sub(_character, text)


def ends_in_half(text: str) -> bool:
    """Whether the first half of a character is the last thing here."""
    return "\U0010f800" <= text[-1:] <= "\U0010fbff"


def _marked(found: re.Match[bytes]) -> bytes:
    lone = found.group(1)
    if lone is None:  # an escaped backslash, or a pair
        return found.group()
    return chr(_PLACE + int(lone, 16) - 0xD800).encode()


def _character(found: re.Match[str]) -> str:
    first, second = found.groups()
    if first is None:
        return "\ufffd"
    return chr(0x10000 + ((ord(first) - _PLACE) << 10) + ord(second) - _PLACE - 0x400)
