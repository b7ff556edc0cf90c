"""What `kill -9` leaves of a run, at a moment of the test's choice: a copy of the data whose journal ends there."""

import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import apsw

from orchestration.engine import EngineFront
from orchestration.events import Record, RunFinished


def cut(data: Path, run_id: str, seq: int, into: Path) -> Path:
    """A copy of `data` at `into` in which the run's last durable event is `seq`. Nobody may hold the run."""
    shutil.copytree(data, into, symlinks=True)
    (file,) = into.rglob(f"{run_id}.sqlite")
    connection = apsw.Connection(str(file))
    with connection:
        connection.execute("DELETE FROM event WHERE seq > ?", (seq,))
    connection.close()
    return into


def ends_of_writes(records: Sequence[Record]) -> list[int]:
    """Where a journal can end: events of one write are there together or not at all, and have one time."""
    return [a.seq for a, b in pairwise(records) if a.time != b.time]


async def recorded(engine: EngineFront, run_id: str) -> list[Record]:
    """Every record up to the end of the run."""
    found = []
    async for item in engine.subscribe(run_id):
        if isinstance(item, Record):
            found.append(item)
            if isinstance(item.event, RunFinished):
                break
    return found
