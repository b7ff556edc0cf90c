"""How each real ACP agent is pointed at a mock endpoint, and what the mock has it do."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from orchestration.journal.data_dir import workspace_home
from providers.agents.acp_description import load_acp
from tests.agents.clis import installed
from tests.agents.real_clis import JOB, REAL
from tests.e2e.command_line import PROGRAM, Antiphon, Finished
from tests.providers.aimock import Mock

USAGE = {
    "input_tokens": 120, "output_tokens": 9, "prompt_tokens": 120, "completion_tokens": 9, "total_tokens": 129,
    "promptTokenCount": 120, "candidatesTokenCount": 9, "totalTokenCount": 129,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RealAcp:
    """`package` of `clis`, `like` the CLI whose settings and tools it has, `shell` its tool that runs a command, with the
    arguments for one that needs a person's word, `model` an id that its own default is not.
    """

    package: str
    like: str
    shell: str
    command: Mapping[str, Any]
    model: str = ""


OUTSIDE = "touch made-by-command > log"
TOUCH = {"command": OUTSIDE, "description": "Touches a file"}
ESCALATED = {"cmd": OUTSIDE, "sandbox_permissions": "require_escalated", "justification": "I want it"}
AGENTS = {
    "claude": RealAcp("claude-agent-acp", "claude-code", "Bash", TOUCH),
    "codex": RealAcp("codex-acp", "codex", "exec_command", ESCALATED),
    "opencode": RealAcp("opencode", "opencode", "bash", TOUCH),
    "gemini": RealAcp(
        "gemini-cli", "gemini-cli", "run_shell_command", {"command": OUTSIDE}, "acp/gemini/gemini-2.5-pro"
    ),
    "qwen": RealAcp(
        "qwen-code", "qwen-code", "run_shell_command", {"command": OUTSIDE, "is_background": False}
    ),
    "copilot": RealAcp("copilot-cli", "copilot-cli", "bash", TOUCH),
}


DESCRIBED = {name: load_acp({}, "")[f"acp/{name}"] for name in AGENTS}


class Real:
    """An agent with a home of its own, and a workspace."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.acp = AGENTS[name]
        self.cli = REAL[self.acp.like]
        self.program = installed(self.acp.package)
        self.root = folder / "work"
        self.root.mkdir()
        (self.root / "README").write_text("A greeter.\n")
        self.antiphon = Antiphon(folder / "home")
        self.antiphon.environment()
        config = self.antiphon.home / ".config" / "antiphon" / "config.toml"
        config.parent.mkdir(parents=True)
        self.description = msgspec.structs.replace(
            DESCRIBED[name], command=(str(self.program), *DESCRIBED[name].command[1:])
        )
        command = json.dumps(self.description.command)
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

    def prepare(self, mock: Mock) -> list[str | Path]:
        """Points the agent at the mock; the words of a run."""
        self.cli.prepare(self.antiphon.home, mock.origin, self.program)
        self.antiphon.variables.update(self.cli.environment(mock.origin))
        model = self.acp.model or f"acp/{self.name}"
        words: list[str | Path] = ["run", f"{JOB}: write a greeting", "--model", model, "--json"]
        return [*words, "--workspace", self.root, "--trust", "--approval", "auto"]

    def run(self, mock: Mock) -> Finished:
        return self.antiphon(*self.prepare(mock), timeout=120)

    def started(self, mock: Mock) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(PROGRAM), *map(str, self.prepare(mock))],
            cwd=self.antiphon.home,
            env=self.antiphon.environment(),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )


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
