"""Restores that die in the middle, and full disks: processes of their own, killed and mounted for real."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestration import commands as cm
from orchestration.commands import Reply
from orchestration.engine import EngineFront
from tests.orchestration.test_checkpoints import accepted, restore, tree
from tests.orchestration.test_engine import Bench, says, writes

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
SMALL_DISK = "mount -t tmpfs -o size=2m tmpfs {0}"


def program(*words: str | Path, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, "-m", "tests.orchestration.hard_restores", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Accepted changes, and edits after that, of every kind."""
    made = Bench(tmp_path)
    made.write("edited.txt", "one\n")
    made.write("gone/gone.txt", "gone\n")
    made.write("was-file", "file\n")
    (made.root / "empty").mkdir()
    made.rules(says(*writes("edited.txt", "changed\n"), task="t"))
    return made


def disturb(root: Path) -> None:
    shutil.rmtree(root / "gone")
    (root / "was-file").unlink()
    (root / "was-file").mkdir()
    (root / "was-file/in").write_text("in\n")
    (root / "came.txt").write_text("came\n")
    (root / "empty").rmdir()


# Five changes and a folder: was-file/in goes, edited.txt, gone/gone.txt and was-file are put, came.txt goes.
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", range(6))
async def test_a_restore_that_died_is_found_out_and_done_again(bench: Bench, step: int, when: str) -> None:
    wanted = tree(bench.root)
    async with bench.engine() as engine:
        run_id = await accepted(engine)
    disturb(bench.root)
    replaced = tree(bench.root)
    done = program("die", bench.root.parent, f"{run_id}.0", str(step), when)
    assert done.returncode == -signal.SIGKILL, done
    (bench.root / f".antiphon-{_dead()}-0.tmp").write_text("half of a file\n")
    async with bench.engine() as engine:
        newest = (await engine.checkpoints(run_id))[0]
        assert (newest.before, newest.interrupted, newest.restores) == ("restore", True, f"{run_id}.0")
        reply = await restore(engine, f"{run_id}.0")
        assert reply.error == ""
        assert tree(bench.root) == wanted
        (found,) = [one for one in await engine.checkpoints(run_id) if one.interrupted]
        assert found.checkpoint_id == newest.checkpoint_id
        back = await restore(engine, newest.checkpoint_id)
        assert back.error == ""
        assert tree(bench.root) == replaced


async def test_what_was_changed_after_the_crash_is_kept_by_the_next_restore(bench: Bench) -> None:
    async with bench.engine() as engine:
        run_id = await accepted(engine)
    disturb(bench.root)
    program("die", bench.root.parent, f"{run_id}.0", "2", "after")
    bench.write("edited.txt", "typed after the crash\n")
    async with bench.engine() as engine:
        reply = await restore(engine, f"{run_id}.0")
        assert bench.read("edited.txt") == "one\n"
        await restore(engine, reply.checkpoint_id, "edited.txt")
        assert bench.read("edited.txt") == "typed after the crash\n"


async def test_another_command_finds_a_dead_restore_out_too(bench: Bench) -> None:
    async with bench.engine() as engine:
        run_id = await accepted(engine)
    disturb(bench.root)
    program("die", bench.root.parent, f"{run_id}.0", "0", "after")
    async with bench.engine() as engine:
        reply = await _undo(engine, run_id)
        assert reply.error_kind in {"", "ConflictError"}
        newest = next(one for one in await engine.checkpoints(run_id) if one.before == "restore")
        assert newest.interrupted
        assert {file.path: file.detail for file in newest.failed}["came.txt"] == (
            "interrupted before it was restored"
        )


async def _undo(engine: EngineFront, run_id: str) -> Reply:
    return await engine.submit(cm.UndoDecision(run_id=run_id))


def small_disk(folder: Path, where: str) -> Any:
    folder.mkdir()
    mount = SMALL_DISK.format(folder)
    tried = ["unshare", "-rm", "sh", "-c", mount]
    if shutil.which("unshare") is None or subprocess.run(tried, check=False, capture_output=True).returncode:
        pytest.skip("no `unshare -rm` with tmpfs here: a small disk needs it")
    done = program(
        "full", folder, where, before=("unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh")
    )
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def test_a_full_disk_in_the_middle_of_a_restore(tmp_path: Path) -> None:
    said = small_disk(tmp_path / "small", "workspace")
    assert "No space left on device" in said["error"]
    assert said["outcomes"]["big.txt"] == "conflict"
    assert said["kept"][:2] == [False, []], "nothing half-written stays"
    assert said["again"] == ["", 320_000, "small\n"]
    assert said["back"] == ["", False, "mine\n"]


def test_no_room_for_a_checkpoint_no_decision(tmp_path: Path) -> None:
    said = small_disk(tmp_path / "small", "data")
    for name, unchanged in (("decided", "small\n"), ("restored", True), ("objects", "small\n")):
        error, code, kept = said[name]
        assert "free some space" in error.lower(), error
        assert code in {2, 70}
        assert kept == unchanged
    assert "snapshots" in said["objects"][0]
    assert said["again"] == ["", "changed\n"]


def _dead() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert child.pid != os.getpid()
    return child.pid
