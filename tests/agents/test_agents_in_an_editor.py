"""An external agent started from an editor: the real server over stdio, consent by the client, hunks to review."""

from collections.abc import Iterator

import pytest

from server.to_lsp import uri_of
from tests.agents.conftest import DONE, FakeAgent
from tests.agents.test_bad_agents import is_alive, until
from tests.server.lsp_client import CAPABILITIES, LspClient

WRITES = {"write": ["calc.py", "def add(a, b):\n    return a + b\n"]}
OURS = CAPABILITIES | {"experimental": {"antiphon": True}}


@pytest.fixture
def client(fake: FakeAgent) -> Iterator[LspClient]:
    client = LspClient(fake.antiphon.home, variables={"FAKE_TOKEN": "very-secret-token"})
    yield client
    client.kill()


def test_an_agent_works_for_an_editor_once_a_person_agrees(fake: FakeAgent, client: LspClient) -> None:
    fake.does({"say": {"type": "text", "text": "I mend it."}}, WRITES, DONE)
    before = fake.looks()
    client.on("antiphon/approval/request", lambda asked: {"decision": "run"})
    client.initialize(fake.root, options={"trusted": True}, capabilities=OURS)
    given = {"root": uri_of(fake.root), "goal": "Mend add", "model": "fake"}
    run = client.request("antiphon/run/start", given)["runId"]
    client.request("antiphon/run/subscribe", {"runId": run})
    asked = client.wait_for("antiphon/approval/request")
    assert "fake, at work by itself" in asked["subject"]
    ended = client.wait_for("antiphon/event", lambda event: event["type"] == "run_finished")
    assert ended["state"] == "completed", ended
    changes = client.request("antiphon/changes/read", {"runId": run})
    assert [file["path"] for file in changes["files"]] == ["calc.py"]
    assert fake.looks() == before
    client.close()


def test_closing_the_editor_ends_the_agent(fake: FakeAgent, client: LspClient) -> None:
    child = fake.folder / "child"
    fake.does(WRITES, {"spawn": str(child)}, {"hang": True})
    client.on("antiphon/approval/request", lambda asked: {"decision": "run"})
    client.initialize(fake.root, options={"trusted": True}, capabilities=OURS)
    client.request("antiphon/run/start", {"root": uri_of(fake.root), "goal": "Mend add", "model": "fake"})
    until(lambda: child.exists() and bool(child.read_text()))
    client.close()
    assert not is_alive(int(child.read_text()))
