"""The coding CLIs that tests run, in a cache outside the checkout: `python -m tests.agents.clis` installs them.

Each lies in a folder named by its version. Where npm or a package cannot be had, its tests skip and say so; with
CI=true that is a failure.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

INSTALL_LIMIT_S = 280


@dataclass(frozen=True, slots=True)
class Package:
    """`command` is the name of its program."""

    name: str
    version: str
    command: str


PACKAGES = {
    "claude-code": Package("@anthropic-ai/claude-code", "2.1.197", "claude"),
    "codex": Package("@openai/codex", "0.169.0", "codex"),
    "opencode": Package("opencode-ai", "1.18.33", "opencode"),
    "gemini-cli": Package("@google/gemini-cli", "0.61.0", "gemini"),
    "qwen-code": Package("@qwen-code/qwen-code", "0.15.10", "qwen"),
    "copilot-cli": Package("@github/copilot", "1.0.102", "copilot"),
    "claude-agent-acp": Package("@agentclientprotocol/claude-agent-acp", "0.101.0", "claude-agent-acp"),
    "codex-acp": Package("@agentclientprotocol/codex-acp", "2.6.0", "codex-acp"),
    "cline": Package("cline", "3.0.65", "cline"),
}


class UnavailableError(Exception):
    """Raised when a CLI cannot be installed; the message names it and says why."""


def installed(name: str) -> Path:
    """The program; a test that asks for one that cannot be had skips by name."""
    try:
        return install(name)
    except UnavailableError as error:
        _unavailable(str(error))


def install(name: str) -> Path:
    """Installs it where it is not there yet. Raises UnavailableError."""
    package = PACKAGES[name]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "antiphon-tests"
    folder = cache / f"{name}-{package.version}"
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise UnavailableError(f"{package.name}: node and npm are not installed")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # test workers start together
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _install(package, folder)
            (folder / "done").touch()
    return folder / "node_modules" / ".bin" / package.command


def _install(package: Package, folder: Path) -> None:
    argv = ["npm", "install", "--no-save", "--no-fund", "--no-audit", "--prefix", str(folder)]
    try:
        done = subprocess.run(
            [*argv, f"{package.name}@{package.version}"],
            capture_output=True,
            text=True,
            timeout=INSTALL_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{package.name}: npm did not install it in {INSTALL_LIMIT_S} s") from None
    if done.returncode != 0:
        raise UnavailableError(f"{package.name}: npm cannot install it: {done.stderr[-500:]}")


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def main(names: list[str]) -> int:
    failed = 0
    for name in names or PACKAGES:
        try:
            sys.stdout.write(f"{name}: {install(name)}\n")
        except UnavailableError as error:
            failed = 1
            sys.stderr.write(f"{error}\n")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
