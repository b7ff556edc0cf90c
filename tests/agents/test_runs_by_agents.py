"""A task carried out by an external agent: a real process, described in the user's configuration, through the
command line.
"""

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.agents.conftest import DONE, FakeAgent
from tests.cli.terminals import AtTerminal
from tests.e2e.command_line import Finished

WRITES = {"write": ["calc.py", "def add(a, b):\n    return a + b\n"]}
START = {"say": {"type": "start", "id": "session-1"}}
TOOL = {"say": {"type": "tool", "id": "t1", "name": "Edit", "path": "calc.py"}}
RESULT = {"say": {"type": "result", "id": "t1", "text": "edited"}}
USAGE = {"say": {"type": "usage", "in": 1200, "out": 30, "usd": 0.25}}


def test_an_edit_ends_as_a_hunk_to_review(fake: FakeAgent, kinds: Callable[[Finished], list[str]]) -> None:
    fake.does(
        START, {"say": {"type": "text", "text": "I mend it."}}, TOOL, WRITES, RESULT, USAGE, fake.note, DONE
    )
    before = fake.looks()
    done = fake.run()
    assert done.code == 0, done
    assert done.last["changes"] == {"files": 1, "hunks": 1, "added": 1, "removed": 1}
    assert done.last["usage"]["cost_usd"] == 0.25
    assert "+    return a + b" in fake.changes()
    assert fake.looks() == before

    order = [kind for kind in kinds(done) if kind.startswith(("agent", "tool", "turn", "task"))]
    assert order == [
        "task_started",
        "turn_started",
        "agent_started",
        "agent_session",
        "tool_started",
        "tool_finished",
        "agent_usage",
        "turn_completed",
        "agent_finished",
        "task_merged",
    ]
    events = {event["type"]: event for event in done.events}
    assert events["agent_session"]["session"] == "session-1"
    assert events["tool_started"]["subject"] == "calc.py"
    assert events["agent_finished"]["tree"]
    assert events["task_merged"]["summary"] == "I wrote it."

    note = fake.noted()
    assert "Mend add" in note["stdin"]
    assert note["env"]["FAKE_TOKEN"] == "very-secret-token"
    assert str(fake.root) not in note["cwd"]
    assert note["files"] == ["README", "calc.py"]


def test_accepting_writes_what_the_agent_did(fake: FakeAgent) -> None:
    fake.does(WRITES, {"write": ["pkg/new.py", "X = 1\n"]}, {"delete": "README"}, DONE)
    assert fake.run("--accept", "all").code == 0
    assert (fake.root / "calc.py").read_text() == "def add(a, b):\n    return a + b\n"
    assert (fake.root / "pkg" / "new.py").read_text() == "X = 1\n"
    assert not (fake.root / "README").exists()


def test_a_claim_without_an_edit_changes_nothing(fake: FakeAgent) -> None:
    fake.does(TOOL, RESULT, DONE)
    done = fake.run()
    assert done.last["changes"]["files"] == 0


def test_a_plan_may_name_an_agent_for_each_task(fake: FakeAgent) -> None:
    fake.does({"append": ["calc.py", "# touched\n"]}, DONE)
    plan = fake.folder / "plan.json"
    tasks = [
        {"id": "a", "title": "First", "instructions": "Touch it.", "model": "fake/small"},
        {"id": "b", "title": "Second", "instructions": "Touch it again.", "depends_on": ["a"]},
    ]
    plan.write_text(json.dumps({"tasks": tasks}))
    done = fake.run("--plan-file", str(plan))
    assert done.code == 0, done
    assert [event["model"] for event in done.events if event["type"] == "task_started"] == [
        "fake/small",
        "fake",
    ]
    fake.antiphon("accept", "latest", "--all", "--workspace", fake.root)
    assert (fake.root / "calc.py").read_text().count("# touched") == 2


def test_an_untrusted_workspace_starts_nothing(fake: FakeAgent) -> None:
    fake.does(fake.note, WRITES, DONE)
    done = fake.run("--approval", "auto", trust=False)
    assert done.code == 1
    assert not (fake.folder / "note").exists()
    assert "not trusted" in done.last["reasons"][0]


def test_without_consent_nothing_is_started(fake: FakeAgent) -> None:
    fake.does(fake.note, WRITES, DONE)
    for approval, reason in (("ask", "nobody can be asked"), ("never", "approval is `never`")):
        done = fake.run("--trust", "--approval", approval, trust=False)
        assert done.code == 1
        assert reason in done.last["reasons"][0]
    assert not (fake.folder / "note").exists()


def test_an_edit_of_the_workspace_itself_fails_the_attempt(fake: FakeAgent) -> None:
    fake.does(WRITES, {"write": [str(fake.root / "stray.py"), "X = 1\n"]}, DONE)
    done = fake.run()
    assert done.code == 1
    failed = [event for event in done.events if event["type"] == "attempt_failed"]
    assert len(failed) == 1
    assert "stray.py" in failed[0]["reason"]
    assert "stray.py" in done.last["reasons"][0]
    assert done.last["changes"]["files"] == 0


def test_its_own_settings_are_kept_from_it_and_come_back_unchanged(fake: FakeAgent) -> None:
    for path in (".fake/hooks.json", "fake.json", "conf/own/x", "conf/other"):
        (fake.root / path).parent.mkdir(parents=True, exist_ok=True)
        (fake.root / path).write_text("from the workspace\n")
    fake.does(
        fake.note, WRITES, {"write": ["fake.json", "from the agent\n"]}, {"write": ["sub/.FAKE/y", "z"]}, DONE
    )
    done = fake.run()
    assert done.code == 0, done
    assert fake.noted()["files"] == ["README", "calc.py", "conf", "conf/other"]
    merged = next(event for event in done.events if event["type"] == "task_merged")
    assert merged["changed"] == ["calc.py"]
    finished = next(event for event in done.events if event["type"] == "agent_finished")
    assert "fake.json" in finished["detail"]


@pytest.mark.parametrize(("answer", "files"), [("o", 1), ("n", 0)])
def test_at_a_terminal_consent_and_who_changed_the_workspace_are_asked(
    fake: FakeAgent, answer: str, files: int
) -> None:
    fake.does(WRITES, {"write": [str(fake.root / "mine.py"), "X = 1\n"]}, DONE)
    words = ["run", "Mend add", "--model", "fake", "--workspace", str(fake.root), "--trust"]
    with AtTerminal(fake.antiphon, *words) as terminal:
        terminal.until("fake, at work by itself in copies of the workspace")
        terminal.until("Allow it?")
        terminal.type("o\n")
        terminal.until("though files of your workspace changed meanwhile")
        terminal.until("Allow it?")
        terminal.type(f"{answer}\n")
        assert terminal.end() == (0 if files else 1)
    assert ("+    return a + b" in fake.changes()) is bool(files)


def test_at_a_terminal_a_person_may_refuse_the_agent(fake: FakeAgent) -> None:
    fake.does(fake.note, WRITES, DONE)
    words = ["run", "Mend add", "--model", "fake", "--workspace", str(fake.root), "--trust"]
    with AtTerminal(fake.antiphon, *words) as terminal:
        terminal.until("Allow it?")
        terminal.type("n\n")
        assert terminal.end() == 1
        assert "a person rejected it" in terminal.text
    assert not (fake.folder / "note").exists()


def test_agents_at_work_together_have_a_folder_each(fake: FakeAgent) -> None:
    """Both wait until two have begun, each where it found nobody else's file."""
    meeting = fake.folder / "meeting"
    meeting.mkdir()
    fake.does({"meet": [str(meeting), 2]}, {"write": ["mine.txt", "x\n"]}, DONE)
    plan = fake.folder / "plan.json"
    tasks = [{"id": name, "title": name, "instructions": "x"} for name in ("a", "b")]
    plan.write_text(json.dumps(tasks))
    done = fake.run("--plan-file", str(plan))
    assert done.last["tasks"] == {"merged": 2}, done
    places = [path.read_text() for path in meeting.iterdir()]
    assert len(set(places)) == 2


def test_a_repository_that_it_makes_in_its_folder_is_not_taken(fake: FakeAgent) -> None:
    fake.does(
        {"write": [".git/config", "[core]\n\tfsmonitor = touch x\n"]},
        {"write": ["sub/.git/HEAD", "x"]},
        WRITES,
        DONE,
    )
    done = fake.run()
    merged = next(event for event in done.events if event["type"] == "task_merged")
    assert merged["changed"] == ["calc.py"]


def test_what_a_task_started_from_is_the_same_afterwards(fake: FakeAgent) -> None:
    """The parent's tree: by the ids of its files, which are made of their contents, all of them read again."""
    plan = fake.folder / "plan.json"
    tasks = [
        {"id": "a", "title": "a", "instructions": "x"},
        {"id": "b", "title": "b", "instructions": "x", "depends_on": ["a"]},
    ]
    plan.write_text(json.dumps(tasks))
    fake.does({"append": ["calc.py", "# more\n"]}, DONE)
    done = fake.run("--plan-file", str(plan))
    assert done.code == 0, done
    started = {event["taskId"]: event for event in done.events if event["type"] == "task_started"}
    merged = {event["taskId"]: event["snapshot"] for event in done.events if event["type"] == "task_merged"}
    given = {event["taskId"]: event["tree"] for event in done.events if event["type"] == "agent_started"}
    assert started["b"]["snapshot"] == merged["a"]
    (shadow,) = (fake.antiphon.home / ".local/share/antiphon/workspaces").glob("*/snapshots.git")

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", f"--git-dir={shadow}", *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    for task in ("a", "b"):
        assert git("rev-parse", f"{started[task]['snapshot']}^{{tree}}") == given[task]
    assert git("show", f"{merged['a']}:calc.py").count("# more") == 1
    assert git("show", f"{merged['b']}:calc.py").count("# more") == 2
    git("fsck", "--full", "--no-dangling")
