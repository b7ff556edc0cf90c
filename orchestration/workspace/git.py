"""Our own git calls: an absolute program from trusted PATH entries, and nothing of anyone's configuration.

A repository's configuration, hooks, filters and attributes can start programs; none of them is honoured
here. Everything in this package that runs git goes through `Git.run`.
"""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from orchestration.errors import ConfigurationError, ProcessError
from orchestration.workspace.environment import find_program
from orchestration.workspace.launcher import Command, Completed, ProcessLauncher

OLDEST = (2, 38)  # the first with `merge-tree --write-tree`
ENVIRONMENT: Mapping[str, str] = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
_SETTINGS = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.attributesFile", os.devnull),
    ("core.excludesFile", os.devnull),
    ("core.autocrlf", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
)
_FLAGS = tuple(flag for key, value in _SETTINGS for flag in ("-c", f"{key}={value}"))


class Git:
    def __init__(self, launcher: ProcessLauncher, program: str) -> None:
        self._launcher = launcher
        self.program = program

    @classmethod
    async def find(
        cls, launcher: ProcessLauncher, *, path: str | None = None, forbidden: Sequence[Path] = ()
    ) -> "Git":
        """Looks once. `forbidden`: the workspace. Raises ConfigurationError when git is missing or older
        than 2.38.
        """
        program = find_program("git", os.environ.get("PATH", "") if path is None else path, forbidden)
        if program is None:
            raise ConfigurationError(
                "git was not found in an absolute, safe entry of PATH; install git 2.38 or later"
            )
        git = cls(launcher, program)
        said = (await git.run(["version"])).output.decode(errors="replace").strip()
        number = re.search(r"(\d+)\.(\d+)", said)
        if number is None or (int(number[1]), int(number[2])) < OLDEST:
            raise ConfigurationError(f"{program} is {said or 'unknown'}; Antiphon needs git 2.38 or later")
        return git

    async def run(
        self,
        arguments: Sequence[str],
        *,
        git_dir: Path | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        expect: Collection[int] = (0,),
        max_output: int = 256 * 1024 * 1024,
        timeout_s: float = 600.0,
        brief: bool = True,
    ) -> Completed:
        """Raises ProcessError with git's own words when the exit code is not among `expect`."""
        where = () if git_dir is None else (f"--git-dir={git_dir}",)
        done = await self._launcher.run(
            Command(
                (self.program, *where, *_FLAGS, *arguments),
                cwd if cwd is not None else git_dir if git_dir is not None else Path("/"),
                env={**ENVIRONMENT, **(env or {})},
                stdin=stdin,
                separate=True,
                own_tool=True,
                brief=brief,
                max_output=max_output,
                timeout_s=timeout_s,
                purpose="git",
            )
        )
        if done.exit_code not in expect or done.timed_out or done.cut:
            said = done.errors.decode(errors="replace").strip() or f"exit code {done.exit_code}"
            raise ProcessError(f"git {arguments[0]} failed: {said}")
        return done
