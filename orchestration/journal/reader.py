"""Reading runs: connections of their own, kept for the runs read last, on one thread of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import apsw
import msgspec

from orchestration.errors import JournalError, NotFoundError
from orchestration.events import Record, decode
from orchestration.journal.connections import connect_for_reading, translated
from orchestration.journal.run_file import unknown_run
from orchestration.journal.schema import RUN, version_of

_KEPT = 32


@dataclass(slots=True)
class _Open:
    connection: apsw.Connection
    inode: int


class Reader:
    """Blocking; one thread at a time. Runs of an older schema are read as they are: only owners migrate."""

    def __init__(self, path_of: Callable[[str], Path]) -> None:
        self._path_of = path_of
        self._open: dict[str, _Open] = {}

    def records(self, run_id: str, after: int, limit: int) -> list[Record]:
        """Raises NotFoundError, SchemaTooNewError, JournalError."""
        path = self._path_of(run_id)
        with translated(path):
            return self._records(self._connection(run_id, path), path, run_id, after, limit)

    def new_records(
        self, run_id: str, version: int | None, after: int, limit: int
    ) -> tuple[int | None, list[Record]]:
        """As `records`, but reads only when the file changed since `version` was returned; the returned version
        is None when more is there.
        """
        path = self._path_of(run_id)
        with translated(path):
            connection = self._connection(run_id, path)
            now = connection.pragma("data_version")
            if now == version:
                return now, []
            records = self._records(connection, path, run_id, after, limit)
            return (None if len(records) == limit else now), records

    def blob(self, run_id: str, digest: str) -> bytes:
        """Raises NotFoundError, SchemaTooNewError, JournalError."""
        path = self._path_of(run_id)
        try:
            raw = bytes.fromhex(digest)
        except ValueError:
            raw = b""
        with translated(path):
            connection = self._connection(run_id, path)
            version_of(connection, RUN, path)
            data = connection.execute("SELECT data FROM blob WHERE digest = ?", (raw,)).get
        if data is None:
            raise NotFoundError(f"run {run_id} has no blob {digest}")
        assert isinstance(data, bytes)
        return data

    def ends(self, run_id: str) -> tuple[list[Record], Record | None]:
        """The first few records and the last one: enough to list a run that nothing else is known of."""
        path = self._path_of(run_id)
        with translated(path):
            connection = self._connection(run_id, path)
            last = connection.execute("SELECT ifnull(max(seq), 0) FROM event").get
            assert isinstance(last, int)
            ending = self._records(connection, path, run_id, last - 1, 1)
            return self._records(connection, path, run_id, 0, 4), ending[0] if ending else None

    def forget(self, run_id: str) -> None:
        """Closes the connection to a run, so that its log can be removed."""
        known = self._open.pop(run_id, None)
        if known is not None:
            known.connection.close()

    def close(self) -> None:
        for run_id in list(self._open):
            self.forget(run_id)

    def _connection(self, run_id: str, path: Path) -> apsw.Connection:
        try:
            inode = path.stat().st_ino
        except FileNotFoundError:
            self.forget(run_id)
            raise unknown_run(run_id) from None
        known = self._open.pop(run_id, None)
        if known is not None and known.inode != inode:
            known.connection.close()
            known = None
        if known is None:
            if len(self._open) >= _KEPT:
                self.forget(next(iter(self._open)))
            known = _Open(connect_for_reading(path), inode)
        self._open[run_id] = known  # last in order: read last
        return known.connection

    @staticmethod
    def _records(
        connection: apsw.Connection, path: Path, run_id: str, after: int, limit: int
    ) -> list[Record]:
        if version_of(connection, RUN, path) == 0:
            raise unknown_run(run_id)
        rows = connection.execute(
            "SELECT seq, time, body FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
        )
        seq = after
        try:
            records = []
            for seq, time, body in rows:
                records.append(Record(seq, time, decode(body)))
        except msgspec.MsgspecError as error:
            raise JournalError(
                f"event {seq} of {path} cannot be read ({error}): it is damaged, or a newer Antiphon wrote it"
            ) from error
        return records
