"""The one writer thread of a journal: group commit of what all its runs append.

The event loop gathers the appends of one turn and wakes the thread once; the thread takes everything that has
come meanwhile, commits one transaction a run, and wakes the loop once. A commit that fails reaches every
caller in it.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress

import apsw

from orchestration.errors import FencedError, JournalError
from orchestration.events import Event, Record
from orchestration.journal.run_file import RunFile
from orchestration.ports import Clock


class OpenRun:
    """What loop and writer share of a run that this process owns. `unsaved` blobs (by raw digest) are added by
    the loop; the writer moves them to `saved` once they are durable. `lost` is set when the run was fenced.
    """

    __slots__ = ("file", "in_flight", "last_seq", "lost", "published", "saved", "settled", "unsaved")

    def __init__(self, file: RunFile, published: "Callable[[str, tuple[Record, ...]], None]") -> None:
        self.file = file
        self.last_seq = file.last_seq
        self.unsaved: dict[bytes, bytes] = {}
        self.saved: set[bytes] = set()
        self.in_flight = 0
        self.settled: asyncio.Future[None] | None = None
        self.lost: FencedError | None = None
        self.published = published


class _Append:
    __slots__ = ("bodies", "error", "events", "first", "future", "run", "time")

    def __init__(
        self,
        run: OpenRun,
        events: tuple[Event, ...],
        bodies: list[bytes],
        future: "asyncio.Future[tuple[Record, ...]]",
    ) -> None:
        self.run = run
        self.events = events
        self.bodies = bodies
        self.future = future
        self.time = 0.0
        self.first = 0
        self.error: Exception | None = None


class Writer:
    """Used from one event loop. `close` ends the thread after what was submitted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._gathered: list[_Append] = []
        self._queue: queue.SimpleQueue[list[_Append] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def append(
        self, run: OpenRun, events: tuple[Event, ...], bodies: list[bytes]
    ) -> "asyncio.Future[tuple[Record, ...]]":
        """Resolves to the events' records once they are durable."""
        future: asyncio.Future[tuple[Record, ...]] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._submit)
        self._gathered.append(_Append(run, events, bodies, future))
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
        time = self._clock.now()
        for append in batch:
            append.time = time
        self._queue.put(batch)

    def _work(self) -> None:
        while True:
            batch = self._queue.get()
            if batch is None:
                return
            while True:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._queue.put(None)  # once this batch is done
                    break
                batch += more
            groups: dict[OpenRun, list[_Append]] = {}
            for append in batch:
                groups.setdefault(append.run, []).append(append)
            for run, appends in groups.items():
                _commit(run, appends)
            with suppress(RuntimeError):  # the loop was closed: nobody waits for the answer
                self._loop.call_soon_threadsafe(_resolve, batch)


def _commit(run: OpenRun, appends: list[_Append]) -> None:
    time = appends[-1].time
    try:
        if run.lost is not None:
            raise run.lost  # noqa: TRY301 - one way to every caller
        blobs = tuple(run.unsaved.copy().items())
        seq = run.file.commit(time, [body for append in appends for body in append.bodies], blobs)
    except Exception as error:  # noqa: BLE001 - whatever it is, each caller must hear of it
        for append in appends:
            append.error = _for_caller(run, error)
        return
    for digest, _ in blobs:
        run.saved.add(digest)
        del run.unsaved[digest]
    for append in appends:
        append.first, append.time = seq, time
        seq += len(append.bodies)


def _for_caller(run: OpenRun, error: Exception) -> Exception:
    """An exception for each caller, since raising one adds to its traceback."""
    if isinstance(error, apsw.Error | OSError):
        own: Exception = JournalError(run.file.explain(error))
    elif isinstance(error, FencedError):
        run.lost = error
        own = FencedError(*error.args)
    elif isinstance(error, JournalError):
        own = type(error)(*error.args)
    else:
        own = JournalError(f"{run.file.path} could not be written: {error!r}; this is a defect of Antiphon")
    own.__cause__ = error
    return own


def _resolve(batch: list[_Append]) -> None:
    for append in batch:
        run, future = append.run, append.future
        run.in_flight -= 1
        if run.settled is not None and not run.in_flight:
            run.settled.set_result(None)
            run.settled = None
        if append.error is not None:
            if not future.done():
                future.set_exception(append.error)
            continue
        first, time = append.first, append.time
        records = tuple([Record(first + place, time, event) for place, event in enumerate(append.events)])
        if records:
            run.last_seq = records[-1].seq
        if not future.done():
            future.set_result(records)
        run.published(run.file.run_id, records)
