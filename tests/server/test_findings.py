"""Findings of a run as diagnostics, pushed or pulled, with quick fixes; ruff is the analyzer."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import MODEL, Script, Serve, plan, work
from tests.server.lsp_client import CAPABILITIES, Editor, LspClient, LspError

pytestmark = pytest.mark.timeout(120)
# Line 1 has an emoji before the finding's place, so that units differ.
BEFORE = 'text = "😀"\n'
AFTER = 'import os\n\ntext = "😀"; other = f"plain"\n'
PULL = {
    "window": {"workDoneProgress": True},
    "workspace": {
        "applyEdit": True,
        "workspaceEdit": {"documentChanges": True},
        "codeLens": {"refreshSupport": True},
        "diagnostics": {"refreshSupport": True},
    },
    "textDocument": {"diagnostic": {}, "publishDiagnostics": {"dataSupport": True}},
}
RESOLVING = {
    "codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["quickfix"]}},
    "resolveSupport": {"properties": ["edit"]},
    "dataSupport": True,
}


class Found:
    """A finished run whose proposed file has findings."""

    def __init__(self, client: LspClient, path: Path) -> None:
        self.client = client
        self.editor = Editor(client)
        self.path = path
        path.write_text(BEFORE)
        self.uri = self.editor.open(path)
        self.run = client.command("run.start", {"goal": "find"})["runId"]
        client.request("antiphon/run/subscribe", {"runId": self.run})
        client.wait_for("antiphon/event", lambda p: p["type"] == "run_finished")

    def accept(self) -> None:
        self.client.command("changes.decide", {"runId": self.run, "all": True, "decision": "accept"})
        assert self.editor.text(self.uri) == AFTER

    def pushed(self, where: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.wait_for(
            "textDocument/publishDiagnostics", lambda p: p["uri"] == self.uri and where(p["diagnostics"])
        )["diagnostics"]
        return found


@pytest.fixture
def found(serve: Serve, workspace: Path, script: Script) -> Callable[..., Found]:
    def make(capabilities: dict[str, Any] | None = None) -> Found:
        rules = [plan({"id": "one"}), work("one", ("write_file", {"path": "a.py", "content": AFTER}))]
        # The workspace's own environment has the developer's ruff.
        tools = workspace / ".venv" / "bin"
        tools.mkdir(parents=True)
        (tools / "ruff").symlink_to(Path(sys.executable).with_name("ruff"))
        client = serve()
        settings = script(rules) | {"approval": "auto"}
        assert settings["model"] == MODEL
        client.initialize(
            workspace, options={"settings": settings, "trusted": True}, capabilities=capabilities
        )
        return Found(client, workspace / "a.py")

    return make


MakeFound = Callable[..., Found]


def codes(items: list[dict[str, Any]]) -> set[str]:
    return {item["code"] for item in items}


def place(item: dict[str, Any]) -> tuple[int, int, int, int]:
    start, end = item["range"]["start"], item["range"]["end"]
    return start["line"], start["character"], end["line"], end["character"]


def test_findings_are_pushed_with_their_places_in_the_buffer(found: MakeFound) -> None:
    made = found()
    proposed = made.pushed(lambda items: "F401" in codes(items))
    assert all("not accepted yet" in item["message"] for item in proposed)
    made.accept()
    items = made.pushed(lambda items: any("not accepted yet" not in item["message"] for item in items))
    unused = next(item for item in items if item["code"] == "F401")
    assert place(unused) == (0, 7, 0, 9)
    assert unused["source"] == "antiphon/ruff"
    assert unused["codeDescription"]["href"].startswith("https://docs.astral.sh/ruff/")
    assert unused["data"]["runId"] == made.run
    assert unused["data"]["baseHash"]
    made.editor.edit(made.uri, (0, 0), (0, 0), "# above\n")
    moved = made.pushed(lambda items: any(place(item)[0] == 1 for item in items))
    assert place(next(item for item in moved if item["code"] == "F401")) == (1, 7, 1, 9)
    made.client.close()


def test_a_quick_fix_edits_the_buffer(found: MakeFound) -> None:
    made = found()
    made.accept()
    fix = next(
        action for action in made.editor.actions(made.uri, 0) if action["kind"] == "quickfix.antiphon.fix"
    )
    assert fix["isPreferred"] is True
    made.editor.apply(fix["edit"])
    assert "import os" not in made.editor.text(made.uri)
    made.client.close()


def test_a_fix_is_resolved_when_it_is_chosen(found: MakeFound) -> None:
    capabilities = CAPABILITIES | {"textDocument": CAPABILITIES["textDocument"] | {"codeAction": RESOLVING}}
    made = found(capabilities)
    made.accept()
    fix = next(
        action for action in made.editor.actions(made.uri, 0) if action["kind"] == "quickfix.antiphon.fix"
    )
    assert "edit" not in fix
    resolved = made.client.request("codeAction/resolve", fix)
    assert {key: resolved[key] for key in fix} == fix
    made.editor.apply(resolved["edit"])
    assert "import os" not in made.editor.text(made.uri)
    made.editor.edit(made.uri, (0, 0), (0, 0), "x")
    assert "edit" not in made.client.request("codeAction/resolve", fix)
    with pytest.raises(LspError, match="title"):
        made.client.request("codeAction/resolve", {"data": {}})
    made.client.close()


def test_a_fix_by_the_engine_and_a_dismissal(found: MakeFound) -> None:
    made = found()
    made.accept()
    listed = made.client.command("finding.list", {"runId": made.run})["findings"]
    unused = next(item["placed"]["finding"] for item in listed if item["placed"]["finding"]["rule"] == "F401")
    made.client.command("finding.fix", {"runId": made.run, "findingId": unused["id"]})
    assert "import os" not in made.editor.text(made.uri)
    for item in made.client.command("finding.list", {"runId": made.run})["findings"]:
        made.client.command(
            "finding.dismiss", {"runId": made.run, "findingId": item["placed"]["finding"]["id"]}
        )
    assert made.client.command("finding.list")["findings"] == []
    made.pushed(lambda items: items == [])
    made.client.close()


def test_clients_that_pull_are_told_to_and_never_pushed(found: MakeFound) -> None:
    made = found(PULL)
    made.accept()
    made.client.wait_for("workspace/diagnostic/refresh")

    def pulled() -> list[dict[str, Any]]:
        report = made.client.request("textDocument/diagnostic", {"textDocument": {"uri": made.uri}})
        assert report["kind"] == "full"
        items: list[dict[str, Any]] = report["items"]
        return items

    while "F401" not in codes(pulled()):
        made.client.wait_for("workspace/diagnostic/refresh")
    known = [{"uri": "file:///gone", "value": "1"}]
    report = made.client.request("workspace/diagnostic", {"previousResultIds": known})
    by_uri = {item["uri"]: item["items"] for item in report["items"]}
    assert by_uri["file:///gone"] == []
    assert "F401" in codes(by_uri[made.uri])
    assert made.client.all("textDocument/publishDiagnostics") == []
    made.client.close()
