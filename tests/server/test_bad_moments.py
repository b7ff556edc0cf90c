"""Files, buffers and other clients that change at the worst moment: each has its answer, and nothing is lost."""

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import MakeReview, Script, Serve, plan, work
from tests.server.lsp_client import Editor, LspError
from tests.server.reviewed import TEXT, Review

pytestmark = pytest.mark.timeout(120)
ACCEPTED = TEXT.replace("line 5\n", "changed 5\nnew\n")
FILE_CHANGED = 2
FILE_DELETED = 3


def watched(made: Review, kind: int) -> None:
    event = {"uri": made.uri, "type": kind}
    made.client.notify("workspace/didChangeWatchedFiles", {"changes": [event]})


def view(made: Review) -> list[dict[str, Any]]:
    hunks: list[dict[str, Any]] = made.client.request("antiphon/changes/read", {"runId": made.run})["files"][
        0
    ]["hunks"]
    return hunks


def states(made: Review) -> list[str]:
    return [hunk["state"] for hunk in view(made)]


def refused(made: Review, **params: Any) -> LspError:
    with pytest.raises(LspError) as caught:
        made.client.command("changes.decide", {"runId": made.run, "decision": "accept", **params})
    return caught.value


def test_a_deleted_file(review: MakeReview) -> None:
    made = review()
    made.editor.close(made.uri)
    made.path.unlink()
    watched(made, FILE_DELETED)
    error = refused(made, all=True)
    assert "the file is gone" in error.message
    assert not made.path.exists()
    assert states(made) == ["conflict"] * 3
    # It comes back: the hunks are open again.
    made.path.write_text(TEXT)
    assert states(made) == ["proposed"] * 3
    made.client.command("changes.decide", {"runId": made.run, "decision": "accept", "all": True})
    assert made.path.read_text().count("changed") == 3
    made.client.close()


def test_a_file_deleted_under_its_open_buffer(review: MakeReview) -> None:
    made = review()
    made.path.unlink()
    watched(made, FILE_DELETED)
    # The buffer is the user's text: the hunk goes there, and saving brings the file back.
    assert made.decide(5, "Accept")["files"][0]["outcome"] == "seen"
    assert made.text == ACCEPTED
    made.editor.save(made.uri)
    assert made.path.read_text() == ACCEPTED
    made.client.close()


def test_a_renamed_file(review: MakeReview) -> None:
    made = review()
    made.editor.close(made.uri)
    made.path.rename(made.path.with_name("b.txt"))
    assert "the file is gone" in refused(made, path="a.txt").message
    assert made.path.with_name("b.txt").read_text() == TEXT
    assert not made.path.exists()
    made.client.close()


@pytest.mark.parametrize("kind", ["directory", "link outside", "fifo"])
def test_a_file_replaced_by_what_is_none(review: MakeReview, kind: str, tmp_path: Path) -> None:
    made = review()
    made.editor.close(made.uri)
    made.path.unlink()
    outside = tmp_path / "outside.txt"
    outside.write_text(TEXT)
    if kind == "directory":
        made.path.mkdir()
        (made.path / "kept.txt").write_text("kept")
    elif kind == "link outside":
        made.path.symlink_to(outside)
    else:
        os.mkfifo(made.path)
    watched(made, FILE_CHANGED)
    error = refused(made, all=True)
    assert "a.txt" in error.message
    assert error.code == -32803
    assert outside.read_text() == TEXT
    if kind == "directory":
        assert (made.path / "kept.txt").read_text() == "kept"
        shutil.rmtree(made.path)
    else:
        made.path.unlink()
    made.path.write_text(TEXT)
    assert states(made) == ["proposed"] * 3
    made.client.close(allow_errors=True)


def test_the_other_files_of_a_run_go_on(serve: Serve, workspace: Path, script: Script) -> None:
    texts = [("write_file", {"path": name, "content": "new\n"}) for name in ("a.txt", "b.txt")]
    for name in ("a.txt", "b.txt"):
        (workspace / name).write_text("old\n")
    client = serve()
    rules = [plan({"id": "one"}), work("one", *texts)]
    client.initialize(workspace, options={"settings": script(rules)})
    editor = Editor(client)
    uri = editor.open(workspace / "b.txt")
    run = client.command("run.start", {"goal": "edit"})["runId"]
    client.request("antiphon/run/subscribe", {"runId": run})
    client.wait_for("antiphon/event", lambda p: p["type"] == "run_finished")
    (workspace / "a.txt").unlink()
    (workspace / "a.txt").mkdir()
    files = client.request("antiphon/changes/read", {"runId": run})["files"]
    assert [file["hunks"][0]["state"] for file in files] == ["conflict", "proposed"]
    with pytest.raises(LspError) as caught:
        client.command("changes.decide", {"runId": run, "decision": "accept", "all": True})
    outcomes = {item["path"]: item["outcome"] for item in caught.value.data["files"]}
    assert outcomes == {"a.txt": "conflict", "b.txt": "seen"}
    assert editor.text(uri) == "new\n"
    client.close()


def test_a_file_without_permission_to_write(review: MakeReview) -> None:
    made = review()
    made.editor.close(made.uri)
    made.path.chmod(0o444)
    made.client.command("changes.decide", {"runId": made.run, "decision": "accept", "path": "a.txt"})
    assert made.path.read_text().count("changed") == 3
    assert made.path.stat().st_mode & 0o777 == 0o444
    made.client.close()


def test_two_clients_accept_the_same_hunk_at_once(review: MakeReview, serve: Serve, workspace: Path) -> None:
    made = review()
    made.editor.close(made.uri)
    other = serve()
    other.initialize(workspace)
    other.request("antiphon/changes/read", {"runId": made.run})
    params = {"runId": made.run, "path": "a.txt", "decision": "accept"}
    outcomes: list[Any] = []

    def decide(client: Any) -> None:
        try:
            outcomes.append(client.command("changes.decide", params))
        except LspError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=decide, args=(client,)) for client in (made.client, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [outcome for outcome in outcomes if isinstance(outcome, LspError)], outcomes
    decisions = {outcome["decisionId"] for outcome in outcomes if outcome.get("decisionId")}
    assert len(decisions) == 1, outcomes
    assert made.path.read_text().count("changed") == 3
    assert made.path.read_text().count("new\n") == 3
    made.client.close()
    other.close()


def test_one_client_accepts_and_another_rejects_at_once(
    review: MakeReview, serve: Serve, workspace: Path
) -> None:
    made = review()
    made.editor.close(made.uri)
    other = serve()
    other.initialize(workspace)
    [first, *_] = view(made)
    ids = {"runId": made.run, "hunkIds": [first["hunkId"]]}
    asked = [
        (made.client, made.client.ask("antiphon/changes/decide", ids | {"decision": "accept"})),
        (other, other.ask("antiphon/changes/decide", ids | {"decision": "reject"})),
    ]
    outcomes = []
    for client, number in asked:
        try:
            outcomes.append(client.answer(number)["decisionId"])
        except LspError as error:
            outcomes.append(error.message)
    # The first one counts; a rejection after it is told, an acceptance after a rejection is a new decision.
    text = made.path.read_text()
    state = view(made)[0]["state"]
    assert (text, state) == (ACCEPTED, "accepted"), outcomes
    assert view(made) == other.request("antiphon/changes/read", {"runId": made.run})["files"][0]["hunks"]
    made.client.close()
    other.close()


def test_two_decisions_of_one_document_at_once(review: MakeReview) -> None:
    """Of a lens pressed twice, and of two lenses pressed before the first one was answered."""
    made = review(delay_s=0.15)
    commands = [lens["command"] for lens in made.lenses() if lens["command"]["title"].startswith("Accept")]
    asked = [
        made.client.ask(
            "workspace/executeCommand", {"command": item["command"], "arguments": item["arguments"]}
        )
        for item in (commands[0], commands[0], commands[2], commands[1])
    ]
    for number in asked:
        made.client.answer(number)
    assert made.text.count("changed") == 3
    assert made.text.count("new\n") == 3
    assert len(made.editor.edits) == 3
    made.client.close()


def test_a_document_closed_while_its_edit_is_under_way(review: MakeReview) -> None:
    made = review()

    def close(_: Any) -> dict[str, Any]:
        made.editor.close(made.uri)
        return {"applied": False, "failureReason": "no such document"}

    made.editor.on_apply = close
    assert "no such document" in made.conflict(5)["detail"]
    assert made.path.read_text() == TEXT
    assert states(made) == ["proposed"] * 3
    made.client.close()


def test_a_second_editor_has_the_file_open(review: MakeReview, serve: Serve, workspace: Path) -> None:
    """Decided in the one, carried out in the other: nobody writes beneath a dirty buffer."""
    made = review()
    made.editor.edit(made.uri, (0, 0), (0, 0), "typed ")
    made.lenses()
    other = serve()
    other.initialize(workspace)
    [first, *_] = view(made)
    reply = other.command(
        "changes.decide", {"runId": made.run, "hunkIds": [first["hunkId"]], "decision": "accept"}
    )
    assert reply["files"] == [{"path": "a.txt", "outcome": "seen"}]
    assert made.text == "typed " + ACCEPTED
    assert made.path.read_text() == TEXT
    made.client.close()
    other.close()
