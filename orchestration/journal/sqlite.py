"""The journal on disk: one SQLite file a run, one index for the workspace (`folder.py` has the places).

Three threads, each with its own connections, all ended by `aclose`: the writer commits events and nothing else;
the reader reads runs; the desk does what is rare (create, open, close, list, inbox, leases). The event loop
waits for none of them but by awaiting.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import anyio

from orchestration.errors import FencedError, JournalError, NotFoundError
from orchestration.events import Event, Record, encode
from orchestration.journal.contract import LIVE_STATES, RunSummary
from orchestration.journal.folder import JournalFolder
from orchestration.journal.follow import OWNED_POLL_S, PAGE, POLL_S, QUIET_POLL_S, QUIET_POLLS, Mailbox
from orchestration.journal.locks import FileLock
from orchestration.journal.reader import Reader
from orchestration.journal.run_file import RunFile
from orchestration.journal.summaries import first_summary
from orchestration.journal.writer import OpenRun, Writer
from orchestration.ports import Clock

T = TypeVar("T")
P = ParamSpec("P")

SUMMARY_DELAY_S = 0.25


async def open_journal(home: Path, clock: Clock) -> "SqliteJournal":
    """The journal in `home` (`WorkspaceHome.path`), for the running event loop. Raises JournalError,
    SchemaTooNewError.
    """
    desk = ThreadPoolExecutor(1, "antiphon-journal-desk")
    try:
        folder = await asyncio.get_running_loop().run_in_executor(desk, JournalFolder, home, clock.now())
    except BaseException:
        desk.shutdown(wait=False)
        raise
    return SqliteJournal(folder, desk, clock)


class SqliteRunJournal:
    def __init__(
        self,
        journal: "SqliteJournal",
        writer: Writer,
        run: OpenRun,
        lock: FileLock,
        created: tuple[Record, ...],
    ) -> None:
        self.created = created
        self._journal = journal
        self._writer = writer
        self._run = run
        self._lock = lock
        self._closed = False

    @property
    def run_id(self) -> str:
        return self._run.file.run_id

    @property
    def epoch(self) -> int:
        return self._run.file.epoch

    @property
    def last_seq(self) -> int:
        return self._run.last_seq

    async def append(self, *events: Event) -> tuple[Record, ...]:
        self._check()
        return await self._writer.append(self._run, events, list(map(encode, events)))

    async def put_blob(self, data: bytes) -> str:
        self._check()
        digest = hashlib.sha256(data)
        raw = digest.digest()
        if raw not in self._run.saved:
            self._run.unsaved.setdefault(raw, bytes(data))
        return digest.hexdigest()

    async def blob(self, digest: str) -> bytes:
        with suppress(ValueError):
            if (data := self._run.unsaved.get(bytes.fromhex(digest))) is not None:
                return data
        return await self._journal.read_blob(self.run_id, digest)

    async def summarise(self, summary: RunSummary) -> None:
        self._check()
        if self._lock.still_ours():
            self._journal.summarise(summary)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._writer.settled(self._run)
            await self._journal.release(self, self._run.file, self._lock)

    def held(self) -> bool:
        """False once another process has taken the run."""
        return self._run.lost is None and self._lock.still_ours()

    def _check(self) -> None:
        if self._run.lost is not None:
            raise FencedError(*self._run.lost.args)
        if self._closed:
            raise JournalError(f"run {self.run_id} is closed here; open it again")


class SqliteJournal:
    """Made by `open_journal`; belongs to one event loop."""

    def __init__(self, folder: JournalFolder, desk: ThreadPoolExecutor, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._desk = desk
        self._reading = ThreadPoolExecutor(1, "antiphon-journal-reader")
        self._reader = Reader(folder.path)
        self._read_here: set[str] = set()  # runs that the reader may hold open
        self._writer = Writer(clock)
        self._owned: dict[str, SqliteRunJournal] = {}
        self._mailboxes: dict[str, list[Mailbox]] = {}
        self._answered = anyio.Event()
        self._summaries: dict[str, RunSummary] = {}
        self._summary_timer: asyncio.TimerHandle | None = None
        self._ending = False  # no run is taken any more
        self._closed = False

    # --- runs ------------------------------------------------------------------------------------

    async def create(
        self, run_id: str, *events: Event, idempotency_key: str | None = None
    ) -> SqliteRunJournal:
        self._check_open()
        time = self._clock.now()
        bodies = [encode(event) for event in events]
        summary = first_summary(run_id, events, time, os.getpid())
        with anyio.CancelScope(shield=True):  # else a cancelled call would leave a lock that nobody holds
            file, lock = await self._at_desk(
                self._folder.create, run_id, time, bodies, summary, idempotency_key
            )
        records = enumerate(events, 1)
        return self._own(file, lock, tuple([Record(seq, time, event) for seq, event in records]))

    async def run_for_key(self, key: str) -> str | None:
        return await self._at_desk(self._folder.run_for_key, key)

    async def open(self, run_id: str, *, seize: bool = False) -> SqliteRunJournal:
        self._check_open()
        with anyio.CancelScope(shield=True):
            file, lock = await self._at_desk(lambda: self._folder.open(run_id, seize=seize))
        return self._own(file, lock)

    async def read(self, run_id: str, after: int = 0, limit: int = 10_000) -> Sequence[Record]:
        return await self._read(run_id, self._reader.records, max(after, 0), limit)

    async def read_blob(self, run_id: str, digest: str) -> bytes:
        return await self._read(run_id, self._reader.blob, digest)

    async def runs(self, limit: int = 200) -> Sequence[RunSummary]:
        return await self._at_desk(self._folder.summaries, limit, dict(self._summaries))

    async def owner(self, run_id: str) -> int | None:
        return await self._at_desk(self._folder.owner, run_id)

    async def delete_run(self, run_id: str) -> None:
        with anyio.CancelScope(shield=True):
            await self._forget(run_id)
            await self._at_desk(self._folder.delete, run_id)
        self._summaries.pop(run_id, None)
        self._wake(run_id)

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[Record]:
        position, version, begun, quiet = max(after, 0), None, False, 0
        mailbox = Mailbox()
        self._mailboxes.setdefault(run_id, []).append(mailbox)
        try:
            while not self._closed:
                try:
                    version, records = await self._read(
                        run_id, self._reader.new_records, version, position, PAGE
                    )
                except NotFoundError:
                    if begun:  # it was deleted
                        return
                    raise
                begun, quiet = True, 0 if records else quiet + 1
                for record in records:
                    yield record
                    position = record.seq
                if version is None:
                    continue
                while run_id in self._owned and not self._closed:
                    fresh = [record for record in mailbox.take() if record.seq > position]
                    if fresh and fresh[0].seq > position + 1:  # the mailbox overflowed
                        version = None
                        break
                    for record in fresh:
                        yield record
                        position = record.seq
                    if not fresh and not await mailbox.wait(OWNED_POLL_S):
                        break
                else:
                    await mailbox.wait(POLL_S if quiet < QUIET_POLLS else QUIET_POLL_S)
        finally:
            self._mailboxes[run_id].remove(mailbox)
            if not self._mailboxes[run_id]:
                del self._mailboxes[run_id]

    # --- the inbox -------------------------------------------------------------------------------

    async def send(self, run_id: str | None, command: bytes) -> int:
        if run_id is not None:
            await self._at_desk(self._folder.require, run_id)
        return await self._at_desk(self._folder.index.send, run_id, None, command, self._clock.now())

    async def take(self, run_id: str | None) -> Sequence[tuple[int, bytes]]:
        if run_id is not None:
            owned = self._owned.get(run_id)
            if owned is None or not owned.held():
                raise FencedError(
                    f"run {run_id} is not owned by this process (any more); open it before taking its commands"
                )
        return await self._at_desk(self._folder.index.take, run_id, None)

    async def answer(self, item: int, reply: bytes) -> None:
        await self._at_desk(self._folder.index.answer, item, reply, self._clock.now())
        answered, self._answered = self._answered, anyio.Event()
        answered.set()

    async def wait_answer(self, item: int, timeout_s: float) -> bytes | None:
        deadline = self._loop.time() + timeout_s
        while True:
            answered = self._answered
            reply = await self._at_desk(self._folder.index.reply, item)
            left = deadline - self._loop.time()
            if reply is not None or left <= 0:
                return reply
            with anyio.move_on_after(min(left, POLL_S)):
                await answered.wait()

    async def send_to_server(self, server_id: str, command: bytes) -> int:
        return await self._at_desk(self._folder.index.send, None, server_id, command, self._clock.now())

    async def take_for_server(self, server_id: str) -> Sequence[tuple[int, bytes]]:
        return await self._at_desk(self._folder.index.take, None, server_id)

    # --- documents -------------------------------------------------------------------------------

    async def lease_documents(self, server_id: str, pid: int, paths: Sequence[str]) -> None:
        await self._at_desk(self._folder.index.lease, server_id, pid, paths, self._clock.now())

    async def document_holder(self, path: str) -> tuple[str, int] | None:
        return await self._at_desk(self._folder.index.document_holder, path)

    async def open_documents(self) -> Mapping[str, str]:
        return await self._at_desk(self._folder.index.open_documents)

    # --- the end ---------------------------------------------------------------------------------

    async def aclose(self) -> None:
        if self._ending:
            return
        self._ending = True
        with anyio.CancelScope(shield=True):
            try:
                async with (
                    AsyncExitStack() as ending
                ):  # each step is taken, whatever the disk refuses another
                    ending.push_async_callback(self._run_on, self._desk, self._folder.index.close)
                    ending.push_async_callback(self._run_on, self._reading, self._reader.close)
                    ending.callback(self._end_following)
                    for run in self._owned.values():
                        ending.push_async_callback(run.close)
            finally:
                self._writer.close()
                self._reading.shutdown(wait=False)
                self._desk.shutdown(wait=False)

    # --- for the handles -------------------------------------------------------------------------

    def summarise(self, summary: RunSummary) -> None:
        """Keeps the row until the timer, so that a busy run costs a few index commits a second."""
        self._summaries[summary.run_id] = summary
        if self._summary_timer is None:
            delay = SUMMARY_DELAY_S if summary.state in LIVE_STATES else 0.0
            self._summary_timer = self._loop.call_later(delay, self._store_summaries)

    async def release(self, handle: SqliteRunJournal, file: RunFile, lock: FileLock) -> None:
        """Ends the ownership of a run: its log is moved into its file, then its lock is free."""
        self._store_summaries()
        try:
            try:
                await self._forget(file.run_id)
            finally:
                await self._run_on(self._desk, self._folder.give_up, file, lock)
        finally:
            if self._owned.get(file.run_id) is handle:
                del self._owned[file.run_id]
            self._wake(file.run_id)

    def _own(self, file: RunFile, lock: FileLock, created: tuple[Record, ...] = ()) -> SqliteRunJournal:
        handle = SqliteRunJournal(self, self._writer, OpenRun(file, self._publish), lock, created)
        self._owned[file.run_id] = handle
        self._wake(file.run_id)
        return handle

    def _publish(self, run_id: str, records: Sequence[Record]) -> None:
        for mailbox in self._mailboxes.get(run_id, ()):
            mailbox.put(records)

    def _wake(self, run_id: str) -> None:
        for mailbox in self._mailboxes.get(run_id, ()):
            mailbox.wake()

    def _end_following(self) -> None:
        self._closed = True
        self._store_summaries()
        for run_id in list(self._mailboxes):
            self._wake(run_id)

    def _store_summaries(self) -> None:
        if self._summary_timer is not None:
            self._summary_timer.cancel()
            self._summary_timer = None
        if not self._summaries:
            return
        stored, self._summaries = self._summaries, {}

        def keep(done: "Future[None]") -> None:
            if done.exception() is not None:  # the disk refused: the next attempt has them, or newer ones
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._keep_summaries, stored)

        self._desk.submit(self._folder.index.store_summaries, list(stored.values())).add_done_callback(keep)

    def _keep_summaries(self, stored: dict[str, RunSummary]) -> None:
        self._summaries = stored | self._summaries

    # --- the threads -----------------------------------------------------------------------------

    async def _at_desk(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        assert not kwargs
        self._check()
        return await self._run_on(self._desk, function, *args)

    async def _read(
        self, run_id: str, function: Callable[Concatenate[str, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        assert not kwargs
        self._check()
        self._read_here.add(run_id)
        return await self._run_on(self._reading, function, run_id, *args)

    async def _forget(self, run_id: str) -> None:
        """Ends the reading of a run, so that its log can be removed."""
        if run_id in self._read_here:
            self._read_here.remove(run_id)
            await self._run_on(self._reading, self._reader.forget, run_id)

    async def _run_on(self, thread: Executor, function: Callable[..., T], *args: object) -> T:
        return await self._loop.run_in_executor(thread, function, *args)

    def _check(self) -> None:
        if self._closed:
            raise JournalError("the journal is closed")

    def _check_open(self) -> None:
        if self._ending:
            raise JournalError("the journal is being closed")
