"""Every command after one real run: what it prints for people and for programs, and what it ends with."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bench import MODEL, Bench, edit, task, write
from tests.model_server import Plain, ToolCall

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"


@pytest.fixture
def done(bench: Bench) -> Bench:
    """A run with one merged task and one dead letter, in a workspace with a failing test."""
    workspace_of(bench)
    bench.model.turns["Notes"] = [[write("NOTES.md", "Addition adds.\n")]]
    bench.model.instead["Mend"] = Plain(400, b'{"error": {"message": "not today"}}')
    run = bench.run("Notes", "Mend")
    assert (run.code, run.last["tasks"]) == (1, {"merged": 1, "dead": 1}), run
    del bench.model.instead["Mend"]
    return bench


def workspace_of(bench: Bench) -> None:
    root = bench.workspace
    (root / "calc.py").write_bytes(b"def add(a, b):\r\n    return a - b\r\n")
    (root / "test_calc.py").write_text(
        "import unittest\n\nfrom calc import add\n\n\nclass Calc(unittest.TestCase):\n"
        "    def test_add(self):\n        self.assertEqual(add(2, 1), 3)\n"
    )


def test_the_events_of_a_run(bench: Bench) -> None:
    workspace_of(bench)
    bench.model.turns["Mend"] = [[edit("calc.py", "a - b", "a * b")]]
    run = bench.run("Notes", task("Mend", tests=["test_calc.py"]))
    assert (run.code, run.last["tasks"]) == (1, {"merged": 1, "dead": 1}), run
    shown = bench("show", "latest", "--json").last
    assert (shown["state"], shown["exitCode"]) == ("partial", 1)
    mend = next(item for item in shown["tasks"] if item["id"] == "mend")
    assert (mend["state"], mend["attempt"], len(mend["failures"])) == ("dead", 3, 3)
    assert "2 != 3" in mend["failures"][0]["feedback"]
    retried = [request for request in bench.records.of_task("Mend") if request.turn == 0]
    assert len(retried) == 3
    assert retried[0].first_user_text.startswith("Mend\n\nMend, please.")
    assert all("2 != 3" in request.first_user_text for request in retried[1:]), (
        "fresh, with the gate's output"
    )


def test_line_endings_of_a_diff(bench: Bench) -> None:
    workspace_of(bench)
    bench.model.turns["Mend"] = [[edit("calc.py", "a - b", "a + b")]]
    run = bench.run(task("Mend", tests=["test_calc.py"]))
    assert run.code == 0, run
    shown = bench("changes", "latest")
    assert "-    return a - b\n+    return a + b\n" in shown.out, "CRLF on both sides is not shown"
    hunk = bench("changes", "latest", "--json").last["files"][0]["hunks"][0]
    assert hunk["newText"] == "    return a + b\r\n"
    assert bench("accept", "latest", "--all").code == 0
    assert (bench.workspace / "calc.py").read_bytes() == b"def add(a, b):\r\n    return a + b\r\n"


def documented() -> dict[str, set[str]]:
    """The fields that the page promises for each command's lines."""
    found: dict[str, set[str]] = {}
    for row in re.findall(r"^\| (`.*) \| `(\{.*)$", PAGE.read_text(), re.MULTILINE):
        commands, example = row
        fields = set(re.findall(r'"(\w+)"', example.split("each, then")[0]))
        for name in re.findall(r"`([a-z-]+)`", commands):
            found[name] = fields
    return found


def fields_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {*value, *(name for item in value.values() for name in fields_of(item))}
    return {name for item in value for name in fields_of(item)} if isinstance(value, list) else set()


WORDS: dict[str, list[str]] = {
    "show": ["latest"], "changes": ["latest"], "accept": ["latest", "--all"], "undo": ["latest"],
    "reject": ["latest", "--all"], "cancel": ["latest"], "gc": ["--dry-run"],
}  # fmt: skip


def test_what_programs_read_is_as_documented(done: Bench) -> None:
    promised = documented()
    assert set(promised) > {"runs", "show", "changes", "accept", "undo", "trust", "doctor", "gc"}
    for name in ("runs", "show", "changes", "accept", "undo", "reject", "trust", "cancel", "doctor", "gc"):
        said = done(name, *WORDS.get(name, []), "--json")
        assert said.code == 0, (name, said)
        assert said.events, name
        assert len(said.events) == len(said.out.splitlines()), "nothing but JSON lines"
        missing = promised[name] - fields_of(said.events)
        if name == "reject":  # no file is touched
            missing -= {"path", "outcome", "detail"}
        assert missing == set(), (name, said.out)


def test_errors_for_programs(done: Bench) -> None:
    for name in ("show", "changes", "resume", "cancel", "undo"):
        said = done(name, "run-none", "--json")
        assert said.code == 2, said
        assert (said.last["type"], said.last["kind"], said.last["exitCode"]) == ("error", "NotFoundError", 2)
        assert said.last["message"] in said.errors
    for words in (["runs", "--nope"], ["gc", "--keep", "x"], ["show"]):
        said = done.antiphon(*words, "--json")
        assert (said.code, said.last["type"], said.last["kind"]) == (2, "error", "UsageError"), said
        assert said.last["message"] in said.errors
    nowhere = done.antiphon("accept", "latest", "--all", "--workspace", "")
    assert (nowhere.code, "--workspace is empty" in nowhere.errors) == (2, True), nowhere
    wrong = done("accept", "latest", "--file", "calk.py", "--json")
    assert (wrong.code, wrong.last["type"]) == (2, "error")
    completed = done("resume", "latest", "--trust", "--json")
    assert completed.code in {1, 2}, completed


def test_runs_are_listed_newest_first(done: Bench) -> None:
    second = done.run("Second").last["runId"]
    listed = done("runs", "--json").events
    assert listed[0]["runId"] == second
    assert len(listed) == 2
    assert [run["state"] for run in listed] == ["completed", "partial"]
    assert {"runId", "state", "goal"} <= set(listed[0])
    assert len(done("runs", "--json", "--limit", "1").events) == 1
    begun = second[:-3]
    assert done("show", begun, "--json").last["runId"] == second
    both = done("show", "run-", "--json")
    assert both.code == 2
    assert "begins 2 runs" in both.errors
    again = done("resume", second)
    assert again.code == 2, again
    assert "is completed: nothing is left to resume" in again.errors


def test_a_damaged_run_leaves_the_others(done: Bench) -> None:
    first = done("runs", "--json").last["runId"]
    second = done.run("Second").last["runId"]
    [file] = done.data.glob(f"workspaces/*/runs/{first}*.sqlite")
    file.write_bytes(b"not a database any more" * 400)
    for path in file.parent.glob(f"{file.name}-*"):
        path.unlink()
    listed = done("runs", "--json")
    assert listed.code == 0, listed
    assert second in {run["runId"] for run in listed.events}
    nothing = done("accept", second, "--all")
    assert (nothing.code, "nothing to do" in nothing.out) == (0, True), nothing
    damaged = done("show", first)
    assert damaged.code == 70, damaged
    assert str(file) in damaged.errors
    assert "Traceback" not in damaged.errors
    collected = done("gc", "--older-than", "0", "--keep", "0")
    assert collected.code in {0, 70}, collected
    assert "Traceback" not in collected.errors


def test_gc_keeps_what_can_still_be_decided(done: Bench) -> None:
    first = done("runs", "--json").last["runId"]
    kept = done.run("Notes").last["runId"]
    dry = done("gc", "--older-than", "0", "--keep", "1", "--dry-run", "--json").last
    assert (dry["runs"], dry["runsLeft"], dry["dryRun"]) == ([first], 1, True)
    assert len(done("runs", "--json").events) == 2
    assert done("gc", "--older-than", "0", "--keep", "1", "--json").last["runs"] == [first]
    assert [run["runId"] for run in done("runs", "--json").events] == [kept]
    assert done("accept", kept, "--all").code == 0
    assert done("undo", kept).code == 0
    assert not (done.workspace / "NOTES.md").exists()
    for words in (["--keep", "x"], ["--older-than", "x"]):
        assert done("gc", *words).code == 2


def test_review_compares_and_runs_nothing_untrusted(done: Bench, tmp_path: Path) -> None:
    root = done.workspace
    marker = tmp_path / "ran"
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ruff").write_text(f"#!/bin/sh\ntouch '{marker}'\nexit 0\n")
    (tools / "ruff").chmod(0o755)
    done.antiphon.variables["PATH"] = f"{tools}:{os.environ['PATH']}"
    (root / "calc.py").write_text("def add(:\n")
    untrusted = done("review", "--json", "--no-model")
    assert untrusted.code == 1, "that it does not parse needs no program"
    assert not marker.exists()
    assert untrusted.last["type"] == "review_finished"
    assert any(event.get("path") == "calc.py" for event in untrusted.events)
    unknown = done("review", "--base", "no-such-revision")
    assert unknown.code == 2, unknown


def test_trust_belongs_to_a_folder_and_to_what_is_in_it(done: Bench, tmp_path: Path) -> None:
    assert done("trust", "--show").code == 1
    assert done("trust").code == 0
    assert done("trust", "--show").code == 0
    moved = tmp_path / "moved"
    shutil.copytree(done.workspace, moved)
    assert done.antiphon("trust", "--show", "--workspace", moved).code == 1, "a copy is another folder"
    alias = tmp_path / "alias"
    alias.symlink_to(done.workspace)
    assert done.antiphon("trust", "--show", "--workspace", alias).code == 0, "a link is the same one"
    (done.workspace / ".antiphon").mkdir()
    (done.workspace / ".antiphon" / "config.toml").write_text('[quality]\nsetup_command = "touch /tmp/x"\n')
    said = done("trust", "--show", "--json").last
    assert (said["workspace"], said["trusted"], said["changed"]) == (str(done.workspace), False, True)
    run = done(
        "run", "--plan-file", done.plan(task("Mend", tests=["test_calc.py"])), "--model", MODEL, "--json"
    )
    assert run.code == 1, run
    assert any("not trusted" in reason for reason in run.last["reasons"]), run.last
    assert done("trust", "--revoke").code == 0
    assert done("trust", "--list", "--json").out == ""


def test_doctor_names_the_near_key(done: Bench) -> None:
    config = done.antiphon.home / ".config" / "antiphon" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[budget]\ntokns = 5\n")
    for name in ("run", "resume", "changes", "trust", "gc", "doctor"):
        words = {**WORDS, "run": ["x"], "resume": ["latest"]}.get(name, [])
        said = done(name, *words)
        assert said.code == (1 if name == "doctor" else 2), (name, said)
        assert (
            "line 2: unknown key `budget.tokns`; did you mean `budget.tokens`?" in said.errors + said.out
        ), name
    (done.workspace / ".antiphon").mkdir()
    config.unlink()
    (done.workspace / ".antiphon" / "config.toml").write_text("max_paralel = 2\n")
    said = done("runs")
    assert "max_paralel" in said.errors
    assert "max_parallel" in said.errors


def test_resume_takes_other_options(bench: Bench) -> None:
    bench.model.turns["One"] = [[write("one.txt", "1\n")]]
    bench.model.turns["Two"] = [[ToolCall("read_file", {"path": "one.txt"})], [write("two.txt", "2\n")]]
    plan = [task("One"), task("Two", depends_on=["one"])]
    stopped = bench.run(*plan, more=("--max-tokens", "800"))
    assert stopped.code == 1, stopped
    assert stopped.last["tasks"].get("merged", 0) < 2
    resumed = bench(
        "resume",
        "latest",
        "--max-tokens",
        "100000",
        "--max-parallel",
        "1",
        "--trust",
        "--accept",
        "all",
        "--json",
    )
    assert (resumed.code, resumed.last["tasks"]) == (0, {"merged": 2}), resumed
    assert {item["path"] for item in resumed.last["accepted"]["files"]} == {"one.txt", "two.txt"}
    assert json.loads(resumed.out.splitlines()[0])["type"] == "run_owned"
    assert (bench.workspace / "two.txt").read_text() == "2\n"


def test_dead_letters_and_retry(done: Bench) -> None:
    told = done("dead-letters", "latest", "--json").last
    assert [(item["id"], len(item["attempts"])) for item in told["deadLetters"]] == [("mend", 1)]
    assert "antiphon retry" in done("dead-letters", "latest").out
    assert done("retry", "latest", "mned").code == 2
    done.model.turns["Mend"] = [[edit("calc.py", "a - b", "a + b")]]
    again = done("retry", "latest", "mend", "--note", "Addition, please.", "--trust", "--json")
    assert (again.code, again.last["tasks"]) == (0, {"merged": 2}), again
    assert "Addition, please." in done.records.of_task("Mend")[-1].first_user_text
    assert "no dead letter" in done("dead-letters", "latest").out
