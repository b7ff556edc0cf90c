"""Keys from the editor's secret store, by the real server over stdio: asked late, used, renewed, in no log."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.model_server import Answer, ModelServer, Reply, ToolCall
from tests.model_server.requests import ModelRequest
from tests.server.conftest import Script, Serve, plan, work
from tests.server.lsp_client import CAPABILITIES, LspClient, LspError, Refused
from tests.server.test_runs import finished

KEY = "sk-kept-by-the-editor-0123456789"
NAME = "providers.work.api_key"
KEEPS_SECRETS = CAPABILITIES | {"experimental": {"antiphon": {"secrets": True}}}


class Planner:
    """Plans one task that writes a file, then writes it."""

    def respond(self, request: ModelRequest, /) -> Reply:
        if "submit_plan" in request.tool_names:
            task = {"id": "one", "title": "One", "instructions": "Write one.txt.", "role": "coder"}
            return Answer(calls=(ToolCall("submit_plan", {"tasks": [task]}),))
        if request.turn == 0:
            return Answer(calls=(ToolCall("write_file", {"path": "one.txt", "content": "1\n"}),))
        return Answer(calls=(ToolCall("finish", {"summary": "Done."}),))


class Store:
    """A client's secret store: notes what it was asked."""

    def __init__(self, client: LspClient, **kept: str) -> None:
        self.kept = dict(kept)
        self.asked: list[tuple[str, str]] = []
        client.on("antiphon/secrets/get", self.get)
        client.on("antiphon/secrets/store", self.store)
        client.on("antiphon/secrets/delete", self.delete)

    def get(self, params: Any) -> Any:
        self.asked.append(("get", params["name"]))
        return {"value": self.kept.get(params["name"])}

    def store(self, params: Any) -> Any:
        self.asked.append(("store", params["name"]))
        self.kept[params["name"]] = params["value"]
        return {}

    def delete(self, params: Any) -> Any:
        self.asked.append(("delete", params["name"]))
        self.kept.pop(params["name"], None)
        return {}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(Planner(), api_key=KEY) as running:
        yield running


def settings(server: ModelServer) -> dict[str, Any]:
    # `keyring` makes a server on this machine one that wants a key; the machine's own keyring has none to give.
    work = {"api": "openai", "baseUrl": server.base_url, "keyring": True}
    return {
        "model": "work/test-model",
        "providers": {"work": work, "maxAttempts": 1},
        "log": {"level": "debug"},
    }


def run(client: LspClient) -> Any:
    return finished(client, client.request("antiphon/run/start", {"goal": "write"})["runId"])


def everything_below(*folders: Path) -> bytes:
    return b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())


def test_a_run_uses_the_key_that_the_editor_keeps(
    serve: Serve, server: ModelServer, home: Path, workspace: Path
) -> None:
    client = serve()
    store = Store(client, **{NAME: KEY})
    client.initialize(workspace, options={"settings": settings(server)}, capabilities=KEEPS_SECRETS)
    listed = client.request("antiphon/models/list", {})
    assert [model["id"] for model in listed["models"]][:1] == ["work/test-model"]
    store.asked.clear()
    end = run(client)
    assert end["state"] == "completed", end
    assert store.asked == [("get", NAME)]  # once for the whole run
    client.close()
    log = home / ".local" / "share" / "antiphon" / "logs" / "server.log"
    assert log.stat().st_size > 0
    assert KEY.encode() not in everything_below(home, workspace) + bytes(client.errors)


def test_a_key_is_set_used_and_taken_away_by_a_command(
    serve: Serve, server: ModelServer, home: Path, workspace: Path
) -> None:
    client = serve()
    store = Store(client)
    client.initialize(workspace, options={"settings": settings(server)}, capabilities=KEEPS_SECRETS)
    missing = run(client)
    assert missing["state"] == "failed"
    assert "the editor's secret store holds none" in " ".join(missing["reasons"])
    assert client.command("key.set", {"provider": "work", "key": f" {KEY}\n"}) == {
        "provider": "work",
        "kept": True,
    }
    assert store.kept == {NAME: KEY}
    assert run(client)["state"] == "completed"
    assert client.command("key.set", {"provider": "work", "key": None})["kept"] is False
    assert store.kept == {}
    assert run(client)["state"] == "failed"  # not the key that was known before
    with pytest.raises(LspError, match="holds a line break, a space") as refused:
        client.command("key.set", {"provider": "work", "key": "two words"})
    assert "two words" not in refused.value.message
    with pytest.raises(LspError, match="provider"):
        client.command("key.set", {"provider": "no/such", "key": KEY})
    client.close()
    assert KEY.encode() not in everything_below(home, workspace) + bytes(client.errors)


def test_an_editor_that_will_not_say_is_told_from_one_that_has_none(
    serve: Serve, server: ModelServer, workspace: Path
) -> None:
    def refuses(_: Any) -> Any:
        raise Refused(-32803, "the keychain is locked")

    client = serve()
    client.on("antiphon/secrets/get", refuses)
    client.initialize(workspace, options={"settings": settings(server)}, capabilities=KEEPS_SECRETS)
    assert "the editor's secret store cannot be asked: the keychain is locked" in " ".join(
        run(client)["reasons"]
    )
    client.close()


def test_an_editor_without_a_store_is_never_asked(serve: Serve, server: ModelServer, workspace: Path) -> None:
    client = serve()
    client.initialize(
        workspace,
        options={"settings": settings(server)},
        capabilities=CAPABILITIES | {"experimental": {"antiphon": True}},
    )
    assert run(client)["state"] == "failed"
    with pytest.raises(LspError, match="this editor offers no secret store"):
        client.command("key.set", {"provider": "work", "key": KEY})
    assert client.all("antiphon/secrets/get") == []
    client.close()


def test_the_environment_wins_over_the_editors_store(
    serve: Serve, server: ModelServer, workspace: Path
) -> None:
    client = serve(variables={"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url})
    store = Store(client, **{"providers.openai.api_key": "sk-another"})
    client.initialize(
        workspace, options={"settings": {"model": "openai/test-model"}}, capabilities=KEEPS_SECRETS
    )
    assert run(client)["state"] == "completed"
    assert store.asked == []
    client.close()


def test_settings_of_providers_hold_from_the_next_task_on(
    serve: Serve, server: ModelServer, workspace: Path, script: Script
) -> None:
    """An engine that is open takes providers as they are set now, as it does the other settings of a run."""
    own = script([plan({"id": "one"}), work("one", ("write_file", {"path": "one.txt", "content": "1\n"}))])
    client = serve(variables={"OPENAI_API_KEY": KEY})
    client.initialize(workspace, options={"settings": own, "trusted": True})
    assert run(client)["state"] == "completed"
    now = {
        "model": "mine/test-model",
        "providers": {"mine": {"api": "openai", "baseUrl": server.base_url, "apiKey": KEY}},
    }
    client.notify("workspace/didChangeConfiguration", {"settings": {"antiphon": now}})
    assert run(client)["state"] == "completed"
    assert server.records.completions()
    client.close()
