"""One started process group: its pipes, its end, and the ladder by which it is ended.

No fork without exec, no pre-exec code, no inherited descriptors (locks included), and no parent-death
signal: that one fires when the spawning *thread* ends. The leader is reaped last, so that its group id
cannot be given to a stranger while signals are still sent to it.
"""

import errno
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import anyio

from orchestration.errors import ProcessError
from orchestration.workspace.process_identity import TOKEN, carriers, start_time

_ROUNDS = 5


class ChildProcess:
    def __init__(self, popen: "subprocess.Popen[bytes]", token: str, exit_fd: "_ExitSignal") -> None:
        self._popen = popen
        self._exit = exit_fd
        self._ending = anyio.Lock()
        self._ended = False
        self.token = token
        self.pid = popen.pid
        self.started = start_time(popen.pid)

    @classmethod
    def spawn(
        cls,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        token: str,
        stdin: bool,
        stderr: int | IO[Any],
    ) -> "ChildProcess":
        """Raises ProcessError when it cannot be started."""
        try:
            popen = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env={**env, TOKEN: token},
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
                start_new_session=True,
            )
        except (OSError, ValueError) as fault:
            if isinstance(fault, FileNotFoundError) and not cwd.is_dir():
                raise ProcessError(f"cannot run {argv[0]}: its folder {cwd} is missing") from fault
            raise ProcessError(f"cannot run {argv[0]}: {fault}; is it installed and on PATH?") from fault
        for pipe in (popen.stdin, popen.stdout, popen.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        return cls(popen, token, _ExitSignal(popen.pid))

    @property
    def stdout(self) -> IO[bytes]:
        assert self._popen.stdout is not None
        return self._popen.stdout

    @property
    def stderr(self) -> IO[bytes] | None:
        return self._popen.stderr

    async def exited(self) -> None:
        """Returns when the leader has ended; it is not reaped yet."""
        await self._exit.wait()

    async def feed(self, data: bytes, *, close: bool) -> None:
        """Raises BrokenPipeError when the child reads no more."""
        pipe = self._popen.stdin
        if pipe is None or pipe.closed:
            raise BrokenPipeError(errno.EPIPE, "the process takes no input")
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(pipe.fileno(), left) :]
            except BlockingIOError:
                await anyio.wait_writable(pipe.fileno())
        if close:
            pipe.close()

    def close_input(self) -> None:
        pipe = self._popen.stdin
        if pipe is not None and not pipe.closed:
            pipe.close()

    async def end(self, grace_s: float, *, search: bool) -> int:
        """Ends the group and what left it but carries its token (`search`), reaps, and gives the exit code.
        SIGTERM, `grace_s` seconds, SIGKILL; a group whose leader has ended gets SIGKILL at once. May be
        called again.
        """
        async with self._ending:
            if self._ended:
                return self._popen.returncode
            with anyio.CancelScope(shield=True):
                if not self._exit.seen() and self._signal(signal.SIGTERM):
                    with anyio.move_on_after(grace_s):
                        await self._exit.wait()
                self._signal(signal.SIGKILL)
                await self._exit.wait()
                if search:
                    end_carriers(self.token)
                self._popen.wait()
                self._exit.close()
                self._ended = True
            return self._popen.returncode

    def close_pipes(self) -> None:
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None and not pipe.closed:
                anyio.notify_closing(pipe.fileno())
                pipe.close()

    def _signal(self, number: int) -> bool:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def end_carriers(token: str) -> int:
    """Kills what carries the token in its environment; returns how many. Repeats while new ones appear."""
    ended = 0
    for _ in range(_ROUNDS):
        pids = carriers(token)
        if not pids:
            break
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                ended += 1
            except (ProcessLookupError, PermissionError):
                continue
    return ended


class _ExitSignal:
    """A descriptor that becomes readable when a child has ended, without reaping it."""

    def __init__(self, pid: int) -> None:
        self._seen = False
        self._watched: anyio.Event | None = None
        if sys.platform == "linux":
            self._fd = os.pidfd_open(pid)
        else:
            self._queue = select.kqueue()
            self._fd = self._queue.fileno()
            event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            try:
                self._queue.control([event], 0)
            except OSError:  # it has ended already
                self._seen = True

    def seen(self) -> bool:
        if not self._seen:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            self._seen = bool(poll.poll(0))
        return self._seen

    async def wait(self) -> None:
        """Any number of tasks may wait; one of them watches the descriptor."""
        while not self._seen:
            if self._watched is not None:
                await self._watched.wait()
                continue
            self._watched = watched = anyio.Event()
            try:
                await anyio.wait_readable(self._fd)
                self._seen = True
            finally:
                self._watched = None
                watched.set()

    def close(self) -> None:
        if sys.platform == "linux":
            os.close(self._fd)
        else:
            self._queue.close()
