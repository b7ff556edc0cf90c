"""The change set as people see it now: each hunk with its state and its place in the current text.

What the journal fixes at the proposal (ids, contents) is in `change_set.py` and `hunks.py`; this is
computed from that, the decisions, and the files or buffers as they are. Who reads it finds every field,
empty ones too.
"""

from typing import Literal

import msgspec

from orchestration.events.base import LeftOut
from orchestration.quality.finding import Finding
from orchestration.review.hunks import HunkKind

HunkState = Literal["proposed", "accepted", "rejected", "conflict"]
FileKind = Literal["create", "modify", "delete", "rename", "mode", "binary"]


class HunkView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`start_line` counts from 0 in the file's current text (buffer, else disk) and `old_lines` is how
    many lines from there the hunk would replace (0: a pure insertion before that line). For an accepted
    hunk it is the place of the new text. `old_text` and `new_text` keep their line endings.

    Of a hunk that is decided in parts it is the rest that is open still; `old_numbers` and `new_numbers` then
    give each line's number in the hunk as proposed (-1: not open), of which `proposed_old_lines` were old ones.
    `reached`: how far an accepted hunk has
    come: its edit was sent to the editor, its buffer was seen to hold it, it is saved on the disk.
    """

    hunk_id: str
    path: str
    state: HunkState
    start_line: int
    old_lines: int
    new_lines: int
    old_text: str
    new_text: str
    base_hash: str
    kind: HunkKind = "lines"
    task_ids: tuple[str, ...] = ()
    finding_ids: tuple[str, ...] = ()
    reason: str = ""
    detail: str = ""
    protected: str = ""
    old_numbers: tuple[int, ...] = ()
    new_numbers: tuple[int, ...] = ()
    proposed_old_lines: int = 0
    reached: Literal["", "sent", "seen", "saved"] = ""


class FileView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`news`: the file's text says of its hunks what is not journaled yet (the command `NoteFiles` does)."""

    path: str
    kind: FileKind
    hunks: tuple[HunkView, ...]
    old_path: str = ""
    added: int = 0
    removed: int = 0
    news: bool = False


class ChangesView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`left_out`: what agents changed and no hunk can hold (links), to be made by hand."""

    run_id: str
    base: str = ""
    snapshot: str = ""
    files: tuple[FileView, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def hunks(self) -> tuple[HunkView, ...]:
        return tuple(hunk for file in self.files for hunk in file.hunks)


class PlacedFinding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A finding with its place in the file's current text (lines and columns from 0, code points).
    `exact` is false while the text it speaks of is only proposed: then the place is that of the hunk
    (`hunk_id`) that brings it, and its fix cannot be applied yet.
    """

    finding: Finding
    start_line: int
    start_column: int
    end_line: int
    end_column: int
    exact: bool = True
    hunk_id: str = ""
    task_id: str = ""
