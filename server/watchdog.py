"""Ends the server when the client that started it is gone, even while its input is held open.

Where the system can tell us (a pid descriptor on Linux, a kernel queue on macOS) nothing is polled;
elsewhere the process is looked at every two seconds, by id and start time, since ids are reused. A
client that cannot be seen from here (another container) is not watched.
"""

import asyncio
import contextlib
import logging
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)
_POLL_S = 2.0

# A descriptor that becomes readable when the process ends, and how to close it.
DeathOf = Callable[[int], tuple[int, Callable[[], None]]]


class Watchdog:
    """`on_death` is called at most once, from the event loop. `death_of` raises OSError where the system
    cannot tell; then the process is looked at every `poll_s` seconds.
    """

    def __init__(
        self,
        pid: int,
        on_death: Callable[[], None],
        *,
        death_of: DeathOf | None = None,
        poll_s: float = _POLL_S,
    ) -> None:
        self._pid = pid
        self._on_death = on_death
        self._death_of = death_of or _death_of
        self._poll_s = poll_s
        self._loop = asyncio.get_running_loop()
        self._fd: int | None = None
        self._release: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None
        self._born: str | None = None

    def start(self) -> bool:
        """Whether the client can be watched."""
        if not _visible(self._pid):
            logger.info("the client's process %d cannot be seen from here, so it is not watched", self._pid)
            return False
        try:
            self._fd, self._release = self._death_of(self._pid)
            self._loop.add_reader(self._fd, self._died)
        except OSError:
            self._born = started(self._pid)
            self._timer = self._loop.call_later(self._poll_s, self._look)
        return True

    def stop(self) -> None:
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            self._release()
            self._fd = None
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if not _visible(self._pid) or started(self._pid) != self._born:
            self._died()
        else:
            self._timer = self._loop.call_later(self._poll_s, self._look)

    def _died(self) -> None:
        self.stop()
        logger.warning("the client's process %d has ended", self._pid)
        self._on_death()


def _death_of(pid: int) -> tuple[int, Callable[[], None]]:
    """Raises OSError where there is no such descriptor."""
    if sys.platform == "linux" and hasattr(os, "pidfd_open"):
        fd = os.pidfd_open(pid)
        return fd, lambda: os.close(fd)
    if sys.platform == "darwin":
        queue = select.kqueue()
        event = select.kevent(
            pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD | select.KQ_EV_ONESHOT, select.KQ_NOTE_EXIT
        )
        try:
            queue.control([event], 0)
        except OSError:
            queue.close()
            raise
        return queue.fileno(), queue.close
    raise OSError("no such descriptor on this system")


def _visible(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def started(pid: int) -> str | None:
    """When a process started, in the system's own clock; None where that cannot be known. A process that has
    ended but was not reaped counts as gone.
    """
    with contextlib.suppress(OSError, IndexError):
        # After the command's name, which may hold anything: state is the first field, start time the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    return None
