"""Accepts the hunks of a run one by one in a large workspace, then restores; says how long each took."""

import argparse
import asyncio
import os
import shutil
import time
from pathlib import Path

import yaml

from benchmarks.programs.measure import Meter
from orchestration import commands as cm
from orchestration import events as ev
from orchestration.commands import Command, Reply
from orchestration.engine import EngineFront
from orchestration.graph_model import TaskSpec
from server.app import open_engine
from server.settings import ProviderSettings, Settings

_FILE = "folder_0000/file_{:02}.py"


async def main(workspace: Path, data: Path, decisions: int, restored: int) -> None:
    meter = Meter()
    scripts = data.parent / "scripts"
    scripts.mkdir()
    calls = [
        {
            "name": "write_file",
            "arguments": {"path": _FILE.format(number), "content": f"changed = {number}\n"},
        }
        for number in range(decisions)
    ]
    answer = {"tool_calls": [*calls, {"name": "finish", "arguments": {"summary": "done"}}]}
    (scripts / "bench.yaml").write_text(yaml.safe_dump([{"match": {"task": "t"}, "answer": answer}]))
    settings = Settings(
        model="scripted/bench",
        approval="never",
        providers=ProviderSettings(scripts=scripts),
        data_dir=data,
    )
    async with open_engine(workspace, settings=settings, trusted=False, environ=os.environ) as engine:
        start = cm.StartRun(
            goal="measure",
            options=ev.RunOptions(model="scripted/bench", approval="never"),
            plan=(TaskSpec(id="t", title="t", instructions="t"),),
        )
        state = await engine.wait((await submitted(engine, start)).run_id)
        accepts = [
            await timed(
                engine, cm.DecideHunks(run_id=state.run_id, decision="accept", path=_FILE.format(number))
            )
            for number in range(decisions)
        ]
        first = f"{state.run_id}.0"
        one = [
            await timed(
                engine,
                cm.RestoreCheckpoint(run_id=state.run_id, checkpoint_id=checkpoint, paths=(_FILE.format(0),)),
            )
            for checkpoint in (first, f"{state.run_id}.{decisions}", first)
        ]
        delete(workspace, restored // 20)
        whole = [await timed(engine, cm.RestoreCheckpoint(run_id=state.run_id, checkpoint_id=first))]
        rejects = [
            await timed(
                engine, cm.DecideHunks(run_id=state.run_id, decision="reject", path=_FILE.format(number))
            )
            for number in range(decisions)
        ]
    meter.report(accepts_s=accepts, rejects_s=rejects, one_s=one, whole_s=whole)


def delete(workspace: Path, folders: int) -> None:
    for folder in sorted(workspace.glob("folder_*"))[:folders]:
        shutil.rmtree(folder)


async def submitted(engine: EngineFront, command: Command) -> Reply:
    reply = await engine.submit(command)
    assert not reply.error, reply.error
    return reply


async def timed(engine: EngineFront, command: Command) -> float:
    began = time.perf_counter()
    await submitted(engine, command)
    return time.perf_counter() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--decisions", type=int, default=15)
    parser.add_argument("--restored", type=int, default=1000)
    chosen = parser.parse_args()
    asyncio.run(main(chosen.workspace, chosen.data, chosen.decisions, chosen.restored))
