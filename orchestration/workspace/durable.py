"""Making bytes survive a power cut: flush a file, flush a folder's entries, replace a file whole."""

import fcntl
import os
import sys
from pathlib import Path


def sync_descriptor(fd: int) -> None:
    """Returns when the disk has it; macOS needs its own call for that."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def sync_folder(folder: str | Path) -> None:
    """Makes names in a folder durable (creations, renames, removals)."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_descriptor(fd)
    finally:
        os.close(fd)


def write_new(path: str | Path, data: bytes, mode: int) -> None:
    """A new file, flushed; its name is not durable before `sync_folder`. Raises FileExistsError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        write_all(fd, data)
        sync_descriptor(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """The whole new content or the whole old one, whatever happens. Creates the folder."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fresh.unlink(missing_ok=True)
    try:
        write_new(fresh, data, mode)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
