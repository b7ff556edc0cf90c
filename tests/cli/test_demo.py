"""The demo as a user sees it: real files, tools, commands, gates, merge and review; a script for the model."""

import subprocess
import sys
from pathlib import Path

from tests.cli.terminals import AtTerminal
from tests.e2e.command_line import Antiphon


def passes(workspace: Path, module: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "unittest", f"tests.test_{module}"],
        cwd=workspace,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def test_the_demo_for_a_program(antiphon: Antiphon, tmp_path: Path) -> None:
    antiphon.variables["TMPDIR"] = str(tmp_path)
    workspace = tmp_path / "demo here"
    demo = antiphon("demo", "--json", "--workspace", workspace)
    assert demo.code == 0, demo
    events = demo.events
    finished = next(event for event in events if event["type"] == "run_finished")
    assert (finished["state"], finished["tasks"]) == ("partial", {"merged": 5, "dead": 1})
    assert {file["outcome"] for file in finished["accepted"]["files"]} == {"written"}
    assert demo.last["tests"] == {
        "labels": False,
        "money": True,
        "postcodes": True,
        "rates": True,
        "receipts": True,
    }
    kinds = {event["type"] for event in events}
    assert {"plan_proposed", "tool_finished", "attempt_failed", "task_dead", "gate_finished"} <= kinds
    failed = [event["taskId"] for event in events if event["type"] == "attempt_failed"]
    assert sorted(failed) == ["labels", "labels", "labels", "postcodes"]
    commands = [
        event for event in events if event["type"] == "tool_finished" and event["tool"] == "run_command"
    ]
    assert [(event["taskId"], event.get("isError", False)) for event in commands] == [("receipts", False)]
    assert not list(antiphon.home.rglob("*antiphon*")), "the user's own folders are not touched"
    for module, passed in demo.last["tests"].items():
        assert passes(workspace, module) is passed
    assert "-1.50" in (workspace / "CHANGES.md").read_text()


def test_the_demo_at_a_terminal(antiphon: Antiphon, tmp_path: Path) -> None:
    antiphon.variables["TMPDIR"] = str(tmp_path)
    with AtTerminal(antiphon, "demo") as terminal:
        assert terminal.end() == 0, terminal.text
        text = terminal.text
    assert "the scripted provider answers from a file" in text
    assert "postcodes failed its gate, was told why, and got it right the next time." in text
    assert "dead letter labels after 3 attempts" in text
    assert "+    return int(match[1]) * 100" in text
    assert "accepted in 5 files" in text
    assert list(tmp_path.glob("antiphon-demo-*")) == [], "nothing is left behind"


def test_a_folder_in_use_is_left_alone(antiphon: Antiphon, workspace: Path) -> None:
    before = sorted(workspace.iterdir())
    demo = antiphon("demo", "--workspace", workspace)
    assert demo.code == 2
    assert "is not an empty folder" in demo.errors
    assert sorted(workspace.iterdir()) == before
