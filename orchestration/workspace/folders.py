"""Opening the folder of a path, one step at a time from the root and without following a link.

What the guard resolved is then what is worked on, even if a link is planted in between (the guarantee of
openat2's RESOLVE_BENEATH, on every system). Also here: how a new file is dressed like the one it replaces.
"""

import errno
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestration.errors import ConflictError
from orchestration.workspace.durable import sync_descriptor

_serial = itertools.count()
_PREFIX = ".antiphon-"
_SUFFIX = ".tmp"


@contextmanager
def opened_folder(root: Path, relative: str, *, create: bool) -> Iterator[tuple[int, str]]:
    """The folder of a path, and the name in it. Raises FileNotFoundError, and ConflictError where a step is no
    folder; `create` makes the folders that are missing.
    """
    *folders, name = relative.split("/")
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in folders:
            below = _step(current, step, relative, create=create)
            os.close(current)
            current = below
        yield current, name
    finally:
        os.close(current)


def _step(folder: int, name: str, path: str, *, create: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
        try:
            os.mkdir(name, dir_fd=folder)
            sync_descriptor(folder)
        except FileExistsError:
            pass
        return os.open(name, flags, dir_fd=folder)
    except OSError as fault:
        if fault.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise ConflictError(f"{path}: {name} is not a folder (any more); nothing was changed") from None
        raise


def fresh_name() -> str:
    """Of a file that is being written, in the folder it is for."""
    return f"{_PREFIX}{os.getpid()}-{next(_serial)}{_SUFFIX}"


def left_by(name: str) -> int | None:
    """The process that made a file of such a name, None for every other file."""
    if not (name.startswith(_PREFIX) and name.endswith(_SUFFIX)):
        return None
    process, _, number = name[len(_PREFIX) : -len(_SUFFIX)].partition("-")
    return int(process) if process.isdecimal() and number.isdecimal() else None


def sweep(root: Path, folders: Iterable[str]) -> None:
    """Removes half-written files that processes which have died left in these folders ("": the root)."""
    for folder in folders:
        place = f"{folder}/." if folder else "."
        with suppress(OSError, ConflictError), opened_folder(root, place, create=False) as (opened, _):
            for name in os.listdir(opened):  # noqa: PTH208 - an open folder, so that no link is followed
                maker = left_by(name)
                if maker is not None and not _runs(maker):
                    os.unlink(name, dir_fd=opened)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def dress(fd: int, before: os.stat_result | None, mode: int | None) -> None:
    """Gives the new file the permissions and the owner of the old one; `mode` decides the execute bits."""
    bits = stat.S_IMODE(before.st_mode if before is not None else os.fstat(fd).st_mode)
    if mode is not None:
        bits = bits | (bits & 0o444) >> 2 if mode & 0o111 else bits & ~0o111
    if before is not None:
        now = os.fstat(fd)
        if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
            try:
                os.fchown(fd, before.st_uid, before.st_gid)
            except PermissionError:
                bits &= ~0o6000
    os.fchmod(fd, bits)
