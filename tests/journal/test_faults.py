"""Failure loops in SQLite's manner: the n-th call to the disk fails, once or from then on, for every n.

The faults are below SQLite, in a file system of our own that the whole process uses; nothing of ours is patched.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from orchestration.errors import JournalError
from orchestration.events import Event
from orchestration.journal.sqlite import open_journal
from tests.journal.conftest import SetClock, created, step

RUN = "run-1"


class FaultyDisk(apsw.VFS):
    """Counts writes, syncs and truncations; the `fail_at`-th one fails, and all later ones when `for_ever`."""

    def __init__(self) -> None:
        self.calls = 0
        self.fail_at = 0
        self.for_ever = False
        self.error: type[apsw.Error] = apsw.IOError
        super().__init__("faulty", "", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return FaultyFile(self, name, flags)

    def reset(self, fail_at: int, error: type[apsw.Error], *, for_ever: bool) -> None:
        self.calls, self.fail_at, self.error, self.for_ever = 0, fail_at, error, for_ever

    def count(self) -> None:
        self.calls += 1
        if self.fail_at and (self.calls == self.fail_at or (self.for_ever and self.calls > self.fail_at)):
            raise self.error(f"call {self.calls} fails")


class FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.count()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.count()  # and no more: no power is cut here, and a real sync costs most of the time

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.count()
        super().xTruncate(newsize)


@pytest.fixture
def faulty() -> Iterator[FaultyDisk]:
    disk = FaultyDisk()
    yield disk
    disk.unregister()


@pytest.fixture
def memory_disk() -> Iterator[Path]:
    """A folder whose syncs cost nothing, where there is one."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        yield Path(name)


async def write(home: Path, acked: list[Event], blobs: dict[str, bytes]) -> int:
    """A short life of a run; returns how many times the disk refused."""
    refused = 0
    try:
        journal = await open_journal(home, SetClock())
    except JournalError:
        return 1
    try:
        run = await journal.create(RUN, created())
        acked.append(created())
        waiting: dict[str, bytes] = {}
        for number in range(1, 7):
            data = bytes([number]) * 3_000
            waiting[await run.put_blob(data)] = data
            try:
                await run.append(step(number), step(number))
            except JournalError:
                refused += 1
                continue
            acked += [step(number), step(number)]
            blobs |= waiting
        await run.close()
    except JournalError:
        refused += 1
    finally:
        try:
            await journal.aclose()
        except JournalError:
            refused += 1
    return refused


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError], ids=["io", "full"])
async def test_whichever_call_fails_nothing_acknowledged_is_lost(
    faulty: FaultyDisk, memory_disk: Path, error: type[apsw.Error], for_ever: bool
) -> None:
    fail_at = refused = 0
    while refused or fail_at == 0 or faulty.calls >= fail_at:
        fail_at += 1
        home = memory_disk / str(fail_at)
        acked: list[Event] = []
        blobs: dict[str, bytes] = {}
        faulty.reset(fail_at, error, for_ever=for_ever)
        refused = await write(home, acked, blobs)
        reached = faulty.calls
        faulty.reset(0, error, for_ever=False)

        journal = await open_journal(home, SetClock())
        listed = [row.run_id for row in await journal.runs()]
        assert (RUN in listed) or not acked, fail_at
        if RUN in listed:
            records = await journal.read(RUN)
            assert [record.seq for record in records] == list(range(1, len(records) + 1))
            # What was refused may be there (its outcome was unknown), what was acknowledged must be, in order.
            events = iter(record.event for record in records)
            assert all(any(event == kept for event in events) for kept in acked), fail_at
            for digest, data in blobs.items():
                assert await journal.read_blob(RUN, digest) == data
            run = await journal.open(RUN)
            assert (await run.append(step(99)))[0].seq == len(records) + 1
        else:
            await journal.create(RUN, created())
        await journal.aclose()
        faulty.calls = reached
    assert fail_at > 100
