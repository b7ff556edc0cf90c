"""The proposed difference to a base: file by file, hunk by hunk.

Built once, by `propose`, and then journaled; only the state and the numbers of its hunks change
afterwards. How one file's hunks are cut is `drafting.py`. Nothing here reads or writes files: contents too big or not text
are named by their SHA-256 and come from whoever keeps them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from orchestration.edits.text import Encoding, FileText
from orchestration.errors import ConflictError, NotFoundError
from orchestration.review.drafting import FileVersions, draft_hunks, texts_of
from orchestration.review.hunks import Hunk, apply_hunks, sha256

__all__ = ["ChangeKind", "ChangeSet", "FileChange", "FileState", "FileVersions", "decided", "propose"]

ChangeKind = Literal["create", "modify", "delete", "rename", "mode", "binary"]


class FileChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """`path` is the file's new name, also for a deleted one; `old_path` its name before, when that differs.

    Hashes are SHA-256 (hex) of the whole contents, empty where the file is absent. `encoding` is that of
    the text its hunks hold, None for binary content. A rename has one hunk for the new name and one for
    each changed range, and likewise for a mode: each can be decided alone.
    """

    path: str
    kind: ChangeKind
    base_hash: str = ""
    new_hash: str = ""
    old_path: str | None = None
    old_mode: int | None = None
    new_mode: int | None = None
    encoding: Encoding | None = "utf-8"
    hunks: tuple[Hunk, ...] = ()

    @property
    def base_path(self) -> str:
        """Where the file is in the base (for a created one: where it will be)."""
        return self.path if self.old_path is None else self.old_path


@dataclass(frozen=True, slots=True)
class FileState:
    """What a file is after some decisions. `data` None: it is absent. `mode` None: not to be changed."""

    path: str
    data: bytes | None
    mode: int | None = None


class ChangeSet(msgspec.Struct, frozen=True):
    """All changed files, ordered by path."""

    files: tuple[FileChange, ...] = ()

    @property
    def hunks(self) -> Iterator[Hunk]:
        for file in self.files:
            yield from file.hunks

    @property
    def added(self) -> int:
        """Lines that come, over all hunks."""
        return sum(hunk.new_lines for hunk in self.hunks)

    @property
    def removed(self) -> int:
        return sum(hunk.old_lines for hunk in self.hunks)

    def hunk(self, hunk_id: str) -> Hunk:
        """Raises NotFoundError."""
        for hunk in self.hunks:
            if hunk.id == hunk_id:
                return hunk
        raise NotFoundError(f"the change set has no hunk {hunk_id!r}; `antiphon changes` lists those it has")

    def file(self, path: str) -> FileChange:
        """The change of the file of this new or old name. Raises NotFoundError."""
        for file in self.files:
            if path in {file.path, file.old_path}:
                return file
        raise NotFoundError(f"the change set does not change {path!r}; `antiphon changes` lists what it does")

    def select(
        self, *, hunk_ids: Collection[str] = (), path: str | None = None, task_id: str | None = None
    ) -> tuple[Hunk, ...]:
        """The hunks of these ids, of this file, or of this task; without any of them, all. Raises
        NotFoundError for an unknown id or path.
        """
        if hunk_ids:
            return tuple(self.hunk(name) for name in hunk_ids)
        if path is not None:
            return self.file(path).hunks
        return tuple(hunk for hunk in self.hunks if task_id is None or task_id in hunk.task_ids)

    def with_hunks(self, hunks: Iterable[Hunk]) -> "ChangeSet":
        """The same change set with these hunks in place of those of the same ids."""
        new = {hunk.id: hunk for hunk in hunks}
        return ChangeSet(
            tuple(
                msgspec.structs.replace(file, hunks=tuple(new.get(hunk.id, hunk) for hunk in file.hunks))
                for file in self.files
            )
        )

    def encode(self) -> bytes:
        """The JSON that is journaled."""
        return msgspec.json.encode(self)

    @staticmethod
    def decode(body: bytes) -> "ChangeSet":
        """Raises msgspec.ValidationError."""
        return msgspec.json.decode(body, type=ChangeSet)


def propose(
    files: Iterable[FileVersions],
    *,
    tasks: Mapping[str, Sequence[str]] | None = None,
    reasons: Mapping[str, str] | None = None,
) -> ChangeSet:
    """The change set between two versions of some files; unchanged ones may be among them.

    A file that went and one that came with the very same, not empty content are one renamed file, unless
    several could be meant. `tasks` and `reasons` give, by path, the ids of the tasks that changed a file
    and the reason shown with its hunks.
    """
    differing = [file for file in files if file.before != file.after or file.moved or file.mode_changed]
    changes = [
        _change(file, tuple((tasks or {}).get(file.path, ())), (reasons or {}).get(file.path, ""))
        for file in _with_renames(differing)
    ]
    return ChangeSet(tuple(sorted(changes, key=lambda change: change.path)))


def decided(
    change: FileChange, base: bytes | None, accepted: Collection[str], blob: Callable[[str], bytes]
) -> FileState:
    """What the file is when exactly the hunks of the ids `accepted` are applied to `base`, its content in
    the version that the hunks refer to (None: no such file). `blob` gives a content by its SHA-256; it is
    asked for created and wholly replaced files. Raises ConflictError when `base` is another version.
    """
    chosen = [hunk for hunk in change.hunks if hunk.id in accepted]
    kinds = {hunk.kind for hunk in chosen}
    path = change.path if "rename" in kinds else change.base_path
    if "create" in kinds:
        if base is not None:
            raise ConflictError(f"{path}: exists already, so it cannot be created; decide by hand")
        return FileState(path, blob(change.new_hash), change.new_mode)
    if base is None:
        if chosen:
            raise ConflictError(f"{path}: is not there any more, so nothing in it can be accepted")
        return FileState(path, None)
    for hunk in chosen:
        if hunk.kind in {"delete", "whole"} and hunk.base_hash != sha256(base):
            raise ConflictError(f"{path}: has changed since hunk {hunk.id} was proposed for it as a whole")
    mode = change.new_mode if "mode" in kinds else None
    if "delete" in kinds:
        return FileState(path, None)
    if "whole" in kinds:
        return FileState(path, blob(change.new_hash), mode)
    return FileState(path, apply_hunks(base, [hunk for hunk in chosen if hunk.kind == "lines"]), mode)


def _with_renames(files: Sequence[FileVersions]) -> list[FileVersions]:
    gone = [file for file in files if file.after is None and file.before]
    came = [file for file in files if file.before is None and file.after]
    left = Counter(file.before for file in gone)
    right = Counter(file.after for file in came)
    origin = {file.before: file for file in gone if left[file.before] == right[file.before] == 1}
    moved = {file.path for file in origin.values()}
    result: list[FileVersions] = []
    for file in files:
        source = origin.get(file.after) if file.before is None else None
        if source is not None:
            result.append(replace(file, before=source.before, old_mode=source.old_mode, old_path=source.path))
        elif file.path not in moved or file.after is not None:
            result.append(file)
    return result


def _change(file: FileVersions, task_ids: tuple[str, ...], reason: str) -> FileChange:
    old, new = texts_of(file)
    text = old if file.after is None else new
    base_hash = "" if file.before is None else sha256(file.before)
    new_hash = "" if file.after is None else sha256(file.after)
    template = Hunk(id="", path=file.path, base_hash=base_hash, task_ids=task_ids, reason=reason)
    return FileChange(
        path=file.path,
        kind=_kind(file, old, new),
        base_hash=base_hash,
        new_hash=new_hash,
        old_path=file.old_path if file.moved else None,
        old_mode=file.old_mode,
        new_mode=file.new_mode,
        encoding=None if text is None else text.encoding,
        hunks=draft_hunks(file, old, new, template),
    )


def _kind(file: FileVersions, old: FileText | None, new: FileText | None) -> ChangeKind:
    if file.before is None:
        return "create"
    if file.after is None:
        return "delete"
    if file.moved:
        return "rename"
    if file.before == file.after:
        return "mode"
    return "modify" if old is not None and new is not None else "binary"
