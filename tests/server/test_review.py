"""Hunks in the editor: lenses and actions, edits of open buffers, and what happens while the user types."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import MakeReview, Script, Serve, plan, work
from tests.server.lsp_client import CAPABILITIES, Editor, LspError
from tests.server.reviewed import TEXT

pytestmark = pytest.mark.timeout(120)


def test_accept_and_reject_by_lens(review: MakeReview) -> None:
    made = review()
    assert made.titles() == [
        (5, "Accept 1/3 (+2 -1)"),
        (5, "Reject"),
        (20, "Accept 2/3 (+2 -1)"),
        (20, "Reject"),
        (35, "Accept 3/3 (+2 -1)"),
        (35, "Reject"),
    ]
    reply = made.decide(5, "Accept")
    assert reply["files"] == [{"path": "a.txt", "outcome": "seen"}]
    expected = TEXT.replace("line 5\n", "changed 5\nnew\n")
    assert made.text == expected
    assert made.path.read_text() == TEXT
    assert [line for line, _ in made.titles()] == [21, 21, 36, 36]
    made.decide(21, "Reject")
    assert made.text == expected
    assert [line for line, _ in made.titles()] == [36, 36]
    made.decide(36, "Accept")
    assert made.titles() == []
    assert made.text == expected.replace("line 35\n", "changed 35\nnew\n")
    made.client.close()


def test_edits_are_minimal_and_versioned(review: MakeReview) -> None:
    made = review()
    made.editor.edit(made.uri, (0, 0), (0, 0), "typed ")
    made.decide(20, "Accept")
    (params,) = made.editor.edits
    (change,) = params["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": made.uri, "version": 2}
    (edit,) = change["edits"]
    assert edit["range"]["start"]["line"] == 20
    assert edit["range"]["end"]["line"] in {20, 21}
    made.client.close()


def test_annotations_never_ask_for_confirmation(review: MakeReview) -> None:
    capabilities = CAPABILITIES | {
        "workspace": {
            "applyEdit": True,
            "workspaceEdit": {"documentChanges": True, "changeAnnotationSupport": {}},
            "codeLens": {"refreshSupport": True},
        }
    }
    made = review(capabilities=capabilities)
    made.decide(5, "Accept")
    annotations = made.editor.edits[0]["edit"]["changeAnnotations"]
    assert [item["needsConfirmation"] for item in annotations.values()] == [False]
    made.client.close()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_emoji_in_every_encoding(review: MakeReview, encoding: str, ending: str) -> None:
    text = "".join(f"😀é {number} 😀 end{ending}" for number in range(6))
    edits = [{"search": "😀é 3 😀 end", "replace": "😀é 3 🎉 end"}]
    capabilities = CAPABILITIES | {"general": {"positionEncodings": [encoding]}}
    made = review(text, edits, capabilities=capabilities)
    made.editor.edit(made.uri, (0, 2), (0, 2), "x")
    typed = made.text
    made.decide(3, "Accept")
    assert made.text == typed.replace("😀é 3 😀 end", "😀é 3 🎉 end")
    undone = made.client.command("changes.undo", {"runId": made.run})
    assert undone["files"][0]["outcome"] == "seen"
    assert made.text == typed
    made.client.close()


def test_an_editor_that_tells_its_changes_late(review: MakeReview) -> None:
    made = review(delay_s=0.15)
    for line in (5, 21, 37):
        assert made.titles()[0][0] == line
        assert made.decide(line, "Accept")["files"][0]["outcome"] == "seen"
    assert made.text.count("changed") == 3
    made.client.close()


def test_a_buffer_that_moved_on_keeps_the_hunk(review: MakeReview) -> None:
    made = review()

    def type_first(_: Any) -> None:
        made.editor.on_apply = lambda _: None
        made.editor.edit(made.uri, (0, 0), (0, 0), "x")

    made.editor.on_apply = type_first
    conflict = made.conflict(20)
    assert conflict["outcome"] == "conflict"
    assert "changed" in conflict["detail"]
    assert made.text == "x" + TEXT
    assert (20, "Accept 2/3 (+2 -1)") in made.titles()
    made.decide(20, "Accept")
    assert made.text == "x" + TEXT.replace("line 20\n", "changed 20\nnew\n")
    made.client.close()


def test_an_editor_that_refuses(review: MakeReview) -> None:
    made = review()
    made.editor.on_apply = lambda _: {"applied": False, "failureReason": "read-only"}
    assert made.conflict(5) == {
        "path": "a.txt",
        "outcome": "conflict",
        "detail": "the editor refused the edit: read-only",
    }
    assert made.text == TEXT
    assert len(made.titles()) == 6
    made.client.close()


def test_an_editor_that_says_applied_and_did_nothing(review: MakeReview) -> None:
    made = review()
    made.editor.on_apply = lambda _: {"applied": True}
    assert made.conflict(5)["outcome"] == "conflict"
    assert made.text == TEXT
    made.client.close()


def test_an_editor_that_skips_an_edit_of_an_old_version_and_says_applied(review: MakeReview) -> None:
    """Neovim does so, and tells of the typing afterwards."""
    made = review()

    def skip(_: Any) -> dict[str, Any]:
        threading.Timer(0.1, made.editor.edit, (made.uri, (0, 0), (0, 0), "typed ")).start()
        return {"applied": True}

    made.editor.on_apply = skip
    begun = time.monotonic()
    assert "before the edit arrived" in made.conflict(5)["detail"]
    assert time.monotonic() - begun < 3
    assert made.text == "typed " + TEXT
    made.client.close()


def test_typing_in_the_same_moment_is_told_apart(review: MakeReview) -> None:
    made = review()

    def type_along(params: Any) -> dict[str, Any]:
        made.editor.apply(params["edit"])
        made.editor.edit(made.uri, (0, 0), (0, 0), "typed ")
        return {"applied": True}

    made.editor.on_apply = type_along
    assert made.decide(5, "Accept")["files"][0]["outcome"] == "seen"
    assert made.text == "typed " + TEXT.replace("line 5\n", "changed 5\nnew\n")
    made.client.close()


def test_typing_elsewhere_moves_hunks_and_typing_inside_makes_a_conflict(review: MakeReview) -> None:
    made = review()
    made.editor.edit(made.uri, (0, 0), (0, 0), "above\nabove\n")
    assert [line for line, _ in made.titles()] == [7, 7, 22, 22, 37, 37]
    made.editor.edit(made.uri, (22, 0), (22, 4), "mine")
    made.client.until(lambda: any("Conflict" in title for _, title in made.titles()), 30, "a conflict")
    assert [line for line, title in made.titles() if title.startswith("Accept")] == [7, 37]
    made.decide(37, "Accept")
    made.decide(7, "Accept")
    expected = TEXT.replace("line 5\n", "changed 5\nnew\n").replace("line 35\n", "changed 35\nnew\n")
    assert made.text == "above\nabove\n" + expected.replace("line 20\n", "mine 20\n")
    made.client.close()


def test_a_formatter_on_save_moves_the_other_hunks(review: MakeReview) -> None:
    """It rewrites the whole buffer: lines elsewhere, lines of an accepted hunk, and the last line's ending."""
    made = review()
    made.decide(20, "Accept")
    text = made.text.replace("line 0\n", "line 0\n\n").replace("changed 20\n", "changed  20\n\n")
    formatted = text.replace("line 38\n", "line 38\n\n")
    made.editor.replace(made.uri, formatted)
    made.editor.save(made.uri)
    made.client.until(
        lambda: [line for line, title in made.titles() if "Accept" in title] == [6, 38], 30, "moved lenses"
    )
    made.decide(38, "Accept")
    made.decide(6, "Accept")
    expected = formatted.replace("line 5\n", "changed 5\nnew\n").replace("line 35\n", "changed 35\nnew\n")
    assert made.text == expected
    assert made.titles() == []
    made.client.close()


def test_undo_after_further_typing(review: MakeReview) -> None:
    made = review()
    first = made.decide(5, "Accept")
    made.editor.edit(made.uri, (30, 0), (30, 0), "typed ")
    made.client.command("changes.undo", {"runId": made.run, "decisionId": first["decisionId"]})
    assert made.text == TEXT.replace("line 29\n", "typed line 29\n")
    assert len(made.titles()) == 6
    made.client.close()


def test_actions_for_a_hunk_a_file_and_all(review: MakeReview) -> None:
    made = review()
    actions = made.editor.actions(made.uri, 20)
    assert [action["title"] for action in actions] == [
        "Accept this change: +2 -1",
        "Reject this change: +2 -1",
        "Accept all 3 changes in this file",
        "Reject all 3 changes in this file",
        "Accept all 3 changes of this run",
        "Reject all 3 changes of this run",
    ]
    elsewhere = made.editor.actions(made.uri, 10)
    assert [action["title"] for action in elsewhere] == [action["title"] for action in actions[2:]]
    only = made.editor.actions(made.uri, 20, only=["quickfix"])
    assert [action["kind"] for action in only] == ["quickfix.antiphon.hunk"] * 2
    assert made.editor.actions(made.uri, 20, only=["refactor"]) == []
    made.editor.run(actions[0]["command"])
    undo = next(action for action in made.editor.actions(made.uri, 20) if action["title"].startswith("Undo"))
    made.editor.run(undo["command"])
    assert made.text == TEXT
    all_of_run = made.editor.actions(made.uri, 0)[2]
    made.editor.run(all_of_run["command"])
    assert made.text.count("changed") == 3
    assert made.editor.actions(made.uri, 0) == []
    made.client.close()


def test_a_closed_file_is_written_on_disk(review: MakeReview) -> None:
    made = review()
    made.editor.close(made.uri)
    reply = made.client.command("changes.decide", {"runId": made.run, "path": "a.txt", "decision": "accept"})
    assert reply["files"] == [{"path": "a.txt", "outcome": "written"}]
    assert made.path.read_text().count("changed") == 3
    assert made.editor.edits == []
    made.client.close()


def test_unsaved_text_is_what_agents_see(serve: Serve, workspace: Path, script: Script) -> None:
    edits = [{"search": "unsaved\n", "replace": "edited\n"}]
    rules = [plan({"id": "one"}), work("one", ("edit_file", {"path": "a.txt", "edits": edits}))]
    client = serve()
    client.initialize(workspace, options={"settings": script(rules)})
    path = workspace / "a.txt"
    path.write_text("saved\n")
    editor = Editor(client)
    uri = editor.open(path)
    editor.edit(uri, (0, 0), (1, 0), "unsaved\n")
    run = client.command("run.start", {"goal": "edit"})["runId"]
    client.request("antiphon/run/subscribe", {"runId": run})
    client.wait_for("antiphon/event", lambda p: p["type"] == "run_finished")
    client.command("changes.decide", {"runId": run, "all": True, "decision": "accept"})
    assert editor.text(uri) == "edited\n"
    assert path.read_text() == "saved\n"
    client.close()


def test_a_client_that_cannot_apply_edits_is_told(review: MakeReview) -> None:
    made = review(capabilities={"workspace": {"codeLens": {"refreshSupport": True}}})
    assert "cannot apply edits" in made.conflict(5)["detail"]
    made.client.close()


def test_what_cannot_be_decided_says_why(review: MakeReview) -> None:
    made = review()

    def refused(**params: Any) -> str:
        with pytest.raises(LspError) as caught:
            made.client.command("changes.decide", {"runId": made.run, "decision": "accept", **params})
        return caught.value.message

    assert "nothing" in refused(hunkIds=["nothing"])
    assert "none.txt" in refused(path="none.txt")
    assert "exactly one" in refused(path="a.txt", all=True)
    assert made.text == TEXT
    made.client.close()


def test_a_review_is_still_there_after_a_restart(review: MakeReview, serve: Serve, workspace: Path) -> None:
    made = review()
    made.decide(5, "Accept")
    made.editor.save(made.uri)
    made.client.close()
    client = serve()
    client.initialize(workspace)
    editor = Editor(client)
    uri = editor.open(made.path)
    while len(editor.lenses(uri)) < 4:
        client.wait_for("workspace/codeLens/refresh")
    lines = [lens["range"]["start"]["line"] for lens in editor.lenses(uri)]
    assert lines == [21, 21, 36, 36]
    client.close()
