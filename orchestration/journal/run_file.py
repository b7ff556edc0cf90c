"""One run's file, as its owner writes it. Blocking; one thread at a time. Readers are in `reader.py`."""

from collections.abc import Sequence
from pathlib import Path

import apsw

from orchestration.errors import FencedError, JournalError, NotFoundError
from orchestration.journal.connections import close_checkpointed, connect, explain, translated
from orchestration.journal.schema import RUN, migrate, too_new, version_of

# One statement is one transaction, fence included: a single step of SQLite, so that a busy event loop and this
# thread hand the interpreter's lock over once a commit, not once a statement; the array costs one Python object.
_APPEND = """
    INSERT INTO event (seq, time, body) SELECT ?1 + rowid, ?2, value FROM carray(?3)
    WHERE (SELECT epoch = ?4 AND schema = ?5 FROM meta)
"""


class RunFile:
    """A run's file under one epoch. `last_seq` is that of the last durable event."""

    def __init__(
        self, connection: apsw.Connection, path: Path, run_id: str, epoch: int, last_seq: int
    ) -> None:
        self._connection = connection
        self.path = path
        self.run_id = run_id
        self.epoch = epoch
        self.last_seq = last_seq

    @classmethod
    def create(cls, path: Path, run_id: str, time: float, bodies: Sequence[bytes]) -> "RunFile":
        """A new file with its first events, all in one transaction. What a crash left of an earlier try goes.
        Raises JournalError.
        """
        with translated(path):
            for leftover in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                leftover.unlink(missing_ok=True)
            connection = connect(path, create=True)
            try:
                file = cls(connection, path, run_id, 1, 0)
                connection.execute("BEGIN IMMEDIATE")
                migrate(connection, RUN, 0)
                connection.execute("UPDATE meta SET run_id = ?, epoch = 1", (run_id,))
                if bodies:
                    file._insert(time, bodies)
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            file.last_seq = len(bodies)
            return file

    @classmethod
    def open(cls, path: Path, run_id: str) -> "RunFile":
        """Takes the next epoch, and migrates: the caller holds the run's lock. Raises JournalError,
        NotFoundError, SchemaTooNewError.
        """
        if not path.exists():
            raise unknown_run(run_id)
        with translated(path):
            connection = connect(path)
            try:
                epoch, last_seq = _take(connection, path, run_id)
            except BaseException:
                connection.close()
                raise
        return cls(connection, path, run_id, epoch, last_seq)

    def commit(self, time: float, bodies: Sequence[bytes], blobs: Sequence[tuple[bytes, bytes]]) -> int:
        """Makes events and blobs (raw digest, data) durable together; returns the number of the first event.

        Raises FencedError, SchemaTooNewError, or apsw.Error, which `translated` explains; then nothing was
        written.
        """
        first = self.last_seq + 1
        if bodies and not blobs:
            self._insert(time, bodies)
        else:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._fence()
                self._connection.executemany("INSERT OR IGNORE INTO blob (digest, data) VALUES (?, ?)", blobs)
                if bodies:
                    self._insert(time, bodies)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self.last_seq += len(bodies)
        return first

    def close(self) -> None:
        """Raises JournalError."""
        with translated(self.path):
            close_checkpointed(self._connection)

    def explain(self, error: Exception) -> str:
        return explain(self.path, error)

    def _insert(self, time: float, bodies: Sequence[bytes]) -> None:
        array = apsw.carray(tuple(bodies))
        self._connection.execute(_APPEND, (self.last_seq, time, array, self.epoch, RUN.version))
        if self._connection.changes() != len(bodies):
            self._fence()
            raise JournalError(f"{self.path} took {self._connection.changes()} of {len(bodies)} events")

    def _fence(self) -> None:
        epoch, schema = self._connection.execute("SELECT epoch, schema FROM meta").get
        if schema != RUN.version:
            raise too_new(self.path, schema, RUN)
        if epoch != self.epoch:
            raise FencedError(
                f"run {self.run_id} was taken over by another process (epoch {epoch}, ours is {self.epoch});"
                " follow it instead"
            )


def _take(connection: apsw.Connection, path: Path, run_id: str) -> tuple[int, int]:
    """The epoch that is ours from now on, and the number of the last event."""
    connection.execute("BEGIN IMMEDIATE")
    version = version_of(connection, RUN, path)
    if version == 0:
        raise unknown_run(run_id)
    migrate(connection, RUN, version)
    connection.execute("UPDATE meta SET epoch = epoch + 1")
    named, epoch = connection.execute("SELECT run_id, epoch FROM meta").get
    if named != run_id:
        raise JournalError(f"{path} holds run {named}, not {run_id}; give it back its name")
    last_seq = connection.execute("SELECT ifnull(max(seq), 0) FROM event").get
    connection.execute("COMMIT")
    return epoch, last_seq


def unknown_run(run_id: str) -> NotFoundError:
    return NotFoundError(f"no run {run_id} in this workspace; `antiphon runs` lists them")
