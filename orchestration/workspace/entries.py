"""The user's files as entries of a tree: contents with the execute bit, links themselves, folders that are empty.

For restoring: what is put or removed must still be what was read (`expected`), and nothing is ever followed.
Edits that a decision makes to a file's content go through `files.py`.
"""

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Protocol

from orchestration.errors import ConflictError, PathRefusedError, WorkspaceError
from orchestration.workspace.durable import sync_descriptor, write_all
from orchestration.workspace.folders import dress, fresh_name, opened_folder, sweep
from orchestration.workspace.objects import EXECUTABLE, FILE, LINK, Entry
from orchestration.workspace.path_guard import PathGuard, canonical_name
from orchestration.workspace.tree_codec import object_id

_FOLDER = "a folder"


class WorkspaceFullError(WorkspaceError):
    """Raised when the disk takes no more (full, over quota, read-only): going on with other files is no use."""


class UserEntries(Protocol):
    """What changes is durable after `settle`. Paths are those of trees: relative to the workspace, joined by `/`, and not followed. All methods block, and
    raise PathRefusedError for what no tree can hold, WorkspaceError when the disk refuses.
    """

    def at(self, path: str) -> Entry | None:
        """None: nothing is there. Raises ConflictError when it is neither a file nor a link, or lies beneath
        something that is no folder.
        """

    def put(self, path: str, entry: Entry, data: bytes, *, expected: Entry | None) -> None:
        """Whole or not at all. An existing file keeps its permissions but for the execute bits. Raises
        ConflictError when the path holds something else than `expected`.
        """

    def remove(self, path: str, *, expected: Entry) -> None:
        """Raises ConflictError as `put`."""

    def settle(self) -> None:
        """What was put and removed so far is durable when it returns."""

    def make_folder(self, path: str) -> None: ...

    def drop_folder(self, path: str) -> bool:
        """Removes a folder if it is empty; whether it is gone."""

    def clear_folder(self, path: str) -> str:
        """Removes a folder that holds nothing but empty folders; else gives the first thing in it. "" where there is
        no folder (any more).
        """

    def stranger(self, path: str, known: Collection[str]) -> str | None:
        """The first file or link in a folder that is not among the `known` paths, "" when there is none; None where
        there is no folder.
        """

    def is_repository(self, path: str) -> bool:
        """Whether a folder has version control of its own."""

    def sweep(self, folders: Iterable[str]) -> None:
        """Removes half-written files that processes which have died left in these folders ("": the root)."""


class WorkspaceEntries:
    def __init__(self, guard: PathGuard) -> None:
        self._guard = guard
        # Folders whose entries have changed and are not flushed: one flush does for many files in one.
        self._unsettled: dict[str, None] = {}

    def at(self, path: str) -> Entry | None:
        inside = checked(path)
        try:
            with opened_folder(self._guard.root, inside, create=False) as (folder, name):
                found = _found(folder, name, path)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise refused(path, "read", fault) from fault
        return None if found is None else found[0]

    def put(self, path: str, entry: Entry, data: bytes, *, expected: Entry | None) -> None:
        try:
            with opened_folder(self._guard.root, checked(path), create=expected is None) as (
                folder,
                name,
            ):
                found = _required(folder, name, path, expected)
                if (
                    found is not None
                    and found[0].oid == entry.oid
                    and LINK not in {found[0].mode, entry.mode}
                ):
                    _set_mode(folder, name, entry.mode)
                elif entry.mode == LINK:
                    _place(folder, name, path, expected, lambda fresh: _link(folder, fresh, data))
                else:
                    old = found[1] if found is not None and found[0].mode != LINK else None
                    _place(
                        folder,
                        name,
                        path,
                        expected,
                        lambda fresh: _file(folder, fresh, data, old, entry.mode),
                    )
                self._unsettled[path.rpartition("/")[0]] = None
        except FileNotFoundError:
            raise ConflictError(f"{path} is gone; it was there a moment ago") from None
        except OSError as fault:
            raise refused(path, "written", fault) from fault

    def remove(self, path: str, *, expected: Entry) -> None:
        try:
            with opened_folder(self._guard.root, checked(path), create=False) as (folder, name):
                _required(folder, name, path, expected)
                os.unlink(name, dir_fd=folder)
                self._unsettled[path.rpartition("/")[0]] = None
        except FileNotFoundError:
            raise ConflictError(f"{path} is gone already") from None
        except OSError as fault:
            raise refused(path, "deleted", fault) from fault

    def settle(self) -> None:
        while self._unsettled:
            folder, _ = self._unsettled.popitem()
            with suppress(FileNotFoundError, ConflictError), self._opened(folder) as (opened, _):
                try:
                    sync_descriptor(opened)
                except OSError as fault:
                    raise refused(folder or ".", "flushed", fault) from fault

    def _opened(self, folder: str) -> AbstractContextManager[tuple[int, str]]:
        """A folder itself ("": the root)."""
        return opened_folder(self._guard.root, f"{folder}/." if folder else ".", create=False)

    def make_folder(self, path: str) -> None:
        try:
            with opened_folder(self._guard.root, f"{checked(path)}/.", create=True):
                return
        except OSError as fault:
            raise refused(path, "created", fault) from fault

    def drop_folder(self, path: str) -> bool:
        try:
            with opened_folder(self._guard.root, checked(path), create=False) as (folder, name):
                os.rmdir(name, dir_fd=folder)
                self._unsettled[path.rpartition("/")[0]] = None
        except FileNotFoundError:
            return True
        except (OSError, ConflictError):
            return False
        return True

    def clear_folder(self, path: str) -> str:
        whole = self._guard.root / checked(path)
        if not whole.is_dir() or whole.is_symlink():
            return ""
        for place, _, files in os.walk(whole, topdown=False):
            inside = Path(place).relative_to(self._guard.root).as_posix()
            if files:
                return f"{inside}/{files[0]}"
            if not self.drop_folder(inside):
                return inside
        return ""

    def stranger(self, path: str, known: Collection[str]) -> str | None:
        whole = self._guard.root / checked(path)
        if not whole.is_dir() or whole.is_symlink():
            return None
        for place, folders, files in os.walk(whole):
            inside = Path(place).relative_to(self._guard.root).as_posix()
            links = [name for name in folders if (Path(place) / name).is_symlink()]
            for name in sorted([*files, *links]):
                if f"{inside}/{name}" not in known:
                    return f"{inside}/{name}"
        return ""

    def is_repository(self, path: str) -> bool:
        return os.path.lexists(self._guard.root / checked(path) / ".git")

    def sweep(self, folders: Iterable[str]) -> None:
        sweep(self._guard.root, folders)


def checked(path: str) -> str:
    """A path of a tree. Any name that the file system takes is fine, but for version control's own folder."""
    for part in path.split("/"):
        if part in {"", ".", ".."} or "\0" in part or canonical_name(part) == ".git":
            raise PathRefusedError(f"{path!r} is no path that a checkpoint can hold")
    return path


def _found(folder: int, name: str, path: str) -> tuple[Entry, os.stat_result] | None:
    """What is there, never followed. Raises ConflictError for what no tree holds."""
    try:
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(state.st_mode):
        return Entry(LINK, object_id("blob", os.fsencode(os.readlink(name, dir_fd=folder)))), state
    if not stat.S_ISREG(state.st_mode):
        kind = _FOLDER if stat.S_ISDIR(state.st_mode) else "neither a file nor a link"
        raise ConflictError(f"{path} is {kind} now; it is left as it is")
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(fd, "rb") as file:
        state = os.fstat(fd)
        data = file.read()
    return Entry(EXECUTABLE if state.st_mode & stat.S_IXUSR else FILE, object_id("blob", data)), state


def _required(
    folder: int, name: str, path: str, expected: Entry | None
) -> tuple[Entry, os.stat_result] | None:
    found = _found(folder, name, path)
    if why := unlike(path, None if found is None else found[0], expected):
        raise ConflictError(why)
    return found


def unlike(path: str, found: Entry | None, expected: Entry | None) -> str:
    """How what is there differs from what was read, "" when it does not."""
    if found == expected:
        return ""
    if found is None:
        return f"{path} is gone; it was there a moment ago"
    if expected is None:
        return f"{path} is there now; it was not a moment ago"
    return f"{path} was changed a moment ago; it is left as it is"


def _place(folder: int, name: str, path: str, expected: Entry | None, write: Callable[[str], None]) -> None:
    """Writes beside, looks once more, and moves it into place."""
    fresh = fresh_name()
    try:
        write(fresh)
        _required(folder, name, path, expected)
        if expected is None:
            os.link(fresh, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            os.unlink(fresh, dir_fd=folder)
        else:
            os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException as fault:
        with suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder)
        if isinstance(fault, FileExistsError):
            raise ConflictError(f"{path} is there now; it was not a moment ago") from None
        raise


def _link(folder: int, fresh: str, target: bytes) -> None:
    os.symlink(os.fsdecode(target), fresh, dir_fd=folder)


def _file(folder: int, fresh: str, data: bytes, old: os.stat_result | None, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(fresh, flags, 0o666, dir_fd=folder)
    with os.fdopen(fd, "wb", buffering=0):
        dress(fd, old, mode)
        write_all(fd, data)
        sync_descriptor(fd)


def _set_mode(folder: int, name: str, mode: int) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        dress(fd, os.fstat(fd), mode)
        sync_descriptor(fd)
    finally:
        os.close(fd)


def refused(path: str, verb: str, fault: OSError) -> WorkspaceError:
    kind = WorkspaceFullError if fault.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS} else WorkspaceError
    return kind(f"{path} cannot be {verb}: {fault.strerror}; it is left as it is")
