"""Writes a file of the current schema version here, once per version: `python -m tests.journal.recorded.record`.

Recorded files are never written again: `test_migrations.py` opens them for as long as Antiphon exists.
"""

import tempfile
from pathlib import Path

import anyio
import msgspec

from orchestration.events import Event, Record, RunFinished, TaskMerged, ToolFinished
from orchestration.journal.schema import INDEX, RUN
from orchestration.journal.sqlite import open_journal
from providers.usage import Usage
from tests.journal.conftest import SetClock, created, step

HERE = Path(__file__).parent
RUN_ID = "run-recorded"
BLOB = "a role's prompt, with an umlaut: \u00fc".encode()
EVENTS: tuple[Event, ...] = (
    created("keep this readable"),
    ToolFinished(
        task_id="t1", attempt=1, turn=2, call_id="c", tool="read_file", text="caf\u00e9\n\U0001f3bc"
    ),
    TaskMerged(task_id="t1", attempt=1, snapshot="0" * 40, changed=("a b.py",), summary="done"),
    step(7),
    RunFinished(
        state="completed", tasks={"merged": 1}, usage=Usage(input_tokens=5, cost_usd=None), exit_code=0
    ),
)


async def record(home: Path) -> None:
    clock = SetClock(1_767_225_600.25)
    journal = await open_journal(home, clock)
    run = await journal.create(RUN_ID, EVENTS[0], idempotency_key="the request")
    await run.put_blob(BLOB)
    for event in EVENTS[1:]:
        clock.time += 0.5
        await run.append(event)
    (row,) = await journal.runs()
    await run.summarise(
        msgspec.structs.replace(row, state="completed", tasks_total=1, tasks_done=1, owner_pid=None)
    )
    await run.close()
    await journal.send(RUN_ID, b"unanswered")
    await journal.aclose()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        anyio.run(record, home)
        for source, target in (
            (home / "runs" / f"{RUN_ID}.sqlite", HERE / f"run-v{RUN.version}.sqlite"),
            (home / "index.sqlite", HERE / f"index-v{INDEX.version}.sqlite"),
        ):
            if target.exists():
                raise SystemExit(f"{target.name} is recorded already and stays as it is")
            target.write_bytes(source.read_bytes())


def expected() -> list[Record]:
    return [Record(place + 1, 1_767_225_600.25 + 0.5 * place, event) for place, event in enumerate(EVENTS)]


if __name__ == "__main__":
    main()
