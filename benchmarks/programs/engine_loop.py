"""Antiphon's own engine on the same layers, in this process: from `submit(StartRun)` to the finished run.

What is timed is everything a run does: pinning its definitions, the snapshot, the journal, the agent loop over
the real wire, gates, the merged result, the change set. Opening the engine is outside, as the peers' clients are.
"""

import argparse
import asyncio
import os
from pathlib import Path

from benchmarks.programs.layers import tasks_of
from benchmarks.programs.measure import Meter
from orchestration.commands import StartRun
from orchestration.engine import EngineFront
from orchestration.events import RunOptions
from server.app import open_engine
from server.settings import ProviderSettings, Settings

MODEL = "openai/bench"


async def run(engine: EngineFront, tasks: int, parallel: int) -> None:
    """Raises RuntimeError when a task did not merge."""
    reply = await engine.submit(
        StartRun(
            goal="Measure the orchestration",
            options=RunOptions(model=MODEL, max_parallel=parallel),
            plan=tasks_of(tasks),
        )
    )
    if reply.error:
        raise RuntimeError(reply.error)
    state = await engine.wait(reply.run_id)
    if state.counts().get("merged", 0) != tasks:
        raise RuntimeError(f"not every task merged: {state.counts()}, {state.reasons}")


def make_workspace(folder: Path) -> Path:
    workspace = folder / "workspace"
    workspace.mkdir()
    (workspace / "README.md").write_text("# Made for a measurement\n")
    return workspace


async def main(chosen: argparse.Namespace) -> None:
    meter = Meter()
    workspace = make_workspace(chosen.folder)
    settings = Settings(
        data_dir=chosen.folder / "data",
        providers=ProviderSettings(endpoints={"openai": {"base_url": chosen.url, "api_key": "bench"}}),
    )
    async with open_engine(workspace, settings=settings, trusted=False, environ=os.environ) as engine:
        if chosen.warm:
            await run(engine, chosen.warm, chosen.parallel)
        meter.start()
        await run(engine, chosen.tasks, chosen.parallel)
        meter.stop()
    meter.report(done=chosen.tasks, children_cpu_s=meter.children_cpu_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("tasks", type=int)
    parser.add_argument("--warm", type=int, default=0, help="tasks run before the measured ones")
    parser.add_argument("--parallel", type=int, default=10)
    asyncio.run(main(parser.parse_args()))
