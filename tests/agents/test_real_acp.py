"""Real ACP agents, from their packages, pointed at a mock endpoint: an edit in a task tree becomes a reviewed hunk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestration.journal.data_dir import workspace_home
from tests.agents.clis import installed
from tests.agents.conftest import looks
from tests.agents.hostile import make_hostile, trap
from tests.agents.real_clis import GREETING, JOB, KEY, REAL
from tests.e2e.command_line import Antiphon, Finished
from tests.providers.aimock import Mock, running

USAGE = {
    "input_tokens": 120, "output_tokens": 9, "prompt_tokens": 120, "completion_tokens": 9, "total_tokens": 129,
    "promptTokenCount": 120, "candidatesTokenCount": 9, "totalTokenCount": 129,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RealAcp:
    """`package` of `clis`, `like` the CLI whose settings and tools it has, `shell` its tool that runs a command, with the
    arguments for one that needs a person's word, `words` after its program, `model` an id that its own default is not.
    """

    package: str
    like: str
    shell: str
    command: Mapping[str, Any]
    words: tuple[str, ...] = ()
    model: str = ""


OUTSIDE = "touch made-by-command > log"
AGENTS = {
    "claude": RealAcp(
        "claude-agent-acp", "claude-code", "Bash", {"command": OUTSIDE, "description": "Touches a file"}
    ),
    "codex": RealAcp(
        "codex-acp",
        "codex",
        "exec_command",
        {"cmd": OUTSIDE, "sandbox_permissions": "require_escalated", "justification": "I want it"},
    ),
    "opencode": RealAcp(
        "opencode", "opencode", "bash", {"command": OUTSIDE, "description": "Touches a file"}, ("acp",)
    ),
    "gemini": RealAcp(
        "gemini-cli",
        "gemini-cli",
        "run_shell_command",
        {"command": OUTSIDE},
        ("--acp", "--skip-trust"),
        "acp/gemini/gemini-2.5-pro",
    ),
    "qwen": RealAcp(
        "qwen-code",
        "qwen-code",
        "run_shell_command",
        {"command": OUTSIDE, "is_background": False},
        ("--acp",),
    ),
    "copilot": RealAcp(
        "copilot-cli",
        "copilot-cli",
        "bash",
        {"command": OUTSIDE, "description": "Touches a file"},
        ("--acp",),
    ),
}
EACH = pytest.mark.parametrize("name", list(AGENTS))


class Real:
    """An agent with a home of its own, and a workspace."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.acp = AGENTS[name]
        self.cli = REAL[self.acp.like]
        program = installed(self.acp.package)
        self.root = folder / "work"
        self.root.mkdir()
        (self.root / "README").write_text("A greeter.\n")
        self.antiphon = Antiphon(folder / "home")
        self.antiphon.environment()
        config = self.antiphon.home / ".config" / "antiphon" / "config.toml"
        config.parent.mkdir(parents=True)
        command = json.dumps([str(program), *self.acp.words])
        config.write_text(f'[agents.{name}]\nprotocol = "acp"\ncommand = {command}\n')

    def fixtures(self, *calls: dict[str, Any]) -> list[dict[str, Any]]:
        """What the model says: it calls the tools, then it is done."""
        begun = {"content": "I write.", "toolCalls": list(calls), "usage": USAGE}
        return [
            {"match": {"userMessage": JOB, "hasToolResult": False}, "response": begun},
            {
                "match": {"userMessage": JOB, "hasToolResult": True},
                "response": {"content": "I greeted.", "usage": USAGE},
            },
            {"match": {}, "response": {"content": "Greeting", "usage": USAGE}},  # a title of the session
        ]

    def writes(self) -> dict[str, Any]:
        data = self.antiphon.home / ".local" / "share" / "antiphon"
        checkout = workspace_home(self.root.resolve(), data).path / "checkouts" / "1" / "tree"
        return self.cli.writes(str(checkout / "greeting.txt"))

    def runs(self) -> dict[str, Any]:
        return {"name": self.acp.shell, "arguments": json.dumps(self.acp.command)}

    def run(self, mock: Mock) -> Finished:
        self.cli.prepare(self.antiphon.home, mock.origin, Path("unused"))
        self.antiphon.variables.update(self.cli.environment(mock.origin))
        model = self.acp.model or f"acp/{self.name}"
        words: list[str | Path] = [
            "run",
            f"{JOB}: write a greeting",
            "--model",
            model,
            "--workspace",
            self.root,
        ]
        return self.antiphon(*words, "--json", "--trust", "--approval", "auto", timeout=120)


def left_alive(home: Path) -> list[str]:
    """Programs that still run with this home, as far as the system tells."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            if f"HOME={home}".encode() in variables:
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@EACH
def test_an_edit_by_a_real_agent_is_a_hunk_that_is_accepted(name: str, tmp_path: Path) -> None:
    real = Real(tmp_path, name)
    before = looks(real.root)
    with running(real.fixtures(real.writes()), tmp_path) as mock:
        done = real.run(mock)
    assert done.code == 0, done
    assert looks(real.root) == before
    assert done.last["changes"] == {"files": 1, "hunks": 1, "added": 1, "removed": 0}
    assert KEY not in done.out
    events = {event["type"]: event for event in done.events}
    assert events["agent_session"]["session"]
    assert "greeting.txt" in events["tool_finished"]["subject"]
    assert events["task_merged"]["summary"].endswith("I greeted.")
    changes = real.antiphon("changes", "latest", "--workspace", real.root)
    assert "+" + GREETING.strip() in changes.out
    accepted = real.antiphon("accept", "latest", "--all", "--workspace", real.root)
    assert accepted.code == 0, accepted
    assert (real.root / "greeting.txt").read_text() == GREETING
    assert left_alive(real.antiphon.home) == []


@EACH
def test_a_command_that_nobody_can_allow_is_not_run(name: str, tmp_path: Path) -> None:
    real = Real(tmp_path, name)
    with running(real.fixtures(real.runs()), tmp_path) as mock:
        done = real.run(mock)
    assert done.code == 1, done
    finished = [event for event in done.events if event["type"] == "agent_finished"]
    assert finished[0]["denied"] == [OUTSIDE]
    assert "it was not allowed" in done.last["reasons"][0]
    assert not list(real.antiphon.home.rglob("made-by-command"))


@EACH
def test_hostile_settings_of_a_workspace_take_no_key_out_and_start_nothing(name: str, tmp_path: Path) -> None:
    real, mark = Real(tmp_path, name), tmp_path / "mark"
    with trap() as evil, running(real.fixtures(real.writes()), tmp_path) as mock:
        make_hostile(real.root, evil, mark)
        before = looks(real.root)
        done = real.run(mock)
        heard = list(evil.heard)
    assert done.code == 0, done
    assert heard == []
    assert not mark.exists()
    assert looks(real.root) == before
    merged = next(event for event in done.events if event["type"] == "task_merged")
    assert merged["changed"] == ["greeting.txt"]


REFUSED = {"error": {"message": "invalid x-api-key", "type": "authentication_error"}, "status": 401}


@EACH
def test_a_refused_key_is_a_login_that_is_wanted(name: str, tmp_path: Path) -> None:
    real = Real(tmp_path, name)
    with running([{"match": {}, "response": REFUSED}], tmp_path) as mock:
        done = real.run(mock)
    assert done.code == 1, done
    assert "wants a login" in done.last["reasons"][0]
    assert KEY not in done.out
