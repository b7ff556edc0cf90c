"""Runs an exercise's own tests with its own runner, outside of anything of ours, in any copy of it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.model_server.exercises import Exercise

NODE = shutil.which("node")
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


@dataclass(frozen=True, slots=True)
class TestRun:
    """What a runner said, and whether all tests passed."""

    __test__ = False

    passed: bool
    output: str


def run_exercise(exercise: Exercise, workspace: Path, *, runner: str = "") -> TestRun:
    """Runs the tests of one exercise from the top of a workspace; `runner`: pytest, unittest or node."""
    chosen = runner or ("node" if exercise.runs_on_node else "pytest")
    paths = [f"{exercise.name}/{path}" for path in exercise.tests]
    if chosen == "node":
        return run([_node(), "--test", *paths], workspace)
    if chosen == "unittest":
        return run([sys.executable, "-m", "unittest", "discover", "-s", exercise.name], workspace)
    return run_pytest(paths, workspace)


def run_pytest(paths: Sequence[str], workspace: Path) -> TestRun:
    """Pytest as a stranger would have it: no configuration and no plugins of ours."""
    return run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", *paths], workspace
    )


def run_node(workspace: Path) -> TestRun:
    return run([_node(), "--test"], workspace)


def run(command: Sequence[str], workspace: Path) -> TestRun:
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    done = subprocess.run(
        command,
        cwd=workspace,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=60,
        check=False,
    )
    return TestRun(passed=done.returncode == 0, output=done.stdout)


def _node() -> str:
    assert NODE is not None, "node is missing: callers skip by name first"
    return NODE
