"""The floor: layers of ten calls gathered, each answer one row of SQLite, durable before it counts.

Same wire, same server, same durability as the journal's (WAL, synchronous=FULL, a commit a row); no plan, no
state, no retry, no files, no gates.
"""

import argparse
import asyncio
import sqlite3
from pathlib import Path

import httpx2

from benchmarks.programs import chat_client
from benchmarks.programs.measure import Meter

WIDTH = 10


def open_database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE answer (task INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    return database


async def run(connection: httpx2.AsyncClient, url: str, path: Path, tasks: int, meter: Meter) -> int:
    """The characters of all answers."""
    meter.start()
    database = open_database(path)

    async def one(number: int) -> None:
        text = await chat_client.ask(connection, url, number)
        database.execute("INSERT INTO answer VALUES (?, ?)", (number, text))

    for first in range(0, tasks, WIDTH):
        await asyncio.gather(*(one(number) for number in range(first, min(first + WIDTH, tasks))))
    meter.stop()
    rows, text = database.execute("SELECT count(*), sum(length(text)) FROM answer").fetchone()
    database.close()
    assert rows == tasks
    return int(text)


async def main(url: str, folder: Path, tasks: int, warm: int) -> None:
    meter = Meter()
    path = folder / "bare.sqlite"
    async with chat_client.client() as connection:
        if warm:
            await run(connection, url, folder / "warm.sqlite", warm, Meter())
        text = await run(connection, url, path, tasks, meter)
    meter.report(stored=path.stat().st_size, text=text, done=tasks)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("tasks", type=int)
    parser.add_argument("--warm", type=int, default=0, help="tasks run before the measured ones")
    chosen = parser.parse_args()
    asyncio.run(main(chosen.url, chosen.folder, chosen.tasks, chosen.warm))
