"""Operating system locks: the one owner of a run, and the shared hold on an index.

`flock` belongs to the open file, so re-reading a lock file cannot release it (as with `lockf`), and a second
handle in this very process is refused too. The descriptor is closed on exec: no child inherits a lock. The
lock is the polite fence; what stops a stale writer is the epoch in the run's file.
"""

import fcntl
import os
from pathlib import Path

import msgspec

from orchestration.journal.liveness import identity, is_alive


class Holder(msgspec.Struct, frozen=True):
    """The content of a lock file: the process that took it last, and the identity that tells it from a later
    one with its number.
    """

    pid: int
    identity: str

    @property
    def alive(self) -> bool:
        return is_alive(self.pid, self.identity)


class FileLock:
    """A lock that is held from `take` to `release`. The file stays, but for `release(remove=True)`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, *, seize: bool = False) -> "FileLock | None":
        """None while another open file holds it. `seize` puts a new file in the place of a held one, so that
        the old holder holds nothing that anyone looks at. Raises OSError.
        """
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                if not seize:
                    return None
                path.unlink(missing_ok=True)
                continue
            except OSError:
                os.close(descriptor)
                raise
            if _is_same(path, descriptor):  # else the file was removed between our open and our lock
                lock = cls(path, descriptor)
                lock._sign()
                return lock
            os.close(descriptor)

    def still_ours(self) -> bool:
        """False once another process has seized it, or it was released. A look at the disk, no lock."""
        return self._descriptor >= 0 and _is_same(self._path, self._descriptor)

    def release(self, *, remove: bool = False) -> None:
        """May be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            os.ftruncate(descriptor, 0)
            if remove and _is_same(self._path, descriptor):
                self._path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def _sign(self) -> None:
        mark = msgspec.json.encode(Holder(os.getpid(), identity(os.getpid()) or ""))
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, mark, 0)


def holder(path: Path) -> Holder | None:
    """The live process that holds the lock at `path`. Reads only: it never gets in the way of a `take`."""
    try:
        mark = msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return None
    return mark if mark.alive else None


class SharedLock:
    """Held by everyone who uses a file; `alone` tells whether its schema may be changed beneath nobody."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def alone(self) -> bool:
        """Tries to exclude all others; `share` ends that."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A refused change of mode has dropped the old one (flock(2)).
            self.share()
            return False
        return True

    def share(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
