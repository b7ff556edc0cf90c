"""Open hunks for an editor without code lenses: hints with the same code actions."""

from typing import Any

import pytest

from tests.server.conftest import MakeReview
from tests.server.lsp_client import CAPABILITIES
from tests.server.reviewed import TEXT, Review

pytestmark = pytest.mark.timeout(120)
WITHOUT: dict[str, Any] = {
    **CAPABILITIES,
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
}
PULLING: dict[str, Any] = {
    **WITHOUT,
    "workspace": {**WITHOUT["workspace"], "diagnostics": {"refreshSupport": True}},
    "textDocument": {**CAPABILITIES["textDocument"], "diagnostic": {}},
}


def pushed(made: Review, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.client.wait_for(
        "textDocument/publishDiagnostics",
        lambda p: p["uri"] == made.uri and len(p["diagnostics"]) == count,
    )["diagnostics"]
    return found


def test_hunks_are_hints_that_move_with_the_text(review: MakeReview) -> None:
    made = review(capabilities=WITHOUT)
    hints = pushed(made, 3)
    assert [hint["range"]["start"]["line"] for hint in hints] == [5, 20, 35]
    assert {hint["severity"] for hint in hints} == {4}
    assert hints[0]["range"]["end"] == {"line": 5, "character": 6}
    assert hints[0]["message"].startswith("Proposed change 1/3 (+2 -1)")
    made.editor.edit(made.uri, (0, 0), (0, 0), "above\n")
    moved = made.client.wait_for(
        "textDocument/publishDiagnostics",
        lambda p: [item["range"]["start"]["line"] for item in p["diagnostics"]] == [6, 21, 36],
    )
    assert moved["version"] == 2
    made.editor.edit(made.uri, (21, 0), (21, 4), "mine")
    conflict = made.client.wait_for(
        "textDocument/publishDiagnostics",
        lambda p: any(item["message"].startswith("Conflict") for item in p["diagnostics"]),
    )
    assert len(conflict["diagnostics"]) == 3

    accept = next(
        item for item in made.editor.actions(made.uri, 6) if item["title"].startswith("Accept this change")
    )
    made.editor.run(accept["command"])
    assert made.text == "above\n" + TEXT.replace("line 5\n", "changed 5\nnew\n").replace("line 20", "mine 20")
    assert [hint["range"]["start"]["line"] for hint in pushed(made, 2)] == [22, 37]
    reject = next(item for item in made.editor.actions(made.uri, 0) if item["title"].startswith("Reject all"))
    made.editor.run(reject["command"])
    assert pushed(made, 0) == []
    made.client.close()


def test_pulled_where_the_client_pulls(review: MakeReview) -> None:
    made = review(capabilities=PULLING)
    params = {"textDocument": {"uri": made.uri}}
    found = made.client.request("textDocument/diagnostic", params)
    assert [item["code"] for item in found["items"]] == ["change"] * 3
    report = made.client.request("workspace/diagnostic", {"previousResultIds": []})
    assert [len(item["items"]) for item in report["items"]] == [3]
    made.client.close()


def test_no_hints_beside_lenses(review: MakeReview) -> None:
    made = review()
    made.decide(5, "Accept")
    assert made.client.all("textDocument/publishDiagnostics") == []
    made.client.close()
