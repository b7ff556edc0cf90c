"""How each real CLI is pointed at a mock endpoint by its own settings, and what the mock has it do."""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

JOB = "GREETJOB"
KEY = "key-of-the-user-4711"
GREETING = "Hello from the agent.\n"

Prepare = Callable[[Path, str, Path], None]


def nothing(home: Path, origin: str, program: Path) -> None:
    del home, origin, program


def codex_config(home: Path, origin: str, program: Path) -> None:
    del program
    _write(
        home / ".codex" / "config.toml",
        'model = "mock-model"\nmodel_provider = "mock"\n[model_providers.mock]\nname = "mock"\n'
        f'base_url = "{origin}/v1"\nwire_api = "responses"\nenv_key = "OPENAI_API_KEY"\n'
        "request_max_retries = 0\nstream_max_retries = 0\n",
    )


def opencode_config(home: Path, origin: str, program: Path) -> None:
    del program
    model = {"cost": {"input": 1, "output": 2}, "limit": {"context": 100_000, "output": 4_000}}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{origin}/v1", "apiKey": KEY},
        "models": {"m": model},
    }
    config = {"model": "mock/m", "provider": {"mock": provider}, "autoupdate": False, "share": "disabled"}
    _write(home / ".config" / "opencode" / "opencode.json", json.dumps(config))


def gemini_settings(home: Path, origin: str, program: Path) -> None:
    del origin, program
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
    }
    _write(home / ".gemini" / "settings.json", json.dumps(settings))


def qwen_settings(home: Path, origin: str, program: Path) -> None:
    del origin, program
    _write(home / ".qwen" / "settings.json", json.dumps({"security": {"auth": {"selectedType": "openai"}}}))


def cline_login(home: Path, origin: str, program: Path) -> None:
    argv = [str(program), "auth", "-p", "openai", "-k", KEY, "-b", f"{origin}/v1", "-m", "m"]
    environment = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    subprocess.run(
        argv, env=environment, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@dataclass(frozen=True, slots=True)
class RealCli:
    """`model` is its id in Antiphon. `tool`: what it calls writing a file, and the names of path and text.
    `absolute`: it wants the whole path. `variables` hold the endpoint where `{origin}` stands.
    """

    model: str
    tool: str
    path: str
    text: str
    variables: Mapping[str, str] = field(default_factory=dict)
    prepare: Prepare = nothing
    absolute: bool = False
    more: str = ""

    @property
    def agent(self) -> str:
        return self.model.partition("/")[0]

    def environment(self, origin: str) -> dict[str, str]:
        return {name: value.replace("{origin}", origin) for name, value in self.variables.items()}

    def writes(self, path: str, text: str = GREETING) -> dict[str, Any]:
        """The tool call by which it writes a file."""
        if self.agent == "codex":
            return {"name": self.tool, "arguments": json.dumps({"cmd": f"printf '{text}' > {path}"})}
        return {"name": self.tool, "arguments": json.dumps({self.path: path, self.text: text})}


REAL = {
    cli.agent: cli
    for cli in (
        RealCli(
            "claude-code",
            "Write",
            "file_path",
            "content",
            {"ANTHROPIC_BASE_URL": "{origin}", "ANTHROPIC_API_KEY": KEY, "CLAUDE_CODE_MAX_RETRIES": "0"},
        ),
        RealCli("codex", "exec_command", "", "cmd", {"OPENAI_API_KEY": KEY}, codex_config),
        RealCli("opencode", "write", "filePath", "content", {}, opencode_config),
        RealCli(
            "gemini-cli/gemini-2.5-pro",
            "write_file",
            "file_path",
            "content",
            {"GOOGLE_GEMINI_BASE_URL": "{origin}", "GEMINI_API_KEY": KEY},
            gemini_settings,
        ),
        RealCli(
            "qwen-code/m",
            "write_file",
            "file_path",
            "content",
            {"OPENAI_BASE_URL": "{origin}/v1", "OPENAI_API_KEY": KEY},
            qwen_settings,
            absolute=True,
        ),
        RealCli(
            "copilot-cli/m",
            "create",
            "path",
            "file_text",
            {
                "COPILOT_OFFLINE": "true",
                "COPILOT_PROVIDER_BASE_URL": "{origin}/v1",
                "COPILOT_PROVIDER_API_KEY": KEY,
                "COPILOT_MODEL": "m",
            },
        ),
        RealCli("cline", "editor", "path", "new_text", {}, cline_login, more="auto = true"),
    )
}
