"""How gates start programs: found in trusted folders of PATH only, without Antiphon's own environment,
and through the launcher.
"""

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import anyio

from orchestration.errors import ProcessError
from orchestration.ports import Executor
from orchestration.workspace.environment import clean_path, find_program
from orchestration.workspace.launcher import Command, ProcessLauncher

_MAX_OUTPUT = 512 * 1024


@dataclass(frozen=True, slots=True)
class Finished:
    """`output` is standard output and error, interleaved. `failure` says why the program did not start;
    then nothing else counts.
    """

    exit_code: int = -1
    output: str = ""
    timed_out: bool = False
    failure: str = ""
    seconds: float = 0.0


class Processes:
    """`root` is the user's workspace: nothing on PATH inside it is ever found by name."""

    def __init__(
        self, launcher: ProcessLauncher, environ: Mapping[str, str], root: Path, task: str = ""
    ) -> None:
        self._launcher = launcher
        self._task = task
        self._forbidden = (root, *own_folders())
        self.path = clean_path(environ.get("PATH", ""), self._forbidden)

    def without_own(self, env: Mapping[str, str]) -> dict[str, str]:
        """The same environment with no folder of Antiphon's on its PATH."""
        if "PATH" not in env:
            return dict(env)
        own = {str(folder) for folder in own_folders()}
        return {**env, "PATH": os.pathsep.join(p for p in env["PATH"].split(os.pathsep) if p not in own)}

    def find(self, name: str) -> str | None:
        """The absolute path of a program."""
        return find_program(name, self.path, self._forbidden)

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        purpose: str,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Finished:
        command = Command(
            argv=tuple(argv),
            cwd=cwd,
            env={"PATH": self.path, **(env or {})},
            timeout_s=timeout_s,
            max_output=_MAX_OUTPUT,
            task=self._task,
            purpose=purpose,
        )
        try:
            done = await self._launcher.run(command)
        except ProcessError as error:
            return Finished(failure=str(error))
        return Finished(
            done.exit_code, done.output.decode("utf-8", "replace"), done.timed_out, seconds=done.seconds
        )


def own_folders() -> tuple[Path, ...]:
    """Where Antiphon's own programs lie, when it runs from an environment of its own."""
    if sys.prefix == sys.base_prefix:
        return ()
    return (Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin"),)


@asynccontextmanager
async def scratch_folder(executor: Executor) -> AsyncIterator[Path]:
    """A folder of ours outside every checkout, gone afterwards."""
    folder = await executor.run(_make)
    try:
        yield folder
    finally:
        with anyio.CancelScope(shield=True):
            await executor.run(_remove, folder)


def _make() -> Path:
    return Path(mkdtemp(prefix="antiphon-gate-")).resolve()


def _remove(folder: Path) -> None:
    rmtree(folder, ignore_errors=True)
