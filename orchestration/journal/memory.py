"""The journal in memory: the twin of `sqlite.py` for tests and simulation, held to the same conformance tests.

`MemoryStore` is the disk: it survives a `MemoryJournal`, which is one process. Two journals over one store are
two processes; `crash` ends one as `kill -9` would. Bodies are kept encoded, so that two runs of a simulation
can be compared byte by byte. No thread, no clock but the injected one.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel

from orchestration.errors import FencedError, JournalError, NotFoundError, RunOwnedError
from orchestration.events import Event, Record, decode, encode
from orchestration.journal.contract import RunExistsError, RunSummary
from orchestration.journal.summaries import first_summary, with_owner
from orchestration.ports import Clock


@dataclass(slots=True)
class _StoredRun:
    epoch: int = 1
    owner: "MemoryJournal | None" = None
    bodies: list[tuple[float, bytes]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    summary: RunSummary | None = None
    key: str | None = None

    def live_owner(self) -> int | None:
        return self.owner.pid if self.owner is not None and self.owner.alive else None


@dataclass(slots=True)
class _Command:
    item: int
    run_id: str | None
    server_id: str | None
    body: bytes
    taker: "MemoryJournal | None" = None
    reply: bytes | None = None


@dataclass(slots=True)
class _Server:
    pid: int
    process: "MemoryJournal"
    paths: frozenset[str]


@dataclass(slots=True)
class MemoryStore:
    """What survives a crash. `before_commit(run_id, first_seq)` may raise a JournalError: the disk refused."""

    before_commit: Callable[[str, int], None] | None = None
    runs: dict[str, _StoredRun] = field(default_factory=dict)
    commands: dict[int, _Command] = field(default_factory=dict)
    servers: dict[str, _Server] = field(default_factory=dict)
    _next_item: int = 1
    _changed: anyio.Event | None = None

    def commit(
        self, run_id: str, run: _StoredRun, blobs: dict[str, bytes], bodies: list[tuple[float, bytes]]
    ) -> None:
        if self.before_commit is not None:
            self.before_commit(run_id, len(run.bodies) + 1)
        run.blobs.update(blobs)
        run.bodies.extend(bodies)
        self.touch()

    def add_command(self, run_id: str | None, server_id: str | None, body: bytes) -> int:
        item = self._next_item
        self._next_item += 1
        self.commands[item] = _Command(item, run_id, server_id, body)
        self.touch()
        return item

    def touch(self) -> None:
        """Wakes everyone who waits for a change."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def changed(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()


class MemoryRunJournal:
    def __init__(
        self,
        journal: "MemoryJournal",
        run_id: str,
        run: _StoredRun,
        clock: Clock,
        created: tuple[Record, ...],
    ) -> None:
        self.created = created
        self._journal = journal
        self._run = run
        self._clock = clock
        self._epoch = run.epoch
        self._run_id = run_id
        self._pending: dict[str, bytes] = {}
        self.closed = False

    @property
    def run_id(self) -> str:
        return self._run_id

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def last_seq(self) -> int:
        return len(self._run.bodies)

    async def append(self, *events: Event) -> tuple[Record, ...]:
        time = self._clock.now()
        bodies = [(time, encode(event)) for event in events]
        await anyio.lowlevel.checkpoint()
        self._check()
        blobs, first = self._pending, len(self._run.bodies) + 1
        self._journal.store.commit(self._run_id, self._run, blobs, bodies)
        self._pending = {}
        return tuple(Record(first + place, time, event) for place, event in enumerate(events))

    async def put_blob(self, data: bytes) -> str:
        self._check()
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._run.blobs:
            self._pending[digest] = bytes(data)
        return digest

    async def blob(self, digest: str) -> bytes:
        found = self._pending.get(digest)
        return found if found is not None else _blob(self._run, self._run_id, digest)

    async def summarise(self, summary: RunSummary) -> None:
        self._journal.check_alive()
        if self._run.epoch == self._epoch:
            self._run.summary = summary

    async def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self._run.owner is self._journal and self._run.epoch == self._epoch:
            self._run.owner = None
        self._journal.store.touch()
        await anyio.lowlevel.checkpoint()

    def _check(self) -> None:
        self._journal.check_alive()
        if self._run.epoch != self._epoch:
            raise FencedError(f"run {self._run_id} was taken over by another process; follow it instead")
        if self.closed:
            raise JournalError(f"run {self._run_id} is closed here; open it again")


class MemoryJournal:
    """One process's view of a store. `pid` stands for that process."""

    def __init__(self, store: MemoryStore, clock: Clock, pid: int = 1) -> None:
        self.store = store
        self.pid = pid
        self._clock = clock
        self._alive = True
        self._handles: list[MemoryRunJournal] = []

    @property
    def alive(self) -> bool:
        return self._alive

    def crash(self) -> None:
        """The process is gone: nothing it still does has any effect, its locks and leases are void."""
        self._alive = False
        for handle in self._handles:
            handle.closed = True
        self.store.touch()

    def check_alive(self) -> None:
        if not self._alive:
            raise JournalError("the journal is closed")

    async def create(
        self, run_id: str, *events: Event, idempotency_key: str | None = None
    ) -> MemoryRunJournal:
        self.check_alive()
        await anyio.lowlevel.checkpoint()
        if run_id in self.store.runs:
            raise RunExistsError(f"run {run_id} exists already", run_id=run_id)
        if idempotency_key is not None and (known := self._by_key(idempotency_key)):
            raise RunExistsError(f"this request already started run {known}", run_id=known)
        time = self._clock.now()
        run = _StoredRun(
            owner=self, key=idempotency_key, summary=first_summary(run_id, events, time, self.pid)
        )
        self.store.commit(run_id, run, {}, [(time, encode(event)) for event in events])
        self.store.runs[run_id] = run
        records = enumerate(events, 1)
        return self._handle(run_id, run, tuple(Record(seq, time, event) for seq, event in records))

    async def run_for_key(self, key: str) -> str | None:
        return self._by_key(key)

    async def open(self, run_id: str, *, seize: bool = False) -> MemoryRunJournal:
        self.check_alive()
        await anyio.lowlevel.checkpoint()
        run = self._find(run_id)
        if (pid := run.live_owner()) is not None and not seize:
            raise RunOwnedError(
                f"run {run_id} belongs to live process {pid}; follow it, or cancel it first", pid=pid
            )
        run.owner = self
        run.epoch += 1
        for command in self.store.commands.values():
            if command.run_id == run_id:
                command.taker = None
        return self._handle(run_id, run)

    async def read(self, run_id: str, after: int = 0, limit: int = 10_000) -> Sequence[Record]:
        self.check_alive()
        await anyio.lowlevel.checkpoint()
        return _records(self._find(run_id), after, limit)

    async def read_blob(self, run_id: str, digest: str) -> bytes:
        self.check_alive()
        return _blob(self._find(run_id), run_id, digest)

    async def runs(self, limit: int = 200) -> Sequence[RunSummary]:
        self.check_alive()
        listed = [
            with_owner(run.summary, self._live_owner)
            for run in self.store.runs.values()
            if run.summary is not None
        ]
        listed.sort(key=lambda row: (row.created, row.run_id), reverse=True)
        return listed[:limit]

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[Record]:
        run = self._find(run_id)
        while self._alive and self.store.runs.get(run_id) is run:
            for record in _records(run, after, 1_000):
                yield record
                after = record.seq
            if len(run.bodies) <= after:
                await self.store.changed()

    async def owner(self, run_id: str) -> int | None:
        return self._live_owner(run_id)

    async def send(self, run_id: str | None, command: bytes) -> int:
        self.check_alive()
        if run_id is not None:
            self._find(run_id)
        return self.store.add_command(run_id, None, command)

    async def take(self, run_id: str | None) -> Sequence[tuple[int, bytes]]:
        if run_id is not None and self._find(run_id).owner is not self:
            raise FencedError(
                f"run {run_id} is not owned by this process (any more); open it before taking its commands"
            )
        return self._take(lambda command: command.server_id is None and command.run_id == run_id)

    async def answer(self, item: int, reply: bytes) -> None:
        self.check_alive()
        command = self._command(item)
        if command.reply is None:
            command.reply = reply
            self.store.touch()

    async def wait_answer(self, item: int, timeout_s: float) -> bytes | None:
        self.check_alive()
        command = self._command(item)
        with anyio.move_on_after(timeout_s):
            while command.reply is None and self._alive:
                await self.store.changed()
        return command.reply

    async def lease_documents(self, server_id: str, pid: int, paths: Sequence[str]) -> None:
        self.check_alive()
        self.store.servers[server_id] = _Server(pid, self, frozenset(paths))

    async def document_holder(self, path: str) -> tuple[str, int] | None:
        for server_id, server in self.store.servers.items():
            if path in server.paths and server.process.alive:
                return server_id, server.pid
        return None

    async def open_documents(self) -> Mapping[str, str]:
        return {
            path: server_id
            for server_id, server in self.store.servers.items()
            if server.process.alive
            for path in server.paths
        }

    async def send_to_server(self, server_id: str, command: bytes) -> int:
        self.check_alive()
        return self.store.add_command(None, server_id, command)

    async def take_for_server(self, server_id: str) -> Sequence[tuple[int, bytes]]:
        return self._take(lambda command: command.server_id == server_id)

    async def delete_run(self, run_id: str) -> None:
        self.check_alive()
        run = self._find(run_id)
        if (pid := run.live_owner()) is not None:
            raise RunOwnedError(f"run {run_id} belongs to live process {pid}; cancel it first", pid=pid)
        del self.store.runs[run_id]
        for item in [item for item, command in self.store.commands.items() if command.run_id == run_id]:
            del self.store.commands[item]
        self.store.touch()

    async def aclose(self) -> None:
        for handle in self._handles:
            await handle.close()
        self._alive = False
        self.store.touch()

    def _handle(self, run_id: str, run: _StoredRun, created: tuple[Record, ...] = ()) -> MemoryRunJournal:
        handle = MemoryRunJournal(self, run_id, run, self._clock, created)
        self._handles = [known for known in self._handles if not known.closed]
        self._handles.append(handle)
        return handle

    def _find(self, run_id: str) -> _StoredRun:
        run = self.store.runs.get(run_id)
        if run is None:
            raise NotFoundError(f"no run {run_id} in this workspace; `antiphon runs` lists them")
        return run

    def _live_owner(self, run_id: str) -> int | None:
        return self._find(run_id).live_owner()

    def _by_key(self, key: str) -> str | None:
        return next((run_id for run_id, run in self.store.runs.items() if run.key == key), None)

    def _command(self, item: int) -> _Command:
        command = self.store.commands.get(item)
        if command is None:
            raise NotFoundError(f"no command {item} in the inbox")
        return command

    def _take(self, chosen: Callable[[_Command], bool]) -> Sequence[tuple[int, bytes]]:
        self.check_alive()
        taken = []
        for command in self.store.commands.values():
            free = command.taker is None or not command.taker.alive
            if command.reply is None and free and chosen(command):
                command.taker = self
                taken.append((command.item, command.body))
        return taken


def _records(run: _StoredRun, after: int, limit: int) -> list[Record]:
    after = max(after, 0)
    stored = run.bodies[after : after + limit]
    return [Record(after + place, time, decode(body)) for place, (time, body) in enumerate(stored, 1)]


def _blob(run: _StoredRun, run_id: str, digest: str) -> bytes:
    try:
        return run.blobs[digest]
    except KeyError:
        raise NotFoundError(f"run {run_id} has no blob {digest}") from None
