"""The index of a workspace: the list of runs, and what its processes share (inbox, leases). Blocking; one thread.

The list can be rebuilt from the runs' files, so it is never the truth about a run. Every write transaction
compares the schema first.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec

from orchestration.errors import JournalError, NotFoundError
from orchestration.journal.connections import close_checkpointed, connect, translated
from orchestration.journal.contract import LIVE_STATES, RunSummary
from orchestration.journal.liveness import identity, is_alive
from orchestration.journal.locks import SharedLock
from orchestration.journal.schema import INDEX, Schema, migrate, too_new, version_of

ANSWERS_KEPT_S = 7 * 86_400.0
_NUMBERS = itertools.count(1)
_SUMMARY: msgspec.json.Decoder[RunSummary] = msgspec.json.Decoder(RunSummary)


class IndexFile:
    """Raises JournalError from every method. `taker` names this opening of the index among all live ones."""

    def __init__(self, path: Path, now: float, schema: Schema = INDEX) -> None:
        """Raises SchemaTooNewError, and JournalError when an older Antiphon has it open that would be cut off."""
        self._path = path
        self._schema = schema
        self.taker = f"{os.getpid()}:{next(_NUMBERS)}:{identity(os.getpid()) or ''}"
        with translated(path):
            self._lock = SharedLock(path.with_suffix(".lock"))
            try:
                self._connection = connect(path, create=True)
                try:
                    self._prepare()
                    self._prune(now)
                except BaseException:
                    self._connection.close()
                    raise
            except BaseException:
                self._lock.release()
                raise

    # --- runs ------------------------------------------------------------------------------------

    def add_run(self, summary: RunSummary, key: str | None, is_there: Callable[[str], bool]) -> str | None:
        """Reserves the id and the key. Returns the run that has the key already, if it is there."""
        with self._writing() as connection:
            if key is not None:
                known = connection.execute("SELECT run_id FROM run WHERE idempotency_key = ?", (key,)).get
                if isinstance(known, str):
                    if is_there(known):
                        return known
                    connection.execute("DELETE FROM run WHERE run_id = ?", (known,))
            connection.execute("DELETE FROM run WHERE run_id = ?", (summary.run_id,))
            connection.execute(
                "INSERT INTO run (run_id, created, state, summary, idempotency_key) VALUES (?, ?, ?, ?, ?)",
                (*_columns(summary), key),
            )
        return None

    def run_for_key(self, key: str) -> str | None:
        rows = self._rows("SELECT run_id FROM run WHERE idempotency_key = ?", key)
        return str(rows[0][0]) if rows else None

    def store_summaries(self, summaries: Iterable[RunSummary]) -> None:
        with self._writing() as connection:
            connection.executemany(
                """
                INSERT INTO run (run_id, created, state, summary) VALUES (?, ?, ?, ?)
                ON CONFLICT (run_id) DO UPDATE
                SET created = excluded.created, state = excluded.state, summary = excluded.summary
                """,
                [_columns(summary) for summary in summaries],
            )

    def runs(self, limit: int) -> list[RunSummary]:
        """Newest first."""
        return self._summaries("SELECT summary FROM run ORDER BY created DESC, run_id DESC LIMIT ?", limit)

    def live_runs(self) -> list[RunSummary]:
        """Those whose row says that somebody works on them."""
        places = ", ".join("?" for _ in LIVE_STATES)
        return self._summaries(f"SELECT summary FROM run WHERE state IN ({places})", *sorted(LIVE_STATES))  # noqa: S608 - places only

    def run_ids(self) -> set[str]:
        return {run_id for (run_id,) in self._rows("SELECT run_id FROM run")}

    def remove_run(self, run_id: str) -> None:
        with self._writing() as connection:
            connection.execute("DELETE FROM run WHERE run_id = ?", (run_id,))
            connection.execute("DELETE FROM command WHERE run_id = ?", (run_id,))

    # --- the inbox -------------------------------------------------------------------------------

    def send(self, run_id: str | None, server_id: str | None, body: bytes, now: float) -> int:
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO command (run_id, server_id, sent, body) VALUES (?, ?, ?, ?)",
                (run_id, server_id, now, body),
            )
            return connection.last_insert_rowid()

    def take(self, run_id: str | None, server_id: str | None) -> list[tuple[int, bytes]]:
        """The open commands for exactly this addressee that no live process has taken."""
        if not self._free(run_id, server_id):  # nearly always: no write transaction, no sync
            return []
        with self._writing() as connection:
            free = self._free(run_id, server_id)
            connection.executemany(
                "UPDATE command SET taker = ? WHERE item = ?", [(self.taker, item) for item, _ in free]
            )
        return free

    def release(self, run_id: str) -> None:
        """Gives the unanswered commands of a run to its new owner."""
        if self._rows(
            "SELECT 1 FROM command WHERE run_id = ? AND reply IS NULL AND taker IS NOT NULL", run_id
        ):
            with self._writing() as connection:
                connection.execute(
                    "UPDATE command SET taker = NULL WHERE run_id = ? AND reply IS NULL", (run_id,)
                )

    def answer(self, item: int, reply: bytes, now: float) -> None:
        with self._writing() as connection:
            connection.execute(
                "UPDATE command SET reply = ?, answered = ? WHERE item = ? AND reply IS NULL",
                (reply, now, item),
            )
            if not connection.changes():
                self._require(item)

    def reply(self, item: int) -> bytes | None:
        return self._require(item)

    # --- documents -------------------------------------------------------------------------------

    def lease(self, server_id: str, pid: int, paths: Sequence[str], now: float) -> None:
        mark, wanted = identity(pid) or "", set(paths)
        known = self._rows("SELECT pid, identity FROM server WHERE server_id = ?", server_id)
        held = {path for (path,) in self._rows("SELECT path FROM document WHERE server_id = ?", server_id)}
        if known == [(pid, mark)] and held == wanted:
            return  # a heartbeat: that the process lives is all there is to say
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO server (server_id, pid, identity, seen) VALUES (?, ?, ?, ?)",
                (server_id, pid, mark, now),
            )
            connection.execute("DELETE FROM document WHERE server_id = ?", (server_id,))
            connection.executemany(
                "INSERT INTO document (path, server_id) VALUES (?, ?)",
                [(path, server_id) for path in sorted(wanted)],
            )

    def document_holder(self, path: str) -> tuple[str, int] | None:
        rows = self._rows(
            """
            SELECT server_id, pid, identity FROM document JOIN server USING (server_id)
            WHERE path = ? ORDER BY seen DESC, server_id
            """,
            path,
        )
        return next(((server_id, pid) for server_id, pid, mark in rows if is_alive(pid, mark)), None)

    def open_documents(self) -> dict[str, str]:
        """The server of each document that is open in a live one."""
        rows = self._rows(
            """
            SELECT path, server_id, pid, identity FROM document JOIN server USING (server_id)
            ORDER BY seen, server_id DESC
            """
        )
        alive = {mark: is_alive(*mark) for mark in {(pid, mark) for _, _, pid, mark in rows}}
        return {path: server_id for path, server_id, pid, mark in rows if alive[pid, mark]}

    # --- the file --------------------------------------------------------------------------------

    def close(self) -> None:
        """Gives back what was taken and not answered."""
        try:
            with self._writing() as connection:
                connection.execute(
                    "UPDATE command SET taker = NULL WHERE taker = ? AND reply IS NULL", (self.taker,)
                )
        finally:
            try:
                with translated(self._path):
                    close_checkpointed(self._connection)
            finally:
                self._lock.release()

    def _prepare(self) -> None:
        version = version_of(self._connection, self._schema, self._path)
        if version == self._schema.version:
            return
        if version and not self._lock.alone():
            raise JournalError(
                f"{self._path} has schema {version} and an older Antiphon that still runs uses it; close that one"
                " (every editor window and command of this workspace), then this one can bring the file up to date"
            )
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            # Another process may have made the file meanwhile.
            migrate(self._connection, self._schema, version_of(self._connection, self._schema, self._path))
            self._connection.execute("COMMIT")
        finally:
            if version:
                self._lock.share()

    def _prune(self, now: float) -> None:
        """Forgets dead servers and old answers."""
        rows = self._rows("SELECT server_id, pid, identity FROM server")
        dead = [(server_id,) for server_id, pid, mark in rows if not is_alive(pid, mark)]
        old = now - ANSWERS_KEPT_S
        if not dead and not self._rows("SELECT 1 FROM command WHERE answered < ? LIMIT 1", old):
            return
        with self._writing() as connection:
            connection.executemany("DELETE FROM server WHERE server_id = ?", dead)
            connection.executemany("DELETE FROM document WHERE server_id = ?", dead)
            connection.execute("DELETE FROM command WHERE answered < ?", (old,))

    def _rows(self, sql: str, *values: str | float | None) -> list[Any]:
        with translated(self._path):
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        connection = self._connection
        with translated(self._path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._require_schema()
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _require_schema(self) -> None:
        ((version,),) = self._rows("SELECT schema FROM meta")
        if version != self._schema.version:
            raise too_new(self._path, version, self._schema)

    def _summaries(self, sql: str, *values: str | float | None) -> list[RunSummary]:
        try:
            return [_SUMMARY.decode(summary) for (summary,) in self._rows(sql, *values)]
        except msgspec.MsgspecError as error:
            raise JournalError(
                f"the list of runs in {self._path} cannot be read ({error}); move it aside"
            ) from error

    def _free(self, run_id: str | None, server_id: str | None) -> list[tuple[int, bytes]]:
        rows = self._rows(
            """
            SELECT item, body, taker FROM command
            WHERE run_id IS ? AND server_id IS ? AND reply IS NULL ORDER BY item
            """,
            run_id,
            server_id,
        )
        return [(item, body) for item, body, taker in rows if taker is None or not _is_held(taker)]

    def _require(self, item: int) -> bytes | None:
        rows = self._rows("SELECT reply FROM command WHERE item = ?", item)
        if not rows:
            raise NotFoundError(f"no command {item} in the inbox")
        reply: bytes | None = rows[0][0]
        return reply


def _columns(summary: RunSummary) -> tuple[str, float, str, bytes]:
    return summary.run_id, summary.created, summary.state, msgspec.json.encode(summary)


def _is_held(taker: str) -> bool:
    pid, _, mark = taker.split(":", 2)
    return is_alive(int(pid), mark)
