"""Whatever a command raises becomes a message, an exit code and, for a bug of ours, a report."""

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from orchestration.errors import AntiphonError, ConflictError, UsageError
from providers.errors import ProviderConfigurationError, RateLimitError
from server.cli import guarded
from server.commands.invocation import Invocation
from server.terminal.terminal import Terminal


class Raising:
    """A command that does one thing."""

    EXAMPLES = ""

    def __init__(self, act: Callable[[], int]) -> None:
        self._act = act

    def configure(self, parser: argparse.ArgumentParser) -> None:
        del parser

    def execute(self, invocation: Invocation) -> int:
        del invocation
        return self._act()


class Outcome:
    def __init__(self, act: Callable[[], int], folder: Path, *, json_lines: bool = False) -> None:
        self.out, self.errors = io.StringIO(), io.StringIO()
        environ = {"ANTIPHON_DATA_DIR": str(folder), "HOME": str(folder)}
        terminal = Terminal(
            stdin=io.StringIO(), stdout=self.out, stderr=self.errors, environ=environ, json_lines=json_lines
        )
        self.code = guarded(Raising(act), Invocation(argparse.Namespace(), terminal, environ))


def raising(error: BaseException) -> Callable[[], int]:
    def act() -> int:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("the thing; the mend"), 2),
        (ConflictError("moved"), 1),
        (AntiphonError("no"), 70),
        (ProviderConfigurationError("no key"), 2),
        (RateLimitError("slow down"), 1),
        (KeyboardInterrupt(), 130),
        (BaseExceptionGroup("tasks", [BaseExceptionGroup("inner", [UsageError("deep")])]), 2),
    ],
)
def test_errors_become_messages_and_exit_codes(tmp_path: Path, error: BaseException, code: int) -> None:
    outcome = Outcome(raising(error), tmp_path)
    assert outcome.code == code
    assert outcome.errors.getvalue().startswith("antiphon: ")
    assert outcome.out.getvalue() == ""
    assert not (tmp_path / "logs").exists()


def test_an_error_of_several_lines_and_hostile_text(tmp_path: Path) -> None:
    outcome = Outcome(raising(UsageError("one \x1b[2J\ntwo")), tmp_path, json_lines=True)
    assert outcome.errors.getvalue() == "antiphon: one \\e[2J\n  two\n"
    assert json.loads(outcome.out.getvalue()) == {
        "type": "error",
        "kind": "UsageError",
        "message": "one \x1b[2J\ntwo",
        "exitCode": 2,
    }


def test_an_internal_error_says_where_its_report_is(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("boom")

    async def broken() -> int:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 0)
            fail()
        return 0

    outcome = Outcome(lambda: anyio.run(broken), tmp_path, json_lines=True)
    assert outcome.code == 70
    (report,) = (tmp_path / "logs").glob("crash-*.log")
    assert "internal error: RuntimeError: boom" in outcome.errors.getvalue()
    assert str(report) in outcome.errors.getvalue()
    assert "Traceback" not in outcome.errors.getvalue()
    assert report.stat().st_mode & 0o777 == 0o600
    assert "RuntimeError: boom" in report.read_text()
    assert json.loads(outcome.out.getvalue())["kind"] == "internal"


def test_a_report_that_cannot_be_written_hides_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("")
    outcome = Outcome(raising(RuntimeError("boom")), folder)
    assert outcome.code == 70
    assert "internal error: RuntimeError: boom" in outcome.errors.getvalue()
    assert "the report could not be written" in outcome.errors.getvalue()
