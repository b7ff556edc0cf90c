"""What every edit format is parsed into, and what applying it answers. Values only.

`parse/` makes `FileEdit`s, `apply.py` turns them into an `Outcome`. Paths are relative to the workspace
root with `/`; line numbers in messages and reports count from 1, everything else from 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Action = Literal["create", "write", "update", "delete"]
Tier = Literal["exact", "indent", "trim", "create", "write", "move", "delete", "mode"]
Refusal = Literal[
    "malformed",  # the text is no valid edit of its format
    "absent",  # the text to replace is not in the file
    "ambiguous",  # it is there more than once
    "no_file",  # the file to change is not there
    "exists",  # the file to create, or the target of a move, is there already
    "not_a_file",  # a directory, a symbolic link, a device
    "binary",  # not text in an encoding that can be kept
    "encoding",  # the new text has no place in the file's encoding
    "path",  # the path is not allowed, or the guard refused it
]


class Line(NamedTuple):
    """One line of a chunk. `mark`: ` ` stays, `-` goes, `+` comes. `ending` is the one the diff itself
    wrote, None where the format says nothing about endings (the file's own are used then).
    """

    mark: Literal[" ", "-", "+"]
    content: str
    ending: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Lines to find and what becomes of them.

    `anchors`: lines that stand before the chunk, outermost first. `at_end`: the chunk ends the file.
    `stated`: the 0-based line the format named; evidence only, unless `pinned`, where it is the place.
    `final_newline`: whether the changed file is to end with a newline; None: as it did before.
    """

    lines: tuple[Line, ...]
    anchors: tuple[str, ...] = ()
    at_end: bool = False
    stated: int | None = None
    pinned: bool = False
    final_newline: bool | None = None
    at: int = 0  # 1-based line in the edit's own text, for messages

    @property
    def old(self) -> tuple[str, ...]:
        return tuple(line.content for line in self.lines if line.mark != "+")

    @property
    def new(self) -> tuple[str, ...]:
        return tuple(line.content for line in self.lines if line.mark != "-")


@dataclass(frozen=True, slots=True)
class ChunkGroup:
    """Chunks of one file, in its order, against the same version of it: placed together or not at all."""

    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReplacement:
    """Replace `search` by `replace`. `whole_lines`: `search` is lines, as in SEARCH/REPLACE blocks; else it
    may also be a part of a line.
    """

    search: str
    replace: str
    whole_lines: bool = False
    at: int = 0


Replacement = TextReplacement | ChunkGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEdit:
    """One parsed edit.

    create: `path` must not exist and gets `content`. write: `path` gets `content`, existing or not.
    update: `replacements` one after the other, each seeing the result of the one before; none is allowed
    when `move_to` or `mode` is set. delete: `path` goes; `replacements`, if any, must leave it empty.
    """

    path: str
    action: Action
    content: str = ""
    replacements: tuple[Replacement, ...] = ()
    move_to: str | None = None
    mode: int | None = None
    at: int = 0


@dataclass(frozen=True, slots=True)
class FileContent:
    """What a reader found at a path. `mode`: permission bits, None when unknown."""

    data: bytes = b""
    mode: int | None = None
    kind: Literal["file", "directory", "symlink", "other"] = "file"


# None: nothing is there. May raise an AntiphonError (a path guard's refusal): its text becomes the reason.
Reader = Callable[[str], FileContent | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditReport:
    """What became of one edit (of one replacement, where a file has several).

    Applied: `tier` says how it was found and `line` (1-based) where. Refused: `refusal` and `reason`, a
    text made for the model's next try. `line` 0: not a place in a file.
    """

    path: str
    tier: Tier | None = None
    line: int = 0
    refusal: Refusal | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """One file's bytes before and after (None: absent), not yet written. `moved_from`: the file comes from
    there and leaves that path. `mode`: permission bits afterwards, None to keep what is there.
    """

    path: str
    before: bytes | None
    after: bytes | None
    moved_from: str | None = None
    mode: int | None = None

    @property
    def change(self) -> Literal["created", "changed", "deleted", "moved"]:
        if self.moved_from is not None:
            return "moved"
        if self.before is None:
            return "created"
        return "deleted" if self.after is None else "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All edits of a call applied (`files` holds every file that differs), or none (`files` is empty)."""

    reports: tuple[EditReport, ...]
    files: tuple[FileResult, ...] = ()

    @property
    def applied(self) -> bool:
        return all(report.refusal is None for report in self.reports)

    def explain(self) -> str:
        """The outcome as a model or a person reads it: what was done, or every refusal with its mend."""
        refused = [report for report in self.reports if report.refusal is not None]
        if refused:
            head = "Nothing was changed" + (
                f": {len(refused)} of {len(self.reports)} edits did not apply."
                if len(self.reports) > 1
                else "."
            )
            return "\n\n".join([head, *(report.reason for report in refused)])
        if not self.files:
            return "Applied; nothing differs from before."
        return "\n".join(
            f"moved {file.moved_from} to {file.path}"
            if file.change == "moved"
            else f"{file.change} {file.path}"
            for file in self.files
        )
