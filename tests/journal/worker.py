"""Another process: `python -m tests.journal.worker HOME VERB ARGUMENT…` does one thing and says so on its output.

Its parent kills, stops and continues it; every line is flushed, so what was said was true at that moment.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio

from orchestration.edge import SystemClock
from orchestration.errors import AntiphonError
from orchestration.journal.contract import Journal, RunExistsError
from orchestration.journal.reader import Reader
from orchestration.journal.sqlite import open_journal
from tests.journal.conftest import created, step


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def hold(journal: Journal, run_id: str) -> None:
    """Creates a run, then appends one event for each line of input, and says its number or the error."""
    run = await journal.create(run_id, created())
    await journal.lease_documents(f"server-{os.getpid()}", os.getpid(), ["/w/open.py"])
    say("held", run.epoch)
    while line := await anyio.to_thread.run_sync(sys.stdin.readline):
        try:
            (record,) = await run.append(step(int(line)))
            say("acked", record.seq)
        except AntiphonError as error:
            say(type(error).__name__, error)


async def pour(journal: Journal, run_id: str) -> None:
    """Appends from 20 tasks until it is killed: says the number and content of each acknowledged event."""
    run = await journal.create(run_id) if await is_new(journal, run_id) else await journal.open(run_id)

    async def work(task: int) -> None:
        number = 0
        while True:
            number += 1
            digest = await run.put_blob(f"{run.epoch} {task} {number}".encode())
            (record,) = await run.append(step(task * 1_000_000 + number))
            say(record.seq, task * 1_000_000 + number, digest)

    say("epoch", run.epoch)
    async with anyio.create_task_group() as group:
        for task in range(20):
            group.start_soon(work, task)


async def fill(journal: Journal, run_id: str) -> None:
    """Appends from 10 tasks until the disk is full; frees room, and appends once more."""
    room = Path(sys.argv[1]).with_name("ballast")
    run = await journal.create(run_id, created())
    acked, refused = [], []

    async def work(task: int) -> None:
        for number in range(100_000):
            try:
                acked.extend([record.seq for record in await run.append(step(task), step(number))])
            except AntiphonError as error:
                refused.append(str(error))
                return

    async with anyio.create_task_group() as group:
        for task in range(10):
            group.start_soon(work, task)
    room.unlink()
    (after,) = await run.append(step(1))
    records = await journal.read(run_id)
    whole = [record.seq for record in records] == list(range(1, after.seq + 1))
    await run.close()
    say(len(refused), after.seq == max(acked) + 1, whole)
    say(refused[0])


async def claim(journal: Journal, key: str) -> None:
    try:
        run = await journal.create(f"run-{os.getpid()}", created(), idempotency_key=key)
        say("won", run.run_id)
    except RunExistsError as error:
        say("lost", error.run_id)


async def take(journal: Journal, count: str) -> None:
    """Sends so many commands to any server, and takes and answers until told to end."""
    say("ready")
    async with anyio.create_task_group() as group:

        async def send() -> None:
            for number in range(int(count)):
                await journal.send(None, f"{os.getpid()} {number}".encode())

        async def serve() -> None:
            while True:
                for item, body in await journal.take(None):
                    say(item, body.decode())
                    await journal.answer(item, b"ok")
                await anyio.sleep(0.005)

        group.start_soon(send)
        group.start_soon(serve)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        group.cancel_scope.cancel()


async def is_new(journal: Journal, run_id: str) -> bool:
    return run_id not in {row.run_id for row in await journal.runs()}


VERBS: dict[str, Callable[[Journal, str], Awaitable[None]]] = {
    "hold": hold, "pour": pour, "fill": fill, "claim": claim, "take": take,
}  # fmt: skip


def read(home: Path, run_id: str) -> None:
    """Reads without opening a journal, which would write."""
    reader = Reader(lambda run_id: home / "runs" / f"{run_id}.sqlite")
    say([record.seq for record in reader.records(run_id, 0, 100)])


async def main(home: str, verb: str, argument: str, *flags: str) -> None:
    if "unprivileged" in flags and os.geteuid() == 0:
        os.seteuid(65534)
    try:
        if verb == "read":
            read(Path(home), argument)
            return
        journal = await open_journal(Path(home), SystemClock())
        try:
            await VERBS[verb](journal, argument)
        finally:
            await journal.aclose()
    except AntiphonError as error:
        say(type(error).__name__, error)


if __name__ == "__main__":
    anyio.run(partial(main, *sys.argv[1:]))
