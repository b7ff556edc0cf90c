"""Runs over the protocol, with the real engine and scripted models: start, watch, cancel, follow, decide."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.methods import CUSTOM, command_of
from server.to_lsp import uri_of
from tests.server.conftest import MODEL, Script, Serve, plan, work
from tests.server.lsp_client import CAPABILITIES, NO_REPLY, PROGRAM, LspClient, LspError, environment

pytestmark = pytest.mark.timeout(120)
WRITE = ("write_file", {"path": "one.txt", "content": "one\n"})
HANG = {"match": {"role": "coder"}, "fault": {"kind": "hang"}}
OURS = CAPABILITIES | {"experimental": {"antiphon": True}}


def progress(client: LspClient, kind: str, title: str = "") -> dict[str, Any]:
    """The next progress notification of a kind."""
    found: dict[str, Any] = client.wait_for(
        "$/progress", lambda p: p["value"]["kind"] == kind and title in p["value"].get("title", "")
    )
    return found


def finished(client: LspClient, run_id: str) -> dict[str, Any]:
    """Waits for the end of a run by its events."""
    client.request("antiphon/run/subscribe", {"runId": run_id})
    event: dict[str, Any] = client.wait_for(
        "antiphon/event", lambda p: p["runId"] == run_id and p["type"] == "run_finished"
    )
    return event


@pytest.fixture
def started(serve: Serve, workspace: Path, script: Script) -> Callable[..., LspClient]:
    def start(rules: list[dict[str, Any]], **options: Any) -> LspClient:
        client = serve()
        given = {"settings": script(rules), **options.pop("options", {})}
        client.initialize(workspace, options=given, **options)
        return client

    return start


Started = Callable[..., LspClient]


def test_a_run_shows_its_progress_and_ends_every_token(started: Started) -> None:
    client = started(
        [plan({"id": "one"}, {"id": "two", "depends_on": ["one"]}), work("one", WRITE), work("two")]
    )
    reply = client.command("run.start", {"goal": "write one"})
    begun = progress(client, "begin", "write one")
    assert begun["value"]["cancellable"] is True
    client.wait_for("$/progress", lambda p: p["value"]["kind"] == "end" and p["token"] == begun["token"])
    seen = client.all("$/progress")
    tokens = {item["token"] for item in seen}
    for token in tokens:
        kinds = [item["value"]["kind"] for item in seen if item["token"] == token]
        assert kinds[0] == "begin"
        assert kinds[-1] == "end"
        assert set(kinds[1:-1]) <= {"report"}
    created = {item["token"] for item in client.all("window/workDoneProgress/create")}
    assert tokens <= created
    assert client.request("antiphon/health")["queues"]["progressTokens"] == 0
    state = client.request("antiphon/run/read", {"runId": reply["runId"]})
    assert (state["phase"], state["end"]) == ("finished", "completed")
    assert {task["taskId"]: task["status"] for task in state["tasks"]} == {"one": "merged", "two": "merged"}
    client.close()


def test_a_task_at_work_has_a_token_of_its_own(started: Started) -> None:
    client = started([plan({"id": "one", "title": "The first"}), HANG])
    client.command("run.start", {"goal": "hang"})
    task = progress(client, "begin", "The first")
    client.notify("window/workDoneProgress/cancel", {"token": task["token"]})
    client.wait_for("$/progress", lambda p: p["token"] == task["token"] and p["value"]["kind"] == "end")
    client.close()


def test_cancel_by_token_ends_the_run(started: Started) -> None:
    client = started([plan({"id": "one"}), HANG])
    run = client.command("run.start", {"goal": "hang"})
    progress(client, "begin", "task")
    token = next(p["token"] for p in client.all("$/progress") if "hang" in p["value"].get("title", ""))
    client.notify("window/workDoneProgress/cancel", {"token": token})
    assert finished(client, run["runId"])["state"] == "cancelled"
    client.notify("window/workDoneProgress/cancel", {"token": token})
    client.notify("window/workDoneProgress/cancel", {"token": "unknown"})
    client.close()


def test_events_come_in_order_without_a_gap_and_from_any_place(started: Started) -> None:
    client = started([plan({"id": "one"}), work("one", WRITE)])
    run = client.command("run.start", {"goal": "write one"})["runId"]
    finished(client, run)
    events = [item for item in client.all("antiphon/event") if item["type"] != "delta"]
    assert [item["seq"] for item in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "run_created"
    assert events[0]["goal"] == "write one"
    assert all(item["runId"] == run and item["time"] > 0 for item in events)
    before = len(client.all("antiphon/event"))
    last = client.request("antiphon/run/subscribe", {"runId": run, "afterSeq": 5})["lastSeq"]
    client.until(lambda: len(client.all("antiphon/event")) - before == last - 5, 30, "the last event")
    again = client.all("antiphon/event")[before:]
    assert [item["seq"] for item in again] == list(range(6, last + 1))
    client.close()


def test_a_started_run_survives_the_server(serve: Serve, workspace: Path, script: Script) -> None:
    settings = script([plan({"id": "one"}), HANG])
    client = serve()
    client.initialize(workspace, options={"settings": settings})
    run = client.command("run.start", {"goal": "remember me", "idempotencyKey": "k"})["runId"]
    os.kill(client.process.pid, signal.SIGKILL)
    client.wait_exit()
    again = serve()
    again.initialize(workspace, options={"settings": settings})
    (entry,) = again.command("run.list")["runs"]
    assert (entry["runId"], entry["goal"], entry["root"]) == (run, "remember me", uri_of(workspace))
    assert again.command("run.start", {"goal": "remember me", "idempotencyKey": "k"})["runId"] == run
    again.command("run.cancel", {"runId": run})
    again.close()


def resume(client: LspClient, run_id: str) -> None:
    """The engine may still be giving the run up when its last event is already here."""
    for _ in range(100):
        try:
            client.command("run.resume", {"runId": run_id})
        except LspError as error:
            if error.data["kind"] not in {"RunOwnedError", "UsageError"}:
                raise
        else:
            return
    raise AssertionError("the run was never given up")


def test_a_run_is_resumed(started: Started) -> None:
    client = started([plan({"id": "one"}), HANG | {"times": 1}, work("one", WRITE)])
    run = client.command("run.start", {"goal": "twice"})["runId"]
    progress(client, "begin", "task")
    client.command("run.cancel", {"runId": run})
    assert finished(client, run)["state"] == "cancelled"
    resume(client, run)
    client.wait_for("antiphon/event", lambda p: p["type"] == "run_finished" and p["state"] == "completed")
    client.close()


def test_what_cannot_be_started_says_why(started: Started, workspace: Path) -> None:
    client = started([plan({"id": "one"})])
    (workspace / "file").write_text("x")

    def refused(**params: Any) -> LspError:
        with pytest.raises(LspError) as caught:
            client.request("antiphon/run/start", {"goal": "x", **params})
        return caught.value

    assert "PROVIDER/NAME" in refused(model="nonsense").message or refused(model="nonsense").code == -32803
    assert "no script named" in refused(model="scripted/none").message
    missing = refused(root=uri_of(workspace / "none"))
    assert (missing.code, missing.data["kind"]) == (-32803, "UsageError")
    assert "does not exist" in missing.message
    assert "is a file" in refused(root=uri_of(workspace / "file")).message
    assert refused(root="https://example.org/").code == -32602
    for method in ("run/read", "run/cancel", "run/resume", "run/subscribe", "changes/read", "changes/undo"):
        with pytest.raises(LspError, match="run-none"):
            client.request(f"antiphon/{method}", {"runId": "run-none"})
    client.close(allow_errors=True)


def test_no_model_names_the_ways_to_get_one(serve: Serve, workspace: Path) -> None:
    client = serve()
    client.initialize(workspace)
    with pytest.raises(LspError, match="ANTIPHON_MODEL") as caught:
        client.command("run.start", {"goal": "x"})
    assert caught.value.data["kind"] == "ConfigurationError"
    client.close()


def test_no_folder_and_no_root(serve: Serve) -> None:
    client = serve()
    client.initialize(None)
    with pytest.raises(LspError, match="`root` is missing"):
        client.command("run.start", {"goal": "x"})
    client.close()


def test_a_cancelled_request_is_answered_once(serve: Serve, workspace: Path) -> None:
    client = serve()
    client.initialize(workspace)
    first = client.ask("antiphon/run/list")
    client.notify("$/cancelRequest", {"id": first})
    with pytest.raises(LspError) as caught:
        client.answer(first)
    assert caught.value.code == -32800
    assert client.request("antiphon/run/list") == {"runs": []}
    assert first not in client._replies
    client.close()


def test_open_requests_are_cancelled_by_shutdown(serve: Serve, workspace: Path) -> None:
    client = serve()
    client.initialize(workspace)
    first = client.ask("antiphon/run/list")
    client.request("shutdown")
    with pytest.raises(LspError) as caught:
        client.answer(first)
    assert caught.value.code == -32800
    client.notify("exit")
    assert client.wait_exit() == 0


def test_a_plan_waits_for_a_person(started: Started) -> None:
    client = started([plan({"id": "one"}), work("one", WRITE)])
    asked: list[Any] = []

    def choose(params: Any) -> Any:
        asked.append(params)
        return {"title": "Accept the plan"}

    client.on("window/showMessageRequest", choose)
    run = client.command("run.start", {"goal": "planned", "plan": "confirm"})["runId"]
    assert finished(client, run)["state"] == "completed"
    assert [item["title"] for item in asked[0]["actions"]] == ["Accept the plan", "Reject"]
    client.close()


def test_the_first_answer_counts_and_the_question_is_taken_back(started: Started) -> None:
    client = started([plan({"id": "one"}), work("one", WRITE)], capabilities=OURS)
    client.on("antiphon/approval/request", lambda _: NO_REPLY)
    run = client.command("run.start", {"goal": "planned", "plan": "confirm"})["runId"]
    question = client.wait_for("antiphon/approval/request")
    assert (question["runId"], question["kind"]) == (run, "plan")
    tasks = [{"id": "one", "title": "Edited", "instructions": "do one"}]
    client.command("plan.decide", {"runId": run, "plan": tasks})
    client.wait_for("$/cancelRequest")
    assert client.wait_for("antiphon/approval/resolved")["approvalId"] == question["approvalId"]
    assert finished(client, run)["state"] == "completed"
    (task,) = client.request("antiphon/run/read", {"runId": run})["tasks"]
    assert task["title"] == "Edited"
    client.close()


def test_a_client_of_ours_answers_by_its_own_request(started: Started) -> None:
    client = started([plan({"id": "one"}), work("one", WRITE)], capabilities=OURS)
    client.on("antiphon/approval/request", lambda _: {"decision": "reject"})
    run = client.command("run.start", {"goal": "planned", "plan": "confirm"})["runId"]
    assert finished(client, run)["state"] == "failed"
    client.close()


def test_usage_models_and_health(started: Started, workspace: Path) -> None:
    client = started([plan({"id": "one"}), work("one", WRITE)])
    run = client.command("run.start", {"goal": "count"})["runId"]
    finished(client, run)
    usage = client.command("usage.read", {"runId": run})
    assert usage["total"]["outputTokens"] > 0
    assert [task["taskId"] for task in usage["tasks"]] == ["one"]
    models = client.command("models.list")
    assert models["default"] == "scripted/any"
    health = client.command("health")
    assert health["workspaces"] == [uri_of(workspace)]
    assert health["rss"] > 1 << 20
    assert health["children"] == []
    client.close()


def test_folders_come_and_go(started: Started, tmp_path: Path) -> None:
    client = started([plan({"id": "one"}), work("one", WRITE)])
    other = tmp_path / "other"
    other.mkdir()
    folder = {"uri": uri_of(other), "name": "other"}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [folder], "removed": []}})
    run = client.command("run.start", {"goal": "there", "root": uri_of(other)})["runId"]
    finished(client, run)
    assert len(client.command("run.list")["runs"]) == 1
    assert client.command("run.list", {"root": str(other)})["runs"][0]["runId"] == run
    client.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": [folder]}})
    assert client.command("run.list")["runs"] == []
    client.close()


def test_trust_follows_the_editors_word(started: Started, workspace: Path) -> None:
    client = started([], options={"trusted": False})
    assert client.command("trust.set", {"trusted": True}) == {"root": uri_of(workspace), "trusted": True}
    with pytest.raises(LspError, match="`trusted` is missing"):
        client.command("trust.set", {})
    client.close()


def test_every_method_has_a_command(serve: Serve) -> None:
    client = serve()
    result = client.initialize(None)
    commands = result["capabilities"]["executeCommandProvider"]["commands"]
    assert commands == [command_of(method) for method in CUSTOM]
    ours = result["capabilities"]["experimental"]["antiphon"]
    assert ours["protocolVersion"] == 1
    assert "run/start" in ours["features"]
    client.close()


def test_a_command_asks_first_and_a_closed_question_decides_nothing(started: Started) -> None:
    rules = [plan({"id": "one"}), work("one", ("run_command", {"command": "echo from-the-command"}))]
    client = started(rules, options={"trusted": True})
    asked: list[Any] = []

    def dismiss(params: Any) -> None:
        asked.append(params)

    client.on("window/showMessageRequest", dismiss)
    run = client.command("run.start", {"goal": "ask me"})["runId"]
    client.until(lambda: asked, 60, "a question")
    assert [item["title"] for item in asked[0]["actions"]] == ["Allow once", "Allow for this run", "Reject"]
    assert "echo from-the-command" in asked[0]["message"]
    (open_question,) = client.request("antiphon/run/read", {"runId": run})["approvals"]
    client.command(
        "approval.resolve", {"runId": run, "approvalId": open_question["approvalId"], "decision": "once"}
    )
    finished(client, run)
    outputs = [event["text"] for event in client.all("antiphon/event") if event["type"] == "tool_finished"]
    assert any("from-the-command" in text for text in outputs)
    client.close()


def test_an_untrusted_workspace_runs_no_command(started: Started) -> None:
    rules = [plan({"id": "one"}), work("one", ("run_command", {"command": "echo from-the-command"}))]
    client = started(rules, options={"trusted": False})
    run = client.command("run.start", {"goal": "no trust", "approval": "auto"})["runId"]
    finished(client, run)
    outputs = [event["text"] for event in client.all("antiphon/event") if event["type"] == "tool_finished"]
    assert any("not trusted" in text for text in outputs)
    assert not any("from-the-command\n" in text for text in outputs)
    client.close()


def test_settings_come_from_the_editor(serve: Serve, workspace: Path, script: Script) -> None:
    settings = script([plan({"id": "one"}), work("one", WRITE)])
    client = serve()
    asked: list[Any] = []

    def configuration(params: Any) -> list[Any]:
        asked.append(params)
        return [settings if len(asked) == 1 else {**settings, "model": "scripted/another"}]

    client.on("workspace/configuration", configuration)
    workspace_abilities = CAPABILITIES["workspace"] | {"configuration": True}
    client.initialize(workspace, capabilities=CAPABILITIES | {"workspace": workspace_abilities})
    assert client.command("models.list")["default"] == "scripted/any"
    assert asked == [{"items": [{"section": "antiphon"}]}]
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    client.until(lambda: len(asked) == 2, 30, "a second question")
    client.until(lambda: client.command("models.list")["default"] == "scripted/another", 30, "the new model")
    client.close()


def test_settings_are_pushed_by_clients_that_cannot_be_asked(
    serve: Serve, workspace: Path, script: Script
) -> None:
    client = serve()
    client.initialize(workspace, options={"settings": script([])})
    client.notify(
        "workspace/didChangeConfiguration", {"settings": {"antiphon": {"model": "scripted/pushed"}}}
    )
    assert client.command("models.list")["default"] == "scripted/pushed"
    client.close()


def test_a_run_of_the_command_line_appears_in_the_editor(
    started: Started, home: Path, workspace: Path, script: Script
) -> None:
    rules = [plan({"id": "one"}), work("one", WRITE)]
    client = started(rules)
    client.command("run.list")
    file = script(rules)["providers"]["scripted"]["scripts"]
    variables = {"ANTIPHON_MODEL": MODEL, "ANTIPHON_PROVIDERS_SCRIPTED_SCRIPTS": file}
    done = subprocess.run(
        [str(PROGRAM), "run", "from elsewhere", "--workspace", str(workspace), "--approval", "never"],
        env=environment(home, variables),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (entry,) = client.command("run.list")["runs"]
    assert entry["goal"] == "from elsewhere"
    client.wait_for("workspace/codeLens/refresh")
    client.command("changes.decide", {"runId": entry["runId"], "all": True, "decision": "accept"})
    assert (workspace / "one.txt").read_text() == "one\n"
    client.close()


def test_an_interrupted_run_is_offered(serve: Serve, workspace: Path, script: Script) -> None:
    settings = script([plan({"id": "one"}), HANG])
    client = serve()
    client.initialize(workspace, options={"settings": settings})
    run = client.command("run.start", {"goal": "cut off"})["runId"]
    progress(client, "begin", "task")
    os.kill(client.process.pid, signal.SIGKILL)
    client.wait_exit()
    again = serve()
    again.initialize(workspace, options={"settings": settings})
    said = again.wait_for("window/showMessage")
    assert said["type"] == 3
    assert "cut off" in said["message"]
    assert f"antiphon.server.run.resume {run}" in said["message"]
    again.close()
