"""A server process for each test, over a home and a workspace of its own, with scripted models."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.lsp_client import LspClient
from tests.server.reviewed import EDITS, TEXT, Review

MODEL = "scripted/any"
Serve = Callable[..., LspClient]
Script = Callable[[list[dict[str, Any]]], dict[str, Any]]
MakeReview = Callable[..., Review]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def serve(home: Path) -> Iterator[Serve]:
    """Starts a server; ended at the end of the test, whatever happened."""
    started: list[LspClient] = []

    def start(**options: Any) -> LspClient:
        client = LspClient(home, **options)
        started.append(client)
        return client

    yield start
    for client in started:
        client.kill()


@pytest.fixture
def script(home: Path) -> Script:
    """Writes the rules of the scripted provider; gives the settings that use them."""

    def write(rules: list[dict[str, Any]]) -> dict[str, Any]:
        home.mkdir(parents=True, exist_ok=True)
        file = home / "any.yaml"
        file.write_text(json.dumps(rules, ensure_ascii=False))
        return {"model": MODEL, "providers": {"scripted": {"scripts": str(file)}}}

    return write


def calls(*tools: tuple[str, dict[str, Any]], text: str = "") -> dict[str, Any]:
    """A scripted answer with tool calls."""
    return {"text": text, "tool_calls": [{"name": name, "arguments": arguments} for name, arguments in tools]}


def plan(*tasks: dict[str, Any]) -> dict[str, Any]:
    """The rule that answers the planner."""
    complete = [
        {"role": "coder", "instructions": f"do {task['id']}", "title": task["id"], **task} for task in tasks
    ]
    return {"match": {"role": "lead"}, "answer": calls(("submit_plan", {"tasks": complete}))}


def work(task: str, *tools: tuple[str, dict[str, Any]], **match: Any) -> dict[str, Any]:
    """The rules of a task that makes these calls and finishes."""
    return {
        "match": {"task": task, **match},
        "answer": calls(*tools, ("finish", {"summary": f"{task} is done"})),
    }


@pytest.fixture
def review(serve: Serve, workspace: Path, script: Script) -> MakeReview:
    def make(
        text: str = TEXT,
        edits: list[dict[str, str]] | None = None,
        *,
        capabilities: dict[str, Any] | None = None,
        name: str = "a.txt",
        delay_s: float = 0.0,
    ) -> Review:
        chosen = EDITS if edits is None else edits
        rules = [plan({"id": "one"}), work("one", ("edit_file", {"path": name, "edits": chosen}))]
        client = serve()
        client.initialize(workspace, options={"settings": script(rules)}, capabilities=capabilities)
        made = Review(client, workspace / name, chosen, delay_s=delay_s)
        made.begin(text)
        return made

    return make
