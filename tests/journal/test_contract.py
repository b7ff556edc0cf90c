"""What every journal promises, shown on the one in memory and the one on disk."""

import hashlib
from collections.abc import AsyncIterator

import anyio
import msgspec
import pytest

from orchestration.errors import FencedError, JournalError, NotFoundError, RunOwnedError
from orchestration.events import Record
from orchestration.journal.contract import Journal, RunExistsError
from tests.journal.conftest import World, created, step

RUN = "run-20260101-000000-abcdef"


async def first(records: AsyncIterator[Record], count: int) -> list[Record]:
    got: list[Record] = []
    with anyio.fail_after(10):
        async for record in records:
            got.append(record)
            if len(got) == count:
                break
    return got


class TestEvents:
    async def test_numbers_are_consecutive_from_one_and_time_is_the_clocks(self, world: World) -> None:
        journal = await world.journal()
        run = await journal.create(RUN, created())
        assert (run.run_id, run.epoch, run.last_seq) == (RUN, 1, 1)
        world.clock.time = 990.5  # back a day or forward: it orders nothing
        records = await run.append(step(1), step(2))
        assert [(record.seq, record.time) for record in records] == [(2, 990.5), (3, 990.5)]
        assert run.last_seq == 3
        assert await journal.read(RUN) == [Record(1, 1_000.0, created()), *records]

    async def test_who_made_a_run_has_its_first_records(self, world: World) -> None:
        journal = await world.journal()
        run = await journal.create(RUN, created(), step(1))
        assert list(run.created) == await journal.read(RUN)
        await run.close()
        assert (await journal.open(RUN)).created == ()

    async def test_reads_after_and_limit(self, world: World) -> None:
        journal = await world.journal()
        run = await journal.create(RUN)
        await run.append(*(step(number) for number in range(1, 8)))
        assert [record.seq for record in await journal.read(RUN, after=2, limit=3)] == [3, 4, 5]
        assert [record.seq for record in await journal.read(RUN, after=-5, limit=2)] == [1, 2]
        assert list(await journal.read(RUN, after=7)) == []

    async def test_concurrent_appends_keep_each_callers_events_together(self, world: World) -> None:
        journal = await world.journal()
        run = await journal.create(RUN)

        async def work(task: int) -> None:
            for number in range(5):
                pair = await run.append(step(task * 100 + number), step(task * 100 + number))
                assert pair[1].seq == pair[0].seq + 1

        async with anyio.create_task_group() as group:
            for task in range(20):
                group.start_soon(work, task)
        records = await journal.read(RUN)
        assert [record.seq for record in records] == list(range(1, 201))
        assert all(left.event == right.event for left, right in zip(records[::2], records[1::2], strict=True))

    async def test_appends_keep_the_order_of_their_calls(self, world: World) -> None:
        journal = await world.journal()
        run = await journal.create(RUN)
        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(run.append, step(number))
        assert [record.event for record in await journal.read(RUN)] == [step(number) for number in range(30)]

    async def test_an_unknown_run(self, world: World) -> None:
        journal = await world.journal()
        for call in (journal.read("run-none"), journal.open("run-none"), journal.delete_run("run-none")):
            with pytest.raises(NotFoundError, match="run-none"):
                await call
        with pytest.raises(NotFoundError):
            await first(journal.follow("run-none"), 1)


class TestBlobs:
    async def test_a_blob_is_found_at_once_and_by_everyone_after_the_next_append(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        run = await journal.create(RUN)
        data = bytes(range(256)) * 400
        digest = await run.put_blob(data)
        assert digest == hashlib.sha256(data).hexdigest()
        assert await run.blob(digest) == data
        await run.append(step(1))
        assert await other.read_blob(RUN, digest) == data

    async def test_the_same_bytes_twice(self, world: World) -> None:
        journal = await world.journal()
        run = await journal.create(RUN)
        digest = await run.put_blob(b"twice")
        await run.append()
        assert await run.put_blob(b"twice") == digest
        await run.append(step(1))
        assert await journal.read_blob(RUN, digest) == b"twice"

    async def test_an_unknown_blob(self, world: World) -> None:
        journal = await world.journal()
        run = await journal.create(RUN)
        with pytest.raises(NotFoundError):
            await run.blob("0" * 64)
        with pytest.raises(NotFoundError):
            await journal.read_blob(RUN, "not a digest")


class TestOwners:
    async def test_one_owner_at_a_time(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        run = await journal.create(RUN, created())
        pid = await other.owner(RUN)
        assert pid is not None
        for someone in (other, journal):
            with pytest.raises(RunOwnedError) as refused:
                await someone.open(RUN)
            assert refused.value.pid == pid
        with pytest.raises(RunOwnedError):
            await other.delete_run(RUN)
        await run.close()
        await run.close()
        assert await other.owner(RUN) is None

    async def test_the_next_owner_has_the_next_epoch_and_goes_on_counting(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        run = await journal.create(RUN, created())
        await run.append(step(1))
        await run.close()
        with pytest.raises(JournalError):
            await run.append(step(2))
        adopted = await other.open(RUN)
        assert (adopted.epoch, adopted.last_seq) == (2, 2)
        assert [record.seq for record in await adopted.append(step(3))] == [3]
        assert [record.event for record in await journal.read(RUN)] == [created(), step(1), step(3)]

    async def test_a_run_is_created_once(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        run = await journal.create(RUN, created())
        with pytest.raises(RunExistsError):
            await other.create(RUN, created())
        await run.close()
        with pytest.raises(RunExistsError) as taken:
            await journal.create(RUN, created())
        assert taken.value.run_id == RUN

    async def test_a_request_starts_one_run_however_often_it_is_sent(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        assert await journal.run_for_key("request-7") is None
        await journal.create(RUN, created(), idempotency_key="request-7")
        with pytest.raises(RunExistsError) as taken:
            await other.create("run-second", created(), idempotency_key="request-7")
        assert taken.value.run_id == RUN
        assert await other.run_for_key("request-7") == RUN
        with pytest.raises(NotFoundError):
            await other.read("run-second")

    async def test_deleting_frees_the_id_and_the_key(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        run = await journal.create(RUN, created(), idempotency_key="request-7")
        await run.close()
        await other.delete_run(RUN)
        assert list(await journal.runs()) == []
        with pytest.raises(NotFoundError):
            await journal.read(RUN)
        again = await journal.create(RUN, created("again"), idempotency_key="request-7")
        assert (again.epoch, again.last_seq) == (1, 1)


class TestFollowing:
    async def test_what_is_there_then_what_comes(self, world: World) -> None:
        journal = await world.journal()
        run = await journal.create(RUN, created())
        await run.append(step(2), step(3))
        got: list[Record] = []

        async def tail() -> None:
            got.extend(await first(journal.follow(RUN, after=1), 5))

        async with anyio.create_task_group() as group:
            group.start_soon(tail)
            await run.append(step(4))
            await run.append(step(5), step(6))
        assert [record.seq for record in got] == [2, 3, 4, 5, 6]
        assert got == list(await journal.read(RUN, after=1))

    async def test_a_run_of_another_process_through_its_change_of_owner(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        run = await journal.create(RUN, created())
        got: list[Record] = []

        async def tail() -> None:
            got.extend(await first(other.follow(RUN), 4))

        async with anyio.create_task_group() as group:
            group.start_soon(tail)
            await run.append(step(2))
            await run.close()
            adopted = await other.open(RUN)
            await adopted.append(step(3))
            await adopted.close()
            back = await journal.open(RUN)
            await back.append(step(4))
        assert [record.event for record in got] == [created(), step(2), step(3), step(4)]

    async def test_a_slow_follower_loses_nothing(self, world: World) -> None:
        journal = await world.journal()
        run = await journal.create(RUN)
        got: list[int] = []

        async def tail() -> None:
            async for record in journal.follow(RUN):
                got.append(record.seq)
                await anyio.lowlevel.checkpoint()
                if record.seq == 3_000:
                    break

        async with anyio.create_task_group() as group:
            group.start_soon(tail)
            await anyio.lowlevel.checkpoint()
            for start in range(0, 3_000, 500):
                await run.append(*(step(number) for number in range(start, start + 500)))
        assert got == list(range(1, 3_001))

    async def test_following_ends_when_the_journal_is_closed(self, world: World) -> None:
        journal = await world.journal()
        await journal.create(RUN, created())
        got: list[Record] = []

        async def tail() -> None:
            got.extend([record async for record in journal.follow(RUN)])

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(tail)
                while not got and await journal.owner(RUN) is None:
                    await anyio.lowlevel.checkpoint()
                await journal.aclose()
        await journal.aclose()


class TestSummaries:
    async def test_a_new_run_is_listed_before_it_says_anything(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        await journal.create(RUN, created())
        (row,) = await other.runs()
        assert (row.run_id, row.goal, row.workspace) == (RUN, "mend the fence", "/somewhere/barn")
        assert (row.state, row.created, row.owner_pid) == ("planning", 1_000.0, await other.owner(RUN))

    async def test_newest_first_and_at_most_so_many(self, world: World) -> None:
        journal = await world.journal()
        for number in range(5):
            world.clock.time = 1_000.0 + number
            await journal.create(f"run-{number}", created())
        assert [row.run_id for row in await journal.runs(limit=3)] == ["run-4", "run-3", "run-2"]

    async def test_a_summary_is_seen_at_once_here_and_by_others_when_the_run_closes(
        self, world: World
    ) -> None:
        journal, other = await world.journal(), await world.journal()
        run = await journal.create(RUN, created())
        (row,) = await journal.runs()
        row = msgspec.structs.replace(row, state="running", tasks_total=9, cost_usd=0.25)
        for done in range(50):
            await run.summarise(msgspec.structs.replace(row, tasks_done=done))
        last = msgspec.structs.replace(row, tasks_done=49)
        assert list(await journal.runs()) == [last]
        ended = msgspec.structs.replace(last, state="partial", tokens=77, open_hunks=4, owner_pid=None)
        await run.summarise(ended)
        await run.close()
        assert list(await other.runs()) == [ended]

    async def test_a_live_state_without_a_live_owner_is_interrupted(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        run = await journal.create(RUN, created())
        await run.close()
        (row,) = await other.runs()
        assert (row.state, row.owner_pid) == ("interrupted", None)


class TestInbox:
    async def test_a_command_reaches_the_owner_once_and_its_answer_the_sender(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        run = await journal.create(RUN, created())
        item = await other.send(RUN, b'{"cancel": 1}')
        second = await other.send(RUN, b"{}")
        assert list(await journal.take(RUN)) == [(item, b'{"cancel": 1}'), (second, b"{}")]
        assert list(await journal.take(RUN)) == []
        answers: list[bytes | None] = []

        async def wait() -> None:
            answers.append(await other.wait_answer(item, 10))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            await journal.answer(item, b"done")
        assert answers == [b"done"]
        await journal.answer(item, b"later")
        assert await other.wait_answer(item, 0) == b"done"
        assert await other.wait_answer(second, 0) is None
        await run.close()

    async def test_a_new_owner_gets_what_was_not_answered(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        run = await journal.create(RUN, created())
        kept, answered = await other.send(RUN, b"a"), await other.send(RUN, b"b")
        await journal.take(RUN)
        await journal.answer(answered, b"ok")
        await run.close()
        with pytest.raises(JournalError):
            await journal.take(RUN)
        await other.open(RUN)
        assert list(await other.take(RUN)) == [(kept, b"a")]

    async def test_a_stale_owner_takes_no_commands_and_its_row_does_not_count(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        run = await journal.create(RUN, created())
        taken = await other.open(RUN, seize=True)
        await taken.summarise(msgspec.structs.replace((await other.runs())[0], tasks_total=7))
        item = await journal.send(RUN, b"cancel")
        with pytest.raises(FencedError):
            await journal.take(RUN)
        await run.summarise(msgspec.structs.replace((await journal.runs())[0], tasks_total=1))
        with pytest.raises(FencedError):
            await run.append(step(1))
        assert list(await other.take(RUN)) == [(item, b"cancel")]
        assert [row.tasks_total for row in await other.runs()] == [7]

    async def test_a_command_for_any_server_goes_to_one(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        item = await journal.send(None, b"start")
        assert list(await other.take(None)) == [(item, b"start")]
        assert list(await journal.take(None)) == []

    async def test_a_taker_that_went_away_gives_its_commands_back(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        item = await other.send(None, b"start")
        await journal.take(None)
        await journal.aclose()
        assert list(await other.take(None)) == [(item, b"start")]

    async def test_unknown_runs_and_commands(self, world: World) -> None:
        journal = await world.journal()
        with pytest.raises(NotFoundError):
            await journal.send("run-none", b"x")
        with pytest.raises(NotFoundError):
            await journal.answer(999, b"x")
        with pytest.raises(NotFoundError):
            await journal.wait_answer(999, 0)


class TestLeases:
    async def test_the_set_of_documents_is_replaced(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        pid = await held_pid(journal)
        await journal.lease_documents("server-1", pid, ["/w/a.py", "/w/b.py"])
        assert await other.document_holder("/w/a.py") == ("server-1", pid)
        await journal.lease_documents("server-1", pid, ["/w/b.py", "/w/c.py"])
        assert await other.document_holder("/w/a.py") is None
        assert await other.document_holder("/w/c.py") == ("server-1", pid)
        assert await other.open_documents() == {"/w/b.py": "server-1", "/w/c.py": "server-1"}
        await journal.lease_documents("server-1", pid, [])
        assert await other.document_holder("/w/c.py") is None
        assert await other.open_documents() == {}

    async def test_commands_for_a_server_reach_it_alone(self, world: World) -> None:
        journal, other = await world.journal(), await world.journal()
        await journal.lease_documents("server-1", await held_pid(journal), [])
        item = await other.send_to_server("server-1", b"decide")
        assert list(await other.take(None)) == []
        assert list(await other.take_for_server("server-2")) == []
        assert list(await journal.take_for_server("server-1")) == [(item, b"decide")]
        assert list(await journal.take_for_server("server-1")) == []
        await journal.answer(item, b"ok")
        assert await other.wait_answer(item, 1) == b"ok"


async def held_pid(journal: Journal) -> int:
    """The process id that this journal's process has."""
    run = await journal.create("run-pid", created())
    pid = await journal.owner("run-pid")
    await run.close()
    assert pid is not None
    return pid
