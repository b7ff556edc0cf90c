"""A journal's folder: `index.sqlite`, and in `runs/` a file and a lock for each run. Blocking; one thread.

Here a run comes to be, changes its owner and goes; its events are written in `writer.py` and read in
`reader.py`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestration.errors import AntiphonError, DataFolderError, JournalError, RunOwnedError
from orchestration.journal.connections import require_driver, translated
from orchestration.journal.contract import RunExistsError, RunSummary
from orchestration.journal.data_dir import VARIABLE, make_private, sync_folder
from orchestration.journal.file_system import network_file_system
from orchestration.journal.index_file import IndexFile
from orchestration.journal.locks import FileLock, holder
from orchestration.journal.reader import Reader
from orchestration.journal.run_file import RunFile, unknown_run
from orchestration.journal.summaries import ended_summary, recovered_summary, with_owner

_RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class JournalFolder:
    def __init__(
        self, home: Path, now: float, network: Callable[[Path], str | None] = network_file_system
    ) -> None:
        """Raises DataFolderError, JournalError, SchemaTooNewError."""
        require_driver()
        if (kind := network(home)) is not None:
            raise DataFolderError(
                f"{home} is on a network file system ({kind}), where a journal cannot be kept safely;"
                f" point {VARIABLE} or the setting `data_dir` to a folder on a local disk"
            )
        self._runs = home / "runs"
        with translated(home):
            make_private(self._runs)
        self.index = IndexFile(home / "index.sqlite", now)
        try:
            self._reconcile()
        except BaseException:
            self.index.close()
            raise

    def path(self, run_id: str) -> Path:
        """Raises NotFoundError for what cannot be the id of a run."""
        if _RUN_ID.fullmatch(run_id) is None:
            raise unknown_run(run_id)
        return self._runs / f"{run_id}.sqlite"

    def create(
        self, run_id: str, time: float, bodies: Sequence[bytes], summary: RunSummary, key: str | None
    ) -> tuple[RunFile, FileLock]:
        """The order makes every crash harmless: lock, row with key, file. A row whose file is missing and whose
        lock is free is nothing.
        """
        path = self.path(run_id)
        with translated(path):
            lock = FileLock.take(self._lock_path(run_id))
        if lock is None or self._is_there(run_id):
            if lock is not None:
                lock.release()
            raise RunExistsError(f"run {run_id} exists already", run_id=run_id)
        try:
            self._reserve(summary, key)
            file = self._create_file(path, run_id, time, bodies)
        except BaseException:
            lock.release(remove=True)
            raise
        return file, lock

    def open(self, run_id: str, *, seize: bool) -> tuple[RunFile, FileLock]:
        path = self.path(run_id)
        if not path.exists():
            raise unknown_run(run_id)
        with translated(path):
            lock = FileLock.take(self._lock_path(run_id), seize=seize)
        if lock is None:
            raise self._owned(run_id, "follow it, or cancel it first")
        try:
            file = RunFile.open(path, run_id)
            self.index.release(run_id)
        except BaseException:
            lock.release()
            raise
        return file, lock

    def give_up(self, file: RunFile, lock: FileLock) -> None:
        """Moves the run's log into its file; then its lock is free. Raises JournalError, the lock free too."""
        try:
            file.close()
        finally:
            lock.release()

    def require(self, run_id: str) -> None:
        """Raises NotFoundError."""
        if not self.path(run_id).exists():
            raise unknown_run(run_id)

    def owner(self, run_id: str) -> int | None:
        self.require(run_id)
        return self._live_owner(run_id)

    def delete(self, run_id: str) -> None:
        path = self.path(run_id)
        self.require(run_id)
        with translated(path):
            lock = FileLock.take(self._lock_path(run_id))
            if lock is None:
                raise self._owned(run_id, "cancel it first")
            try:
                _remove(path)
                self.index.remove_run(run_id)
                sync_folder(self._runs)
            finally:
                lock.release(remove=True)

    def run_for_key(self, key: str) -> str | None:
        known = self.index.run_for_key(key)
        return known if known is not None and self._is_there_or_coming(known) else None

    def summaries(self, limit: int, newer: Mapping[str, RunSummary]) -> list[RunSummary]:
        """The rows, `newer` ones in the place of those on disk."""
        rows = {row.run_id: row for row in self.index.runs(limit)} | dict(newer)
        listed = sorted(rows.values(), key=lambda row: (row.created, row.run_id), reverse=True)[:limit]
        return [with_owner(row, self._live_owner) for row in listed]

    def _reserve(self, summary: RunSummary, key: str | None) -> None:
        known = self.index.add_run(summary, key, self._is_there_or_coming)
        if known is not None:
            raise RunExistsError(f"this request already started run {known}", run_id=known)

    def _create_file(self, path: Path, run_id: str, time: float, bodies: Sequence[bytes]) -> RunFile:
        try:
            file = RunFile.create(path, run_id, time, bodies)
            with translated(path):
                sync_folder(self._runs)
        except BaseException:
            _remove(path)
            self.index.remove_run(run_id)
            raise
        return file

    def _live_owner(self, run_id: str) -> int | None:
        found = holder(self._lock_path(run_id))
        return found.pid if found is not None else None

    def _owned(self, run_id: str, mend: str) -> RunOwnedError:
        pid = self._live_owner(run_id)
        who = f"live process {pid}" if pid is not None else "another live process"
        return RunOwnedError(f"run {run_id} belongs to {who}; {mend}", pid=pid)

    def _lock_path(self, run_id: str) -> Path:
        return self._runs / f"{run_id}.lock"

    def _is_there(self, run_id: str) -> bool:
        """Whether the run has come to be; a file that cannot be read counts."""
        if not self.path(run_id).exists():
            return False
        reader = Reader(self.path)
        try:
            reader.records(run_id, 0, 1)
        except AntiphonError as error:
            return isinstance(error, JournalError)
        finally:
            reader.close()
        return True

    def _is_there_or_coming(self, run_id: str) -> bool:
        return self._is_there(run_id) or self._live_owner(run_id) is not None

    def _reconcile(self) -> None:
        """Brings the list up to the runs' files: rows that were lost, rows of runs that never came to be, and
        rows that say running of a run whose last event says how it ended.
        """
        on_disk = {path.stem for path in self._runs.glob("*.sqlite")}
        listed = self.index.run_ids()
        reader = Reader(self.path)
        try:
            rows = [self._recovered(reader, run_id) for run_id in sorted(on_disk - listed)]
            live = [row for row in self.index.live_runs() if row.run_id in on_disk]
            rows += [ended for row in live if (ended := self._ended(reader, row)) != row]
        finally:
            reader.close()
        if rows:
            self.index.store_summaries(rows)
        for run_id in sorted(listed - on_disk):
            if self._live_owner(run_id) is None and not self.path(run_id).exists():
                self.index.remove_run(run_id)

    def _ended(self, reader: Reader, row: RunSummary) -> RunSummary:
        if self._live_owner(row.run_id) is not None:
            return row
        try:
            _, last = reader.ends(row.run_id)
        except AntiphonError:
            return row
        return ended_summary(row, last) if last is not None else row

    @staticmethod
    def _recovered(reader: Reader, run_id: str) -> RunSummary:
        try:
            return recovered_summary(run_id, *reader.ends(run_id))
        except AntiphonError as error:
            return RunSummary(
                run_id=run_id,
                workspace="",
                goal=f"(unreadable: {error})",
                state="interrupted",
                created=0,
                updated=0,
            )


def _remove(path: Path) -> None:
    for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        file.unlink(missing_ok=True)
