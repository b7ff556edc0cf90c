"""What the disk does to a journal: refused commits, damage, foreign and newer files, room taken."""

import math
from pathlib import Path

import anyio
import apsw
import msgspec
import pytest

from orchestration.errors import FencedError, JournalError, NotFoundError, SchemaTooNewError
from orchestration.events import Record, RunFinished, ToolFinished, encode
from orchestration.journal.contract import RunJournal
from orchestration.journal.folder import JournalFolder
from orchestration.journal.memory import MemoryJournal, MemoryStore
from orchestration.journal.sqlite import SqliteRunJournal, open_journal
from providers.usage import Usage
from tests.journal.conftest import DiskWorld, SetClock, created, step

RUN = "run-1"


def file_of(disk: DiskWorld, run_id: str = RUN) -> Path:
    return disk.home / "runs" / f"{run_id}.sqlite"


def change(path: Path, sql: str) -> None:
    """As another program would."""
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()


async def outcomes(run: RunJournal, count: int) -> list[Record | Exception]:
    """What `count` appends made at once came to, in the order of their calls."""
    got: dict[int, Record | Exception] = {}

    async def work(number: int) -> None:
        try:
            (got[number],) = await run.append(step(number))
        except JournalError as error:
            got[number] = error

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(work, number)
    return [got[number] for number in range(count)]


class TestRefusedCommits:
    async def test_a_failed_group_commit_reaches_every_caller_and_leaves_no_gap(
        self, disk: DiskWorld
    ) -> None:
        journal = await disk.journal()
        run = await journal.create(RUN, created())
        assert isinstance(run, SqliteRunJournal)
        connection = (
            run._run.file._connection
        )  # a full disk, without one: SQLite's own limit on this connection
        connection.pragma("max_page_count", connection.pragma("page_count"))
        digest = await run.put_blob(b"b" * 20_000)
        refused = await outcomes(run, 30)
        assert len({id(error) for error in refused}) == 30
        assert all(isinstance(error, JournalError) and "is full" in str(error) for error in refused)
        assert run.last_seq == 1
        connection.pragma("max_page_count", 100_000)
        written = await outcomes(run, 30)
        assert [record.seq for record in written if isinstance(record, Record)] == list(range(2, 32))
        assert await journal.read_blob(RUN, digest) == b"b" * 20_000
        assert [record.event for record in await journal.read(RUN)] == [created(), *map(step, range(30))]

    async def test_an_owner_whose_epoch_is_past_writes_neither_event_nor_blob(self, disk: DiskWorld) -> None:
        journal = await disk.journal()
        run = await journal.create(RUN, created())
        change(file_of(disk), "UPDATE meta SET epoch = 2")
        assert all(isinstance(error, FencedError) for error in await outcomes(run, 3))
        with pytest.raises(FencedError):
            await run.put_blob(b"late")
        await run.close()
        again = await journal.open(RUN)
        assert (again.epoch, again.last_seq) == (3, 1)
        change(file_of(disk), "UPDATE meta SET epoch = 4")
        await again.put_blob(b"late")
        with pytest.raises(FencedError):
            await again.append(step(1))
        connection = apsw.Connection(str(file_of(disk)))
        assert connection.execute("SELECT count(*) FROM blob").get == 0
        connection.close()

    async def test_a_file_taken_by_a_newer_version_is_not_written(self, disk: DiskWorld) -> None:
        journal = await disk.journal()
        run = await journal.create(RUN, created())
        item = await journal.send(RUN, b"x")
        change(file_of(disk), "UPDATE meta SET schema = 99")
        change(disk.home / "index.sqlite", "UPDATE meta SET schema = 99")
        for call in (
            run.append(step(1)),
            journal.read(RUN),
            journal.send(RUN, b"y"),
            journal.answer(item, b"z"),
        ):
            with pytest.raises(SchemaTooNewError, match="update this one"):
                await call
        change(file_of(disk), "UPDATE meta SET schema = 1")
        change(disk.home / "index.sqlite", "UPDATE meta SET schema = 1")
        assert [record.seq for record in await run.append(step(1))] == [2]

    async def test_another_program_that_locks_the_file_is_named_as_the_reason(self, disk: DiskWorld) -> None:
        journal = await disk.journal()
        run = await journal.create(RUN, created())
        assert isinstance(run, SqliteRunJournal)
        run._run.file._connection.set_busy_timeout(20)  # else the test waits out the five seconds
        other = apsw.Connection(str(file_of(disk)))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked by another program"):
            await run.append(step(1))
        other.execute("ROLLBACK")
        other.close()
        assert [record.seq for record in await run.append(step(1))] == [2]

    async def test_a_cancelled_append_still_counts_when_it_is_durable(self, disk: DiskWorld) -> None:
        journal = await disk.journal()
        run = await journal.create(RUN, created())
        with anyio.CancelScope() as scope:
            scope.cancel()
            await run.append(step(1))
        await run.append(step(2))
        events = [record.event for record in await journal.read(RUN)]
        assert events == [created(), step(1), step(2)]
        assert run.last_seq == 3

    async def test_the_twin_refuses_alike(self) -> None:
        store = MemoryStore()
        journal = MemoryJournal(store, SetClock())
        run = await journal.create(RUN, created())

        def full(run_id: str, first_seq: int) -> None:
            raise JournalError(f"the disk of {run_id} is full at {first_seq}")

        digest = await run.put_blob(b"kept")
        store.before_commit = full
        assert all(isinstance(error, JournalError) for error in await outcomes(run, 3))
        store.before_commit = None
        assert [record.seq for record in await run.append(step(1))] == [2]
        assert await journal.read_blob(RUN, digest) == b"kept"
        other = MemoryJournal(store, SetClock(), pid=2)
        await other.open(RUN, seize=True)
        with pytest.raises(FencedError):
            await run.append(step(2))
        other.crash()
        assert (await (await MemoryJournal(store, SetClock(), pid=3).open(RUN)).append(step(3)))[0].seq == 3


class TestDamage:
    @pytest.mark.parametrize("content", [b"no database " * 400, b"\0" * 9_000], ids=["text", "zeros"])
    async def test_a_file_that_is_no_database(self, disk: DiskWorld, content: bytes) -> None:
        await finished(disk)
        file_of(disk).write_bytes(content)
        journal = await disk.journal()
        for call in (journal.open(RUN), journal.read(RUN)):
            with pytest.raises(JournalError, match=r"damaged.*aside|no run file of Antiphon"):
                await call
        assert file_of(disk).read_bytes() == content
        assert await journal.owner(RUN) is None
        # The others are not touched by it.
        await journal.create("run-2", created())

    async def test_a_page_overwritten_in_the_middle(self, disk: DiskWorld) -> None:
        await finished(disk, events=200)
        content = bytearray(file_of(disk).read_bytes())
        for start in range(8_192, len(content), 4_096):
            content[start : start + 4_096] = b"\xa5" * 4_096
        file_of(disk).write_bytes(bytes(content))
        journal = await disk.journal()
        with pytest.raises(JournalError, match="damaged"):
            await journal.read(RUN)
        assert file_of(disk).read_bytes() == bytes(content)

    async def test_an_event_that_cannot_be_read_is_named(self, disk: DiskWorld) -> None:
        await finished(disk, events=5)
        change(
            file_of(disk),
            """UPDATE event SET body = CAST('{"type":"from_the_future"}' AS BLOB) WHERE seq = 4""",
        )
        journal = await disk.journal()
        with pytest.raises(JournalError, match=r"event 4 of .*newer Antiphon"):
            await journal.read(RUN)
        assert len(await journal.read(RUN, limit=3)) == 3

    async def test_a_foreign_database(self, disk: DiskWorld) -> None:
        await finished(disk)
        for file in disk.home.joinpath("runs").iterdir():
            file.unlink()
        change(file_of(disk), "CREATE TABLE recipe (name TEXT)")
        journal = await disk.journal()
        with pytest.raises(JournalError, match="no run file of Antiphon"):
            await journal.open(RUN)
        await journal.aclose()
        for file in disk.home.glob("index.*"):
            file.unlink()
        (row,) = await (await disk.journal()).runs()
        assert row.goal.startswith("(unreadable: ")

    async def test_the_file_of_another_run(self, disk: DiskWorld) -> None:
        await finished(disk)
        file_of(disk).rename(file_of(disk, "run-2"))
        journal = await disk.journal()
        with pytest.raises(JournalError, match="holds run run-1"):
            await journal.open("run-2")

    @pytest.mark.parametrize(
        "run_id", ["", "..", "a/b", "run 1", "run-\u00e9", "Run-1", "x" * 65, "run-1.sqlite"]
    )
    async def test_a_run_id_never_leaves_the_folder(self, disk: DiskWorld, run_id: str) -> None:
        journal = await disk.journal()
        for call in (journal.create(run_id, created()), journal.open(run_id), journal.read(run_id)):
            with pytest.raises(NotFoundError, match="no run"):
                await call

    def test_a_network_disk_is_refused_before_anything_is_written(self, tmp_path: Path) -> None:
        with pytest.raises(JournalError, match=r"nfs4.*ANTIPHON_DATA_DIR"):
            JournalFolder(tmp_path / "home", 0, network=lambda _: "nfs4")
        assert list(tmp_path.iterdir()) == []


class TestIndex:
    async def test_a_lost_index_is_rebuilt_from_the_runs(self, disk: DiskWorld) -> None:
        await finished(disk)
        disk.clock.time = 2_000.0
        journal = await disk.journal()
        await journal.create("run-2", created("still going"))
        await journal.aclose()
        for file in disk.home.glob("index.*"):
            file.unlink()
        journal = await disk.journal()
        newest, oldest = await journal.runs()
        assert (newest.run_id, newest.goal, newest.state) == ("run-2", "still going", "interrupted")
        assert (oldest.run_id, oldest.goal, oldest.state) == (RUN, "mend the fence", "partial")
        assert (oldest.tasks_total, oldest.tasks_done, oldest.created) == (5, 3, 1_000.0)

    async def test_a_run_that_never_came_to_be_is_forgotten_and_its_key_is_free(
        self, disk: DiskWorld
    ) -> None:
        """As if the process had died between the row and the file."""
        journal = await disk.journal()
        run = await journal.create(RUN, created(), idempotency_key="request-7")
        await run.close()
        await journal.aclose()
        file_of(disk).write_bytes(b"")
        journal = await disk.journal()
        assert await journal.run_for_key("request-7") is None
        await journal.create("run-2", created(), idempotency_key="request-7")
        assert await journal.run_for_key("request-7") == "run-2"
        again = await journal.create(RUN, created("again"))
        assert [record.event for record in await journal.read(RUN)] == [created("again")]
        await again.close()
        await journal.aclose()
        file_of(disk).unlink()
        journal = await disk.journal()
        assert [row.run_id for row in await journal.runs()] == ["run-2"]

    async def test_a_run_that_ended_is_listed_so_though_its_last_summary_was_lost(
        self, disk: DiskWorld
    ) -> None:
        await finished(disk)
        (row,) = await (await disk.journal()).runs()
        assert (row.state, row.tasks_done, row.cost_usd) == ("partial", 3, 0.0)

    async def test_summaries_survive_a_disk_that_refused_them(self, disk: DiskWorld) -> None:
        journal = await disk.journal()
        run = await journal.create(RUN, created())
        (row,) = await journal.runs()
        change(disk.home / "index.sqlite", "UPDATE meta SET schema = 99")
        await run.summarise(msgspec.structs.replace(row, state="completed", tasks_done=4))
        await run.close()
        change(disk.home / "index.sqlite", "UPDATE meta SET schema = 1")
        with anyio.fail_after(10):
            while (await journal.runs())[0].state != "completed":
                await anyio.lowlevel.checkpoint()

    async def test_old_answers_are_forgotten(self, disk: DiskWorld) -> None:
        journal = await disk.journal()
        old = await journal.send(None, b"old")
        await journal.answer(old, b"ok")
        disk.clock.time += 8 * 86_400
        waiting = await journal.send(None, b"new")
        later = await disk.journal()
        with pytest.raises(NotFoundError, match="no command"):
            await later.wait_answer(old, 0)
        assert await later.wait_answer(waiting, 0) is None


class TestRoom:
    async def test_bytes_per_event_are_constant_and_little_beyond_the_text(self, disk: DiskWorld) -> None:
        journal = await disk.journal()
        per_event = {}
        event = ToolFinished(
            task_id="t1",
            attempt=1,
            turn=3,
            call_id="call-17",
            tool="read_file",
            text="x" * 300,
            tree="0" * 40,
        )
        for count in (500, 5_000):
            run = await journal.create(f"run-{count}")
            for _ in range(10):
                await run.append(*([event] * (count // 10)))
            await run.close()
            per_event[count] = file_of(disk, f"run-{count}").stat().st_size / count
        assert math.isclose(per_event[500], per_event[5_000], rel_tol=0.12)
        assert per_event[5_000] < len(encode(event)) * 1.15

    async def test_a_closed_run_leaves_its_file_alone(self, disk: DiskWorld) -> None:
        journal = await disk.journal()
        run = await journal.create(RUN, created())
        await outcomes(run, 300)
        await journal.read(RUN)
        await run.close()
        assert [path.name for path in sorted(disk.home.joinpath("runs").iterdir())] == [
            "run-1.lock",
            "run-1.sqlite",
        ]
        await journal.delete_run(RUN)
        await journal.aclose()
        assert list(disk.home.joinpath("runs").iterdir()) == []
        assert sorted(path.name for path in disk.home.iterdir()) == ["index.lock", "index.sqlite", "runs"]

    async def test_a_log_does_not_grow_with_the_run(self, disk: DiskWorld) -> None:
        journal = await disk.journal()
        run = await journal.create(RUN)
        for _ in range(60):
            await run.append(*(step(number) for number in range(3_000)))
        assert file_of(disk).with_name("run-1.sqlite-wal").stat().st_size < 8_000_000


async def finished(disk: DiskWorld, events: int = 1) -> None:
    """A run that has ended, and no journal open."""
    journal = await open_journal(disk.home, disk.clock)
    run = await journal.create(RUN, created())
    await run.append(*(step(number) for number in range(events)))
    await run.append(
        RunFinished(
            state="partial",
            tasks={"merged": 3, "dead": 2},
            usage=Usage(),
            exit_code=1,
            reasons=("two failed",),
        )
    )
    await run.close()
    await journal.aclose()
