"""Agents that misbehave: each has its clear end, and nothing of them stays alive."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agents.conftest import DONE, FakeAgent
from tests.e2e.command_line import PROGRAM, Finished

WRITES = {"write": ["calc.py", "def add(a, b):\n    return a + b\n"]}
START = {"say": {"type": "start", "id": "session-1"}}


def reason(done: Finished) -> str:
    return str(next(event["reason"] for event in done.events if event["type"] == "attempt_failed"))


def attempts(done: Finished) -> int:
    return sum(event["type"] == "task_started" for event in done.events)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_one_that_asks_for_a_login(fake: FakeAgent) -> None:
    fake.does({"complain": "Invalid API key · Please run /login\n"}, {"exit": 1})
    done = fake.run()
    assert done.code == 1
    assert "fake wants a login" in reason(done)
    assert attempts(done) == 1


def test_one_that_waits_for_a_person_is_not_waited_for(fake: FakeAgent) -> None:
    fake.describe('stuck = "visit this address"')
    fake.does({"print": "To go on, visit this address: http://x\n"}, {"hang": True})
    done = fake.run()
    assert "wants a login" in reason(done)
    assert attempts(done) == 1


def test_one_that_hangs(fake: FakeAgent) -> None:
    fake.describe("idle_s = 0.5")
    fake.does(START, {"print": "thinking…\n"}, {"spawn": str(fake.folder / "child")}, {"hang": True})
    done = fake.run()
    assert "said nothing for 0.5 s" in reason(done)
    assert "thinking…" in reason(done)
    assert not is_alive(int((fake.folder / "child").read_text()))


def test_one_that_takes_too_long_and_ignores_being_told_to_stop(fake: FakeAgent) -> None:
    fake.describe("limit_s = 1")
    fake.does(START, {"ignore": "SIGTERM"}, {"ignore": "SIGINT"}, {"hang": True})
    done = fake.run()
    assert "took longer than 1 s" in reason(done)


def test_one_that_leaves_a_daemon_with_its_output_open(fake: FakeAgent) -> None:
    fake.does(WRITES, {"daemon": str(fake.folder / "daemon")}, DONE)
    began = time.monotonic()
    done = fake.run(timeout=40)
    assert done.code == 0, done
    assert time.monotonic() - began < 30
    assert not is_alive(int((fake.folder / "daemon").read_text()))


def test_colours_and_progress_bars_around_its_lines(fake: FakeAgent) -> None:
    fake.does(
        {"print": "\x1b[2J\x1b[1;32mWelcome\x1b[0m\n\r 10 %\r 50 %\r100 %\n\x1b]0;title\x07"},
        WRITES,
        {"print": "\r\x1b[K\x1b[36m"},
        {"say": {"type": "text", "text": "\x1b[31mred\x1b[0m"}},
        {"print": "\r 99 %\r"},
        DONE,
    )
    done = fake.run()
    assert done.code == 0, done
    assert done.last["changes"]["files"] == 1


def test_a_program_that_is_not_there(fake: FakeAgent) -> None:
    done = fake.antiphon(
        "run", "x", "--model", "codex", "--workspace", fake.root, "--trust", "--approval", "auto"
    )
    assert done.code == 2
    assert "codex is not installed" in done.errors
    assert "npm install" in done.errors


def test_a_version_that_is_too_old(fake: FakeAgent) -> None:
    fake.describe('minimum = "2.2"\nversion = ["--version"]\ninstall = "update it by hand"')
    file = fake.antiphon.home / ".config" / "antiphon" / "config.toml"
    wrapper = fake.folder / "fake"
    wrapper.write_text("#!/bin/sh\necho 'fake 2.1.9 (old)'\n")
    wrapper.chmod(0o755)
    file.write_text(file.read_text().replace(f'program = "{_python(file)}"', f'program = "{wrapper}"'))
    done = fake.run()
    assert "fake 2.1.9 is too old: 2.2 or later is needed (update it by hand)" in reason(done)
    assert attempts(done) == 1


def _python(file: Path) -> str:
    return next(line.split('"')[1] for line in file.read_text().splitlines() if line.startswith("program"))


def test_a_line_of_50_mb(fake: FakeAgent) -> None:
    fake.does({"line_of": 50 * 1024 * 1024}, WRITES, DONE)
    done = fake.run()
    assert done.code == 0, done.errors
    assert done.last["changes"]["files"] == 1


def test_100_mb_of_complaints_are_read_and_their_end_is_told(fake: FakeAgent) -> None:
    fake.does({"complaints_of": 100 * 1024 * 1024}, {"complain": "that was it\n"}, WRITES, DONE)
    assert fake.run().code == 0
    fake.does({"complaints_of": 1024 * 1024}, {"complain": "that was it\n"}, {"exit": 3})
    assert reason(fake.run()).endswith("that was it")


def test_what_it_does_a_million_times_is_not_kept_a_million_times(fake: FakeAgent) -> None:
    fake.does({"tools": 5_000}, WRITES, DONE)
    done = fake.run()
    assert done.code == 0
    assert sum(event["type"] == "tool_started" for event in done.events) == 2_000


def test_no_output_at_all(fake: FakeAgent) -> None:
    fake.does(WRITES)
    done = fake.run()
    assert "ended without having said anything" in reason(done)
    assert done.last["changes"]["files"] == 0


def test_an_end_without_its_last_line(fake: FakeAgent) -> None:
    fake.does(START, WRITES)
    assert "ended before it was done" in reason(fake.run("--max-tokens", "1000"))


def test_success_by_the_exit_code_and_failure_by_its_own_word(fake: FakeAgent) -> None:
    fake.does(WRITES, {"say": {"type": "end", "ok": False, "result": "max turns reached"}}, {"exit": 0})
    done = fake.run()
    assert done.code == 1
    assert reason(done) == "fake failed: max turns reached"
    assert done.last["changes"]["files"] == 0


def test_success_by_its_word_and_failure_by_the_exit_code(fake: FakeAgent) -> None:
    fake.does(WRITES, DONE, {"complain": "segmentation fault\n"}, {"exit": 139})
    assert reason(fake.run()) == "fake failed: segmentation fault"


def test_what_was_refused_is_told_and_without_an_edit_it_failed(fake: FakeAgent) -> None:
    fake.does({"say": {"type": "denied", "what": "Bash(rm -rf .)"}}, DONE)
    done = fake.run()
    assert "it was not allowed: Bash(rm -rf .)" in reason(done)


def test_exit_codes_that_mean_something(fake: FakeAgent) -> None:
    fake.describe('exit_codes = { "41" = "login", "53" = "context" }')
    fake.does({"complain": "see the log\n"}, {"exit": 41})
    assert "wants a login" in reason(fake.run())


def test_a_key_that_it_prints_reaches_no_journal(fake: FakeAgent) -> None:
    fake.does(
        {"say": {"type": "text", "text": "the key is very-secret-token"}},
        {"say": {"type": "tool", "id": "1", "name": "sh", "path": "echo very-secret-token"}},
        {"say": {"type": "result", "id": "1", "text": "very-secret-token"}},
        WRITES,
        {"say": {"type": "end", "ok": True, "result": "used very-secret-token"}},
    )
    done = fake.run()
    assert done.code == 0
    assert "very-secret-token" not in done.out
    data = fake.antiphon.home / ".local" / "share" / "antiphon"
    assert not [
        path for path in data.rglob("*") if path.is_file() and b"very-secret-token" in path.read_bytes()
    ]


def test_a_budget_that_is_overrun_ends_it(fake: FakeAgent) -> None:
    fake.does(
        {"spawn": str(fake.folder / "child")},
        {"say": {"type": "usage", "in": 900, "out": 200, "usd": 0.1}},
        {"hang": True},
    )
    done = fake.run("--max-tokens", "1000")
    assert done.code == 1
    assert any(event["type"] == "budget_exhausted" for event in done.events)
    assert done.last["usage"]["input_tokens"] == 900
    assert done.last["usageIncomplete"]
    assert not is_alive(int((fake.folder / "child").read_text()))


def test_it_is_told_what_it_may_spend_and_what_it_spent_counts(fake: FakeAgent) -> None:
    fake.does(fake.note, {"say": {"type": "usage", "in": 9, "out": 1, "usd": 0.75}}, WRITES, DONE)
    plan = fake.folder / "plan.json"
    tasks = [{"id": name, "title": name, "instructions": "x"} for name in ("a", "b")]
    plan.write_text(json.dumps(tasks))
    done = fake.run("--plan-file", str(plan), "--max-cost", "1", "--max-parallel", "1")
    assert fake.noted()["argv"][-2:] == ["--usd", "0.2500"]
    assert done.code == 1
    assert any(event["type"] == "budget_exhausted" for event in done.events)


def test_a_limit_in_usd_needs_an_agent_that_tells_its_cost(fake: FakeAgent) -> None:
    file = fake.antiphon.home / ".config" / "antiphon" / "config.toml"
    file.write_text(file.read_text().replace("reports_cost = true", ""))
    fake.does(WRITES, DONE)
    done = fake.run("--max-cost", "1")
    assert done.code == 2
    assert "does not say what it costs" in done.errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_run_leaves_nothing_alive(fake: FakeAgent, number: signal.Signals) -> None:
    child, daemon = fake.folder / "child", fake.folder / "daemon"
    fake.does(START, WRITES, {"spawn": str(child)}, {"daemon": str(daemon)}, {"hang": True})
    words = ["run", "x", "--model", "fake", "--workspace", str(fake.root), "--trust", "--approval", "auto"]
    with subprocess.Popen(
        [PROGRAM, *words], env=fake.antiphon.environment(), stdin=subprocess.DEVNULL
    ) as run:
        until(lambda: daemon.exists() and bool(daemon.read_text()))
        run.send_signal(number)
        assert run.wait(30) == 130
    assert not is_alive(int(child.read_text()))
    assert not is_alive(int(daemon.read_text()))
    assert (fake.root / "calc.py").read_text() == "def add(a, b):\n    return a - b\n"


def until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.02)


# --- going on after a crash ------------------------------------------------------------------------


def test_a_killed_run_goes_on_with_the_session_and_the_files_it_had(fake: FakeAgent) -> None:
    fake.does(
        {
            "if_resumed": [
                fake.note,
                {"append": ["calc.py", "# second half\n"]},
                DONE,
            ],
            "else": [
                START,
                {"say": {"type": "tool", "id": "1", "name": "Edit", "path": "calc.py"}},
                {"append": ["calc.py", "# first half\n"]},
                {"say": {"type": "result", "id": "1", "text": "ok"}},
                {"wait_for": str(fake.folder / "never")},
            ],
        }
    )
    _killed(fake, "agent_session", "tool_finished")
    done = fake.antiphon("resume", "latest", "--workspace", fake.root, "--trust", "--json", "--accept", "all")
    assert done.code == 0, done
    note = fake.noted()
    assert note["argv"][-2:] == ["--resume", "session-1"]
    assert "You were interrupted" in note["stdin"]
    assert (fake.root / "calc.py").read_text().endswith("# first half\n# second half\n")
    assert [event["attempt"] for event in done.events if event["type"] == "task_started"] == [1]


def test_without_a_session_a_killed_run_is_a_new_attempt(fake: FakeAgent) -> None:
    go = fake.folder / "go"
    fake.does(
        {"append": ["calc.py", "# once\n"]},
        {"say": {"type": "text", "text": "x"}},
        {"wait_for": str(go)},
        DONE,
    )
    _killed(fake, "agent_started")
    go.write_text("now")
    done = fake.antiphon("resume", "latest", "--workspace", fake.root, "--trust", "--json", "--accept", "all")
    assert done.code == 0, done
    assert [event["attempt"] for event in done.events if event["type"] == "task_started"] == [2]
    assert (fake.root / "calc.py").read_text().count("# once") == 1


def _killed(fake: FakeAgent, *wanted: str) -> None:
    """Runs until the events are there, then kills the program with no chance to tidy up."""
    words = [
        "run",
        "x",
        "--model",
        "fake",
        "--workspace",
        str(fake.root),
        "--trust",
        "--approval",
        "auto",
        "--json",
    ]
    with subprocess.Popen(
        [PROGRAM, *words],
        env=fake.antiphon.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        left = set(wanted)
        for line in run.stdout:
            left -= {kind for kind in left if f'"type":"{kind}"' in line}
            if not left:
                break
        run.kill()
    assert not left
