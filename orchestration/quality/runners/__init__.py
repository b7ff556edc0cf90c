"""Test runners, one file each."""

from orchestration.quality.runners.contract import Runner
from orchestration.quality.runners.go import GoRunner
from orchestration.quality.runners.javascript import JavaScriptRunner
from orchestration.quality.runners.python import PythonRunner
from orchestration.quality.runners.rust import RustRunner
from orchestration.quality.runners.shell import ShellRunner


def standard_runners() -> tuple[Runner, ...]:
    return (PythonRunner(), JavaScriptRunner(), GoRunner(), RustRunner(), ShellRunner())
