"""Any edits, decisions and restores: the files are as the checkpoint has them, and all that was replaced comes back.

The oracle is the tree of files as it was right before each command, read from the disk.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import anyio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration import commands as cm
from orchestration.commands import Reply
from orchestration.engine import EngineFront
from tests.orchestration.test_checkpoints import tree
from tests.orchestration.test_engine import Bench, run, says, task, writes

Tree = dict[str, tuple[str, bytes]]
PATHS = ["a", "a/b", "a/b/c", "b", "d.txt", "e/f/g", "e/f", "back\\slash", "ünï/çode", " blank "]
CONTENTS = [b"", b"one\n", b"one\r\ntwo\r\nthree", b"\xff\x00\xfe", b"\xef\xbb\xbftext\n", b"x" * 3000]

EDITS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(PATHS), st.sampled_from(CONTENTS)),
    st.tuples(st.just("execute"), st.sampled_from(PATHS), st.sampled_from(CONTENTS)),
    st.tuples(st.just("link"), st.sampled_from(PATHS), st.sampled_from(["d.txt", "nowhere", "."])),
    st.tuples(st.just("folder"), st.sampled_from(PATHS)),
    st.tuples(st.just("remove"), st.sampled_from(PATHS)),
)
COMMANDS = st.one_of(
    st.tuples(st.just("accept"), st.integers(0, 3)),
    st.just(("undo",)),
    st.tuples(st.just("restore"), st.integers(0, 9)),
    st.tuples(st.just("restore"), st.integers(0, 9), st.sampled_from(PATHS)),
)
STEPS = st.lists(st.one_of(EDITS, EDITS, COMMANDS), min_size=1, max_size=14)


@settings(
    max_examples=max(15, int(os.environ.get("ANTIPHON_EXAMPLES", "500")) // 40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(STEPS)
def test_any_edits_decisions_and_restores(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(_any, Path(folder), steps)


async def _any(folder: Path, steps: list[tuple[Any, ...]]) -> None:
    bench = Bench(folder)
    bench.write("a", "first\nsecond\nthird\n")
    bench.write("d.txt", "one\r\ntwo\r\n")
    proposed = [
        *writes("a", "FIRST\nsecond\nTHIRD\n", done=False),
        *writes("d.txt", "ONE\r\ntwo\r\n", done=False),
    ]
    bench.rules(says(*proposed, *writes("fresh/new.txt", "new\n"), task="t"))
    before = tree(bench.root)
    async with bench.engine() as engine:
        state = await run(engine, task("t"))
        hunks = [hunk.hunk_id for hunk in (await engine.changes(state.run_id)).hunks()]
        known: dict[str, Tree] = {f"{state.run_id}.0": before}
        for step in steps:
            if step[0] in {"accept", "undo", "restore"}:
                await _command(engine, bench.root, state.run_id, hunks, known, step)
            else:
                _edit(bench.root, *step)
        for checkpoint, wanted in list(known.items()):
            reply = await _noted(engine, bench.root, known, restoring(checkpoint))
            assert reply.error == "", (checkpoint, reply)
            assert tree(bench.root) == wanted, checkpoint
        listed = await engine.checkpoints(state.run_id)
        assert {one.checkpoint_id for one in listed} == set(known)
        assert not any(one.interrupted or one.failed or one.gone for one in listed)


async def _command(
    engine: EngineFront,
    root: Path,
    run_id: str,
    hunks: list[str],
    known: dict[str, Tree],
    step: tuple[Any, ...],
) -> None:
    if step[0] == "accept":
        hunk = hunks[step[1] % len(hunks)]
        command: cm.Command = cm.DecideHunks(run_id=run_id, decision="accept", hunk_ids=(hunk,))
        await _noted(engine, root, known, command)
    elif step[0] == "undo":
        await _noted(engine, root, known, cm.UndoDecision(run_id=run_id))
    else:
        checkpoint = list(known)[step[1] % len(known)]
        wanted, now = known[checkpoint], tree(root)
        paths = step[2:]
        reply = await _noted(engine, root, known, restoring(checkpoint, *paths))
        if reply.error_kind == "NotFoundError":
            assert not _below(wanted, paths[0])
            assert not _below(now, paths[0])
            return
        assert reply.error == "", reply
        if paths:
            assert _below(tree(root), paths[0]) == _below(wanted, paths[0])
            assert _files(tree(root), paths[0]) == _files(now, paths[0])
        else:
            assert tree(root) == wanted


def restoring(checkpoint: str, *paths: str) -> cm.Command:
    return cm.RestoreCheckpoint(run_id=checkpoint.rpartition(".")[0], checkpoint_id=checkpoint, paths=paths)


async def _noted(engine: EngineFront, root: Path, known: dict[str, Tree], command: cm.Command) -> Reply:
    """Carries a command out; what was there before it belongs to the checkpoint that it took."""
    before = tree(root)
    reply = await engine.submit(command)
    if reply.checkpoint_id:
        assert reply.checkpoint_id not in known
        known[reply.checkpoint_id] = before
    else:
        assert tree(root) == before, "nothing changes without a checkpoint"
    return reply


def _below(files: Tree, path: str) -> Tree:
    return {name: entry for name, entry in files.items() if name == path or name.startswith(f"{path}/")}


def _files(files: Tree, path: str) -> Tree:
    """What is not at or below the path, and not a folder that another one's coming or going fills or empties."""
    around = {name for name in files if path.startswith(f"{name}/")}
    return {
        name: entry
        for name, entry in files.items()
        if name not in _below(files, path) and name not in around and entry[0] != "folder"
    }


def _edit(root: Path, kind: str, path: str, content: Any = None) -> None:
    place = root / path
    _clear(place)
    for above in reversed(place.relative_to(root).parents):
        if (root / above).is_symlink() or (root / above).is_file():
            (root / above).unlink()
    if kind == "remove":
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        place.mkdir()
    elif kind == "link":
        place.symlink_to(content)
    else:
        place.write_bytes(content)
        place.chmod(0o755 if kind == "execute" else 0o644)


def _clear(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    elif os.path.lexists(place):
        place.unlink()
