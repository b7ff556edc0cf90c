"""The twenty exercises through the language server: raw messages over its pipes, the real model wire.

Three documents are open with unsaved edits all the while. They are part of the base, accepted hunks reach
them as versioned edits, and everything else is written to disk.
"""

import codecs
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.to_lsp import uri_of
from tests.e2e.test_exercises_run import every_byte, git
from tests.exercises_test_support import run_exercise
from tests.model_server import ModelServer, Solver
from tests.model_server.exercises import copy_exercises, load_exercises
from tests.model_server.solver import NEVER, WRONG_FIRST
from tests.server.lsp_client import Editor, LspClient

MARK = "# typed, not saved"
OPEN = {
    "mood-weather/mood_weather.py": ("", "\n"),
    "museum-labels/museum_labels.py": ("", "\r\n"),
    "seed-packets/seed_packets.py": ("\ufeff", "\n"),
}
"""What is open in the editor: byte order mark and line ending, both of which the files' own tests insist on."""


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer(Solver(), api_key="test-key") as running:
        yield running


@pytest.fixture
def client(tmp_path: Path, model: ModelServer, python_with_pytest: Path) -> Iterator[LspClient]:
    home = tmp_path / "home"
    variables = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "test-key"}
    variables["VIRTUAL_ENV"] = str(python_with_pytest.parent.parent)
    client = LspClient(home, variables=variables)
    yield client
    client.kill()


def events(client: LspClient, run_id: str) -> list[dict[str, Any]]:
    """The state events that a subscription sent."""
    found = client.all("antiphon/event")
    return [event for event in found if event["runId"] == run_id and event["type"] != "delta"]


@pytest.mark.timeout(200)
def test_twenty_tasks_over_stdio(tmp_path: Path, client: LspClient, model: ModelServer) -> None:
    workspace = tmp_path / "work space"
    copy_exercises(workspace)
    git(workspace, "init", "-q", "-b", "main")
    git(workspace, "add", "-A")
    git(workspace, "commit", "-qm", "start")
    before = every_byte(workspace)
    settings = {"model": "openai/test-model", "approval": "auto", "maxParallel": 8}
    client.initialize(workspace, options={"trusted": True, "settings": settings})
    editor = Editor(client, delay_s=0.15)
    uris = {path: uri_of(workspace / path) for path in OPEN}
    for path, (bom, ending) in OPEN.items():
        text = (workspace / path).read_bytes().decode().removeprefix(bom)
        editor.open(workspace / path, text)
        end = (text.count("\n"), 0)
        editor.edit(uris[path], end, end, f"{MARK}{ending}")

    goal = {"goal": "Solve the exercises", "root": uri_of(workspace), "idempotencyKey": "once"}
    run_id = client.request("antiphon/run/start", goal)["runId"]
    assert client.request("antiphon/run/start", goal)["runId"] == run_id
    client.request("antiphon/run/subscribe", {"runId": run_id, "afterSeq": 0})
    finished = client.wait_for("antiphon/event", lambda event: event["type"] == "run_finished", 150)

    # Every state event, in order, none twice; and again for who asks later.
    seen = events(client, run_id)
    assert [event["seq"] for event in seen] == list(range(1, finished["seq"] + 1))
    middle = finished["seq"] // 2
    client.request("antiphon/run/subscribe", {"runId": run_id, "afterSeq": middle})
    client.until(
        lambda: len(events(client, run_id)) == len(seen) + len(seen) - middle, 30, "the events again"
    )
    assert events(client, run_id)[len(seen) :] == seen[middle:]

    by_name = {exercise.name: exercise for exercise in load_exercises()}
    assert finished["state"] == "partial"
    dead = {event["taskId"]: event["reason"] for event in seen if event["type"] == "task_dead"}
    assert finished["tasks"] == {"merged": 18, "dead": 2}, dead
    assert finished["exitCode"] == 1
    assert 1 < model.records.most_open <= 8
    [taken] = [event for event in seen if event["type"] == "snapshot_taken"]
    assert sorted(taken["dirty"]) == sorted(OPEN)
    assert set(dead) == {by_name[name].task_id for name in NEVER}
    feedback = {event["taskId"]: event["feedback"] for event in seen if event["type"] == "attempt_failed"}
    for name in (*NEVER, *WRONG_FIRST):
        assert f"{name}/" in feedback[by_name[name].task_id], name
    for name in NEVER:
        assert any(test in dead[by_name[name].task_id] for test in by_name[name].tests), dead
    assert every_byte(workspace) == before, "nothing is written before a decision"

    versions = {uri: document.version for uri, document in editor.documents.items()}
    changes = client.request("antiphon/changes/read", {"runId": run_id})
    paths = {file["path"] for file in changes["files"]}
    assert paths >= set(OPEN)
    reply = client.request("antiphon/changes/decide", {"runId": run_id, "all": True, "decision": "accept"})
    outcomes = {item["path"]: item["outcome"] for item in reply["files"]}
    assert {path for path, outcome in outcomes.items() if outcome == "seen"} == set(OPEN)
    assert set(outcomes.values()) == {"seen", "written"}

    # Open documents: one versioned edit each, around what was typed, and not a byte of theirs on disk.
    sent = [edit["edit"]["documentChanges"] for edit in editor.edits]
    documents = [change["textDocument"] for changes in sent for change in changes]
    assert {document["uri"]: document["version"] for document in documents} == versions
    for path, (bom, ending) in OPEN.items():
        exercise, name = by_name[path.partition("/")[0]], path.partition("/")[2]
        solved = exercise.solution[name].decode().removeprefix(bom)
        assert editor.text(uris[path]) == f"{solved}{MARK}{ending}"
        assert every_byte(workspace)[path] == before[path]
    states = {hunk["state"] for file in _read(client, run_id) for hunk in file["hunks"]}
    assert states == {"accepted"}

    for path, (bom, _) in OPEN.items():
        mark = codecs.BOM_UTF8 if bom else b""
        (workspace / path).write_bytes(mark + editor.text(uris[path]).encode())
        client.notify("textDocument/didSave", {"textDocument": {"uri": uris[path]}})
    for name in ("mood-weather", "museum-labels", "seed-packets", "unit-shim", "ferry-ledger"):
        done = run_exercise(by_name[name], workspace)
        assert done.passed, done.output
    after = every_byte(workspace)
    assert {path: after.get(path) for path in before if path.startswith(".git/")} == {
        path: content for path, content in before.items() if path.startswith(".git/")
    }
    assert git(workspace, "diff", "--cached", "--name-only") == ""

    health = client.request("antiphon/health")
    assert health["queues"]["progressTokens"] == 0
    # Only the guardian, which would end what an ended server left behind, and which ends with it.
    assert [child["command"] for child in health["children"]] in ([], ["sh"])
    client.close()
    for child in health["children"]:
        with pytest.raises(ProcessLookupError):
            os.kill(child["pid"], 0)


def _read(client: LspClient, run_id: str) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = client.request("antiphon/changes/read", {"runId": run_id})["files"]
    return files
