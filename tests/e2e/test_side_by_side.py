"""Several processes on one workspace: each run has one owner, and nobody takes anything away from it."""

import json

from tests.e2e.bench import Bench, edit, task, until, write
from tests.e2e.processes import assert_nothing_left, children
from tests.model_server.replies import Gate

HANGING = """import subprocess
import time
import unittest

subprocess.Popen(["sleep", "600"], start_new_session=True)


class Hang(unittest.TestCase):
    def test_hang(self):
        time.sleep(600)
"""


def test_commands_beside_a_run(bench: Bench) -> None:
    (bench.workspace / "a.txt").write_text("one\ntwo\nthree\nfour\nfive\n")
    bench.model.turns["Slow"] = [[edit("a.txt", "five", "5"), write("slow.txt", "slow\n")]]
    bench.model.turns["Fast"] = [[edit("a.txt", "one", "1"), write("fast.txt", "fast\n")]]
    bench.model.gates["Slow"] = Gate()
    with bench.begin(*bench.words(bench.plan("Slow"))) as process:
        slow = until(process.stdout, "turn_started", taskId="slow")["runId"]
        listed = bench("runs", "--json").last
        assert (listed["state"], listed["ownerPid"]) == ("running", process.pid)
        for words, code, message in (
            (["resume", slow, "--trust"], 1, str(process.pid)),
            (["accept", slow, "--all"], 2, "has no changes to decide"),
            (["undo", slow], 2, "has no decision to undo"),
            (["changes", slow], 0, ""),
            (["show", slow], 0, ""),
        ):
            said = bench(words[0], *words[1:])
            assert said.code == code, said
            assert message in said.errors

        fast = bench.run("Fast", more=("--accept", "all"))
        assert fast.code == 0, fast
        collected = bench("gc", "--older-than", "0", "--keep", "0", "--interrupted", "--json")
        assert collected.code == 0, collected
        assert collected.last["runs"] == [fast.last["runId"]], "the run under way is not touched"
        bench.model.gates["Slow"].release()
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert json.loads(out.splitlines()[-1])["state"] == "completed"
    accepted = bench("accept", slow, "--all")
    assert accepted.code == 0, accepted
    assert (bench.workspace / "a.txt").read_text() == "1\ntwo\nthree\nfour\n5\n", (
        "beside what was accepted since"
    )
    assert bench("undo", slow).code == 0
    assert (bench.workspace / "a.txt").read_text() == "1\ntwo\nthree\nfour\nfive\n"
    assert {path.name for path in bench.workspace.iterdir()} == {"a.txt", "fast.txt"}


def test_a_test_that_never_ends_is_ended_with_all_it_started(bench: Bench) -> None:
    config = bench.antiphon.home / ".config" / "antiphon" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[quality]\ntimeout_s = 2\n[budget]\nattempts = 1\n")
    (bench.workspace / "test_hang.py").write_text(HANGING)
    bench.model.turns["Hang"] = [[write("a.py", "x = 1\n")]]
    with bench.begin(*bench.words(bench.plan(task("Hang", tests=["test_hang.py"])))) as process:
        until(process.stdout, "turn_completed", taskId="hang")
        known = children(process.pid)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    last = json.loads(out.splitlines()[-1])
    assert last["tasks"] == {"dead": 1}, last
    [failed] = [event for line in out.splitlines() if (event := json.loads(line))["type"] == "attempt_failed"]
    assert "stopped after 2 s" in failed["feedback"], failed
    assert_nothing_left(bench, known)
