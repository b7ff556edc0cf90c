"""Runs that are cancelled, left or killed: readable afterwards, nothing lives on, nothing is paid twice."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bench import Bench, command, task, until, write
from tests.e2e.processes import alive, assert_nothing_left, children, eventually
from tests.model_server.replies import Gate
from tests.model_server.requests import ModelRequest

SLEEPER = """import subprocess
import time

subprocess.Popen(["sleep", "600"], start_new_session=True)
time.sleep(600)
"""
PLAN = (task("Quick"), task("Held"), task("After", depends_on=["held"]), task("Sleeper"))


def asleep(bench: Bench) -> tuple["subprocess.Popen[str]", list[int]]:
    """A run with one task merged, one waiting for the model, and one whose command sleeps; with its processes."""
    (bench.workspace / "sleeper.py").write_text(SLEEPER)
    bench.model.turns["Quick"] = [[write("quick.txt", "quick\n")]]
    bench.model.turns["Held"] = [[write("held.txt", "held\n")]]
    bench.model.turns["Sleeper"] = [[command("python3 -m unittest sleeper")], [write("slept.txt", "slept\n")]]
    bench.model.gates["Held"] = Gate()
    process = bench.begin(*bench.words(bench.plan(*PLAN)))
    wanted = {"task_merged", "tool_started"}
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["type"] == "task_merged" or event.get("tool") == "run_command":
            wanted.discard(event["type"])
        if not wanted:
            break
    eventually(lambda: any("sleep 600" in argv(pid) for pid in children(process.pid)), lambda: "no sleeper")
    bench.records.wait_for(lambda records: records.of_task("Held"))
    return process, children(process.pid)


def argv(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def states(bench: Bench) -> dict[str, str]:
    shown = bench("show", "latest", "--json")
    assert shown.code == 0, shown
    return {item["id"]: item["state"] for item in shown.last["tasks"]}


def resumed(bench: Bench) -> dict[str, Any]:
    """Goes on with the latest run to its good end, and checks that nothing was asked of the model twice."""
    for gate in bench.model.gates.values():
        gate.release()
    bench.model.turns["Sleeper"] = [[command("echo awake")], [write("slept.txt", "slept\n")]]
    before = bench.records.completions()
    done = bench("resume", "latest", "--trust", "--approval", "auto", "--json")
    assert done.code == 0, done
    assert done.last["tasks"] == {"merged": 4}
    asked = bench.records.completions()[len(before) :]
    answered = {_conversation(request) for request in before if request.title in {"Quick", "Sleeper"}}
    assert not answered & set(map(_conversation, asked)), "a finished step was asked for again"
    assert {request.title for request in asked} == {"Held", "After", "Sleeper"}
    return done.last


def _conversation(request: ModelRequest) -> str:
    return json.dumps(request.messages)


def test_ctrl_c_once_cancels_readably(bench: Bench) -> None:
    process, known = asleep(bench)
    with process:
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    last = json.loads(out.splitlines()[-1])
    assert (last["type"], last["state"], last["exitCode"]) == ("run_finished", "cancelled", 130)
    assert last["tasks"] == {"merged": 1, "cancelled": 3}
    assert states(bench) == {
        "quick": "merged",
        "held": "cancelled",
        "after": "cancelled",
        "sleeper": "cancelled",
    }
    assert_nothing_left(bench, known)
    assert bench.records.open_now == 0, "the call to the model was closed"
    changes = bench("changes", "latest")
    assert changes.code == 0, changes
    resumed(bench)
    accepted = bench("accept", "latest", "--all")
    assert accepted.code == 0, accepted
    assert {path.name for path in bench.workspace.iterdir()} == {
        "quick.txt",
        "held.txt",
        "slept.txt",
        "sleeper.py",
    }


def test_ctrl_c_twice_leaves_at_once(bench: Bench) -> None:
    process, known = asleep(bench)
    with process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert all(json.loads(line) for line in out.splitlines())
    assert_nothing_left(bench, known)
    assert states(bench)["quick"] == "merged"
    resumed(bench)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP], ids=lambda n: n.name)
def test_a_run_that_is_ended_is_resumed_where_it_stood(bench: Bench, number: signal.Signals) -> None:
    process, known = asleep(bench)
    with process:
        process.send_signal(number)
        process.communicate(timeout=30)
    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    assert_nothing_left(bench, known)
    state = bench("runs", "--json").last["state"]
    assert state == ("interrupted" if number == signal.SIGKILL else "cancelled")
    assert states(bench)["quick"] == "merged"
    resumed(bench)


def test_the_terminal_that_goes_takes_everything_with_it(bench: Bench) -> None:
    """The whole group is killed at once, as a closed container or a batch system does it."""
    process, known = asleep(bench)
    with process:
        for pid in (process.pid, *known):
            if alive(pid):
                subprocess.run(["kill", "-9", str(pid)], check=False)
        process.communicate(timeout=30)
    assert_nothing_left(bench, known)
    resumed(bench)


def test_cancel_from_another_process(bench: Bench) -> None:
    process, known = asleep(bench)
    with process:
        one = bench("cancel", "latest", "--task", "held", "--json")
        assert one.code == 0, one
        until(process.stdout, "task_skipped", taskId="after")
        wrong = bench("cancel", "latest", "--task", "nobody")
        assert wrong.code == 2, wrong
        assert "nobody" in wrong.errors
        all_of_it = bench("cancel", "latest")
        assert all_of_it.code == 0, all_of_it
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert json.loads(out.splitlines()[-1])["tasks"] == {"merged": 1, "cancelled": 2, "skipped": 1}
    assert_nothing_left(bench, known)
