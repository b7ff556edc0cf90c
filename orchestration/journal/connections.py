"""Connections to SQLite files as the journal wants them, and the translation of what SQLite refuses.

Nothing else in a process may open these files, not even to read a byte: closing any descriptor of a file drops
the POSIX locks that SQLite holds on it (https://sqlite.org/howtocorrupt.html).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import apsw

from orchestration.errors import DataFolderError, JournalError
from orchestration.journal.data_dir import VARIABLE

# Older ones lose commits when a checkpoint and a write race (the WAL-reset bug, https://sqlite.org/wal.html).
OLDEST_SQLITE = 3_051_003
BUSY_MS = 5_000
# 1,000 pages, SQLite's own default, measured best: smaller logs are checkpointed too often, larger ones only
# take room.
LOG_PAGES = 1_000
PAGE_BYTES = 4_096
_ELSEWHERE = f"point {VARIABLE} or the setting `data_dir` to another folder"
_CLOSED = (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, PermissionError, NotADirectoryError)


def connect(path: Path, *, create: bool = False) -> apsw.Connection:
    """A connection that commits durably. Raises JournalError, and apsw.Error: call it inside `translated`."""
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(BUSY_MS)
    if create:
        connection.pragma("page_size", PAGE_BYTES)
    if connection.pragma("journal_mode", "wal") != "wal":
        connection.close()
        raise DataFolderError(f"{path} is on a disk without shared memory between processes; {_ELSEWHERE}")
    connection.pragma("synchronous", "full")
    connection.pragma("fullfsync", True)  # macOS: through the drive's own cache; elsewhere without effect
    connection.pragma("checkpoint_fullfsync", True)
    connection.pragma("wal_autocheckpoint", LOG_PAGES)
    connection.pragma("journal_size_limit", LOG_PAGES * PAGE_BYTES)
    connection.pragma("trusted_schema", False)
    return connection


def connect_for_reading(path: Path) -> apsw.Connection:
    """A connection that writes nothing. Where the folder is read-only and the file was closed in order, it is
    read as it stands. Raises apsw.Error: call it inside `translated`.
    """
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(BUSY_MS)
        connection.pragma("query_only", True)
        connection.pragma("trusted_schema", False)
        connection.pragma("data_version")
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        log = Path(f"{path}-wal")
        if not path.exists() or (log.exists() and log.stat().st_size):
            raise
        uri = f"file:{quote(str(path))}?immutable=1"
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    return connection


def close_checkpointed(connection: apsw.Connection) -> None:
    """Moves the log into the file as far as readers allow, then closes. Raises apsw.Error."""
    try:
        connection.pragma("busy_timeout", 0)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except (apsw.BusyError, apsw.LockedError, apsw.FullError):
        pass  # the log is durable and is moved by whoever opens the file next
    finally:
        connection.close()


def require_driver() -> None:
    """Raises JournalError when this apsw cannot be trusted with a journal."""
    if apsw.SQLITE_VERSION_NUMBER < OLDEST_SQLITE or not hasattr(apsw, "carray"):
        raise JournalError(
            f"apsw {apsw.apsw_version()} brings SQLite {apsw.sqlite_lib_version()}, which can lose commits or lacks"
            " carray; install apsw 3.51.3 or later from its own wheels"
        )


# The file that SQLite's readers and writers share could not be made larger: said as an error of the disk.
_NO_ROOM_TO_SHARE = apsw.SQLITE_IOERR_SHMSIZE


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns what SQLite or the system refuses into a JournalError with its mend."""
    try:
        yield
    except (apsw.Error, OSError) as error:
        kind = DataFolderError if isinstance(error, _CLOSED) else JournalError
        raise kind(explain(path, error)) from error


def explain(path: Path, error: Exception) -> str:
    match error:
        case apsw.NotADBError() | apsw.CorruptError():
            return (
                f"{path} is damaged ({error}). Nothing was changed; move it aside together with its -wal and -shm"
                " to go on without it"
            )
        case _ if (
            isinstance(error, apsw.FullError) or getattr(error, "extendedresult", 0) == _NO_ROOM_TO_SHARE
        ):
            return f"the disk of {path} is full: free some space and try again; nothing was half-written"
        case apsw.BusyError() | apsw.LockedError():
            return f"{path} is locked by another program; close it there and try again"
        case _ if isinstance(error, _CLOSED):
            return f"{path} cannot be opened for writing ({error}): make the folder and its files writable, or {_ELSEWHERE}"
        case apsw.Error():
            code = getattr(error, "extendedresult", 0)
            return f"{path} cannot be read or written ({error}, SQLite code {code}): check the disk, or {_ELSEWHERE}"
        case _:
            return f"{path} cannot be read or written ({error}): check the disk, or {_ELSEWHERE}"
