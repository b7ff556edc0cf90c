"""A task carried out by an ACP agent: a real process that speaks the protocol, through the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestration.workspace.process_identity import is_alive, start_time
from tests.agents.conftest import looks
from tests.e2e.command_line import PROGRAM, Antiphon, Finished

AGENT = Path(__file__).parents[1] / "providers" / "agents" / "acp_agent.py"


class AcpAgent:
    """The command line with a scripted agent configured as `acp/tester`, and a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "work"
        self.root.mkdir()
        (self.root / "README").write_text("A greeter.\n")
        (self.root / ".tester").mkdir()
        (self.root / ".tester" / "hooks.json").write_text("{}\n")
        self.antiphon = Antiphon(folder / "home", {"TESTER_KEY": "very-secret-key"})
        self._notes = folder / "notes.jsonl"

    def does(self, **script: Any) -> None:
        file = self.antiphon.home / ".config" / "antiphon" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        command = json.dumps([sys.executable, str(AGENT), json.dumps(script)])
        file.write_text(
            f'[agents.tester]\nprotocol = "acp"\ncommand = {command}\nenvironment = ["TESTER_*"]\n'
            f'own_files = [".tester"]\nresumes = true\nset = {{ ACP_TEST_NOTES = "{self._notes}" }}\n'
        )

    def words(self, *more: str) -> list[str | Path]:
        words: list[str | Path] = [
            "run",
            "Greet",
            "--model",
            "acp/tester",
            "--json",
            "--workspace",
            self.root,
        ]
        return [*words, "--trust", "--approval", "auto", *more]

    def run(self, *more: str) -> Finished:
        return self.antiphon(*self.words(*more), timeout=60)

    def started(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(PROGRAM), *map(str, self.words())],
            cwd=self.antiphon.home,
            env=self.antiphon.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def notes(self) -> list[dict[str, Any]]:
        if not self._notes.exists():
            return []
        return [json.loads(line) for line in self._notes.read_text(encoding="utf-8").splitlines()]

    def noted(self, name: str) -> Any:
        return next(note[name] for note in reversed(self.notes()) if name in note)

    def until_noted(self, name: str) -> None:
        until(lambda: any(name in note for note in self.notes()))


def until(condition: Callable[[], bool], within_s: float = 30) -> None:
    limit = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)  # another process does it


@pytest.fixture
def agent(tmp_path: Path) -> AcpAgent:
    return AcpAgent(tmp_path)


def test_an_edit_ends_as_a_hunk_to_review(agent: AcpAgent) -> None:
    agent.does(usage={"inputTokens": 900, "outputTokens": 40, "totalTokens": 940}, costs=[0.5])
    before = looks(agent.root)
    done = agent.run()
    assert done.code == 0, done
    assert done.last["changes"] == {"files": 1, "hunks": 1, "added": 1, "removed": 0}
    assert done.last["usage"]["cost_usd"] == 0.5
    assert done.last["usage"]["input_tokens"] == 900
    assert looks(agent.root) == before
    assert "+made" in agent.antiphon("changes", "latest", "--workspace", agent.root).out

    events = {event["type"]: event for event in done.events}
    assert (events["agent_started"]["agent"], events["agent_started"]["form"]) == ("acp/tester", "acp")
    assert events["agent_started"]["hidden"] == [".tester/hooks.json"]
    assert events["agent_session"]["session"] == "s-1"
    assert (events["tool_finished"]["tool"], events["tool_finished"]["subject"]) == ("edit", "made.txt")
    assert events["task_merged"]["summary"] == "I am done."
    assert "Greet" in agent.noted("prompt")
    assert str(agent.root) not in agent.noted("folder")
    assert agent.noted("environment")["TESTER_KEY"] == "very-secret-key"
    assert "very-secret-key" not in done.out


def test_accepting_writes_what_the_agent_did(agent: AcpAgent) -> None:
    agent.does()
    assert agent.run("--accept", "all").code == 0
    assert (agent.root / "made.txt").read_text() == "made\n"
    assert (agent.root / ".tester" / "hooks.json").read_text() == "{}\n"


def test_a_plain_command_is_allowed_and_another_is_denied_where_nobody_can_be_asked(agent: AcpAgent) -> None:
    agent.does(command="ls -l")
    done = agent.run()
    assert agent.noted("result") == {"outcome": {"outcome": "selected", "optionId": "o"}}
    agent.does(command="ls > /tmp/list; rm -rf ~")
    done = agent.run()
    assert done.code == 0, done
    assert agent.noted("result") == {"outcome": {"outcome": "selected", "optionId": "r"}}
    finished = next(event for event in done.events if event["type"] == "agent_finished")
    assert finished["denied"] == ["ls > /tmp/list; rm -rf ~"]


def test_an_edit_outside_of_its_folder_is_denied(agent: AcpAgent) -> None:
    outside = agent.folder / "outside.txt"
    agent.does(asks_for_edits=True, file=str(outside))
    done = agent.run()
    assert not outside.exists()
    assert done.code == 1
    assert "it was not allowed" in done.last["reasons"][0]


def test_a_wanted_login_ends_the_task_with_the_mend(agent: AcpAgent) -> None:
    agent.does(wants_login="web")
    done = agent.run()
    assert done.code == 1
    assert "wants a login" in done.last["reasons"][0]
    assert agent.noted("initialize")["protocolVersion"] == 1


def test_an_untrusted_workspace_starts_nothing(agent: AcpAgent) -> None:
    agent.does()
    words = [word for word in agent.words() if word != "--trust"]
    done = agent.antiphon(*words)
    assert done.code == 1
    assert agent.notes() == []


def test_doctor_shows_it(agent: AcpAgent) -> None:
    agent.does()
    found = agent.antiphon("doctor", "--json", "--workspace", agent.root).last
    checks = {check["name"]: check for check in found["checks"]}
    assert sys.executable in checks["agent acp/tester"]["detail"]
    assert "acp/gemini" in checks["agents"]["detail"] or "agent acp/gemini" in checks
    assert agent.notes() == []


def test_an_interrupt_is_told_to_the_agent(agent: AcpAgent) -> None:
    agent.does(waits=True, forks=True)
    running = agent.started()
    agent.until_noted("waiting")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)
    assert agent.noted("cancelled")
    assert not alive(agent)


def test_a_killed_run_leaves_no_process_and_goes_on_in_the_agents_session(agent: AcpAgent) -> None:
    agent.does(waits=True, forks=True, abilities={"loadSession": True})
    running = agent.started()
    agent.until_noted("waiting")
    os.kill(running.pid, signal.SIGKILL)
    running.communicate(timeout=30)
    until(lambda: not alive(agent))
    agent.does(abilities={"loadSession": True})
    done = agent.antiphon(
        "resume", "latest", "--workspace", agent.root, "--trust", "--approval", "auto", "--json", timeout=60
    )
    assert done.code == 0, done
    assert agent.noted("resumed")["sessionId"] == "s-1"
    assert done.last["changes"]["files"] == 1


def alive(agent: AcpAgent) -> bool:
    started = [(pid, start_time(pid)) for pid in agent.noted("children")]
    return any(when and is_alive(pid, when) for pid, when in started)
