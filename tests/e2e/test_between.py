"""What a user does between a proposal and its decision wins, and nothing is half-applied."""

from pathlib import Path

import pytest

from tests.e2e.bench import Bench, edit, write
from tests.e2e.command_line import Finished
from tests.model_server import ToolCall

LINES = "".join(f"line {number}\n" for number in range(40))


@pytest.fixture
def proposed(bench: Bench) -> Bench:
    """Every kind of change is proposed."""
    root = bench.workspace
    for name in ("two.txt", "other.txt", "gone.txt", "moved.txt", "folder.txt", "linked.txt"):
        (root / name).write_text(LINES)
    (root / "moved.txt").write_text("moved\n")
    bench.model.turns["Change"] = [
        [edit("two.txt", "line 3\n", "three\n"), edit("two.txt", "line 30\n", "thirty\n")],
        [edit(name, "line 5\n", "five\n") for name in ("other.txt", "folder.txt", "linked.txt")],
        [write("made.txt", "made\n"), write("deep/er/made.txt", "made\n")],
        [ToolCall("delete_file", {"path": "gone.txt"})],
        [ToolCall("move_file", {"path": "moved.txt", "to": "new/moved.txt"})],
    ]
    run = bench.run("Change")
    assert (run.code, run.last["state"]) == (0, "completed"), run
    return bench


def outcomes(done: Finished) -> dict[str, str]:
    return {item["path"]: item["outcome"] for item in done.last["files"]}


def test_the_users_own_lines_are_a_conflict(proposed: Bench) -> None:
    root = proposed.workspace
    (root / "two.txt").write_text("mine\n" + LINES.replace("line 3\n", "my line\n"))
    (root / "made.txt").write_text("mine\n")
    (root / "gone.txt").write_text("still needed\n")
    (root / "moved.txt").unlink()
    (root / "folder.txt").unlink()
    (root / "folder.txt").mkdir()
    (root / "linked.txt").unlink()
    (root / "linked.txt").symlink_to("other.txt")
    (root / "deep").write_text("a file where a folder should be\n")
    shown = proposed("changes", "latest")
    assert shown.code == 0, shown
    assert "conflict" in shown.out

    done = proposed("accept", "latest", "--all", "--json")
    assert done.code == 1, done
    told = outcomes(done)
    refused = {"made.txt", "gone.txt", "new/moved.txt", "folder.txt", "linked.txt", "deep/er/made.txt"}
    assert {path for path, outcome in told.items() if outcome == "conflict"} >= refused, done.last
    assert told["other.txt"] == "written"
    assert all(item["detail"] for item in done.last["files"] if item["outcome"] == "conflict")
    assert (root / "two.txt").read_text() == "mine\n" + LINES.replace("line 3\n", "my line\n").replace(
        "line 30\n", "thirty\n"
    ), "the other hunk of the file has its own decision"
    assert (root / "made.txt").read_text() == "mine\n"
    assert (root / "gone.txt").read_text() == "still needed\n"
    assert (root / "folder.txt").is_dir()
    assert (root / "linked.txt").readlink() == Path("other.txt")
    assert (root / "other.txt").read_text() == LINES.replace("line 5\n", "five\n")
    assert (root / "deep").read_text() == "a file where a folder should be\n"
    assert not (root / "new").exists()

    undone = proposed("undo", "latest", "--json")
    assert undone.code == 0, undone
    assert (root / "other.txt").read_text() == LINES
    assert (root / "two.txt").read_text() == "mine\n" + LINES.replace("line 3\n", "my line\n")


def test_a_conflict_is_told_for_people(proposed: Bench) -> None:
    (proposed.workspace / "other.txt").write_text("mine\n")
    done = proposed("accept", "latest", "--file", "other.txt", "--file", "made.txt")
    assert done.code == 1, done
    assert "conflict  other.txt  hunk" in done.out
    assert "written  made.txt" in done.out
    assert "accepted in 1 file, 1 conflict" in done.out
    alone = proposed("accept", "latest", "--file", "other.txt")
    assert alone.code == 1, alone
    assert "not accepted, 1 conflict" in alone.out
    assert (proposed.workspace / "other.txt").read_text() == "mine\n"


def test_an_undo_takes_back_what_it_did_and_no_more(proposed: Bench) -> None:
    root = proposed.workspace
    accepted = proposed("accept", "latest", "--all", "--json")
    assert accepted.code == 0, accepted
    assert not (root / "moved.txt").exists()
    (root / "two.txt").write_text((root / "two.txt").read_text() + "mine\n")
    undone = proposed("undo", "latest")
    assert undone.code == 0, undone
    assert (root / "two.txt").read_text() == LINES + "mine\n"
    assert {path.name for path in root.iterdir() if path.is_file()} == {
        "two.txt", "other.txt", "gone.txt", "moved.txt", "folder.txt", "linked.txt",
    }  # fmt: skip
    assert proposed("accept", "latest", "--all").code == 0
    (root / "made.txt").write_text("changed by hand\n")
    (root / "gone.txt").write_text("here again\n")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    refused = proposed("undo", "latest", "--json")
    assert refused.code == 1, refused
    assert {path for path, outcome in outcomes(refused).items() if outcome == "conflict"} == {
        "made.txt",
        "gone.txt",
    }
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    people = proposed("undo", "latest")
    assert "not undone, 2 conflicts" in people.out


def test_deciding_again_and_otherwise(proposed: Bench) -> None:
    hunks = {
        file["path"]: [hunk["hunkId"] for hunk in file["hunks"]]
        for file in proposed("changes", "latest", "--json").last["files"]
    }
    first, second = hunks["two.txt"]
    assert proposed("accept", "latest", "--hunk", first).code == 0
    again = proposed("accept", "latest", "--hunk", first)
    assert (again.code, "nothing to do" in again.out) == (0, True), again
    refused = proposed("reject", "latest", "--hunk", first)
    assert refused.code == 2, refused
    assert "undo that decision first" in refused.errors
    assert proposed("reject", "latest", "--hunk", second).code == 0
    stat = proposed("changes", "latest", "--file", "two.txt", "--stat")
    assert "1 accepted, 1 rejected" in stat.out
    assert proposed("accept", "latest", "--hunk", second[:6]).code == 0, "decided anew by its own id"
    assert "three\n" in (proposed.workspace / "two.txt").read_text()
    assert "thirty\n" in (proposed.workspace / "two.txt").read_text()
    rest = proposed("accept", "latest", "--all", "--json")
    assert rest.code == 0, rest
    assert "two.txt" not in outcomes(rest)
    listed = proposed("runs", "--json").last
    assert (listed["openHunks"], listed["state"]) == (0, "completed")
