"""`kill -9` at every step of a decision: afterwards each file holds what it held before or what was decided, the
run says which, and it can be decided on to its end, nothing twice.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestration import commands as cm
from orchestration.engine import EngineFront
from tests.e2e.command_line import Antiphon
from tests.orchestration.test_engine import FINISH, Bench, run, says, task

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
DYING = Path(__file__).with_name("dying.py")
LINES = "".join(f"line {number}\n" for number in range(40))
CRLF = b"\xef\xbb\xbf" + LINES.replace("\n", "\r\n").encode().removesuffix(b"\r\n")
Files = dict[str, bytes]


class Proposed(Bench):
    """A finished run that changes, makes, moves and deletes files; the state before any decision can be had again."""

    run_id = ""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.kept = folder / "kept"

    @classmethod
    def at(cls, folder: Path, run_id: str) -> "Proposed":
        """The one that was made in that folder before."""
        made = cls(folder)
        made.run_id = run_id
        return made

    async def propose(self) -> None:
        for name in ("two.txt", "gone.txt", "moved.txt", "shifted.txt"):
            self.write(name, f"{name}\n{LINES}")
        (self.root / "crlf.txt").write_bytes(CRLF)
        self.rules(
            says(
                _edit("two.txt", 3, 30),
                _edit("crlf.txt", 39),
                ("move_file", {"path": "moved.txt", "to": "new/moved.txt"}),
                _edit("shifted.txt", 7),
                ("move_file", {"path": "shifted.txt", "to": "new/shifted.txt"}),
                ("delete_file", {"path": "gone.txt"}),
                ("write_file", {"path": "deep/er/made.txt", "content": "made\n"}),
                ("write_file", {"path": "big.txt", "content": "0123456789\n" * 20_000}),
                FINISH,
                task="t",
            )
        )

        async with self.engine() as engine:
            self.run_id = (await run(engine, task("t"))).run_id
        self.keep()

    @property
    def data(self) -> Path:
        assert self.settings.data_dir is not None
        return self.settings.data_dir

    def keep(self) -> None:
        shutil.rmtree(self.kept, ignore_errors=True)
        for place in (self.root, self.data):
            shutil.copytree(place, self.kept / place.name, symlinks=True)

    def again(self, keep: Sequence[str] = ()) -> None:
        """What is in `keep` stays, at the top of either place, which stay themselves."""
        for place in (self.root, self.data):
            for old in place.iterdir():
                if old.name not in keep:
                    shutil.rmtree(old) if old.is_dir() else old.unlink()
            shutil.copytree(self.kept / place.name, place, symlinks=True, dirs_exist_ok=True)

    def files(self) -> Files:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }

    def dying(self, steps: int, *words: str) -> int:
        """The exit of the command, which kills itself before its step of that number."""
        variables = {"ANTIPHON_DATA_DIR": str(self.data)}
        command = [
            sys.executable,
            "-I",
            str(DYING),
            str(steps),
            "-",
            "--",
            *words,
            "--workspace",
            str(self.root),
        ]
        done = subprocess.run(
            command,
            env=Antiphon(self.root.parent / "home", variables).environment(),
            capture_output=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode in {0, -signal.SIGKILL}, done.stdout.decode() + done.stderr.decode()
        return done.returncode


def _edit(path: str, *numbers: int) -> tuple[str, dict[str, Any]]:
    edits = [{"search": f"line {number}", "replace": f"changed {number}\nnew"} for number in numbers]
    if 3 in numbers:
        edits[0]["search"] += "\nline 4"
    return ("edit_file", {"path": path, "edits": edits})


@pytest.fixture
async def proposed(tmp_path: Path) -> Proposed:
    made = Proposed(tmp_path)
    await made.propose()
    return made


async def decide(engine: EngineFront, run_id: str, decision: str = "accept") -> str:
    reply = await engine.submit(
        cm.DecideHunks(run_id=run_id, decision=decision, all=True)  # type: ignore[arg-type]  # one of its words
    )
    return reply.error


async def undo_everything(engine: EngineFront, run_id: str) -> None:
    for _ in range(5):
        reply = await engine.submit(cm.UndoDecision(run_id=run_id))
        if "no decision to undo" in reply.error:
            return
        assert not reply.error, reply
    raise AssertionError("there is always one more decision to undo")


def check_files(found: Files, before: Files, after: Files) -> None:
    """Each file as before or as after, and a moved one never nowhere."""
    for path in {*before, *after}:
        assert found.get(path) in {before.get(path), after.get(path)}, path
    for name in ("moved.txt", "shifted.txt"):
        assert name in found or f"new/{name}" in found
    strays = [path for path in found if path not in before and path not in after]
    assert all(Path(path).name.startswith(".antiphon-") for path in strays), strays


def numbers() -> Iterator[int]:
    """Every step, or in a plain run of the tests one of eight."""
    return iter(range(1, 1000, 1 if os.environ.get("ANTIPHON_EXAMPLES") else 8))


async def both(bench: Proposed) -> tuple[Files, Files]:
    before = bench.files()
    async with bench.engine() as engine:
        assert await decide(engine, bench.run_id) == ""
    after = bench.files()
    assert len(after) == 6
    return before, after


async def states(engine: EngineFront, run_id: str) -> dict[str, set[str]]:
    view = await engine.changes(run_id)
    return {file.path: {hunk.state for hunk in file.hunks} for file in view.files}


async def test_accepting_everything(proposed: Proposed) -> None:
    before, after = await both(proposed)
    died = 0
    for step in numbers():
        proposed.again()
        if proposed.dying(step, "accept", proposed.run_id, "--all") == 0:
            break
        died += 1
        found = proposed.files()
        check_files(found, before, after)
        async with proposed.engine() as engine:
            shown = await states(engine, proposed.run_id)
            for path, hunks in shown.items():
                same = found.get(path) == after.get(path)
                assert hunks == {"accepted" if same else "proposed"}, f"step {step}: {path}: {hunks}"
            assert await decide(engine, proposed.run_id) == "", f"step {step}"
            assert proposed.files() == after, f"step {step}"
            assert set.union(*(await states(engine, proposed.run_id)).values()) == {"accepted"}
            await undo_everything(engine, proposed.run_id)
        assert proposed.files() == before, f"step {step}"
    assert died >= 5


async def test_undoing(proposed: Proposed) -> None:
    before, after = await both(proposed)
    proposed.keep()
    died = 0
    for step in numbers():
        proposed.again()
        if proposed.dying(step, "undo", proposed.run_id) == 0:
            break
        died += 1
        found = proposed.files()
        check_files(found, before, after)
        async with proposed.engine() as engine:
            shown = await states(engine, proposed.run_id)
            for path, hunks in shown.items():
                same = found.get(path) == after.get(path)
                assert hunks == {"accepted" if same else "proposed"}, f"step {step}: {path}: {hunks}"
            await undo_everything(engine, proposed.run_id)
            assert proposed.files() == before, f"step {step}"
            assert await decide(engine, proposed.run_id) == "", f"step {step}"
        assert proposed.files() == after, f"step {step}"
    assert died >= 5


async def test_rejecting_everything(proposed: Proposed) -> None:
    before = proposed.files()
    died = 0
    for step in numbers():
        proposed.again()
        if proposed.dying(step, "reject", proposed.run_id, "--all") == 0:
            break
        died += 1
        assert proposed.files() == before
        async with proposed.engine() as engine:
            shown = set.union(*(await states(engine, proposed.run_id)).values())
            assert shown in ({"proposed"}, {"rejected"}), "all of them or none"
            assert await decide(engine, proposed.run_id, "reject") == ""
            assert set.union(*(await states(engine, proposed.run_id)).values()) == {"rejected"}
            await undo_everything(engine, proposed.run_id)
            assert set.union(*(await states(engine, proposed.run_id)).values()) == {"proposed"}
    assert died >= 1
