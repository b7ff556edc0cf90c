"""The user's own files: the only place that changes them, and only as a decision says.

A write replaces the whole file or nothing, and only if the file is still the one the decision was made
for. Folders are opened one by one from the root without following links (`folders.py`). Agents never come
here. Links themselves, and files as entries of a tree, are `entries.py`.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from orchestration.errors import ConflictError, PathRefusedError, WorkspaceError
from orchestration.workspace.durable import sync_descriptor, write_all
from orchestration.workspace.folders import dress, fresh_name, opened_folder, sweep
from orchestration.workspace.path_guard import PathGuard


class UserFiles(Protocol):
    """Paths are relative to the workspace; links inside it are followed. All methods block."""

    def read(self, path: str) -> bytes | None:
        """None when there is no such file. Raises PathRefusedError for what is no file of the workspace."""

    def write(self, path: str, data: bytes, *, expected: str, mode: int | None = None) -> None:
        """`expected`: SHA-256 in hex of the present content, "" when there is no file. `mode`: git's; only the
        execute bits of an existing file change. Raises ConflictError when the file is not as expected,
        WorkspaceError when the disk refuses.
        """

    def set_mode(self, path: str, mode: int) -> None:
        """The execute bits of an existing file as in `write`; its content stays. Raises ConflictError when it
        is gone, WorkspaceError when the disk refuses.
        """

    def delete(self, path: str, *, expected: str) -> None: ...

    def sweep(self, folders: Iterable[str]) -> None:
        """Removes half-written files that processes which have died left in these folders ("": the root)."""


class WorkspaceFiles:
    def __init__(self, root: Path, guard: PathGuard) -> None:
        self._root = root
        self._guard = guard

    def read(self, path: str) -> bytes | None:
        relative = self._resolved(path)
        try:
            with self._folder(relative, create=False) as (folder, name):
                found = _content(folder, name, path)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise WorkspaceError(f"{path} cannot be read: {fault.strerror}") from fault
        return None if found is None else found[0]

    def write(self, path: str, data: bytes, *, expected: str, mode: int | None = None) -> None:
        relative = self._resolved(path)
        try:
            with self._folder(relative, create=expected == "") as (folder, name):
                before = _content(folder, name, path)
                _require(before, expected, path)
                _replace(folder, name, path, data, before, mode, expected)
        except FileNotFoundError:
            raise ConflictError(f"{path} is gone; it was there when the change was made") from None
        except OSError as fault:
            raise WorkspaceError(
                f"{path} cannot be written: {fault.strerror}; nothing was changed"
            ) from fault

    def set_mode(self, path: str, mode: int) -> None:
        relative = self._resolved(path)
        try:
            with self._folder(relative, create=False) as (folder, name):
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
                try:
                    dress(fd, os.fstat(fd), mode)
                finally:
                    os.close(fd)
        except FileNotFoundError:
            raise ConflictError(f"{path} is gone; it was there when the change was made") from None
        except OSError as fault:
            raise WorkspaceError(f"the mode of {path} cannot be changed: {fault.strerror}") from fault

    def delete(self, path: str, *, expected: str) -> None:
        relative = self._resolved(path)
        try:
            with self._folder(relative, create=False) as (folder, name):
                _require(_content(folder, name, path), expected, path)
                os.unlink(name, dir_fd=folder)
                sync_descriptor(folder)
        except FileNotFoundError:
            if expected:
                raise ConflictError(f"{path} is gone already") from None
        except OSError as fault:
            raise WorkspaceError(f"{path} cannot be deleted: {fault.strerror}") from fault

    def sweep(self, folders: Iterable[str]) -> None:
        sweep(self._guard.root, folders)

    def _resolved(self, path: str) -> str:
        relative = self._guard.resolve(self._guard.inside(path))
        if not relative:
            raise PathRefusedError("the workspace's root is not a file; name a file in it")
        return relative

    def _folder(self, relative: str, *, create: bool) -> AbstractContextManager[tuple[int, str]]:
        return opened_folder(self._guard.root, relative, create=create)


def _content(folder: int, name: str, path: str) -> tuple[bytes, os.stat_result] | None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as fault:
        if fault.errno == errno.ELOOP:
            raise ConflictError(f"{path} has become a link; nothing was changed") from None
        if fault.errno == errno.ENXIO:
            raise PathRefusedError(f"{path} is not a plain file") from None
        raise
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            raise PathRefusedError(f"{path} is not a plain file")
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(), state
    finally:
        os.close(fd)


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _require(found: tuple[bytes, os.stat_result] | None, expected: str, path: str) -> None:
    if found is None and expected:
        raise ConflictError(f"{path} is gone; it was there when the change was made")
    if found is not None and not expected:
        raise ConflictError(f"{path} exists already; it did not when the change was made")
    if found is not None and digest_of(found[0]) != expected:
        raise ConflictError(f"{path} was changed meanwhile; look at the change again before deciding")


def _replace(
    folder: int,
    name: str,
    path: str,
    data: bytes,
    before: tuple[bytes, os.stat_result] | None,
    mode: int | None,
    expected: str,
) -> None:
    fresh = fresh_name()
    fd = os.open(
        fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder
    )
    try:
        with os.fdopen(fd, "wb", buffering=0, closefd=True):
            dress(fd, before[1] if before is not None else None, mode)
            write_all(fd, data)
            sync_descriptor(fd)
        _require(_content(folder, name, path), expected, path)  # once more, right before
        if before is None:
            os.link(fresh, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            os.unlink(fresh, dir_fd=folder)
        else:
            os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        os.unlink(fresh, dir_fd=folder)
        raise ConflictError(f"{path} exists already; it did not when the change was made") from None
    except BaseException:
        os.unlink(fresh, dir_fd=folder)
        raise
    sync_descriptor(folder)


class MemoryFiles:
    """The twin without a disk: no links, no folders."""

    def __init__(self, files: Mapping[str, bytes] | None = None, root: str = "/workspace") -> None:
        self._guard = PathGuard(Path(root))
        self.files: dict[str, bytes] = dict(files or {})
        self.executable: set[str] = set()

    def read(self, path: str) -> bytes | None:
        return self.files.get(self._inside(path))

    def write(self, path: str, data: bytes, *, expected: str, mode: int | None = None) -> None:
        relative = self._inside(path)
        self._require(relative, expected)
        self.files[relative] = data
        if mode is not None:
            self.set_mode(path, mode)

    def set_mode(self, path: str, mode: int) -> None:
        relative = self._inside(path)
        if relative not in self.files:
            raise ConflictError(f"{path} is gone; it was there when the change was made")
        (self.executable.add if mode & 0o111 else self.executable.discard)(relative)

    def delete(self, path: str, *, expected: str) -> None:
        relative = self._inside(path)
        self._require(relative, expected)
        self.files.pop(relative, None)
        self.executable.discard(relative)

    def sweep(self, folders: Iterable[str]) -> None:
        """No write of this twin is ever half done."""

    def _inside(self, path: str) -> str:
        relative = self._guard.inside(path)
        if not relative:
            raise PathRefusedError("the workspace's root is not a file; name a file in it")
        return relative

    def _require(self, path: str, expected: str) -> None:
        now = self.files.get(path)
        if now is None and expected:
            raise ConflictError(f"{path} is gone; it was there when the change was made")
        if now is not None and not expected:
            raise ConflictError(f"{path} exists already; it did not when the change was made")
        if now is not None and digest_of(now) != expected:
            raise ConflictError(f"{path} was changed meanwhile; look at the change again before deciding")
