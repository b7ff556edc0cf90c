import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import Antiphon, Finished

FAKE = Path(__file__).with_name("fake_cli.py")
Step = dict[str, Any]
DONE: Step = {"say": {"type": "end", "ok": True, "result": "I wrote it."}}

DESCRIPTION = """
[agents.fake]
program = "{python}"
argv = ["{script}", "{steps}", "{{model}}", "{{session}}", "{{budget}}"]
budget = ["--usd", "{{budget}}"]
prompt = "stdin"
model = ["--model", "{{model}}"]
session = ["--resume", "{{session}}"]
environment = ["FAKE_*"]
own_files = [".fake", "fake.json", "conf/own"]
needs_end = true
reports_cost = true
{more}

[[agents.fake.events]]
kind = "session"
when = {{ type = "start" }}
session = "id"

[[agents.fake.events]]
kind = "text"
when = {{ type = "text" }}
text = "text"

[[agents.fake.events]]
kind = "tool"
when = {{ type = "tool" }}
tool = "name"
subject = "path"
call = "id"

[[agents.fake.events]]
kind = "tool_result"
when = {{ type = "result" }}
call = "id"
text = "text"
error = {{ bad = true }}

[[agents.fake.events]]
kind = "usage"
when = {{ type = "usage" }}
usage = {{ input = ["in"], output = ["out"], cost = ["usd"] }}

[[agents.fake.events]]
kind = "denied"
when = {{ type = "denied" }}
text = "what"

[[agents.fake.events]]
kind = "end"
when = {{ type = "end" }}
text = "result"
failed = {{ ok = false }}
"""


class FakeAgent:
    """The command line with a scripted agent configured as `fake`, and a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "work"
        self.root.mkdir()
        (self.root / "calc.py").write_text("def add(a, b):\n    return a - b\n")
        (self.root / "README").write_text("A calculator.\n")
        self.antiphon = Antiphon(folder / "home", {"FAKE_TOKEN": "very-secret-token"})
        self._file = folder / "steps.json"
        self.describe()

    def describe(self, more: str = "") -> None:
        file = self.antiphon.home / ".config" / "antiphon" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(DESCRIPTION.format(python=sys.executable, script=FAKE, steps=self._file, more=more))

    def does(self, *steps: Step) -> None:
        self._file.write_text(json.dumps(steps))

    def run(self, *more: str, goal: str = "Mend add", trust: bool = True, timeout: float = 60) -> Finished:
        words = ["run", goal, "--model", "fake", "--json", "--workspace", str(self.root), *more]
        words += ["--trust", "--approval", "auto"] if trust else []
        return self.antiphon(*words, timeout=timeout)

    def changes(self) -> str:
        return self.antiphon("changes", "latest", "--workspace", self.root).out

    def noted(self, name: str = "note") -> Mapping[str, Any]:
        return dict(json.loads((self.folder / name).read_text()))

    @property
    def note(self) -> Step:
        return {"note": str(self.folder / "note")}

    def looks(self) -> Mapping[str, tuple[str, float]]:
        """Every file of the workspace: content and time."""
        return looks(self.root)


def looks(folder: Path) -> Mapping[str, tuple[str, float]]:
    found = {}
    for place, _, files in os.walk(folder):
        for name in files:
            path = Path(place, name)
            found[str(path)] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime)
    return found


@pytest.fixture
def fake(tmp_path: Path) -> FakeAgent:
    return FakeAgent(tmp_path)


@pytest.fixture
def kinds() -> Callable[[Finished], list[str]]:
    """The types of a run's events, in order."""
    return lambda done: [event["type"] for event in done.events]
