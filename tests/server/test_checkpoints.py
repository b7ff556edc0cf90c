"""Checkpoints in an editor: unsaved text is in them, and restoring goes through the buffers it concerns."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.orchestration.test_checkpoints_hard import program as hard_restore
from tests.orchestration.test_engine import Bench, run, says, task, writes
from tests.server.conftest import MakeReview, Serve
from tests.server.lsp_client import CAPABILITIES, PROGRAM, LspError, environment
from tests.server.reviewed import TEXT, Review

pytestmark = pytest.mark.timeout(120)
Restore = Callable[..., Any]


def listed(made: Review) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.client.command("checkpoint.list", {"runId": made.run})["checkpoints"]
    return found


def restore(made: Review, number: int, *paths: str) -> Any:
    params: dict[str, Any] = {"checkpointId": f"{made.run}.{number}"}
    return made.client.command("checkpoint.restore", params | ({"paths": list(paths)} if paths else {}))


def accept_all(made: Review) -> Any:
    return made.client.command("changes.decide", {"runId": made.run, "decision": "accept", "all": True})


def test_an_open_document_is_restored_in_the_editor_and_the_editor_can_undo_it(review: MakeReview) -> None:
    made = review()
    reply = accept_all(made)
    assert reply["checkpointId"] == f"{made.run}.1"
    accepted = made.text
    reply = restore(made, 0)
    assert reply["files"] == [{"path": "a.txt", "outcome": "seen"}]
    assert made.text == TEXT
    (_, edit) = made.editor.edits
    assert edit["label"] == "Antiphon: restore"
    assert all("version" in change["textDocument"] for change in edit["edit"]["documentChanges"])
    assert made.path.read_text() == TEXT, "what was never saved was not on the disk"
    restore(made, int(reply["checkpointId"].rpartition(".")[2]))
    assert made.text == accepted
    assert [one["before"] for one in listed(made)] == ["restore", "restore", "accept", "run"]
    made.client.close()


def test_unsaved_text_is_in_the_checkpoint_of_a_decision(review: MakeReview) -> None:
    made = review()
    made.editor.edit(made.uri, (0, 0), (0, 0), "typed, not saved\n")
    accept_all(made)
    made.editor.replace(made.uri, "everything is gone\n")
    shown = made.client.request("antiphon/checkpoint/diff", {"checkpointId": f"{made.run}.1"})
    assert [(file["path"], file["kind"]) for file in shown["files"]] == [("a.txt", "modify")]
    assert "-everything is gone\n+typed, not saved\n+line 0\n" in shown["diff"]
    restore(made, 1)
    assert made.text == "typed, not saved\n" + TEXT
    made.client.close()


def test_other_files_are_written_on_the_disk(review: MakeReview, workspace: Path) -> None:
    (workspace / "other.bin").write_bytes(b"\x00\xff\r\n")
    made = review()
    (workspace / "other.bin").unlink()
    (workspace / "came.txt").write_text("came\n")
    reply = restore(made, 0)
    assert reply["files"] == [
        {"path": "came.txt", "outcome": "written"},
        {"path": "other.bin", "outcome": "written"},
    ]
    assert (workspace / "other.bin").read_bytes() == b"\x00\xff\r\n"
    assert not (workspace / "came.txt").exists()
    made.client.close()


def test_a_file_that_is_edited_at_that_moment_is_left_and_reported(
    review: MakeReview, workspace: Path
) -> None:
    (workspace / "other.txt").write_text("before\n")
    made = review()
    (workspace / "other.txt").write_text("after\n")
    made.editor.replace(made.uri, "mine\n")

    def type_first(_: Any) -> None:
        made.editor.edit(made.uri, (0, 0), (0, 0), "typed meanwhile\n")

    made.editor.on_apply = type_first
    with pytest.raises(LspError) as caught:
        restore(made, 0)
    assert caught.value.data["kind"] == "ConflictError"
    assert caught.value.data["checkpointId"] == f"{made.run}.1"
    outcomes = {file["path"]: file["outcome"] for file in caught.value.data["files"]}
    assert outcomes == {"a.txt": "conflict", "other.txt": "written"}
    assert made.text == "typed meanwhile\nmine\n"
    assert listed(made)[0]["failed"][0]["path"] == "a.txt"
    made.editor.on_apply = lambda _: None
    restore(made, 0)
    assert made.text == TEXT
    made.client.close()


def test_an_unsaved_new_document_is_kept(review: MakeReview, workspace: Path) -> None:
    made = review()
    uri = made.editor.open(workspace / "new.txt", "")
    made.editor.edit(uri, (0, 0), (0, 0), "only in the editor\n")
    with pytest.raises(LspError) as caught:
        restore(made, 0)
    (file,) = caught.value.data["files"]
    assert (file["path"], file["outcome"]) == ("new.txt", "conflict")
    assert "unsaved changes" in file["detail"]
    assert made.editor.text(uri) == "only in the editor\n"
    made.editor.replace(uri, "")
    shown = made.client.command("checkpoint.diff", {"checkpointId": f"{made.run}.1"})
    assert "+only in the editor" in shown["diff"], "what a restore could have replaced is in its checkpoint"
    made.client.close()


def test_a_file_deleted_under_its_open_document_comes_back(review: MakeReview) -> None:
    made = review()
    made.path.unlink()
    reply = restore(made, 0)
    assert reply["files"] == [{"path": "a.txt", "outcome": "written"}]
    assert made.path.read_text() == TEXT
    made.client.close()


def test_deleting_an_open_document_takes_its_buffer_along(review: MakeReview, workspace: Path) -> None:
    operations = {"documentChanges": True, "resourceOperations": ["create", "rename", "delete"]}
    made = review(
        capabilities=CAPABILITIES | {"workspace": CAPABILITIES["workspace"] | {"workspaceEdit": operations}}
    )
    (workspace / "later.txt").write_text("later\n")
    uri = made.editor.open(workspace / "later.txt")
    reply = restore(made, 0)
    assert reply["files"] == [{"path": "later.txt", "outcome": "written"}]
    assert uri not in made.editor.documents
    assert not (workspace / "later.txt").exists()
    made.client.close()


def test_the_execute_bit_of_an_open_document(review: MakeReview) -> None:
    made = review()
    made.path.chmod(0o755)
    made.editor.replace(made.uri, "mine\n")
    restore(made, 0)
    assert made.text == TEXT
    assert made.path.stat().st_mode & 0o111 == 0
    made.client.close()


def test_what_cannot_be_restored_says_why(review: MakeReview) -> None:
    made = review()
    for params, word in (
        ({"checkpointId": f"{made.run}.7"}, "antiphon checkpoints"),
        ({"checkpointId": "run-none.0"}, "antiphon/run/list"),
        ({"checkpointId": "nonsense"}, "RUN.NUMBER"),
        ({"checkpointId": f"{made.run}.0", "paths": ["../outside"]}, "outside the workspace"),
        ({"checkpointId": f"{made.run}.0", "paths": ["."]}, "when no path is given"),
        ({"checkpointId": f"{made.run}.0", "paths": ["typo.txt"]}, "'typo.txt'"),
        ({"checkpointId": f"{made.run}.0", "paths": []}, "`paths` is empty"),
        ({}, "checkpointId"),
    ):
        for method in ("checkpoint.restore", "checkpoint.diff"):
            with pytest.raises(LspError, match=r".") as caught:
                made.client.command(method, params)
            assert word in caught.value.message, (method, params)
    assert len(listed(made)) == 1
    made.client.close()


def test_the_command_line_restores_through_the_editor_that_has_the_file_open(
    review: MakeReview, home: Path, workspace: Path
) -> None:
    made = review()
    accept_all(made)
    made.editor.edit(made.uri, (0, 0), (0, 0), "unsaved\n")
    unsaved = made.text

    def antiphon(*words: str) -> str:
        done = subprocess.run(
            [str(PROGRAM), *words, "--workspace", str(workspace)],
            env=environment(home),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done
        return done.stdout

    said = antiphon("restore", f"{made.run}.0")
    assert "seen  a.txt" in said
    assert made.text == TEXT
    antiphon("restore", "latest")
    assert made.text == unsaved
    made.client.close()


def test_a_restore_that_died_is_offered_when_the_folder_is_opened_again(serve: Serve, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    bench.write("a.txt", "one\n")
    bench.write("b.txt", "two\n")
    bench.rules(says(*writes("a.txt", "changed\n"), task="t"))

    async def prepare() -> str:
        async with bench.engine() as engine:
            return (await run(engine, task("t"))).run_id

    run_id = anyio.run(prepare)
    (bench.root / "a.txt").unlink()
    (bench.root / "b.txt").unlink()
    died = hard_restore("die", bench.root.parent, f"{run_id}.0", "0", "after")
    assert died.returncode == -signal.SIGKILL, died
    client = serve(variables={"ANTIPHON_DATA_DIR": str(bench.root.parent / "data")})
    client.initialize(bench.root)
    said = client.wait_for("window/showMessage")
    assert said["type"] == 3
    assert f"antiphon.server.checkpoint.restore {run_id}.0;" in said["message"]
    assert not (bench.root / "b.txt").exists()
    client.command("checkpoint.restore", {"checkpointId": f"{run_id}.0"})
    assert [(bench.root / name).read_text() for name in ("a.txt", "b.txt")] == ["one\n", "two\n"]
    client.close()
