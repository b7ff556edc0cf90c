"""Files of every released version open, and are brought forward by nobody but their owner."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from orchestration.errors import JournalError, SchemaTooNewError
from orchestration.journal.index_file import IndexFile
from orchestration.journal.schema import INDEX, RUN, Schema, migrate, version_of
from tests.journal.conftest import DiskWorld, step
from tests.journal.recorded.record import BLOB, HERE, RUN_ID, expected

RUN_VERSIONS = range(1, RUN.version + 1)
NEXT_INDEX = replace(INDEX, migrations=(*INDEX.migrations, "ALTER TABLE run ADD COLUMN colour TEXT"))


def test_every_version_is_recorded() -> None:
    recorded = {path.name for path in HERE.glob("*.sqlite")}
    assert recorded == {f"run-v{number}.sqlite" for number in RUN_VERSIONS} | {
        f"index-v{number}.sqlite" for number in range(1, INDEX.version + 1)
    }


@pytest.mark.parametrize("number", RUN_VERSIONS)
async def test_a_recorded_run_is_read_adopted_and_continued(disk: DiskWorld, number: int) -> None:
    place = disk.home / "runs"
    place.mkdir(parents=True)
    shutil.copy(HERE / f"run-v{number}.sqlite", place / f"{RUN_ID}.sqlite")
    journal = await disk.journal()
    assert await journal.read(RUN_ID) == expected()
    assert await journal.read_blob(RUN_ID, hashlib.sha256(BLOB).hexdigest()) == BLOB
    (row,) = await journal.runs()
    assert (row.goal, row.state, row.tasks_done) == ("keep this readable", "completed", 1)
    run = await journal.open(RUN_ID)
    assert (run.epoch, run.last_seq) == (2, len(expected()))
    assert [record.seq for record in await run.append(step(8))] == [len(expected()) + 1]


@pytest.mark.parametrize("number", range(1, INDEX.version + 1))
async def test_a_recorded_index_is_used(disk: DiskWorld, number: int) -> None:
    place = disk.home / "runs"
    place.mkdir(parents=True)
    shutil.copy(HERE / f"run-v{RUN.version}.sqlite", place / f"{RUN_ID}.sqlite")
    shutil.copy(HERE / f"index-v{number}.sqlite", disk.home / "index.sqlite")
    journal = await disk.journal()
    assert await journal.run_for_key("the request") == RUN_ID
    assert [row.state for row in await journal.runs()] == ["completed"]
    await journal.open(RUN_ID)
    assert [body for _, body in await journal.take(RUN_ID)] == [b"unanswered"]


class TestForward:
    def test_each_step_is_taken_once_and_an_older_program_then_refuses(self, tmp_path: Path) -> None:
        first = Schema("run", RUN.application_id, RUN.migrations[:1])
        grown = replace(
            first,
            migrations=(
                *first.migrations,
                "ALTER TABLE event ADD COLUMN task TEXT",
                "CREATE TABLE note (text TEXT)",
            ),
        )
        path = tmp_path / "run.sqlite"
        shutil.copy(HERE / "run-v1.sqlite", path)
        connection = apsw.Connection(str(path))
        assert version_of(connection, grown, path) == 1
        with connection:
            migrate(connection, grown, 1)
        assert version_of(connection, grown, path) == 3
        assert connection.execute("SELECT count(task), count(*) FROM event").get == (0, len(expected()))
        with pytest.raises(SchemaTooNewError, match="schema 3, this Antiphon knows 1"):
            version_of(connection, first, path)
        connection.close()

    def test_an_index_is_not_migrated_beneath_a_live_older_process(self, tmp_path: Path) -> None:
        path = tmp_path / "index.sqlite"
        older = IndexFile(path, 0)
        with pytest.raises(JournalError, match="close that one"):
            IndexFile(path, 0, NEXT_INDEX)
        older.send(None, None, b"still works", 0)
        older.close()
        newer = IndexFile(path, 0, NEXT_INDEX)
        assert [body for _, body in newer.take(None, None)] == [b"still works"]
        with pytest.raises(SchemaTooNewError):
            IndexFile(path, 0)
        # A second one of the new version shares it.
        IndexFile(path, 0, NEXT_INDEX).close()
        newer.close()
