"""The commands around a run, each a process: a scripted provider in the place of a model, all else real."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminals import AtTerminal
from tests.e2e.command_line import PROGRAM, Antiphon, Finished

PLAN: list[dict[str, Any]] = [
    {
        "id": "add",
        "title": "Mend add",
        "instructions": "Addition subtracts.",
        "tests": ["test_calc.py"],
    },
    {"id": "doc", "title": "Write notes", "instructions": "Write NOTES.md.", "role": "writer"},
]
EDIT = {
    "name": "edit_file",
    "arguments": {"path": "calc.py", "edits": [{"search": "a - b", "replace": "a + b"}]},
}
NOTES = {"name": "write_file", "arguments": {"path": "NOTES.md", "content": "Addition adds.\n"}}


def finish(summary: str = "Done.") -> dict[str, Any]:
    return {"name": "finish", "arguments": {"summary": summary}}


def rule(task: str, *calls: dict[str, Any], delay_s: float = 0.0, **match: Any) -> dict[str, Any]:
    return {"match": {"task": task, **match}, "answer": {"tool_calls": list(calls), "delay_s": delay_s}}


GOOD = [rule("add", EDIT, finish()), rule("doc", NOTES, finish())]


class Bench:
    """A workspace, a plan and a script, and the commands on them."""

    def __init__(self, antiphon: Antiphon, workspace: Path, folder: Path) -> None:
        self.antiphon = antiphon
        self.workspace = workspace
        self.plan = folder / "plan.json"
        self.plan.write_text(json.dumps({"goal": "Mend the calculator", "tasks": PLAN}))
        self._script = folder / "test.yaml"
        antiphon.variables["ANTIPHON_PROVIDERS_SCRIPTED_SCRIPTS"] = str(self._script)
        antiphon.variables["ANTIPHON_MODEL"] = "scripted/test"

    def script(self, *rules: dict[str, Any]) -> None:
        self._script.write_text(json.dumps(rules))

    def __call__(self, command: str, *words: str | Path) -> Finished:
        return self.antiphon(command, *words, "--workspace", self.workspace)

    def run(self, *words: str) -> Finished:
        return self("run", "--plan-file", self.plan, "--approval", "auto", *words)

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.workspace.iterdir() if path.is_file()}


@pytest.fixture
def bench(antiphon: Antiphon, workspace: Path, tmp_path: Path) -> Bench:
    return Bench(antiphon, workspace, tmp_path)


def test_a_run_from_goal_to_files_and_back(bench: Bench) -> None:
    bench.script(*GOOD)
    before = bench.files()
    run = bench.run("--trust", "--json")
    assert run.code == 0, run
    seqs = [event["seq"] for event in run.events]
    assert seqs == list(range(1, len(seqs) + 1)), "every event once, in order, the end last"
    last = run.last
    assert (last["type"], last["state"], last["exitCode"]) == ("run_finished", "completed", 0)
    assert last["tasks"] == {"merged": 2}
    assert last["changes"]["files"] == 2
    assert all(event["runId"] == last["runId"] for event in run.events)
    assert run.events[0]["goal"] == "Mend the calculator"
    assert bench.files() == before

    (listed,) = bench("runs", "--json").events
    assert (listed["runId"], listed["state"], listed["goal"]) == (
        last["runId"],
        "completed",
        "Mend the calculator",
    )

    changes = bench("changes", "latest", "--json").last
    hunks = {file["path"]: [hunk["hunkId"] for hunk in file["hunks"]] for file in changes["files"]}
    assert set(hunks) == {"calc.py", "NOTES.md"}
    shown = bench("changes", last["runId"][:-2])
    assert "-    return a - b\n+    return a + b\n" in shown.out
    assert "NOTES.md" in bench("changes", "latest", "--stat").out
    assert "NOTES.md" not in bench("changes", "latest", "--file", "calc.py").out

    accepted = bench("accept", "latest", "--hunk", hunks["calc.py"][0], "--json")
    assert accepted.code == 0, accepted
    assert accepted.last["files"] == [{"path": "calc.py", "outcome": "written", "detail": ""}]
    assert "a + b" in bench.files()["calc.py"]
    assert "NOTES.md" not in bench.files()
    rejected = bench("reject", "latest", "--file", "./NOTES.md")
    assert rejected.code == 0, rejected
    assert "NOTES.md" not in bench.files()
    undone = bench("undo", "latest", "--decision", accepted.last["decisionId"])
    assert undone.code == 0, undone
    assert bench.files() == before


def test_accept_all_at_the_end_of_a_run(bench: Bench) -> None:
    bench.script(*GOOD)
    run = bench.run("--trust", "--json", "--accept", "all")
    assert run.code == 0, run
    assert {file["outcome"] for file in run.last["accepted"]["files"]} == {"written"}
    assert bench.files()["NOTES.md"] == "Addition adds.\n"
    plain = bench.run("--trust", "--accept", "all")
    assert "Mend the calculator" in plain.out


def test_hunks_and_runs_that_are_not_there(bench: Bench) -> None:
    bench.script(*GOOD)
    run_id = bench.run("--trust", "--json").last["runId"]
    for words, message in (
        (
            ["accept", "latest", "--file", "calk.py"],
            "no changes of the run are in 'calk.py'; did you mean 'calc.py'?",
        ),
        (["accept", "latest", "--hunk", "zzzz"], "the run has no hunk 'zzzz'"),
        (["accept", "run-1", "--all"], "this workspace has no run 'run-1'"),
        (["show", run_id[:-1] + "?"], f"did you mean {run_id}?"),
        (["show", "latest", "--task", "ad"], "the run has no task 'ad'; did you mean 'add'?"),
        (["undo", "latest", "--decision", "d-1"], "d-1"),
    ):
        done = bench(words[0], *words[1:])
        assert done.code == 2, done
        assert message in done.errors


def test_a_conflict_is_a_one_and_changes_nothing(bench: Bench) -> None:
    bench.script(*GOOD)
    bench.run("--trust")
    (bench.workspace / "calc.py").write_text("def add(a, b):\n    return b - a\n")
    done = bench("accept", "latest", "--all", "--json")
    assert done.code == 1, done
    assert "b - a" in bench.files()["calc.py"]


def test_without_trust_gates_do_not_run(bench: Bench) -> None:
    bench.script(*GOOD)
    run = bench.run()
    assert run.code == 1, run
    assert "is not trusted" in run.errors
    assert "unverified" in run.out
    shown = bench("show", "latest", "--json").last
    add = next(task for task in shown["tasks"] if task["id"] == "add")
    assert (add["state"], add["verified"]) == ("merged", False)
    assert bench("trust").code == 0
    assert bench("trust", "--show", "--json").last["trusted"] is True
    assert bench.run().code == 0
    assert bench("trust", "--revoke").code == 0
    assert bench("trust", "--show").code == 1


def test_trust_ends_when_what_it_was_given_for_changes(bench: Bench) -> None:
    assert bench("trust").code == 0
    (bench.workspace / ".antiphon").mkdir()
    (bench.workspace / ".antiphon" / "config.toml").write_text('[quality]\ntest_command = "make evil"\n')
    shown = bench("trust", "--show")
    assert shown.code == 1
    assert "It was, but files that can start something have changed since" in shown.out
    assert "quality.test_command is ignored until you trust this workspace" in shown.errors
    assert bench("trust", "--list", "--json").last["changed"] is True
    assert bench("trust").code == 0
    assert bench("trust", "--show").code == 0


def test_a_dead_letter_shows_the_failing_test(bench: Bench) -> None:
    wrong = {**EDIT, "arguments": {"path": "calc.py", "edits": [{"search": "a - b", "replace": "a * b"}]}}
    bench.script(rule("add", wrong, finish()), rule("doc", NOTES, finish()))
    run = bench.run("--trust")
    assert run.code == 1, run
    assert "dead letter add after 3 attempts" in run.out
    assert "2 != 3" in run.out
    assert "antiphon show run-" in run.out
    page = bench("show", "latest", "--task", "add")
    assert "attempt 3 failed (gate)" in page.out

    bench.script(*GOOD)
    resumed = bench("resume", "latest", "--trust", "--json")
    assert resumed.last["type"] == "run_finished"
    assert bench("show", "latest").code == 0


def test_the_summary_without_a_terminal_is_plain(bench: Bench) -> None:
    bench.script(*GOOD)
    run = bench.run("--trust")
    assert run.code == 0, run
    assert "\x1b" not in run.out
    assert "add started" in run.out
    assert "add merged, 1 file changed" in run.out
    assert "antiphon accept run-" in run.out


def slow() -> list[dict[str, Any]]:
    return [rule("add", EDIT, finish(), delay_s=60), rule("doc", NOTES, finish(), delay_s=60)]


def started(bench: Bench, *words: str) -> "subprocess.Popen[str]":
    """A run under way, its slow task started."""
    bench.script(*slow())
    process = subprocess.Popen(
        [
            PROGRAM,
            "run",
            "--plan-file",
            bench.plan,
            "--json",
            "--trust",
            "--approval",
            "auto",
            "--workspace",
            bench.workspace,
            *words,
        ],
        env=bench.antiphon.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["type"] == "turn_started" and event["taskId"] == "add":
            return process
    raise AssertionError(process.communicate())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_run_readably(bench: Bench, number: signal.Signals) -> None:
    with started(bench) as process:
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    last = json.loads(out.splitlines()[-1])
    assert (last["type"], last["state"], last["exitCode"]) == ("run_finished", "cancelled", 130)
    assert bench("runs", "--json").last["state"] == "cancelled"
    bench.script(*GOOD)
    resumed = bench("resume", "latest", "--trust", "--json")
    assert resumed.code == 0, resumed
    assert resumed.last["state"] == "completed"


def test_a_second_signal_leaves_at_once(bench: Bench) -> None:
    with started(bench) as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130, errors
        assert "Traceback" not in errors
    assert bench("runs", "--json").last["state"] in {"cancelled", "interrupted"}


def test_a_killed_run_is_resumed_where_it_stood(bench: Bench) -> None:
    with started(bench) as process:
        process.kill()
        process.wait(30)
    assert bench("runs", "--json").last["state"] == "interrupted"
    assert "interrupted" in bench("show", "latest").out
    bench.script(*GOOD)
    resumed = bench("resume", "latest", "--trust", "--json")
    assert resumed.code == 0, resumed
    assert resumed.last["state"] == "completed"
    assert resumed.events[0]["type"] == "run_owned", "only what is new is printed"


def test_another_process_cancels_the_run(bench: Bench) -> None:
    with started(bench) as process:
        done = bench("cancel", "latest")
        assert done.code == 0, done
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert json.loads(out.splitlines()[-1])["state"] == "cancelled"
    again = bench("cancel", "latest")
    assert "has ended already" in again.out


def test_a_run_whose_reader_goes_away_is_cancelled(bench: Bench) -> None:
    with started(bench) as process:
        assert process.stdout is not None
        process.stdout.close()
        # The next event finds nobody who reads it.
        cancelled = bench("cancel", "latest", "--task", "doc")
        assert cancelled.code == 0, cancelled
        process.wait(30)
        assert process.returncode in {1, 130}
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert bench("runs", "--json").last["state"] == "cancelled"


def test_gc_removes_what_is_old_and_keeps_the_rest(bench: Bench) -> None:
    bench.script(*GOOD)
    first = bench.run("--trust", "--json").last["runId"]
    second = bench.run("--trust", "--json").last["runId"]
    dry = bench("gc", "--older-than", "0", "--keep", "1", "--dry-run", "--json").last
    assert (dry["runs"], dry["runsLeft"]) == ([first], 1)
    assert len(bench("runs", "--json").events) == 2
    done = bench("gc", "--older-than", "0", "--keep", "1")
    assert done.code == 0, done
    assert [run["runId"] for run in bench("runs", "--json").events] == [second]
    accepted = bench("accept", second, "--all")
    assert accepted.code == 0, accepted
    assert bench("gc").code == 0


def test_doctor(bench: Bench, configure: Callable[[str], Path]) -> None:
    bench.script(*GOOD)
    sound = bench("doctor", "--json")
    assert sound.code == 0, sound
    states = {check["name"]: check["state"] for check in sound.last["checks"]}
    assert states["git"] == states["data"] == states["journal"] == states["model"] == "ok"
    assert states["trust"] == states["sandbox"] == "remark"
    configure("modle = 'x/y'\n")
    broken = bench("doctor")
    assert broken.code == 1
    assert "unknown key `modle`; did you mean `model`?" in broken.out


# --- at a terminal ---------------------------------------------------------------------------------


def test_a_terminal_asks_for_trust_and_draws_a_tree(bench: Bench) -> None:
    bench.script(*GOOD)
    words = ("run", "--plan-file", bench.plan, "--workspace", bench.workspace, "--approval", "auto")
    with AtTerminal(bench.antiphon, *words) as terminal:
        terminal.until("Trust it?")
        terminal.type("o\n")
        assert terminal.end() == 0, terminal.text
        assert "completed · Mend the calculator" in terminal.text
        assert "\x1b[" in terminal.raw
    assert bench("trust", "--show").code == 1, "once is once"
    with AtTerminal(bench.antiphon, *words) as terminal:
        terminal.until("Trust it?")
        terminal.type("n\n")
        assert terminal.end() == 1, terminal.text
        assert "unverified" in terminal.text


def test_a_plan_is_confirmed_edited_or_refused(bench: Bench) -> None:
    bench.script(*GOOD)
    words = (
        "run", "--plan-file", bench.plan, "--workspace", bench.workspace, "--trust", "--approval", "auto",
        "--plan", "confirm",
    )  # fmt: skip
    with AtTerminal(bench.antiphon, *words) as terminal:
        terminal.until("Carry it out?")
        assert "Addition subtracts." in terminal.text
        terminal.type("e\n")
        terminal.until("then press Enter here.")
        file = next(word for word in terminal.text.split() if word.endswith("plan.yaml.")).removesuffix(".")
        Path(file).write_text("- {id: add, title: Mend add, instructions: Addition subtracts.}\n")
        terminal.type("\n")
        terminal.until("The plan, edited")
        terminal.type("y\n")
        assert terminal.end() == 0, terminal.text
    assert [task["id"] for task in bench("show", "latest", "--json").last["tasks"]] == ["add"]
    with AtTerminal(bench.antiphon, *words) as terminal:
        terminal.until("Carry it out?")
        terminal.type("n\n")
        assert terminal.end() in {1, 130}, terminal.text


@pytest.mark.parametrize(("answer", "ran"), [("o", True), ("n", False)])
def test_a_command_is_asked_about(bench: Bench, answer: str, *, ran: bool) -> None:
    command = {"name": "run_command", "arguments": {"command": "echo made > made.txt"}}
    bench.script(rule("doc", command, turn=1), rule("doc", NOTES, finish()), rule("add", EDIT, finish()))
    words = ("run", "--plan-file", bench.plan, "--workspace", bench.workspace, "--trust")
    with AtTerminal(bench.antiphon, *words) as terminal:
        while True:
            terminal.until("Allow it?")
            asked = terminal.text.rpartition(" wants to ")[2]
            terminal.raw = ""
            if "echo made" in asked:
                terminal.type(f"{answer}\n")
                break
            terminal.type("r\n")
        if "workspace's own tests" not in terminal.raw:
            terminal.until("Allow it?")
            terminal.type("r\n")
        code = terminal.end()
        assert code in {0, 1}, terminal.text
    paths = {file["path"] for file in bench("changes", "latest", "--json").last["files"]}
    assert ("made.txt" in paths) is ran


def test_ctrl_c_at_a_terminal(bench: Bench) -> None:
    bench.script(*slow())
    words = (
        "run",
        "--plan-file",
        bench.plan,
        "--workspace",
        bench.workspace,
        "--trust",
        "--approval",
        "auto",
    )
    with AtTerminal(bench.antiphon, *words) as terminal:
        terminal.until("2 running")
        terminal.type("\x03")
        assert terminal.end() == 130, terminal.text
        assert "cancelling; Ctrl-C again leaves at once" in terminal.text
        assert "antiphon resume run-" in terminal.text
