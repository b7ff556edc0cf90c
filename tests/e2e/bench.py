"""A workspace, a model behind the real wire that does as it is told, and the program's commands on both."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.e2e.command_line import PROGRAM, Antiphon, Finished
from tests.e2e.told_model import Told
from tests.model_server import ModelServer, ToolCall
from tests.model_server.requests import Records

MODEL = "openai/test-model"


def edit(path: str, search: str, replace: str) -> ToolCall:
    return ToolCall("edit_file", {"path": path, "edits": [{"search": search, "replace": replace}]})


def write(path: str, content: str) -> ToolCall:
    return ToolCall("write_file", {"path": path, "content": content})


def command(line: str) -> ToolCall:
    return ToolCall("run_command", {"command": line})


def task(title: str, **more: Any) -> dict[str, Any]:
    """A task of a plan; its id is its title in small letters."""
    return {
        "id": title.lower().replace(" ", "-"),
        "title": title,
        "instructions": f"{title}, please.",
        **more,
    }


@dataclass
class Bench:
    antiphon: Antiphon
    workspace: Path
    model: Told
    server: ModelServer

    @property
    def records(self) -> Records:
        return self.server.records

    @property
    def data(self) -> Path:
        """Where journal, snapshots and logs are."""
        return self.antiphon.home / ".local" / "share" / "antiphon"

    def __call__(self, name: str, *words: str | Path, timeout: float = 120) -> Finished:
        return self.antiphon(name, *words, "--workspace", self.workspace, timeout=timeout)

    def plan(self, *tasks: Mapping[str, Any] | str) -> Path:
        """A plan file; a task that is only a title is `task(title)`."""
        file = self.antiphon.home / "plan.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        complete = [task(item) if isinstance(item, str) else dict(item) for item in tasks]
        file.write_text(json.dumps({"goal": "As planned", "tasks": complete}))
        return file

    def words(self, plan: Path, *more: str | Path) -> list[str | Path]:
        """The command line of a run, trusted and unattended."""
        fixed = ("--model", MODEL, "--trust", "--approval", "auto", "--json", "--workspace", self.workspace)
        return ["run", "--plan-file", plan, *fixed, *more]

    def run(self, *tasks: Mapping[str, Any] | str, more: Sequence[str | Path] = ()) -> Finished:
        return self.antiphon(*self.words(self.plan(*tasks), *more))

    def begin(self, *words: str | Path) -> "subprocess.Popen[str]":
        """A command in a session of its own that goes on meanwhile, with pipes."""
        return subprocess.Popen(
            [str(PROGRAM), *map(str, words)],
            cwd=self.antiphon.home,
            env=self.antiphon.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def until(output: IO[str] | None, kind: str, **fields: Any) -> dict[str, Any]:
    """Reads events of a run until one is of this kind with these fields."""
    assert output is not None
    for line in output:
        event: dict[str, Any] = json.loads(line)
        if event["type"] == kind and all(event.get(name) == value for name, value in fields.items()):
            return event
    raise AssertionError(f"no {kind} {fields} came")
