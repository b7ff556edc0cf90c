"""Antiphon in a process that kills itself right before its n-th step that lasts: a commit of its journal, or a
change of a file, of a name or of a folder that the system is asked for.

python -I dying.py N ARMED -- ARGUMENTS OF ANTIPHON

Steps count from 1, and from the moment at which the file ARMED is there ("-": from the start). The program is
the real one, its modules untouched; what is wrapped is the system below it.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

STEPS = ("mkdir", "rename", "replace", "link", "symlink", "unlink", "rmdir", "fsync", "fchmod", "ftruncate")


class Countdown:
    def __init__(self, steps: int, armed: str) -> None:
        self._left = steps
        self._armed = armed
        self._lock = threading.Lock()

    def step(self) -> None:
        if self._armed != "-" and not os.access(self._armed, os.F_OK):
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()  # the signal comes before anything else of this thread

    def wrapped(self, name: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(os, name)

        def counted(*args: Any, **options: Any) -> Any:
            self.step()
            return call(*args, **options)

        return counted

    def open(self, path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & os.O_CREAT:
            self.step()
        return _OPEN(path, flags, *args, **options)

    def write(self, fd: int, data: Any) -> int:
        """A file is written in two halves, so that it can be left with one of them."""
        if len(data) < 2 or not _is_file(fd):
            return _WRITE(fd, data)
        self.step()
        return _WRITE(fd, data[: len(data) // 2])

    def connected(self, connection: Any) -> None:
        def commits() -> bool:
            self.step()
            return False

        connection.set_commit_hook(commits)


_OPEN, _WRITE = os.open, os.write


def _is_file(fd: int) -> bool:
    import stat

    return stat.S_ISREG(os.fstat(fd).st_mode)


def main() -> None:
    steps, armed, arguments = int(sys.argv[1]), sys.argv[2], sys.argv[4:]
    countdown = Countdown(steps, armed)
    for name in STEPS:
        setattr(os, name, countdown.wrapped(name))
    os.open = countdown.open
    os.write = countdown.write
    import apsw

    apsw.connection_hooks.append(countdown.connected)
    from server.cli import main as antiphon

    sys.argv = ["antiphon", *arguments]
    sys.exit(antiphon())


if __name__ == "__main__":
    main()
