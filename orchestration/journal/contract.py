"""The contract of the journal. No SQL, no files: what an engine, a server or a simulator may rely on.

Promises, for every implementation:

- `append` returns only after its events, and every blob put before it, are durable. They get consecutive
  numbers from 1 and become visible together or not at all.
- The epoch is checked in the same transaction: an owner that lost its run writes nothing any more.
- An append that raises wrote nothing that a reader of this process sees; it may be tried again. One that is
  cancelled may still become durable, and then readers and `last_seq` show it.
- Readers see a gapless prefix. `follow` loses and repeats nothing, whichever process appends.
- Commands and leases are opaque here; their durability is that of events.

Errors: NotFoundError for an unknown run or blob, RunOwnedError while a live process holds a run, FencedError
after another process took it, SchemaTooNewError for a file of a newer version, JournalError for everything
the storage refuses (full, read-only, damaged, locked by another program), each with its mend.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from orchestration.errors import JournalError
from orchestration.events import Event, Record

RunState = Literal[
    "planning", "running", "waiting", "completed", "partial", "failed", "cancelled", "interrupted"
]
LIVE_STATES: frozenset[str] = frozenset({"planning", "running", "waiting"})


class RunExistsError(JournalError):
    """Raised by `create` when the run id or the idempotency key is in use; `run_id` is the run that has it."""

    exit_code = 2

    def __init__(self, message: str, *, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run's row in the list of runs: a projection, written by its owner and never read back into a fold.

    Times are Unix seconds. A row whose state is live but whose owner is dead is listed as `interrupted`.
    """

    run_id: str
    workspace: str
    goal: str
    state: RunState
    created: float
    updated: float
    tasks_total: int = 0
    tasks_done: int = 0
    cost_usd: float | None = None
    tokens: int | None = None
    open_hunks: int = 0
    owner_pid: int | None = None


class RunJournal(Protocol):
    """The owner's handle on one run; whoever appends to a run, a finished one too, holds it."""

    @property
    def run_id(self) -> str: ...

    @property
    def epoch(self) -> int:
        """1 for the creator, one more for each later owner."""

    @property
    def last_seq(self) -> int:
        """The number of the last event that is durable, 0 when there is none."""

    @property
    def created(self) -> tuple[Record, ...]:
        """The run's first records, where this handle made the run; empty where it opened one."""

    async def append(self, *events: Event) -> tuple[Record, ...]:
        """Durable when it returns. Without events it makes the blobs put so far durable."""

    async def put_blob(self, data: bytes) -> str:
        """The SHA-256 of `data` in hex; durable no later than the next append made after it."""

    async def blob(self, digest: str) -> bytes:
        """Raises NotFoundError."""

    async def summarise(self, summary: RunSummary) -> None:
        """Replaces the run's row, unless another process has taken the run. Returns before it is on disk; a
        crash loses it, never an event.
        """

    async def close(self) -> None:
        """Waits for its own appends, releases the lock; the run stays readable. May be called twice."""


class Journal(Protocol):
    """All runs of one workspace, and what its processes share."""

    async def create(self, run_id: str, *events: Event, idempotency_key: str | None = None) -> RunJournal:
        """A new run, held by this process, its first events durable. `run_id` is made of `[a-z0-9-]`.

        Raises RunExistsError when the id or the key is taken; a key of a run that never got its first event
        is free.
        """

    async def run_for_key(self, key: str) -> str | None:
        """The run that was created with this idempotency key."""

    async def open(self, run_id: str, *, seize: bool = False) -> RunJournal:
        """Takes the run: its lock and the next epoch. Raises RunOwnedError, NotFoundError.

        `seize` takes it from a live process too (a stopped one, say), which then writes nothing any more.
        """

    async def read(self, run_id: str, after: int = 0, limit: int = 10_000) -> Sequence[Record]:
        """At most `limit` records with `seq > after`, in order."""

    async def read_blob(self, run_id: str, digest: str) -> bytes: ...

    async def runs(self, limit: int = 200) -> Sequence[RunSummary]:
        """Newest first, by creation."""

    def follow(self, run_id: str, after: int = 0) -> AsyncIterator[Record]:
        """The records after `after`, then those to come; ends only when the journal is closed or the run is
        deleted. This process's own appends arrive at once, another's within about 50 ms
        (200 ms after a minute of silence).
        """

    async def owner(self, run_id: str) -> int | None:
        """The process id of the live owner."""

    async def send(self, run_id: str | None, command: bytes) -> int:
        """A command for the owner of a run, or for any server of the workspace; durable. Returns its number."""

    async def take(self, run_id: str | None) -> Sequence[tuple[int, bytes]]:
        """The commands for a run that this process owns, or (None) for any server, oldest first. Raises
        FencedError when this process does not own the run (any more).

        Each is handed out once. One that was not answered is handed out again when its taker has died, or
        when the run is opened anew.
        """

    async def answer(self, item: int, reply: bytes) -> None:
        """Durable. The first answer stands. Raises NotFoundError for an unknown command."""

    async def wait_answer(self, item: int, timeout_s: float) -> bytes | None:
        """None when there is no answer in time; the command stays. Raises NotFoundError."""

    async def lease_documents(self, server_id: str, pid: int, paths: Sequence[str]) -> None:
        """Registers a server and replaces the set of documents open in it."""

    async def document_holder(self, path: str) -> tuple[str, int] | None:
        """The live server, with its process id, that has this document open."""

    async def open_documents(self) -> Mapping[str, str]:
        """The documents that live servers have open, each with the id of its (latest) server."""

    async def send_to_server(self, server_id: str, command: bytes) -> int: ...

    async def take_for_server(self, server_id: str) -> Sequence[tuple[int, bytes]]:
        """As `take`, for the commands sent to this server."""

    async def delete_run(self, run_id: str) -> None:
        """Removes a run with its blobs and commands. Raises RunOwnedError while it is live, NotFoundError."""

    async def aclose(self) -> None:
        """Closes every run, ends the followers and every thread. May be called twice."""
