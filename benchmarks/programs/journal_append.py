"""Tasks that append one event after the other to the journal of one run, each waiting until it is durable."""

import argparse
import asyncio
import time
from pathlib import Path

from benchmarks.outcome import percentile
from benchmarks.programs.measure import Meter
from benchmarks.programs.sample_events import EVENTS, OPTIONS
from orchestration.edge import SystemClock
from orchestration.events import RunCreated
from orchestration.journal.sqlite import open_journal


async def main(folder: Path, kind: str, tasks: int, appends: int) -> None:
    meter = Meter()
    event = EVENTS[kind]
    journal = await open_journal(folder, SystemClock())
    created = RunCreated(goal="measure", workspace="/workspace", options=OPTIONS, version="0")
    run = await journal.create("run-bench", created)
    waits: list[float] = []

    async def task(times: int) -> None:
        for _ in range(times):
            began = time.perf_counter()
            await run.append(event)
            waits.append(time.perf_counter() - began)

    await asyncio.gather(*(task(5) for _ in range(tasks)))
    waits.clear()
    meter.start()
    await asyncio.gather(*(task(appends) for _ in range(tasks)))
    meter.stop()
    await journal.aclose()
    meter.report(events=len(waits), p50_ms=1000 * percentile(waits, 50), p99_ms=1000 * percentile(waits, 99))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=tuple(EVENTS))
    parser.add_argument("tasks", type=int)
    parser.add_argument("appends", type=int)
    chosen = parser.parse_args()
    asyncio.run(main(chosen.folder, chosen.kind, chosen.tasks, chosen.appends))
