"""Both sides of a proposed change as documents for an editor's own diff."""

from pathlib import Path
from typing import Any

import pytest

from server.virtual_address import VirtualAddress, address_of
from tests.server.conftest import MakeReview, Script, Serve, plan, work
from tests.server.lsp_client import CAPABILITIES, Editor, LspClient, LspError
from tests.server.reviewed import TEXT, Review

pytestmark = pytest.mark.timeout(120)
SHOWING: dict[str, Any] = {
    **CAPABILITIES,
    "window": {"workDoneProgress": True, "showDocument": {"support": True}},
    "workspace": {**CAPABILITIES["workspace"], "textDocumentContent": {"dynamicRegistration": True}},
}
ACCEPTED = TEXT.replace("line 5\n", "changed 5\nnew\n")
ALL = ACCEPTED.replace("line 20\n", "changed 20\nnew\n").replace("line 35\n", "changed 35\nnew\n")


def sides(made: Review, **params: Any) -> dict[str, str]:
    found: dict[str, str] = made.client.request("antiphon/changes/diff", {"runId": made.run, **params})
    return found


def content(client: LspClient, uri: str) -> str:
    text: str = client.request("workspace/textDocumentContent", {"uri": uri})["text"]
    assert client.request("antiphon/changes/content", {"uri": uri})["text"] == text
    return text


def hunk_ids(made: Review) -> list[str]:
    view = made.client.request("antiphon/changes/read", {"runId": made.run})
    return [hunk["hunkId"] for hunk in view["files"][0]["hunks"]]


def test_addresses_survive_whatever_a_client_does_to_them() -> None:
    for path in ("a.py", "src/a b/ü#?%.py", "x.diff"):
        for hunk in ("", "0123456789abcdef"):
            for side in ("before", "after", "diff"):
                address = VirtualAddress("run-1", side, path, hunk)
                assert address_of(address.uri) == address
                assert address_of(address.uri.replace("?hunk=", "?hunk%3D")) == address
    for other in (
        "file:///a",
        "antiphon:a",
        "antiphon://run/none/a",
        "antiphon://run/after/",
        "http://[",
        "",
    ):
        assert address_of(other) is None


def test_the_provider_is_advertised(serve: Serve, workspace: Path) -> None:
    client = serve()
    capabilities = client.initialize(workspace)["capabilities"]
    assert capabilities["workspace"]["textDocumentContent"] == {"schemes": ["antiphon"]}
    client.close()


def test_both_sides_of_a_file_follow_the_review(review: MakeReview) -> None:
    made = review(capabilities=SHOWING)
    made.client.on("workspace/textDocumentContent/refresh", lambda _: None)
    uris = sides(made, path="a.txt")
    assert uris["before"] == f"antiphon://{made.run}/before/a.txt"
    assert content(made.client, uris["before"]) == TEXT
    assert content(made.client, uris["after"]) == ALL

    # What the user types is on both sides, and the client is told to read them again.
    made.editor.edit(made.uri, (0, 0), (0, 0), "typed ")
    told = {made.client.wait_for("workspace/textDocumentContent/refresh")["uri"] for _ in range(2)}
    assert told == {uris["before"], uris["after"]}
    assert content(made.client, uris["before"]) == "typed " + TEXT
    assert content(made.client, uris["after"]) == "typed " + ALL

    # An accepted hunk is no difference any more, a rejected one neither.
    made.decide(5, "Accept")
    made.client.wait_for("workspace/textDocumentContent/refresh", lambda p: p == {"uri": uris["before"]})
    assert content(made.client, uris["before"]) == "typed " + ACCEPTED
    assert content(made.client, uris["after"]) == "typed " + ALL
    made.decide(21, "Reject")
    made.client.wait_for("workspace/textDocumentContent/refresh", lambda p: p == {"uri": uris["after"]})
    last = ACCEPTED.replace("line 35\n", "changed 35\nnew\n")
    assert content(made.client, uris["after"]) == "typed " + last
    made.client.close()


def test_a_single_hunk(review: MakeReview) -> None:
    made = review()
    first, second, _ = hunk_ids(made)
    uris = sides(made, hunkId=first)
    assert uris["after"] == f"antiphon://{made.run}/after/a.txt?hunk={first}"
    assert content(made.client, uris["before"]) == TEXT
    assert content(made.client, uris["after"]) == ACCEPTED
    assert content(made.client, uris["diff"]) == (
        "--- a.txt\n+++ a.txt\n@@ -3,7 +3,8 @@\n line 2\n line 3\n line 4\n-line 5\n+changed 5\n+new\n"
        " line 6\n line 7\n line 8\n"
    )

    # Once accepted, it shows what it replaced, beside whatever else is there.
    made.decide(5, "Accept")
    made.editor.edit(made.uri, (0, 0), (0, 0), "typed ")
    assert content(made.client, uris["before"]) == "typed " + TEXT
    assert content(made.client, uris["after"]) == "typed " + ACCEPTED

    # A conflict shows both.
    made.editor.edit(made.uri, (21, 0), (21, 4), "mine")
    made.client.until(lambda: any("Conflict" in title for _, title in made.titles()), 30, "a conflict")
    uris = sides(made, hunkId=second)
    assert content(made.client, uris["before"]) == "typed " + ACCEPTED.replace("line 20\n", "mine 20\n")
    assert content(made.client, uris["after"]) == "typed " + ACCEPTED.replace(
        "line 20\n", "changed 20\nnew\n"
    )
    made.client.close()


def test_created_deleted_and_renamed_files(serve: Serve, workspace: Path, script: Script) -> None:
    (workspace / "gone.txt").write_text("gone\n")
    (workspace / "old.txt").write_text(TEXT)
    rules = [
        plan({"id": "one"}),
        work(
            "one",
            ("write_file", {"path": "new.txt", "content": "new\n"}),
            ("delete_file", {"path": "gone.txt"}),
            ("move_file", {"path": "old.txt", "to": "moved.txt"}),
        ),
    ]
    client = serve()
    client.initialize(workspace, options={"settings": script(rules)})
    editor = Editor(client)
    uri = editor.open(workspace / "old.txt")
    run = client.command("run.start", {"goal": "edit"})["runId"]
    client.request("antiphon/run/subscribe", {"runId": run})
    client.wait_for("antiphon/event", lambda p: p["type"] == "run_finished")
    found = {}
    for path in ("new.txt", "gone.txt", "moved.txt"):
        uris = client.request("antiphon/changes/diff", {"runId": run, "path": path})
        found[path] = content(client, uris["before"]), content(client, uris["after"])
        if path == "moved.txt":
            assert uris["before"].endswith("/before/old.txt")
            assert content(client, uris["diff"]) == "--- old.txt\n+++ moved.txt\n"
    assert found == {"new.txt": ("", "new\n"), "gone.txt": ("gone\n", ""), "moved.txt": (TEXT, TEXT)}

    # The rename is offered where the file still is.
    assert [lens["command"]["title"] for lens in editor.lenses(uri)] == [
        "Accept 1/1 (rename to moved.txt)",
        "Reject",
    ]
    client.close()


def test_showing_a_diff_is_offered_where_it_can_be_shown(review: MakeReview) -> None:
    made = review(capabilities=SHOWING)
    made.client.on("window/showDocument", lambda _: {"success": True})
    made.client.on("workspace/textDocumentContent/refresh", lambda _: None)
    lens = next(lens for lens in made.lenses() if lens["command"]["title"] == "Show diff")
    uris = made.editor.run(lens["command"])
    assert made.client.wait_for("window/showDocument") == {"uri": uris["diff"], "takeFocus": True}
    assert "+changed 5\n" in content(made.client, uris["diff"])
    action = next(
        item for item in made.editor.actions(made.uri, 20) if item["title"] == "Show this change as a diff"
    )
    made.editor.run(action["command"])
    made.client.wait_for("window/showDocument")
    # Asked for by a program, it opens nothing.
    sides(made, path="a.txt")
    made.client.request("antiphon/health")
    assert len(made.client.all("window/showDocument")) == 2
    made.client.close()


def test_what_is_no_document_says_why(review: MakeReview) -> None:
    made = review()

    def refused(method: str, params: dict[str, Any]) -> str:
        with pytest.raises(LspError) as caught:
            made.client.request(method, params)
        return caught.value.message

    assert "no document of ours" in refused("workspace/textDocumentContent", {"uri": "file:///etc/passwd"})
    assert "no run run-none" in refused(
        "antiphon/changes/content", {"uri": "antiphon://run-none/after/a.txt"}
    )
    outside = f"antiphon://{made.run}/before/../../../etc/passwd"
    assert "no change of" in refused("antiphon/changes/content", {"uri": outside})
    other = f"antiphon://{made.run}/before/a.txt?hunk=none"
    assert "no hunk none" in refused("antiphon/changes/content", {"uri": other})
    assert "no hunk none" in refused("antiphon/changes/diff", {"runId": made.run, "hunkId": "none"})
    assert "`path` or `hunkId`" in refused("antiphon/changes/diff", {"runId": made.run})
    made.client.close()
