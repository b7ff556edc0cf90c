"""Several processes on one journal: real ones, killed and stopped for real."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from orchestration.errors import JournalError, RunOwnedError
from orchestration.events import Record, TaskCancelled
from orchestration.journal.sqlite import SqliteJournal
from tests.journal.conftest import DiskWorld, created, step

RUN = "run-far"
ROOT = Path(__file__).parents[2]


class Worker:
    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        self.process = process
        self.pid = process.pid
        self._stdin = process.stdin
        self._chunks = TextReceiveStream(process.stdout)
        self._text = ""

    async def line(self) -> str | None:
        """The next whole line, None at the end."""
        with anyio.fail_after(30):
            while "\n" not in self._text:
                try:
                    self._text += await self._chunks.receive()
                except anyio.EndOfStream:
                    return None
        line, _, self._text = self._text.partition("\n")
        return line

    async def lines(self) -> list[str]:
        got = []
        while (line := await self.line()) is not None:
            got.append(line)
        return got

    async def tell(self, text: str) -> None:
        await self._stdin.send(f"{text}\n".encode())

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def worker(
    home: Path, verb: str, argument: str, *flags: str, before: tuple[str, ...] = ()
) -> AsyncIterator[Worker]:
    argv = [*before, sys.executable, "-m", "tests.journal.worker", str(home), verb, argument, *flags]
    process = await anyio.open_process(argv, cwd=ROOT, stderr=None)
    try:
        yield Worker(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.aclose()


async def opened(disk: DiskWorld) -> SqliteJournal:
    await disk.journal()
    return disk.opened[-1]


async def test_a_run_of_another_process_is_followed_while_it_lives_and_adopted_when_it_is_killed(
    disk: DiskWorld,
) -> None:
    journal = await opened(disk)
    async with worker(disk.home, "hold", RUN) as other:
        assert await other.line() == "held 1"
        assert await journal.owner(RUN) == other.pid
        with pytest.raises(RunOwnedError) as owned:
            await journal.open(RUN)
        assert owned.value.pid == other.pid
        (row,) = await journal.runs()
        assert (row.state, row.owner_pid) == ("planning", other.pid)
        assert await journal.document_holder("/w/open.py") == (f"server-{other.pid}", other.pid)

        got: list[Record] = []
        with anyio.fail_after(20):
            async for record in journal.follow(RUN):
                got.append(record)
                if len(got) == 6:
                    break
                await other.tell(str(len(got)))
                assert await other.line() == f"acked {len(got) + 1}"
        assert [record.event for record in got] == [created(), *(step(number) for number in range(1, 6))]

        await other.kill()
    assert await journal.owner(RUN) is None
    assert await journal.document_holder("/w/open.py") is None
    assert [(row.state, row.owner_pid) for row in await journal.runs()] == [("interrupted", None)]
    run = await journal.open(RUN)
    assert (run.epoch, run.last_seq) == (2, 6)
    assert [record.seq for record in await run.append(step(9))] == [7]


async def test_a_stopped_owner_that_lost_its_run_writes_nothing_when_it_goes_on(disk: DiskWorld) -> None:
    journal = await opened(disk)
    async with worker(disk.home, "hold", RUN) as other:
        assert await other.line() == "held 1"
        other.process.send_signal(signal.SIGSTOP)
        with pytest.raises(RunOwnedError):
            await journal.open(RUN)
        run = await journal.open(RUN, seize=True)
        assert run.epoch == 2
        await run.append(step(50))
        other.process.send_signal(signal.SIGCONT)
        for _ in range(2):
            await other.tell("60")
            assert (await other.line() or "").startswith("FencedError run run-far was taken over")
        await run.append(step(51))
        assert [record.event for record in await journal.read(RUN)] == [created(), step(50), step(51)]
        assert await journal.owner(RUN) == os.getpid()


async def test_nothing_acknowledged_is_lost_however_often_the_owner_is_killed(disk: DiskWorld) -> None:
    """Each round the owner is killed at a random moment between a commit and its acknowledgement, or around."""
    chance = random.Random(8)
    journal = await opened(disk)
    acked: dict[int, tuple[int, str]] = {}
    for round_ in range(1, 9):
        async with worker(disk.home, "pour", RUN) as other:
            assert await other.line() == f"epoch {round_}"
            with anyio.move_on_after(chance.uniform(0.01, 0.15)):
                while (line := await other.line()) is not None:
                    note(acked, line)
            await other.kill()
            for line in await other.lines():
                note(acked, line)
    records = {record.seq: record.event for record in await journal.read(RUN, limit=1_000_000)}
    assert list(records) == list(range(1, len(records) + 1))
    assert acked
    for seq, (number, digest) in acked.items():
        assert records[seq] == step(number)
        assert hashlib.sha256(await journal.read_blob(RUN, digest)).hexdigest() == digest


def note(acked: dict[int, tuple[int, str]], line: str) -> None:
    words = line.split()
    if len(words) == 3 and len(words[2]) == 64:  # the last line may be cut
        assert int(words[0]) not in acked
        acked[int(words[0])] = (int(words[1]), words[2])


async def test_two_processes_race_for_one_request_and_one_wins(disk: DiskWorld) -> None:
    journal = await opened(disk)
    said: list[str] = []

    async def race() -> None:
        async with worker(disk.home, "claim", "request-7") as other:
            said.extend(await other.lines())

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(race)
    won = [line.removeprefix("won ") for line in said if line.startswith("won ")]
    assert len(won) == 1
    assert sorted(said) == sorted([f"lost {won[0]}"] * 3 + [f"won {won[0]}"])
    assert [row.run_id for row in await journal.runs()] == won
    assert await journal.run_for_key("request-7") == won[0]


async def test_a_command_to_any_server_is_taken_by_one_process(disk: DiskWorld) -> None:
    count = 40
    async with worker(disk.home, "take", str(count)) as left, worker(disk.home, "take", str(count)) as right:
        assert (await left.line(), await right.line()) == ("ready", "ready")
        taken: list[str] = []
        done = anyio.Event()

        async def gather(other: Worker) -> None:
            while (line := await other.line()) is not None:
                taken.append(line)
                if len(taken) == 2 * count:
                    done.set()

        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(gather, left)
                group.start_soon(gather, right)
                await done.wait()
                await left.tell("")
                await right.tell("")
    assert len({line.split()[0] for line in taken}) == 2 * count
    expected = {f"{pid} {number}" for pid in (left.pid, right.pid) for number in range(count)}
    assert {line.split(" ", 1)[1] for line in taken} == expected


async def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    inside = tmp_path / "small"
    inside.mkdir()
    mount = f"mount -t tmpfs -o size=1m tmpfs {inside} && head -c 300k /dev/zero > {inside}/ballast"
    if shutil.which("unshare") is None or not can_mount(mount):
        pytest.skip("no `unshare -rm` with tmpfs here: a small disk needs it")
    before = ("unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh")
    async with worker(inside / "home", "fill", RUN, before=before) as other:
        counted, error = await other.lines()
    refused, goes_on, whole = counted.split()
    assert (int(refused), goes_on, whole) == (10, "True", "True")
    assert "is full" in error
    assert "free some space" in error


def can_mount(mount: str) -> bool:
    return (
        subprocess.run(["unshare", "-rm", "sh", "-c", mount], check=False, capture_output=True).returncode
        == 0
    )


async def test_a_folder_that_may_not_be_written_is_refused_with_the_mend(open_place: Path) -> None:
    home = open_place / "home"
    home.mkdir(mode=0o555)
    async with worker(home, "hold", RUN, "unprivileged") as other:
        (said,) = await other.lines()
    assert said.startswith("DataFolderError")
    assert "ANTIPHON_DATA_DIR" in said
    assert list(home.iterdir()) == []


async def test_a_finished_run_can_be_read_from_a_read_only_folder(disk: DiskWorld, open_place: Path) -> None:
    journal = await opened(disk)
    run = await journal.create(RUN, created())
    await run.append(step(1))
    await journal.aclose()
    runs = open_place / "runs"
    shutil.copytree(disk.home / "runs", runs)
    (runs / f"{RUN}.sqlite").chmod(0o444)
    runs.chmod(0o555)
    async with worker(open_place, "read", RUN, "unprivileged") as other:
        assert await other.lines() == ["[1, 2]"]


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that a user without rights can reach."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place
        for folder in place.iterdir():
            folder.chmod(0o755)


async def test_a_lock_is_not_inherited_by_a_child(disk: DiskWorld) -> None:
    journal = await opened(disk)
    run = await journal.create(RUN, created())
    child = await anyio.open_process(["sleep", "60"])
    try:
        await run.close()
        again = await journal.open(RUN)
        assert again.epoch == 2
    finally:
        child.kill()
        await child.aclose()


async def test_an_event_is_the_same_in_another_process(disk: DiskWorld) -> None:
    journal = await opened(disk)
    async with worker(disk.home, "pour", RUN) as other:
        while (line := await other.line()) is not None and not line.startswith("5 "):
            pass
        await other.kill()
    records = await journal.read(RUN, limit=5)
    assert [type(record.event) for record in records] == [TaskCancelled] * 5
    with pytest.raises(JournalError):
        await journal.take(RUN)
