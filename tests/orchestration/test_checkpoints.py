"""Checkpoints through the engine, over the real adapters: what is taken when, and what restoring brings back."""

import os
import stat
from pathlib import Path

import pytest

from orchestration import commands as cm
from orchestration import events as ev
from orchestration.commands import Reply
from orchestration.engine import EngineFront
from tests.orchestration.test_engine import Bench, options, run, says, task, writes

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.write("a.txt", "one\n")
    made.write("sub/b.txt", "two\n")
    made.rules(says(*writes("a.txt", "changed\n", done=False), *writes("new.txt", "new\n"), task="t"))
    return made


async def accepted(engine: EngineFront) -> str:
    """A run whose changes are accepted; its id."""
    state = await run(engine, task("t"))
    reply = await engine.submit(cm.DecideHunks(run_id=state.run_id, decision="accept", all=True))
    assert not reply.error, reply.error
    assert reply.checkpoint_id == f"{state.run_id}.1"
    return state.run_id


async def restore(engine: EngineFront, checkpoint: str, *paths: str) -> Reply:
    return await engine.submit(
        cm.RestoreCheckpoint(run_id=checkpoint.rpartition(".")[0], checkpoint_id=checkpoint, paths=paths)
    )


def tree(root: Path) -> dict[str, tuple[str, bytes]]:
    """Every file, link and empty folder, with its kind."""
    found = {}
    for place, folders, files in os.walk(root):
        inside = Path(place).relative_to(root)
        for name in [*files, *folders]:
            path = Path(place, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                found[str(inside / name)] = ("link", os.fsencode(path.readlink()))
            elif stat.S_ISREG(mode):
                found[str(inside / name)] = ("x" if mode & 0o100 else "-", path.read_bytes())
            elif not any(path.iterdir()):
                found[str(inside / name)] = ("folder", b"")
    return found


async def test_a_decision_is_preceded_by_a_checkpoint_and_can_be_taken_back_with_it(bench: Bench) -> None:
    before = tree(bench.root)
    async with bench.engine() as engine:
        run_id = await accepted(engine)
        after = tree(bench.root)
        listed = await engine.checkpoints(run_id)
        assert [(one.checkpoint_id, one.before) for one in listed] == [
            (f"{run_id}.1", "accept"),
            (f"{run_id}.0", "run"),
        ]
        assert (listed[0].hunks, listed[0].paths) == (2, ("a.txt", "new.txt"))
        shown = await engine.checkpoint_diff(f"{run_id}.0")
        assert [(file.path, file.kind) for file in shown.files] == [
            ("a.txt", "modify"),
            ("new.txt", "delete"),
        ]
        assert "-changed\n+one\n" in shown.diff
        reply = await restore(engine, f"{run_id}.0")
        assert (reply.error, reply.checkpoint_id) == ("", f"{run_id}.2")
        assert tree(bench.root) == before
        back = await restore(engine, reply.checkpoint_id)
        assert back.error == ""
        assert tree(bench.root) == after
        assert [one.before for one in await engine.checkpoints()] == ["restore", "restore", "accept", "run"]


async def test_hunks_stand_as_the_restored_files_say(bench: Bench) -> None:
    bench.write("gone.txt", "gone\n")
    bench.write("tool.sh", "echo\n")
    bench.rules(
        says(
            *writes("a.txt", "changed\n", done=False),
            ("delete_file", {"path": "gone.txt"}),
            *writes("new.txt", "new\n"),
            task="t",
        )
    )
    async with bench.engine() as engine:
        run_id = await accepted(engine)
        after = tree(bench.root)
        await restore(engine, f"{run_id}.0")
        states = {hunk.path: hunk.state for hunk in (await engine.changes(run_id)).hunks()}
        assert states == {"a.txt": "proposed", "gone.txt": "proposed", "new.txt": "proposed"}
        reply = await engine.submit(cm.DecideHunks(run_id=run_id, decision="accept", all=True))
        assert reply.error == ""
        assert tree(bench.root) == after
        await restore(engine, f"{run_id}.0", "a.txt")
        states = {hunk.path: hunk.state for hunk in (await engine.changes(run_id)).hunks()}
        assert states == {"a.txt": "proposed", "gone.txt": "accepted", "new.txt": "accepted"}
        await restore(engine, reply.checkpoint_id)
        await restore(engine, f"{run_id}.4")
        states = {hunk.path: hunk.state for hunk in (await engine.changes(run_id)).hunks()}
        assert set(states.values()) == {"accepted"}


async def test_what_is_as_wanted_is_not_restored(bench: Bench) -> None:
    async with bench.engine() as engine:
        run_id = await accepted(engine)
        await restore(engine, f"{run_id}.0")
        reply = await restore(engine, f"{run_id}.0")
        assert (reply.error, reply.files, reply.checkpoint_id) == ("", (), "")
        assert len(await engine.checkpoints(run_id)) == 3


async def test_some_files_only(bench: Bench) -> None:
    async with bench.engine() as engine:
        run_id = await accepted(engine)
        bench.write("sub/b.txt", "mine\n")
        reply = await restore(engine, f"{run_id}.0", "sub", "a.txt")
        assert [file.path for file in reply.files] == ["a.txt", "sub/b.txt"]
        assert (bench.read("a.txt"), bench.read("sub/b.txt"), bench.read("new.txt")) == (
            "one\n",
            "two\n",
            "new\n",
        )
        refused = await restore(engine, f"{run_id}.0", "typo.txt")
        assert refused.error_kind == "NotFoundError"
        assert "'typo.txt'" in refused.error


async def test_every_kind_of_entry_comes_back(bench: Bench) -> None:
    root = bench.root
    (root / "tool.sh").write_text("echo\n")
    (root / "tool.sh").chmod(0o755)
    (root / "plain").write_bytes(b"\xff\x00\r\n")
    (root / "link").symlink_to("a.txt")
    (root / "empty/deep").mkdir(parents=True)
    (root / "was-file").write_text("file\n")
    (root / "was-folder").mkdir()
    (root / "was-folder/in").write_text("in\n")
    before = tree(root)
    async with bench.engine() as engine:
        state = await run(engine, task("t"))
        (root / "tool.sh").chmod(0o644)
        (root / "plain").unlink()
        (root / "link").unlink()
        (root / "link").write_text("a file now\n")
        (root / "empty/deep").rmdir()
        (root / "empty").rmdir()
        (root / "was-file").unlink()
        (root / "was-file").mkdir()
        (root / "was-file/x").write_text("x\n")
        (root / "was-folder/in").unlink()
        (root / "was-folder").rmdir()
        (root / "was-folder").symlink_to("sub")
        (root / "fresh/folder").mkdir(parents=True)
        after = tree(root)
        reply = await restore(engine, f"{state.run_id}.0")
        assert reply.error == ""
        assert tree(root) == before
        reply = await restore(engine, reply.checkpoint_id)
        assert reply.error == ""
        assert tree(root) == after


async def test_the_start_of_a_run_is_a_checkpoint_in_old_journals_too() -> None:
    from orchestration.fold import fold

    state = fold("run-1", [ev.Record(1, 5.0, ev.SnapshotTaken(snapshot="s", files=3))])
    assert [(one.checkpoint_id, one.snapshot, one.before) for one in state.checkpoints.values()] == [
        ("run-1.0", "s", "run")
    ]
    assert options().model
