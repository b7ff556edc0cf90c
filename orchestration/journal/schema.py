"""The tables of the journal's files and their forward migrations.

Every file has a row in `meta` that says its schema; every write transaction compares it, so that an older
program writes nothing into a file that a newer one has taken. A migration is one script more at the end of a
list; a released script never changes (`tests/journal/recorded` holds a file of each version). Who migrates
holds the file alone: the run's lock, or the index's.
"""

from dataclasses import dataclass
from pathlib import Path

import apsw

from orchestration.errors import JournalError, SchemaTooNewError


@dataclass(frozen=True, slots=True)
class Schema:
    """`migrations[n]` brings a file from version n to n + 1; the first makes it from nothing."""

    kind: str
    application_id: int
    migrations: tuple[str, ...]

    @property
    def version(self) -> int:
        return len(self.migrations)


# A body is the event's JSON. `digest` is SHA-256, raw. An event costs its body and about 15 bytes.
RUN = Schema(
    "run",
    0x416E_7401,
    (
        """
        CREATE TABLE meta (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            schema INTEGER NOT NULL,
            run_id TEXT NOT NULL DEFAULT '',
            epoch INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        INSERT INTO meta (only, schema) VALUES (1, 1);
        CREATE TABLE event (seq INTEGER PRIMARY KEY, time REAL NOT NULL, body BLOB NOT NULL) STRICT;
        CREATE TABLE blob (digest BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT;
        """,
    ),
)

# `summary` is the JSON of a RunSummary. `taker` is `PID:NUMBER:IDENTITY` of the journal that took a command;
# a command with a server is for that one, one with a run for its owner, one with neither for any server.
INDEX = Schema(
    "index",
    0x416E_7402,
    (
        """
        CREATE TABLE meta (only INTEGER PRIMARY KEY CHECK (only = 1), schema INTEGER NOT NULL) STRICT;
        INSERT INTO meta (only, schema) VALUES (1, 1);
        CREATE TABLE run (
            run_id TEXT PRIMARY KEY,
            created REAL NOT NULL,
            state TEXT NOT NULL,
            idempotency_key TEXT UNIQUE,
            summary BLOB NOT NULL
        ) STRICT;
        CREATE INDEX run_by_age ON run (created, run_id);
        CREATE TABLE command (
            item INTEGER PRIMARY KEY AUTOINCREMENT,
            run_id TEXT,
            server_id TEXT,
            sent REAL NOT NULL,
            body BLOB NOT NULL,
            taker TEXT,
            answered REAL,
            reply BLOB
        ) STRICT;
        CREATE INDEX command_open ON command (run_id, server_id) WHERE reply IS NULL;
        CREATE TABLE server (
            server_id TEXT PRIMARY KEY, pid INTEGER NOT NULL, identity TEXT NOT NULL, seen REAL NOT NULL
        ) STRICT;
        CREATE TABLE document (path TEXT NOT NULL, server_id TEXT NOT NULL, PRIMARY KEY (path, server_id))
            STRICT, WITHOUT ROWID;
        CREATE INDEX document_of_server ON document (server_id);
        """,
    ),
)


def version_of(connection: apsw.Connection, schema: Schema, path: Path) -> int:
    """0 for an empty file. Raises JournalError for a foreign one, SchemaTooNewError for a newer one."""
    application = connection.pragma("application_id")
    if application == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").get == 0:
        return 0
    if application != schema.application_id:
        raise JournalError(f"{path} is no {schema.kind} file of Antiphon; move it aside")
    version = connection.execute("SELECT schema FROM meta").get
    if not isinstance(version, int) or version < 1:
        raise JournalError(f"{path} does not say its schema: it is damaged; move it aside")
    if version > schema.version:
        raise too_new(path, version, schema)
    return version


def migrate(connection: apsw.Connection, schema: Schema, version: int) -> None:
    """Inside a write transaction of a file held alone."""
    for number in range(version, schema.version):
        connection.execute(schema.migrations[number])
        connection.execute("UPDATE meta SET schema = ?", (number + 1,))
    if version == 0:
        connection.pragma("application_id", schema.application_id)


def too_new(path: Path, version: int, schema: Schema) -> SchemaTooNewError:
    return SchemaTooNewError(
        f"{path} has schema {version}, this Antiphon knows {schema.version}: a newer one wrote it; update this one"
    )
