"""The real CLIs, from their packages, pointed at a mock endpoint: an edit in a task tree becomes a reviewed hunk."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestration.journal.data_dir import workspace_home
from tests.agents.clis import installed
from tests.agents.conftest import looks
from tests.agents.hostile import make_hostile, trap
from tests.agents.real_clis import GREETING, JOB, KEY, REAL, RealCli
from tests.e2e.command_line import Antiphon, Finished
from tests.providers.aimock import Mock, running

USAGE = {
    "input_tokens": 120,
    "output_tokens": 9,
    "prompt_tokens": 120,
    "completion_tokens": 9,
    "total_tokens": 129,
}
USAGE |= {"promptTokenCount": 120, "candidatesTokenCount": 9, "totalTokenCount": 129}
CLIS = pytest.mark.parametrize("name", list(REAL))


class RealAgent:
    """A CLI with a home of its own, and a workspace."""

    def __init__(self, folder: Path, cli: RealCli) -> None:
        self.folder = folder
        self.cli = cli
        self.program = installed(cli.agent)
        self.root = folder / "work"
        self.root.mkdir()
        (self.root / "README").write_text("A greeter.\n")
        self.antiphon = Antiphon(folder / "home")
        self.antiphon.environment()
        config = self.antiphon.home / ".config" / "antiphon" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(f'[agents.{cli.agent}]\nprogram = "{self.program}"\n{cli.more}\n')

    def checkout(self) -> Path:
        """Where the first task's files are."""
        data = self.antiphon.home / ".local" / "share" / "antiphon"
        return workspace_home(self.root.resolve(), data).path / "checkouts" / "1" / "tree"

    def fixtures(self, path: str, first: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """What the model says: it writes a file, then it is done."""
        if self.cli.absolute and not path.startswith("/"):
            path = str(self.checkout() / path)
        calls = {"content": "I write.", "toolCalls": [self.cli.writes(path)], "usage": USAGE}
        return [
            {"match": {"userMessage": JOB, "hasToolResult": False}, "response": first or calls},
            {
                "match": {"userMessage": JOB, "hasToolResult": True},
                "response": {"content": "I greeted.", "usage": USAGE},
            },
        ]

    def run(self, mock: Mock, *more: str) -> Finished:
        self.cli.prepare(self.antiphon.home, mock.origin, self.program)
        self.antiphon.variables.update(self.cli.environment(mock.origin))
        words: list[str | Path] = [
            "run",
            f"{JOB}: write a greeting",
            "--model",
            self.cli.model,
            "--workspace",
            self.root,
            "--json",
        ]
        return self.antiphon(*words, "--trust", "--approval", "auto", *more, timeout=120)


@CLIS
def test_an_edit_by_a_real_cli_is_a_hunk_that_is_accepted(name: str, tmp_path: Path) -> None:
    agent = RealAgent(tmp_path, REAL[name])
    before = looks(agent.root)
    with running(agent.fixtures("greeting.txt"), tmp_path) as mock:
        done = agent.run(mock)
    assert done.code == 0, done
    assert looks(agent.root) == before
    assert done.last["changes"] == {"files": 1, "hunks": 1, "added": 1, "removed": 0}
    kinds = [event["type"] for event in done.events]
    assert {"agent_started", "agent_session", "tool_started", "tool_finished", "agent_finished"} <= set(kinds)
    finished = next(event for event in done.events if event["type"] == "tool_finished")
    assert "greeting.txt" in finished["subject"]
    assert KEY not in done.out
    changes = agent.antiphon("changes", "latest", "--workspace", agent.root)
    assert "+" + GREETING.strip() in changes.out
    accepted = agent.antiphon("accept", "latest", "--all", "--workspace", agent.root)
    assert accepted.code == 0, accepted
    assert (agent.root / "greeting.txt").read_text() == GREETING


@CLIS
def test_hostile_settings_of_a_workspace_take_no_key_out_and_start_nothing(name: str, tmp_path: Path) -> None:
    agent, mark = RealAgent(tmp_path, REAL[name]), tmp_path / "mark"
    with trap() as evil, running(agent.fixtures("greeting.txt"), tmp_path) as mock:
        make_hostile(agent.root, evil, mark)
        before = looks(agent.root)
        done = agent.run(mock)
        heard = list(evil.heard)
    assert done.code == 0, done
    assert heard == []
    assert not mark.exists()
    assert looks(agent.root) == before
    merged = next(event for event in done.events if event["type"] == "task_merged")
    assert merged["changed"] == ["greeting.txt"]


def test_the_same_settings_would_work_if_they_were_not_hidden(tmp_path: Path) -> None:
    """What the test above shows is worth something only if the trap is one."""
    agent, mark = RealAgent(tmp_path, REAL["claude-code"]), tmp_path / "mark"
    with trap() as evil, running(agent.fixtures("greeting.txt"), tmp_path) as mock:
        make_hostile(agent.root, evil, mark)
        variables = {**agent.antiphon.environment(), **agent.cli.environment(mock.origin)}
        subprocess.run(
            [agent.program, "-p", f"{JOB} please", "--permission-mode", "acceptEdits"],
            cwd=agent.root,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        heard = list(evil.heard)
    assert mark.exists()
    assert heard


@pytest.mark.parametrize(
    "name", ["claude-code", "codex", "opencode", "gemini-cli", "qwen-code", "copilot-cli", "cline"]
)
def test_a_refused_key_is_told_as_such(name: str, tmp_path: Path) -> None:
    agent = RealAgent(tmp_path, REAL[name])
    refused = {"error": {"message": "Invalid API key", "type": "authentication_error"}, "status": 401}
    with running(agent.fixtures("greeting.txt", refused), tmp_path) as mock:
        done = agent.run(mock)
    assert done.code == 1, done
    failed = [event for event in done.events if event["type"] == "attempt_failed"]
    assert "wants a login" in failed[0]["reason"], failed
    assert len(failed) == 1
    assert done.last["changes"]["files"] == 0


@CLIS
def test_a_write_into_the_workspace_itself_is_refused_or_found_out(name: str, tmp_path: Path) -> None:
    agent = RealAgent(tmp_path, REAL[name])
    stray = agent.root / "stray.txt"
    with running(agent.fixtures(str(stray)), tmp_path) as mock:
        done = agent.run(mock)
    assert done.last["changes"]["files"] == 0
    failed = [event["reason"] for event in done.events if event["type"] == "attempt_failed"]
    if stray.exists():
        assert done.code == 1, done
        assert "stray.txt" in failed[0]


@pytest.mark.parametrize(
    ("name", "tool"), [("claude-code", "Bash"), ("opencode", "bash"), ("copilot-cli", "bash")]
)
def test_a_command_is_not_run_and_its_refusal_is_told(name: str, tool: str, tmp_path: Path) -> None:
    agent, mark = RealAgent(tmp_path, REAL[name]), tmp_path / "mark"
    call = {
        "name": tool,
        "arguments": json.dumps({"command": f"touch '{mark}'", "description": "touches it"}),
    }
    with running(agent.fixtures("x", {"content": "I run.", "toolCalls": [call]}), tmp_path) as mock:
        done = agent.run(mock)
    assert not mark.exists()
    if name != "opencode":  # which takes the tool away, so that there is nothing to refuse
        finished = next(event for event in done.events if event["type"] == "tool_finished")
        assert finished["isError"], finished
        assert done.code == 1, done
        assert "it was not allowed" in done.last["reasons"][0]
