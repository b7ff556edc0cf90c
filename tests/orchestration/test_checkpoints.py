"""Checkpoints through the engine, over the real adapters: what is taken when, and what restoring brings back."""

import os
import stat
from pathlib import Path

import anyio
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


# --- what is never touched -------------------------------------------------------------------------


async def test_ignored_files_stay_whichever_way_the_rules_changed(bench: Bench) -> None:
    bench.write(".gitignore", "*.log\n")
    bench.write("old.log", "ignored then\n")
    bench.write("data.csv", "known then\n")
    async with bench.engine() as engine:
        state = await run(engine, task("t"))
        bench.write(".gitignore", "*.csv\n")
        bench.write("old.log", "no longer ignored, and changed\n")
        bench.write("data.csv", "ignored now, and changed\n")
        reply = await restore(engine, f"{state.run_id}.0")
        assert reply.error == ""
        assert [file.path for file in reply.files] == [".gitignore"]
        assert {item.path: item.reason for item in reply.left} == {
            "data.csv": "there now, but ignored or left out, so it is not replaced",
            "old.log": "was ignored at the checkpoint, which knows nothing of it",
        }
        assert bench.read("old.log") == "no longer ignored, and changed\n"
        assert bench.read("data.csv") == "ignored now, and changed\n"


async def test_what_was_left_out_stays(bench: Bench) -> None:
    bench.write("note.env", "SECRET=1\n")
    (bench.root / "outside").symlink_to("/etc/hostname")
    async with bench.engine() as engine:
        state = await run(engine, task("t"))
        bench.write("note.env", "SECRET=2\n")
        (bench.root / "outside").unlink()
        bench.write("outside", "a file now\n")
        reply = await restore(engine, f"{state.run_id}.0")
        assert reply.files == ()
        assert [item.path for item in reply.left] == ["outside"]
        assert bench.read("note.env") == "SECRET=2\n"
        assert bench.read("outside") == "a file now\n"
        refused = await restore(engine, f"{state.run_id}.0", "note.env")
        assert "left out of checkpoints: may hold a secret" in refused.error


async def test_a_link_that_leads_outside_is_neither_followed_nor_replaced(
    bench: Bench, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.txt").write_text("not ours\n")
    (outside / "a.txt").write_text("not ours either\n")
    async with bench.engine() as engine:
        state = await run(engine, task("t"))
        (bench.root / "sub/b.txt").unlink()
        (bench.root / "sub").rmdir()
        (bench.root / "sub").symlink_to(outside)
        (bench.root / "a.txt").unlink()
        (bench.root / "a.txt").symlink_to(outside / "a.txt")
        reply = await restore(engine, f"{state.run_id}.0")
        left = {item.path: item.reason for item in reply.left}
        assert set(left) == {"a.txt", "sub/b.txt"}
        assert "a link by absolute path" in left["a.txt"]
        assert (bench.root / "sub").is_symlink()
        assert (outside / "b.txt").read_text() == "not ours\n"
        assert (outside / "a.txt").read_text() == "not ours either\n"


async def test_a_repository_that_came_later_stays(bench: Bench) -> None:
    async with bench.engine() as engine:
        state = await run(engine, task("t"))
        bench.write("cloned/code.py", "x = 1\n")
        bench.write("plain/code.py", "x = 1\n")
        await anyio.run_process(["git", "init", "-q", str(bench.root / "cloned")])
        reply = await restore(engine, f"{state.run_id}.0")
        assert [file.path for file in reply.files] == ["plain/code.py"]
        assert [item.path for item in reply.left] == ["cloned/code.py"]
        assert bench.read("cloned/code.py") == "x = 1\n"
        assert not (bench.root / "plain").exists()


async def test_a_folder_with_strangers_in_it_stays_whole(bench: Bench) -> None:
    async with bench.engine() as engine:
        state = await run(engine, task("t"))
        (bench.root / "a.txt").unlink()
        bench.write("a.txt/mine.txt", "mine\n")
        bench.write("a.txt/key.pem", "a secret\n")
        reply = await restore(engine, f"{state.run_id}.0")
        assert reply.files == ()
        assert "a.txt/key.pem in it is in no checkpoint" in reply.left[0].reason
        assert bench.read("a.txt/mine.txt") == "mine\n"


# --- what refuses ----------------------------------------------------------------------------------


async def test_a_read_only_file_is_replaced_and_stays_read_only(bench: Bench) -> None:
    async with bench.engine() as engine:
        run_id = await accepted(engine)
        (bench.root / "a.txt").chmod(0o444)
        reply = await restore(engine, f"{run_id}.0")
        assert reply.error == ""
        assert bench.read("a.txt") == "one\n"
        assert stat.S_IMODE((bench.root / "a.txt").stat().st_mode) == 0o444


async def test_owner_only_files_stay_so(bench: Bench) -> None:
    (bench.root / "a.txt").chmod(0o600)
    async with bench.engine() as engine:
        run_id = await accepted(engine)
        assert stat.S_IMODE((bench.root / "a.txt").stat().st_mode) == 0o600
        await restore(engine, f"{run_id}.0")
        assert stat.S_IMODE((bench.root / "a.txt").stat().st_mode) == 0o600


async def test_a_pipe_in_the_place_of_a_file_is_left(bench: Bench) -> None:
    async with bench.engine() as engine:
        run_id = await accepted(engine)
        (bench.root / "a.txt").unlink()
        os.mkfifo(bench.root / "a.txt")
        with anyio.fail_after(20):
            reply = await restore(engine, f"{run_id}.0")
        assert [item.path for item in reply.left] == ["a.txt"]
        assert "named pipe" in reply.left[0].reason
        assert not (bench.root / "new.txt").exists()


async def test_two_restores_at_once_come_one_after_the_other(bench: Bench) -> None:
    async with bench.engine() as engine:
        run_id = await accepted(engine)
        after = tree(bench.root)
        replies: list[Reply] = []

        async def bring_back(number: int) -> None:
            replies.append(await restore(engine, f"{run_id}.{number}"))

        async with anyio.create_task_group() as group:
            group.start_soon(bring_back, 0)
            group.start_soon(bring_back, 0)
        assert all(not reply.error for reply in replies)
        assert sorted(bool(reply.checkpoint_id) for reply in replies) == [False, True]
        await restore(engine, f"{run_id}.2")
        assert tree(bench.root) == after


async def test_a_checkpoint_holds_what_a_decision_replaces_even_where_snapshots_leave_it_out(
    bench: Bench,
) -> None:
    """The file grew over the limit after the run began: accepted hunks still replace it."""
    async with bench.engine() as engine:
        state = await run(engine, task("t"))
        bench.write("a.txt", "one\n" + "x" * (10 * 2**20 + 1) + "\n")
        reply = await engine.submit(cm.DecideHunks(run_id=state.run_id, decision="accept", path="a.txt"))
        assert reply.error == ""
        (bench.root / "a.txt").write_text("lost by hand\n")
        back = await restore(engine, reply.checkpoint_id, "a.txt")
        assert back.error == ""
        assert len(bench.read("a.txt")) == 10 * 2**20 + 6
