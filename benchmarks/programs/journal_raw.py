"""The floor of the journal: one thread, apsw, the same bytes, a commit for every so many rows, back to back."""

import argparse
import time
from pathlib import Path

import apsw

from benchmarks.outcome import percentile
from benchmarks.programs.measure import Meter
from benchmarks.programs.sample_events import EVENTS
from orchestration.events import encode


def main(folder: Path, kind: str, batch: int, commits: int) -> None:
    meter = Meter()
    body = encode(EVENTS[kind])
    connection = apsw.Connection(str(folder / "raw.sqlite"))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, time REAL NOT NULL, body BLOB NOT NULL)")
    rows = [(0.0, body)] * batch

    def commit() -> float:
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO event (time, body) VALUES (?, ?)", rows)
        connection.execute("COMMIT")
        return time.perf_counter() - began

    for _ in range(5):
        commit()
    meter.start()
    waits = [commit() for _ in range(commits)]
    meter.stop()
    connection.close()
    meter.report(
        events=batch * commits, p50_ms=1000 * percentile(waits, 50), p99_ms=1000 * percentile(waits, 99)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=tuple(EVENTS))
    parser.add_argument("batch", type=int)
    parser.add_argument("commits", type=int)
    chosen = parser.parse_args()
    main(chosen.folder, chosen.kind, chosen.batch, chosen.commits)
