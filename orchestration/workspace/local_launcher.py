"""The real launcher: starts groups, bounds them, ends them whole, and keeps the ledger of what lives.

Three nets under each other: the ladder of `child_process.py` at the end of every run, cancellation
included; a guardian that outlives us by a second when we are killed (`process_guardian.py`); and the
ledger's file, by which the next start ends what both missed (`process_ledger.py`).
"""

import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import anyio

from orchestration.ports import Clock
from orchestration.workspace.child_process import ChildProcess
from orchestration.workspace.environment import child_environment
from orchestration.workspace.launcher import (
    Command,
    Completed,
    LiveProcess,
    NoSandbox,
    RunningProcess,
    Sandbox,
)
from orchestration.workspace.process_guardian import ProcessGuardian
from orchestration.workspace.process_ledger import ProcessLedger
from orchestration.workspace.process_output import BoundedOutput

_GRACE_S = 2.0
_DRAIN_S = 1.0  # after the end, for what is still in the pipes
_READ = 65536


class LocalLauncher:
    def __init__(
        self,
        state: Path,
        token: str,
        *,
        clock: Clock,
        inherited: Mapping[str, str] | None = None,
        forbidden: Sequence[Path] = (),
        sandbox: Sandbox | None = None,
        grace_s: float = _GRACE_S,
    ) -> None:
        """`state`: the folder of ledgers; `token`: a fresh id, `[a-z0-9-]`; `forbidden`: folders whose
        programs PATH must not find (the workspace); `inherited`: by default our own environment.
        """
        self._token = token
        self._clock = clock
        self._inherited = os.environ if inherited is None else inherited
        self._forbidden = tuple(forbidden)
        self._sandbox: Sandbox = NoSandbox() if sandbox is None else sandbox
        self._grace_s = grace_s
        self._ledger = ProcessLedger(state, token)
        self._guardian = ProcessGuardian(token)
        self._children: dict[int, ChildProcess] = {}
        self._guarded: set[int] = set()
        self._count = 0

    @property
    def tier(self) -> str:
        return self._sandbox.tier

    def live(self) -> tuple[LiveProcess, ...]:
        return self._ledger.live()

    async def run(self, command: Command) -> Completed:
        began = self._clock.monotonic()
        stderr = subprocess.PIPE if command.separate else subprocess.STDOUT
        child = self._spawn(command, stdin=command.stdin is not None, stderr=stderr)
        output, errors = BoundedOutput(command.max_output), BoundedOutput(command.max_output)
        try:
            async with anyio.create_task_group() as pipes:
                drained = [_Drain(child.stdout, output)]
                if child.stderr is not None:
                    drained.append(_Drain(child.stderr, errors))
                for drain in drained:
                    pipes.start_soon(drain.run)
                if command.stdin is not None:
                    pipes.start_soon(_feed, child, command.stdin)
                with anyio.move_on_after(command.timeout_s) as limit:
                    await child.exited()
                code = await child.end(self._grace_s, search=not command.own_tool)
                with anyio.move_on_after(_DRAIN_S):
                    for drain in drained:
                        await drain.done.wait()
                pipes.cancel_scope.cancel()
        finally:
            await self._close(child, search=not command.own_tool)
        return Completed(
            exit_code=code,
            output=output.value(),
            errors=errors.value(),
            timed_out=limit.cancelled_caught,
            cut=output.cut + errors.cut,
            seconds=self._clock.monotonic() - began,
        )

    async def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: bool = False,
        stderr: bool = False,
        purpose: str = "agent",
    ) -> RunningProcess:
        errors = None if stderr else tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        try:
            child = self._spawn(
                Command(argv, cwd, env, purpose=purpose),
                stdin=stdin,
                stderr=subprocess.PIPE if errors is None else errors,
            )
        except BaseException:
            if errors is not None:
                errors.close()
            raise
        return LocalProcess(child, errors, lambda: self._close(child, search=True, pipes=False))

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as ends:
                for child in list(self._children.values()):
                    ends.start_soon(self._close_all, child)
            self._guardian.close()
            self._ledger.close()

    async def _close_all(self, child: ChildProcess) -> None:
        await self._close(child, search=True)

    def _spawn(self, command: Command, *, stdin: bool, stderr: "int | IO[bytes]") -> ChildProcess:
        argv = command.argv if command.own_tool else self._sandbox.wrap(command.argv, cwd=command.cwd)
        if not command.brief:
            self._guardian.prepare()
            self._ledger.prepare()
        self._count += 1
        child = ChildProcess.spawn(
            argv,
            cwd=command.cwd,
            env=child_environment(self._inherited, command.env, self._forbidden),
            token=f"{self._token}.{self._count}",
            stdin=stdin,
            stderr=stderr,
        )
        self._children[child.pid] = child
        if not command.brief:
            self._guarded.add(child.pid)
            self._guardian.add(child.pid)
            live = LiveProcess(child.pid, tuple(argv), self._clock.now(), command.task, command.purpose)
            self._ledger.add(child.pid, child.started, live)
        return child

    async def _close(self, child: ChildProcess, *, search: bool, pipes: bool = True) -> int:
        with anyio.CancelScope(shield=True):
            code = await child.end(self._grace_s, search=search)
        if pipes:
            child.close_pipes()
        if self._children.pop(child.pid, None) is not None and child.pid in self._guarded:
            self._guarded.remove(child.pid)
            self._guardian.remove(child.pid)
            self._ledger.remove(child.pid)
        return code


class LocalProcess:
    """A started process; unless its standard error is asked for, that goes to a file without a name."""

    def __init__(
        self, child: ChildProcess, errors: "IO[bytes] | None", end: Callable[[], Awaitable[int]]
    ) -> None:
        self._child = child
        self._errors = errors
        self._end = end

    @property
    def pid(self) -> int:
        return self._child.pid

    async def send(self, data: bytes) -> None:
        """Raises BrokenPipeError when the process reads no more."""
        await self._child.feed(data, close=False)

    async def close_input(self) -> None:
        self._child.close_input()

    async def stdout(self) -> AsyncIterator[bytes]:
        """Ends when the process has closed its output."""
        while chunk := await _read(self._child.stdout):
            yield chunk

    async def stderr(self) -> AsyncIterator[bytes]:
        """As `stdout`; nothing for a process that was started without `stderr`."""
        pipe = self._child.stderr
        while pipe is not None and (chunk := await _read(pipe)):
            yield chunk

    async def wait(self) -> int:
        """Returns when the leader has ended; what it left in its group is ended then. Output that is
        still in the pipe can be read afterwards.
        """
        await self._child.exited()
        return await self._end()

    async def kill(self) -> None:
        await self._end()
        self._child.close_pipes()
        if self._errors is not None:
            self._errors.close()

    def errors(self, limit: int = 4096) -> bytes:
        """The last bytes of standard error; empty once killed, and for who reads `stderr`."""
        if self._errors is None or self._errors.closed:
            return b""
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), limit, max(0, size - limit))


class _Drain:
    def __init__(self, pipe: "IO[bytes]", into: BoundedOutput) -> None:
        self._pipe = pipe
        self._into = into
        self.done = anyio.Event()

    async def run(self) -> None:
        try:
            while chunk := await _read(self._pipe):
                self._into.add(chunk)
        finally:
            self.done.set()


async def _read(pipe: "IO[bytes]") -> bytes:
    """The next bytes; empty at the end."""
    while not pipe.closed:
        try:
            return os.read(pipe.fileno(), _READ)
        except BlockingIOError:
            try:
                await anyio.wait_readable(pipe.fileno())
            except anyio.ClosedResourceError:
                break
    return b""


async def _feed(child: ChildProcess, data: bytes) -> None:
    try:
        await child.feed(data, close=True)
    except BrokenPipeError:
        return
