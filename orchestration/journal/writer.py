"""The one writer thread of a journal: group commit of what all its runs append.

The event loop gathers the appends of one turn and wakes the thread once; the thread takes everything that has
come meanwhile, commits one transaction a run, and wakes the loop once. A commit that fails reaches every
caller in it.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import apsw

from orchestration.errors import FencedError, JournalError
from orchestration.events import Event, Record
from orchestration.journal.run_file import RunFile
from orchestration.ports import Clock

_Append = tuple["OpenRun", tuple[Event, ...], list[bytes], "asyncio.Future[tuple[Record, ...]]"]


class OpenRun:
    """What loop and writer share of a run that this process owns. `unsaved` blobs (by raw digest) are added by
    the loop; the writer moves them to `saved` once they are durable. `lost` is set when the run was fenced.
    """

    __slots__ = ("file", "in_flight", "last_seq", "lost", "published", "saved", "settled", "unsaved")

    def __init__(self, file: RunFile, published: "Callable[[str, Sequence[Record]], None]") -> None:
        self.file = file
        self.last_seq = file.last_seq
        self.unsaved: dict[bytes, bytes] = {}
        self.saved: set[bytes] = set()
        self.in_flight = 0
        self.settled: asyncio.Future[None] | None = None
        self.lost: FencedError | None = None
        self.published = published


class _Commit:
    """The appends of one run that became durable together, from the number `first` on; or did not, by `error`."""

    __slots__ = ("appends", "error", "first", "run", "time")

    def __init__(self, run: OpenRun) -> None:
        self.run = run
        self.appends: list[_Append] = []
        self.time = 0.0
        self.first = 0
        self.error: Exception | None = None


class Writer:
    """Used from one event loop. `close` ends the thread after what was submitted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._gathered: list[_Append] = []
        self._queue: queue.SimpleQueue[tuple[float, list[_Append]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def append(
        self, run: OpenRun, events: tuple[Event, ...], bodies: list[bytes]
    ) -> "asyncio.Future[tuple[Record, ...]]":
        """Resolves to the events' records once they are durable."""
        future: asyncio.Future[tuple[Record, ...]] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._submit)
        self._gathered.append((run, events, bodies, future))
        run.in_flight += 1
        return future

    async def settled(self, run: OpenRun) -> None:
        """Until nothing of the run is in flight."""
        if run.in_flight:
            run.settled = self._loop.create_future()
            await run.settled

    def close(self) -> None:
        """Blocks until the thread has ended; nothing may be in flight."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _submit(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="antiphon-journal-writer", daemon=True)
            self._thread.start()
        batch, self._gathered = self._gathered, []
        self._queue.put((self._clock.now(), batch))

    def _work(self) -> None:
        while True:
            submitted = self._queue.get()
            if submitted is None:
                return
            time, batch = submitted
            while True:
                try:
                    submitted = self._queue.get_nowait()
                except queue.Empty:
                    break
                if submitted is None:
                    self._queue.put(None)  # once this batch is done
                    break
                time, more = submitted
                batch += more
            commits: dict[OpenRun, _Commit] = {}
            for append in batch:
                run = append[0]
                if run not in commits:
                    commits[run] = _Commit(run)
                commits[run].appends.append(append)
            for commit in commits.values():
                _carry_out(commit, time)
            with suppress(RuntimeError):  # the loop was closed: nobody waits for the answer
                self._loop.call_soon_threadsafe(_resolve, tuple(commits.values()))


def _carry_out(commit: _Commit, time: float) -> None:
    run = commit.run
    try:
        if run.lost is not None:
            raise run.lost  # noqa: TRY301 - one way to every caller
        blobs = tuple(run.unsaved.copy().items())
        bodies = [body for _, _, bodies, _ in commit.appends for body in bodies]
        commit.first, commit.time = run.file.commit(time, bodies, blobs), time
    except Exception as error:  # noqa: BLE001 - whatever it is, each caller must hear of it
        if isinstance(error, FencedError):
            run.lost = error
        commit.error = error
        return
    for digest, _ in blobs:
        run.saved.add(digest)
        del run.unsaved[digest]


def _for_caller(run: OpenRun, error: Exception) -> Exception:
    """An exception for each caller, since raising one adds to its traceback."""
    if isinstance(error, apsw.Error | OSError):
        own: Exception = JournalError(run.file.explain(error))
    elif isinstance(error, JournalError):
        own = type(error)(*error.args)
    else:
        own = JournalError(f"{run.file.path} could not be written: {error!r}; this is a defect of Antiphon")
    own.__cause__ = error
    return own


def _resolve(commits: tuple[_Commit, ...]) -> None:
    for commit in commits:
        run = commit.run
        run.in_flight -= len(commit.appends)
        if run.settled is not None and not run.in_flight:
            run.settled.set_result(None)
            run.settled = None
        if commit.error is not None:
            for _, _, _, future in commit.appends:
                if not future.done():
                    future.set_exception(_for_caller(run, commit.error))
            continue
        seq, time = commit.first, commit.time
        published: list[Record] = []
        for _, events, _, future in commit.appends:
            if len(events) == 1:  # nearly always
                records: tuple[Record, ...] = (Record(seq, time, events[0]),)
            else:
                records = tuple([Record(number, time, event) for number, event in enumerate(events, seq)])
            seq += len(records)
            published += records
            if not future.done():
                future.set_result(records)
        run.last_seq = seq - 1
        run.published(run.file.run_id, published)
