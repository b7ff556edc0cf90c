"""Open files that a decision deletes or renames: the editor does it, and its buffer goes along."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Script, Serve, plan, work
from tests.server.lsp_client import CAPABILITIES, Editor, LspClient, LspError
from tests.server.reviewed import TEXT

pytestmark = pytest.mark.timeout(120)
ABLE: dict[str, Any] = {
    **CAPABILITIES,
    "workspace": {
        **CAPABILITIES["workspace"],
        "workspaceEdit": {
            "documentChanges": True,
            "resourceOperations": ["create", "rename", "delete"],
            "changeAnnotationSupport": {},
        },
    },
}
NEW = "sub/n w.txt"


class Files:
    """A finished run that deletes `gone.txt` and renames `old.txt`; both are open."""

    def __init__(self, client: LspClient, workspace: Path) -> None:
        self.client = client
        self.workspace = workspace
        self.editor = Editor(client)
        self.gone = self.editor.open(workspace / "gone.txt")
        self.old = self.editor.open(workspace / "old.txt")
        self.new = self.old.replace("old.txt", "sub/n%20w.txt")
        self.run = client.command("run.start", {"goal": "edit"})["runId"]
        client.request("antiphon/run/subscribe", {"runId": self.run})
        client.wait_for("antiphon/event", lambda p: p["type"] == "run_finished")

    def decide(self, path: str) -> dict[str, str]:
        reply = self.client.command("changes.decide", {"runId": self.run, "decision": "accept", "path": path})
        return {item["path"]: item["outcome"] for item in reply["files"]}

    def refused(self, path: str) -> LspError:
        with pytest.raises(LspError) as caught:
            self.decide(path)
        return caught.value

    def states(self) -> dict[str, list[str]]:
        view = self.client.request("antiphon/changes/read", {"runId": self.run})
        return {file["path"]: [hunk["state"] for hunk in file["hunks"]] for file in view["files"]}

    def names(self) -> set[str]:
        return {str(path.relative_to(self.workspace)) for path in self.workspace.rglob("*.txt")}


@pytest.fixture
def files(serve: Serve, workspace: Path, script: Script) -> Callable[..., Files]:
    def make(capabilities: dict[str, Any] = ABLE) -> Files:
        (workspace / "gone.txt").write_text("gone\n")
        (workspace / "old.txt").write_text(TEXT)
        rules = [
            plan({"id": "one"}),
            work(
                "one",
                ("delete_file", {"path": "gone.txt"}),
                ("move_file", {"path": "old.txt", "to": NEW}),
            ),
        ]
        client = serve()
        client.initialize(workspace, options={"settings": script(rules)}, capabilities=capabilities)
        return Files(client, workspace)

    return make


MakeFiles = Callable[..., Files]


def operations(made: Files) -> list[str]:
    return [
        change.get("kind", "edit")
        for params in made.editor.edits
        for change in params["edit"]["documentChanges"]
    ]


def test_a_deleted_file_and_its_buffer(files: MakeFiles) -> None:
    made = files()
    assert made.decide("gone.txt") == {"gone.txt": "written"}
    assert made.names() == {"old.txt"}
    assert made.gone not in made.editor.documents
    assert operations(made) == ["delete"]
    [annotation] = made.editor.edits[0]["edit"]["changeAnnotations"].values()
    assert annotation["needsConfirmation"] is False
    made.client.command("changes.undo", {"runId": made.run})
    assert (made.workspace / "gone.txt").read_text() == "gone\n"
    made.client.close()


def test_a_renamed_file_and_its_buffer(files: MakeFiles) -> None:
    made = files()
    assert made.decide(NEW) == {NEW: "written", "old.txt": "written"}
    assert made.names() == {"gone.txt", NEW}
    assert operations(made) == ["rename"]
    assert made.editor.text(made.new) == TEXT
    # Undone, it is back under its old name, with the same buffer.
    made.client.command("changes.undo", {"runId": made.run})
    assert made.names() == {"gone.txt", "old.txt"}
    assert made.editor.text(made.old) == TEXT
    assert operations(made) == ["rename", "rename"]
    made.client.close()


def test_unsaved_text_is_never_lost(files: MakeFiles) -> None:
    made = files()
    made.editor.edit(made.old, (30, 0), (30, 0), "unsaved ")
    assert "unsaved changes" in made.refused(NEW).message
    assert made.names() == {"gone.txt", "old.txt"}
    assert made.editor.edits == []
    made.editor.save(made.old)
    made.decide(NEW)
    assert made.names() == {"gone.txt", NEW}
    assert "unsaved " in made.editor.text(made.new)
    made.client.close()


def test_an_editor_that_refuses(files: MakeFiles) -> None:
    made = files()
    made.editor.on_apply = lambda _: {"applied": False, "failureReason": "read-only"}
    for path in made.states():
        assert "read-only" in made.refused(path).message
    assert made.names() == {"gone.txt", "old.txt"}
    assert {state for states in made.states().values() for state in states} == {"proposed"}
    made.editor.on_apply = lambda _: None
    made.decide("gone.txt")
    assert made.names() == {"old.txt"}
    made.client.close()


def test_an_editor_that_says_done_and_did_nothing(files: MakeFiles) -> None:
    made = files()
    made.editor.on_apply = lambda _: {"applied": True}
    assert "but it is there" in made.refused("gone.txt").message
    assert made.names() == {"gone.txt", "old.txt"}
    made.client.close()


def test_a_new_name_that_is_taken(files: MakeFiles) -> None:
    made = files()
    (made.workspace / "sub").mkdir()
    (made.workspace / NEW).write_text("mine\n")
    assert f"{NEW} exists now" in made.refused(NEW).message
    assert (made.workspace / NEW).read_text() == "mine\n"
    made.client.close()


def test_a_new_name_outside(files: MakeFiles, tmp_path: Path) -> None:
    """The folder became a link to elsewhere after the proposal."""
    made = files()
    outside = tmp_path / "outside"
    outside.mkdir()
    (made.workspace / "sub").symlink_to(outside)
    made.refused(NEW)
    assert list(outside.iterdir()) == []
    assert made.names() == {"gone.txt", "old.txt"}
    made.client.close()


def test_without_resource_operations_the_disk_changes(files: MakeFiles) -> None:
    made = files(CAPABILITIES)
    assert made.decide("gone.txt") == {"gone.txt": "written"}
    assert made.decide(NEW) == {NEW: "written", "old.txt": "written"}
    assert made.names() == {NEW}
    assert (made.workspace / NEW).read_text() == TEXT
    assert made.editor.edits == []
    made.client.close()
