"""A workspace, a scripted model and a Neovim over both."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.neovim.editor import Neovim

Rule = dict[str, Any]
Call = tuple[str, dict[str, Any]]

DISHES = [f"dish {number:02} 🍜" for number in range(30)]
SHOP = 'import json\n\n\ndef prices() -> str:\n    return json.dumps({"soup": 4})\n'


def crlf(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


class Project:
    """`folder` holds the workspace, the editor's home and the script, which may be written anew for each run
    of an editor that has not started yet.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "work space"
        self.root.mkdir()
        self.home = folder / "home"
        self._scripts = folder / "scripts"
        self._scripts.mkdir()

    def write(self, path: str, content: bytes | str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def script(self, *rules: Rule) -> None:
        # YAML reads JSON, but not its surrogate escapes.
        text = json.dumps(rules, ensure_ascii=False)
        (self._scripts / "script.yaml").write_text(text, "utf-8")

    def neovim(self, variables: Mapping[str, str] | None = None) -> Neovim:
        settings = {
            "ANTIPHON_MODEL": "scripted/script",
            "ANTIPHON_PROVIDERS_SCRIPTED_SCRIPTS": str(self._scripts),
            "ANTIPHON_APPROVAL": "auto",
        }
        return Neovim(self.home, self.root, variables=settings | dict(variables or {}))


def says(*calls: Call, delay_s: float = 0.0, **match: Any) -> Rule:
    """A model call that matches is answered by these tool calls."""
    tools = [{"name": name, "arguments": arguments} for name, arguments in calls]
    return {"match": match, "answer": {"tool_calls": tools, "delay_s": delay_s}}


def plan(goal: str, *tasks: str, delay_s: float = 0.0) -> Rule:
    """What the planner answers to `goal`: independent tasks by their ids."""
    specs = [
        {"id": task, "title": f"See to {task}", "role": "coder", "instructions": f"Do what {task} needs."}
        for task in tasks
    ]
    return says(("submit_plan", {"tasks": specs}), delay_s=delay_s, role="lead", text=goal)


def edit(path: str, *edits: tuple[str, str]) -> Call:
    """The call that replaces texts of a file."""
    blocks = [{"search": search, "replace": replace} for search, replace in edits]
    return ("edit_file", {"path": path, "edits": blocks})


def works(task: str, calls: Sequence[Call], *, delay_s: float = 0.0) -> tuple[Rule, Rule]:
    """A task that makes these calls in its first turn and finishes in its second."""
    return (
        says(*calls, delay_s=delay_s, task=task, turn=1),
        says(("finish", {"summary": f"{task} is done"}), delay_s=delay_s, task=task, turn=2),
    )


def hangs(task: str) -> Rule:
    """A model call that never ends by itself."""
    return {"match": {"task": task}, "fault": {"kind": "hang"}}
