"""The reviewing role over the real wire: it blocks a result that the tests let pass, then approves, and what it
remarks is shown where it stands, first in the proposal, then in the file.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.to_lsp import uri_of
from tests.e2e.command_line import Antiphon
from tests.model_server import ModelServer
from tests.model_server.replies import Answer, ToolCall
from tests.model_server.requests import ModelRequest
from tests.server.lsp_client import Editor, LspClient

STUB = "def share(total, people):\n    raise NotImplementedError\n"
TEST = "from share import share\n\n\ndef test_share():\n    assert share(6, 3) == 2\n"
CARELESS = "def share(total, people):\n    return total / people\n"
CAREFUL = "def share(total, people):\n    return total / people if people else 0.0\n"
DEFECT = {
    "path": "share.py",
    "line": 2,
    "severity": "error",
    "rule": "Division by zero",
    "message": "nobody there: ZeroDivisionError",
    "evidence": "    return total / people",
}
REMARK = {**DEFECT, "severity": "warning", "rule": "odd-zero", "message": "is nothing a share of nobody?"}
REMARK["evidence"] = "    return total / people if people else 0.0"


class CoderAndReviewer:
    """The coder is careful once the feedback tells of the defect; the reviewer goes by what it is shown."""

    def __init__(self) -> None:
        self.reviews: list[str] = []

    def respond(self, request: ModelRequest, /) -> Answer:
        text = request.first_user_text
        if "# The difference" in text:
            self.reviews.append(text)
            found = REMARK if "if people" in text.partition("# The difference")[2] else DEFECT
            return Answer(text=json.dumps({"findings": [found, {**found, "evidence": "not there"}]}))
        if "submit_plan" in request.tool_names:
            task = {"id": "share", "title": "Write share", "instructions": "So that its test passes."}
            return Answer(calls=(ToolCall("submit_plan", {"tasks": [task]}),))
        if request.turn == 0:
            content = CAREFUL if "ZeroDivisionError" in text else CARELESS
            return Answer(calls=(ToolCall("write_file", {"path": "share.py", "content": content}),))
        return Answer(calls=(ToolCall("finish", {"summary": "written"}),))


@pytest.fixture
def models() -> CoderAndReviewer:
    return CoderAndReviewer()


@pytest.fixture
def server(models: CoderAndReviewer) -> Iterator[ModelServer]:
    with ModelServer(models, api_key="test-key") as running:
        yield running


@pytest.fixture
def variables(server: ModelServer, python_with_pytest: Path) -> dict[str, str]:
    environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "test-key"}
    return {**environment, "VIRTUAL_ENV": str(python_with_pytest.parent.parent)}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "share.py").write_text(STUB)
    (folder / "test_share.py").write_text(TEST)
    return folder


@pytest.mark.parametrize("by", ["option", "variable", "nothing"])
def test_from_the_command_line(
    tmp_path: Path, workspace: Path, variables: dict[str, str], models: CoderAndReviewer, by: str
) -> None:
    extra = {"ANTIPHON_REVIEW": "true"} if by == "variable" else {}
    antiphon = Antiphon(tmp_path / "home", variables | extra)
    run = antiphon(
        "run", "Write share", "--workspace", workspace, "--model", "openai/test-model", "--approval", "auto",
        "--trust", "--accept", "all", "--json", *(["--review"] if by == "option" else []),
    )  # fmt: skip
    assert run.code == 0, run
    gates = [
        (event["outcome"], event["detail"])
        for event in run.events
        if event["type"] == "gate_finished" and event["gate"] == "review"
    ]
    if by == "nothing":
        assert not models.reviews
        assert gates == []
        assert (workspace / "share.py").read_text() == CARELESS
        return
    assert [outcome for outcome, _ in gates] == ["blocked", "passed"]
    assert gates[0][1] == "1 finding; 1 report without evidence dropped"
    (failed,) = [event for event in run.events if event["type"] == "attempt_failed"]
    assert "share.py:2: division-by-zero: nobody there: ZeroDivisionError" in failed["feedback"]
    assert len(models.reviews) == 2
    assert "Write share\n\nSo that its test passes." in models.reviews[0]
    assert "-    raise NotImplementedError" in models.reviews[0]
    assert (workspace / "share.py").read_text() == CAREFUL
    shown = antiphon("show", run.last["runId"], "--workspace", workspace, "--json")
    (task,) = shown.last["tasks"]
    assert {gate["gate"]: gate["outcome"] for gate in task["gates"]}["review"] == "passed"


def test_in_an_editor(
    tmp_path: Path, workspace: Path, variables: dict[str, str], models: CoderAndReviewer
) -> None:
    client = LspClient(tmp_path / "home", variables=variables)
    settings = {"model": "openai/test-model", "approval": "auto", "review": True}
    client.initialize(workspace, options={"trusted": True, "settings": settings})
    editor = Editor(client)
    uri = editor.open(workspace / "share.py")
    run_id = client.request("antiphon/run/start", {"goal": "Write share", "root": uri_of(workspace)})["runId"]
    client.request("antiphon/run/subscribe", {"runId": run_id, "afterSeq": 0})
    finished = client.wait_for("antiphon/event", lambda event: event["type"] == "run_finished", 60)
    assert (finished["state"], finished["exitCode"]) == ("completed", 0)
    assert len(models.reviews) == 2

    def diagnostic(message: str) -> Callable[[dict[str, object]], bool]:
        return lambda params: params["uri"] == uri and message in json.dumps(params["diagnostics"])

    proposed = client.wait_for("textDocument/publishDiagnostics", diagnostic("not accepted yet"))
    (item,) = proposed["diagnostics"]
    assert (item["source"], item["code"], item["severity"]) == ("antiphon/review", "odd-zero", 2)
    assert "is nothing a share of nobody?" in item["message"]
    client.request("antiphon/changes/decide", {"runId": run_id, "all": True, "decision": "accept"})
    assert editor.text(uri) == CAREFUL
    placed = client.wait_for(
        "textDocument/publishDiagnostics",
        lambda params: diagnostic("odd-zero")(params) and not diagnostic("not accepted yet")(params),
    )
    (item,) = placed["diagnostics"]
    assert item["range"] == {
        "start": {"line": 1, "character": 0},
        "end": {"line": 1, "character": len("    return total / people if people else 0.0")},
    }
    client.close()


def test_a_client_can_ask_for_one_run(
    tmp_path: Path, workspace: Path, variables: dict[str, str], models: CoderAndReviewer
) -> None:
    client = LspClient(tmp_path / "home", variables=variables)
    settings = {"model": "openai/test-model", "approval": "auto"}
    client.initialize(workspace, options={"trusted": True, "settings": settings})
    start = {"goal": "Write share", "root": uri_of(workspace), "review": True}
    run_id = client.request("antiphon/run/start", start)["runId"]
    client.request("antiphon/run/subscribe", {"runId": run_id, "afterSeq": 0})
    client.wait_for("antiphon/event", lambda event: event["type"] == "run_finished", 60)
    assert len(models.reviews) == 2
    client.close()
