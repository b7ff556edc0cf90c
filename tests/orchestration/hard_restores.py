"""Restores in a process of their own: one that dies at a given step, and ones whose disk is full.

python -m tests.orchestration.hard_restores die FOLDER CHECKPOINT STEP before|after
python -m tests.orchestration.hard_restores full FOLDER workspace|data
"""

import json
import os
import signal
import sys
from collections.abc import Collection, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio

from orchestration import commands as cm
from orchestration.commands import Reply
from orchestration.engine import Engine, EngineFront
from orchestration.engine_ports import EnginePorts
from orchestration.workspace.entries import UserEntries
from orchestration.workspace.objects import Entry
from server.app import open_ports
from tests.orchestration.test_engine import Bench, run, says, task, writes


@dataclass
class DyingEntries:
    """Kills its process at the change of this number (from 0), before or after it is made."""

    inner: UserEntries
    step: int
    after: bool

    def at(self, path: str) -> Entry | None:
        return self.inner.at(path)

    def put(self, path: str, entry: Entry, data: bytes, *, expected: Entry | None) -> None:
        self._count(before=True)
        self.inner.put(path, entry, data, expected=expected)
        self._count(before=False)

    def remove(self, path: str, *, expected: Entry) -> None:
        self._count(before=True)
        self.inner.remove(path, expected=expected)
        self._count(before=False)

    def settle(self) -> None:
        self.inner.settle()

    def make_folder(self, path: str) -> None:
        self._count(before=True)
        self.inner.make_folder(path)
        self._count(before=False)

    def drop_folder(self, path: str) -> bool:
        return self.inner.drop_folder(path)

    def clear_folder(self, path: str) -> str:
        return self.inner.clear_folder(path)

    def stranger(self, path: str, known: Collection[str]) -> str | None:
        return self.inner.stranger(path, known)

    def is_repository(self, path: str) -> bool:
        return self.inner.is_repository(path)

    def sweep(self, folders: Iterable[str]) -> None:
        self.inner.sweep(folders)

    def _count(self, *, before: bool) -> None:
        if before == (not self.after) and self.step == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if not before:
            self.step -= 1


async def restored(engine: EngineFront, checkpoint: str) -> Reply:
    return await engine.submit(
        cm.RestoreCheckpoint(run_id=checkpoint.rpartition(".")[0], checkpoint_id=checkpoint)
    )


def ports_of(bench: Bench) -> AbstractAsyncContextManager[EnginePorts]:
    return open_ports(bench.root, settings=bench.settings, trusted=False, environ=bench.environ)


async def die(folder: Path, checkpoint: str, step: int, when: str) -> None:
    async with ports_of(Bench(folder)) as ports:
        dying = replace(ports, entries=DyingEntries(ports.entries, step, when == "after"))
        async with Engine(dying) as engine:
            reply = await restored(engine, checkpoint)
    sys.stdout.write(json.dumps({"alive": True, "error": reply.error}))


async def full(folder: Path, where: str) -> None:
    """`folder` is a small disk of 2 MB. Says what was refused and what the files held then."""
    roomy = folder.parent / "roomy"
    roomy.mkdir(exist_ok=True)
    bench = Bench(folder, roomy / "data") if where == "workspace" else Bench(roomy, folder / "data")
    bench.write(".gitignore", "*.ballast\n")
    bench.write("big.txt", "0123456789abcde\n" * 20_000)
    bench.write("small.txt", "small\n")
    bench.rules(says(*writes("small.txt", "changed\n"), task="t"))
    said: dict[str, Any] = {}
    async with bench.engine() as engine:
        state = await run(engine, task("t"))
        ballast = folder / ("work/disk.ballast" if where == "workspace" else "disk.ballast")
        if where == "workspace":
            (bench.root / "big.txt").unlink()
            bench.write("small.txt", "mine\n")
            fill(ballast)
            reply = await restored(engine, f"{state.run_id}.0")
            said["error"] = reply.error
            said["outcomes"] = {file.path: file.outcome for file in reply.files}
            said["kept"] = [
                (bench.root / "big.txt").exists(),
                [path.name for path in bench.root.iterdir() if path.name.endswith(".tmp")],
                bench.read("small.txt"),
            ]
            ballast.unlink()
            again = await restored(engine, f"{state.run_id}.0")
            said["again"] = [again.error, len(bench.read("big.txt")), bench.read("small.txt")]
            back = await restored(engine, reply.checkpoint_id)
            said["back"] = [back.error, (bench.root / "big.txt").exists(), bench.read("small.txt")]
        else:
            bench.write("mine.txt", os.urandom(200_000).hex())
            fill(ballast)
            decided = await engine.submit(cm.DecideHunks(run_id=state.run_id, decision="accept", all=True))
            said["decided"] = [decided.error, decided.exit_code, bench.read("small.txt")]
            reply = await restored(engine, f"{state.run_id}.0")
            said["restored"] = [reply.error, reply.exit_code, (bench.root / "mine.txt").exists()]
            # Room for the journal, none for the objects of a checkpoint.
            with ballast.open("r+b") as file:
                file.truncate(ballast.stat().st_size - 150_000)
            decided = await engine.submit(cm.DecideHunks(run_id=state.run_id, decision="accept", all=True))
            said["objects"] = [decided.error, decided.exit_code, bench.read("small.txt")]
            ballast.unlink()
            decided = await engine.submit(cm.DecideHunks(run_id=state.run_id, decision="accept", all=True))
            said["again"] = [decided.error, bench.read("small.txt")]
    sys.stdout.write(json.dumps(said))


def fill(ballast: Path) -> None:
    """Until nothing more goes in, in smaller and smaller pieces."""
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


if __name__ == "__main__":
    mode, place, *rest = sys.argv[1:]
    if mode == "die":
        anyio.run(die, Path(place), rest[0], int(rest[1]), rest[2])
    else:
        anyio.run(full, Path(place), rest[0])
