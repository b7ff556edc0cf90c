"""Takes the base snapshot of a folder: once as it is, then again after each change of a single file."""

import argparse
import asyncio
import os
import time
from pathlib import Path

from benchmarks.programs.measure import Meter, cpu_s
from orchestration.edge import SystemClock, ThreadExecutor
from orchestration.workspace.git_objects import GitObjects
from orchestration.workspace.snapshotter import LocalSnapshotter
from server.app import open_stores
from server.settings import Settings


async def main(workspace: Path, data: Path, first: int, changes: int) -> None:
    meter = Meter()
    walls: list[float] = []
    cpu: list[float] = []
    snapshots: list[str] = []
    async with open_stores(workspace, settings=Settings(data_dir=data), environ=os.environ) as stores:
        snapshotter = LocalSnapshotter(
            GitObjects(stores.shadow, stores.git),
            stores.home,
            stores.git,
            clock=SystemClock(),
            executor=ThreadExecutor(),
        )
        files = 0
        for number in range(first, first + changes + 1):
            if number:
                change_one(workspace, number)
            began = cpu_s(), time.perf_counter()
            taken = await snapshotter.take(workspace)
            walls.append(time.perf_counter() - began[1])
            cpu.append(cpu_s() - began[0])
            snapshots.append(taken.snapshot)
            files = taken.files
    assert len(set(snapshots)) == len(snapshots), "a change was not seen"
    meter.report(files=files, walls_s=walls, cpus_s=cpu)


def change_one(workspace: Path, number: int) -> None:
    """Number 0 stands for the workspace as it was found."""
    file = workspace / f"folder_{number:04}" / "file_07.py"
    file.write_text(f"{file.read_text()}# change {time.time_ns()}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--first", type=int, default=0, help="number of the first change; 0: none")
    parser.add_argument("--changes", type=int, default=5)
    chosen = parser.parse_args()
    asyncio.run(main(chosen.workspace, chosen.data, chosen.first, chosen.changes))
