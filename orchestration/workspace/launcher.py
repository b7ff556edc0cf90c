"""The port through which processes are started, and what is asked of it.

Only this folder starts processes. A command is an argument list, never a shell line; it runs in a
session of its own so that the whole group can be ended, with an environment built from an allow-list,
a fixed folder, a time limit and an output limit. The real launcher is `local_launcher.py`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

DEFAULT_TIMEOUT_S = 120.0
DEFAULT_MAX_OUTPUT = 256 * 1024


@dataclass(frozen=True, slots=True)
class Command:
    """`env` is added to the allow-listed environment; `stdin` None is an empty input. `separate` keeps
    standard error apart, else it is interleaved. `own_tool` marks our own neutralised tools: no sandbox, and
    no search for what they left behind; `brief` those that end by themselves within moments, so that no
    ledger holds them. `task` and `purpose` are for the ledger that a user can read.
    """

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = DEFAULT_TIMEOUT_S
    max_output: int = DEFAULT_MAX_OUTPUT
    stdin: bytes | None = None
    separate: bool = False
    own_tool: bool = False
    brief: bool = False
    task: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Completed:
    """`exit_code` is negative for a signal. `output` holds at most `max_output` bytes and the line that
    says how many were `cut` out of its middle; `errors` is standard error when kept apart.
    """

    exit_code: int
    output: bytes
    errors: bytes = b""
    timed_out: bool = False
    cut: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LiveProcess:
    """An entry of the ledger. `started` is in Unix seconds."""

    pid: int
    argv: tuple[str, ...]
    started: float
    task: str = ""
    purpose: str = ""


class RunningProcess(Protocol):
    """A started group (the `ProviderProcess` of the provider contracts)."""

    async def send(self, data: bytes) -> None: ...
    async def close_input(self) -> None: ...
    def stdout(self) -> AsyncIterator[bytes]: ...
    def stderr(self) -> AsyncIterator[bytes]: ...
    def errors(self, limit: int = 4096) -> bytes: ...
    async def wait(self) -> int: ...
    async def kill(self) -> None: ...


class ProcessLauncher(Protocol):
    @property
    def tier(self) -> str:
        """The sandbox in force, as shown to the user: `none`, …"""

    async def run(self, command: Command) -> Completed:
        """Runs to its end. Cancellation and the time limit end the whole group. Raises ProcessError when
        it cannot be started.
        """

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
        """Starts and returns; the caller ends it by `kill` or `wait`, `aclose` ends what is left. With
        `stderr` the caller reads standard error as well; the process would stop at a full pipe.
        """

    def live(self) -> tuple[LiveProcess, ...]: ...

    async def aclose(self) -> None:
        """Ends every child."""


class Sandbox(Protocol):
    """The seam for sandbox tiers: how a command's arguments are wrapped."""

    @property
    def tier(self) -> str: ...

    def wrap(self, argv: Sequence[str], *, cwd: Path) -> Sequence[str]:
        """`cwd` is the one folder the command may write to."""


class NoSandbox:
    tier = "none"

    def wrap(self, argv: Sequence[str], *, cwd: Path) -> Sequence[str]:  # noqa: ARG002 - the protocol's name
        return argv
