"""The smallest decidable part of a change, and what deciding some of them makes of a file.

Hunks are values: a decision or a rebase gives new ones. Where they come from is `change_set.py`; how
they follow a file that changes is `rebase.py`.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from orchestration.edits.text import FileText, ending_of, split_lines
from orchestration.errors import ConflictError

# lines: a range of lines. The rest concern the file as a whole: it appears, goes, gets another name, gets
# another mode, or (whole) is replaced because one side is binary or written in another encoding.
HunkKind = Literal["lines", "create", "delete", "rename", "mode", "whole"]
HunkState = Literal["proposed", "accepted", "rejected", "conflict"]


class Hunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """`old_lines` lines from the 0-based `old_start` of the base become `new_lines` lines, which stand at
    `new_start` when the hunks of the file before this one are applied too.

    `old` and `new` are their exact text, endings included; both are empty where a side is absent or
    binary. `id` is fixed at proposal and never changes; `base_hash` is the SHA-256 (hex) of the file
    version the numbers refer to, empty when there is none.
    """

    id: str
    path: str
    base_hash: str
    kind: HunkKind = "lines"
    old_start: int = 0
    old_lines: int = 0
    new_start: int = 0
    new_lines: int = 0
    old: str = ""
    new: str = ""
    task_ids: tuple[str, ...] = ()
    reason: str = ""
    finding_ids: tuple[str, ...] = ()
    state: HunkState = "proposed"

    @property
    def old_end(self) -> int:
        return self.old_start + self.old_lines


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def hunk_id(path: str, kind: HunkKind, old: str, new: str, ordinal: int) -> str:
    """16 hex digits from what the hunk does; `ordinal` counts the equal ones before it in the file."""
    name = "\0".join((path, kind, old, new, str(ordinal)))
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def apply_hunks(base: bytes, hunks: Collection[Hunk]) -> bytes:
    """`base` with the given line hunks applied, any subset in any order; bytes outside them stay.

    The hunks' numbers must refer to `base`. Raises ConflictError when what stands there is not a hunk's
    old text or when two overlap, and orchestration.edits.text.BinaryContentError or UnencodableTextError.
    """
    if not hunks:
        return base
    file = FileText.decode(base)
    return file.with_lines(apply_to_lines(file.lines, hunks)).encode()


def apply_to_lines(lines: Sequence[str], hunks: Collection[Hunk]) -> list[str]:
    """As `apply_hunks`, over lines with their endings. Raises ConflictError."""
    result: list[str] = []
    at = 0
    for hunk in sorted(hunks, key=lambda hunk: (hunk.old_start, hunk.old_end)):
        if hunk.kind != "lines":
            raise ValueError(f"hunk {hunk.id} concerns the whole file, not lines of it")
        if hunk.old_start < at or "".join(lines[hunk.old_start : hunk.old_end]) != hunk.old:
            raise ConflictError(
                f"{hunk.path}: line {hunk.old_start + 1} is not what hunk {hunk.id} was proposed for; "
                "look at the change again before you accept it"
            )
        result += lines[at : hunk.old_start]
        if result and not ending_of(result[-1]) and hunk.new:
            raise ConflictError(
                f"{hunk.path}: hunk {hunk.id} would join two lines; the file's end has changed"
            )
        result += split_lines(hunk.new)
        at = hunk.old_end
        if hunk.new and not ending_of(result[-1]) and at < len(lines):
            raise ConflictError(f"{hunk.path}: hunk {hunk.id} ends the file, but more lines follow now")
    return result + list(lines[at:])
