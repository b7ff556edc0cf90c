"""One file's two versions cut into hunks. What a change set is, and which files are in it, is `change_set.py`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from orchestration.edits.text import BinaryContentError, FileText
from orchestration.review.cleanup import diff_lines
from orchestration.review.hunks import Hunk, hunk_id, sha256


@dataclass(frozen=True, slots=True)
class FileVersions:
    """A file before and after; None: absent. Modes are permission bits, None when unknown. `old_path` is
    where the file was before, when it is known to have moved.
    """

    path: str
    before: bytes | None
    after: bytes | None
    old_mode: int | None = None
    new_mode: int | None = None
    old_path: str | None = None

    @property
    def moved(self) -> bool:
        return self.old_path is not None and self.old_path != self.path

    @property
    def mode_changed(self) -> bool:
        modes = (self.old_mode, self.new_mode)
        return None not in modes and self.old_mode != self.new_mode and None not in (self.before, self.after)


def draft_hunks(
    file: FileVersions, old: FileText | None, new: FileText | None, template: Hunk
) -> tuple[Hunk, ...]:
    """The hunks of a file that differs; `old` and `new` are its texts (`texts_of`), `template` holds what
    they share.
    """
    return _named(_drafts(file, old, new, template), "" if file.after is None else sha256(file.after))


def texts_of(file: FileVersions) -> tuple[FileText | None, FileText | None]:
    """Both sides as text (None: absent or binary), in one encoding where that is plausible."""
    old = _text(file.before, None)
    return old, _text(file.after, old)


def _drafts(file: FileVersions, old: FileText | None, new: FileText | None, template: Hunk) -> list[Hunk]:
    """The file's hunks, still without ids."""
    if file.before is None:
        return [_whole(msgspec.structs.replace(template, kind="create"), None, new)]
    if file.after is None:
        return [_whole(msgspec.structs.replace(template, kind="delete"), old, None)]
    drafts: list[Hunk] = []
    if file.moved:
        drafts.append(msgspec.structs.replace(template, kind="rename", old=file.old_path, new=file.path))
    if file.mode_changed:
        modes = {"old": f"{file.old_mode:o}", "new": f"{file.new_mode:o}"}
        drafts.append(msgspec.structs.replace(template, kind="mode", **modes))
    if file.before == file.after:
        return drafts
    if old is None or new is None or (old.encoding, old.bom) != (new.encoding, new.bom):
        return [*drafts, _whole(msgspec.structs.replace(template, kind="whole"), old, new)]
    drafts += (
        msgspec.structs.replace(
            template,
            old_start=block.old_start,
            old_lines=block.old_end - block.old_start,
            new_start=block.new_start,
            new_lines=block.new_end - block.new_start,
            old="".join(old.lines[block.old_start : block.old_end]),
            new="".join(new.lines[block.new_start : block.new_end]),
        )
        for block in diff_lines(old.lines, new.lines)
    )
    return drafts


def _whole(draft: Hunk, old: FileText | None, new: FileText | None) -> Hunk:
    return msgspec.structs.replace(
        draft,
        old_lines=0 if old is None else len(old.lines),
        new_lines=0 if new is None else len(new.lines),
        old="" if old is None else old.text,
        new="" if new is None else new.text,
    )


def _named(drafts: Sequence[Hunk], new_hash: str) -> tuple[Hunk, ...]:
    equals: Counter[tuple[str, str, str]] = Counter()
    hunks: list[Hunk] = []
    for draft in drafts:
        by_content = draft.kind in {"lines", "rename", "mode"}
        old, new = (draft.old, draft.new) if by_content else (draft.base_hash, new_hash)
        ordinal = equals[draft.kind, old, new]
        equals[draft.kind, old, new] += 1
        hunks.append(msgspec.structs.replace(draft, id=hunk_id(draft.path, draft.kind, old, new, ordinal)))
    return tuple(hunks)


def _text(data: bytes | None, like: FileText | None) -> FileText | None:
    if data is None:
        return None
    try:
        return FileText.decode(data) if like is None else like.decode_alike(data)
    except BinaryContentError:
        return None
