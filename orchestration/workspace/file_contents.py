"""Reads one file of the workspace as it stands, without following links, and only if it holds still."""

import os
import stat

_ATTEMPTS = 3


class NotTakenError(Exception):
    """Why a file's content is not taken."""


def read_still(path: str) -> tuple[bytes, os.stat_result]:
    """The bytes and the state they were read in. Raises FileNotFoundError when it is gone, NotTakenError
    when it cannot be read or kept changing.
    """
    for _ in range(_ATTEMPTS):
        try:
            # Not blocking: a pipe may have taken the file's place since it was listed.
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise
        except OSError as fault:
            raise NotTakenError(f"not readable: {fault.strerror}") from fault
        try:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                raise NotTakenError("it is no longer a file")
            data = _all(fd, before.st_size)
            after = os.fstat(fd)
        except OSError as fault:
            raise NotTakenError(f"not readable: {fault.strerror}") from fault
        finally:
            os.close(fd)
        same = (before.st_mtime_ns, before.st_ctime_ns, before.st_size) == (
            after.st_mtime_ns,
            after.st_ctime_ns,
            len(data),
        )
        if same:
            return data, after
    raise NotTakenError("it kept changing while it was read")


def _all(fd: int, size: int) -> bytes:
    data = os.read(fd, size + 1)
    if len(data) == size:
        return data
    parts = [data]
    while parts[-1]:
        parts.append(os.read(fd, 1 << 20))
    return b"".join(parts)


def link_target(path: str, relative: str) -> bytes:
    """The target of a link that stays in the workspace. Raises NotTakenError for one that leaves it."""
    try:
        target = os.readlink(path)  # noqa: PTH115 - a Path would tidy the target's dots away
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise NotTakenError("it is no longer a link") from fault
    if target.startswith("/"):
        raise NotTakenError(f"a link by absolute path, to {_plain(target)}")
    depth = relative.count("/")
    for part in target.split("/"):
        depth += -1 if part == ".." else 0 if part in {"", "."} else 1
        if depth < 0:
            raise NotTakenError(f"a link that leads outside the workspace, to {_plain(target)}")
    return os.fsencode(target)


def _plain(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
