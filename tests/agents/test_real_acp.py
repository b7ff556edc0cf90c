"""Real ACP agents, from their packages, pointed at a mock endpoint: an edit in a task tree becomes a reviewed hunk."""

from pathlib import Path

import pytest

from tests.agents.conftest import looks
from tests.agents.hostile import make_hostile, trap
from tests.agents.real_acp import AGENTS, OUTSIDE, Real, left_alive
from tests.agents.real_clis import GREETING, KEY
from tests.providers.aimock import running

EACH = pytest.mark.parametrize("name", list(AGENTS))


@EACH
def test_an_edit_by_a_real_agent_is_a_hunk_that_is_accepted(name: str, tmp_path: Path) -> None:
    real = Real(tmp_path, name)
    before = looks(real.root)
    with running(real.fixtures(real.writes()), tmp_path) as mock:
        done = real.run(mock)
    assert done.code == 0, done
    assert looks(real.root) == before
    assert done.last["changes"] == {"files": 1, "hunks": 1, "added": 1, "removed": 0}
    assert KEY not in done.out
    events = {event["type"]: event for event in done.events}
    assert events["agent_session"]["session"]
    assert "greeting.txt" in events["tool_finished"]["subject"]
    assert events["task_merged"]["summary"].endswith("I greeted.")
    changes = real.antiphon("changes", "latest", "--workspace", real.root)
    assert "+" + GREETING.strip() in changes.out
    accepted = real.antiphon("accept", "latest", "--all", "--workspace", real.root)
    assert accepted.code == 0, accepted
    assert (real.root / "greeting.txt").read_text() == GREETING
    assert left_alive(real.antiphon.home) == []


@EACH
def test_a_command_that_nobody_can_allow_is_not_run(name: str, tmp_path: Path) -> None:
    real = Real(tmp_path, name)
    with running(real.fixtures(real.runs()), tmp_path) as mock:
        done = real.run(mock)
    assert done.code == 1, done
    finished = [event for event in done.events if event["type"] == "agent_finished"]
    assert finished[0]["denied"] == [OUTSIDE]
    assert "it was not allowed" in done.last["reasons"][0]
    assert not list(real.antiphon.home.rglob("made-by-command"))


@EACH
def test_hostile_settings_of_a_workspace_take_no_key_out_and_start_nothing(name: str, tmp_path: Path) -> None:
    real, mark = Real(tmp_path, name), tmp_path / "mark"
    with trap() as evil, running(real.fixtures(real.writes()), tmp_path) as mock:
        make_hostile(real.root, evil, mark)
        before = looks(real.root)
        done = real.run(mock)
        heard = list(evil.heard)
    assert done.code == 0, done
    assert heard == []
    assert not mark.exists()
    assert looks(real.root) == before
    merged = next(event for event in done.events if event["type"] == "task_merged")
    assert merged["changed"] == ["greeting.txt"]


REFUSED = {"error": {"message": "invalid x-api-key", "type": "authentication_error"}, "status": 401}


@EACH
def test_a_refused_key_is_a_login_that_is_wanted(name: str, tmp_path: Path) -> None:
    real = Real(tmp_path, name)
    with running([{"match": {}, "response": REFUSED}], tmp_path) as mock:
        done = real.run(mock)
    assert done.code == 1, done
    assert "wants a login" in done.last["reasons"][0]
    assert KEY not in done.out
