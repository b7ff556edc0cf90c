"""`antiphon checkpoints`, `antiphon restore` and what `antiphon gc` leaves of them, each a process."""

import os
import time
from pathlib import Path

import pytest

from tests.cli.terminals import AtTerminal
from tests.cli.test_runs import GOOD, Bench
from tests.e2e.command_line import Antiphon

AGO_S = 3 * 86_400


@pytest.fixture
def bench(antiphon: Antiphon, workspace: Path, tmp_path: Path) -> Bench:
    made = Bench(antiphon, workspace, tmp_path)
    made.script(*GOOD)
    return made


def accepted(bench: Bench) -> str:
    run: str = bench.run("--trust", "--json", "--accept", "all").last["runId"]
    return run


def test_from_the_list_to_the_files_and_back(bench: Bench) -> None:
    before = bench.files()
    run = accepted(bench)
    after = bench.files()
    listed = bench("checkpoints")
    assert listed.code == 0, listed
    assert [line.split()[0] for line in listed.out.splitlines()] == [f"{run}.1", f"{run}.0"]
    assert "before accept" in listed.out
    assert "2 hunks in NOTES.md, calc.py" in listed.out
    assert "start of the run  Mend the calculator" in listed.out
    dry = bench("restore", "latest.0", "--dry-run")
    assert dry.code == 0, dry
    assert "-    return a + b\n+    return a - b\n" in dry.out
    assert "NOTES.md  goes        +0 -1\n" in dry.out
    assert f"2 files, +1 -2 to be as in {run}.0" in dry.out
    assert bench.files() == after
    done = bench("restore", "latest.0")
    assert done.code == 0, done
    assert "restored 2 files" in done.out
    assert f"back: antiphon restore {run}.2 --workspace" in done.out
    assert bench.files() == before
    again = bench("restore", f"{run}.0")
    assert again.out.startswith("nothing to do")
    back = bench("restore", "latest", "--json").last
    assert (back["type"], back["checkpointId"], back["savedAs"]) == ("restore", f"{run}.2", f"{run}.3")
    assert [(file["path"], file["outcome"]) for file in back["files"]] == [
        ("NOTES.md", "written"),
        ("calc.py", "written"),
    ]
    assert bench.files() == after
    found = bench("checkpoints", run, "--json").events
    assert [one["before"] for one in found] == ["restore", "restore", "accept", "run"]
    assert found[0]["restores"] == f"{run}.2"


def test_some_files_and_what_is_left(bench: Bench) -> None:
    folder = bench.workspace
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "big.bin").write_bytes(b"0" * (10 * 2**20 + 1))
    run = accepted(bench)
    (folder / "debug.log").write_text("ignored\n")
    (folder / "big.bin").write_bytes(b"1" * (10 * 2**20 + 1))
    shown = bench("restore", "latest.0", "--dry-run", "--json").last
    assert [item["path"] for item in shown["leftOut"]] == ["big.bin"]
    assert "not in the checkpoint, never touched: big.bin" in bench("restore", "latest.0", "--dry-run").out
    some = bench("restore", f"{run}.0", "--file", "./NOTES.md", "--json").last
    assert [file["path"] for file in some["files"]] == ["NOTES.md"]
    assert (folder / "calc.py").read_text() == "def add(a, b):\n    return a + b\n"
    (folder / "big.bin").write_text("small now\n")
    whole = bench("restore", f"{run}.0")
    assert whole.code == 0, whole
    assert "left as it is  big.bin  left out of that checkpoint: larger than 10 MB" in whole.out
    assert (folder / "big.bin").read_text() == "small now\n"
    assert (folder / "debug.log").read_text() == "ignored\n"
    refused = bench("restore", f"{run}.0", "--file", "debug.log")
    assert refused.code == 2
    assert "ignored files are in no checkpoint" in refused.errors


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("nonsense", "RUN.NUMBER"),
        ("latest.9", "has no checkpoint"),
        ("run-none.0", "no run 'run-none'"),
        (".0", "RUN.NUMBER"),
        ("", "RUN.NUMBER"),
    ],
)
def test_a_checkpoint_that_is_none(bench: Bench, given: str, word: str) -> None:
    accepted(bench)
    refused = bench("restore", given)
    assert refused.code == 2, refused
    assert word in refused.errors
    assert "Traceback" not in refused.errors


def test_without_a_run_there_is_none(bench: Bench) -> None:
    assert bench("checkpoints").out == "no checkpoints yet; every run begins with one\n"
    assert bench("checkpoints", "--json").out == ""
    refused = bench("restore", "latest")
    assert refused.code == 2
    assert "no checkpoints yet" in refused.errors


def test_a_conflict_is_a_one_and_the_rest_is_done(bench: Bench) -> None:
    run = accepted(bench)
    (bench.workspace / "calc.py").unlink()
    (bench.workspace / "calc.py").mkdir()
    (bench.workspace / "calc.py" / "mine.env").write_text("a secret, so in no checkpoint\n")
    done = bench("restore", f"{run}.0")
    assert "left as it is  calc.py  a folder now, and calc.py/mine.env in it is in no checkpoint" in done.out
    assert not (bench.workspace / "NOTES.md").exists()
    assert (bench.workspace / "calc.py" / "mine.env").exists()


def aged(home: Path) -> None:
    """Every object looks as if it were some days old."""
    past = time.time() - AGO_S
    for place, _, files in os.walk(home):
        if "snapshots.git" in place:
            for name in files:
                os.utime(Path(place, name), (past, past))


def test_gc_keeps_checkpoints_as_configured(bench: Bench) -> None:
    run = accepted(bench)
    (bench.workspace / "only-then.txt").write_text("only in a checkpoint\n")
    bench("restore", f"{run}.0")
    bench("restore", f"{run}.2")
    assert (bench.workspace / "only-then.txt").exists()
    (bench.workspace / "only-then.txt").unlink()
    bench("restore", f"{run}.1")
    aged(bench.antiphon.home)
    kept = bench("gc", "--json").last
    assert (kept["checkpointsLeft"], kept["checkpointsOld"]) == (4, 0)
    assert bench("restore", f"{run}.2", "--file", "only-then.txt").code == 0
    (bench.workspace / "only-then.txt").unlink()
    bench.antiphon.variables |= {
        "ANTIPHON_CHECKPOINTS_KEEP_DAYS": "0.0000001",
        "ANTIPHON_CHECKPOINTS_KEEP": "1",
    }
    bench("restore", f"{run}.0")
    aged(bench.antiphon.home)
    dry = bench("gc", "--dry-run", "--json").last
    assert dry["checkpointsLeft"] == 1
    assert dry["runsLeft"] == 1
    done = bench("gc")
    assert "1 checkpoint kept" in done.out
    found = {one["checkpointId"]: one["gone"] for one in bench("checkpoints", run, "--json").events}
    assert found[f"{run}.2"] is True
    assert found[f"{run}.0"] is False, "the base of a run that is kept is needed for its review"
    assert "removed by gc" in bench("checkpoints").out
    refused = bench("restore", f"{run}.2")
    assert refused.code == 2
    assert "checkpoints.keep_days" in refused.errors
    assert bench("changes", run).code == 0


def test_colours_and_progress_at_a_terminal(bench: Bench) -> None:
    run = accepted(bench)
    with AtTerminal(bench.antiphon, "restore", f"{run}.0", "--workspace", bench.workspace) as terminal:
        assert terminal.end() == 0
    assert "reading the workspace" in terminal.text
    assert f"restored 2 files of {run}.0" in terminal.text
    assert "\x1b[" in terminal.raw
