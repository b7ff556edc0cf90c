"""The addresses of virtual documents: `antiphon://RUN/before/PATH`, `/after/PATH` and `/diff/PATH.diff`, of a
single hunk with `?hunk=ID`. Pure.

The path comes last and keeps its ending, so that an editor knows the language by it.
"""

from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import quote, unquote, urlsplit

from server.methods import SCHEME

Side = Literal["before", "after", "diff"]
_SIDES = ("before", "after", "diff")
_SAFE = "/:@!$&'()*+,;=~-._"
_DIFF = ".diff"


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """`path` is relative to the run's workspace; `hunk_id` empty: the whole file."""

    run_id: str
    side: Side
    path: str
    hunk_id: str = ""

    @property
    def uri(self) -> str:
        path = self.path + (_DIFF if self.side == "diff" else "")
        hunk = f"?hunk={self.hunk_id}" if self.hunk_id else ""
        return (
            f"{SCHEME}://{self.run_id}/{self.side}/{quote(path, safe=_SAFE, errors='surrogateescape')}{hunk}"
        )


def address_of(uri: str) -> VirtualAddress | None:
    """None when it is no address of ours. Clients spell URIs anew (VS Code escapes `=` in a query)."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    side, _, path = parts.path.removeprefix("/").partition("/")
    path = unquote(path, errors="surrogateescape")
    if side == "diff":
        path = path.removesuffix(_DIFF)
    name, _, hunk_id = unquote(parts.query).partition("=")
    if parts.scheme != SCHEME or not parts.netloc or side not in _SIDES or not path:
        return None
    return VirtualAddress(parts.netloc, cast("Side", side), path, hunk_id if name == "hunk" else "")
