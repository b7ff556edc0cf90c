"""How fast the journal makes events durable: 100 tasks of one process, each waiting for its own append.

Beside it in the same run, alternating: raw apsw committing the same bytes, 100 rows a commit, from one thread
that does nothing else (the floor of any group commit). Both WAL with synchronous=FULL on the same disk.
"""

import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from benchmarks.outcome import Cell, Outcome, Table, Target, median, median_ratio
from benchmarks.processes import run_program

NAME = "journal"
_KINDS = {"intent": "small (an intent)", "result": "1 kB (an answer)"}


@dataclass(frozen=True, slots=True)
class Sizes:
    tasks: int
    appends: int
    repeats: int


FULL = Sizes(100, 200, 7)
TINY = Sizes(10, 5, 1)


def run(sizes: Sizes) -> Outcome:
    samples: dict[str, list[float]] = defaultdict(list)
    for _ in range(sizes.repeats):
        for kind in _KINDS:
            for program in ("journal_append", "journal_raw"):
                with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as folder:
                    done = run_program(program, Path(folder), kind, sizes.tasks, sizes.appends).result
                samples[f"{program}, {kind}, events/s"].append(done["events"] / done["wall_s"])
                samples[f"{program}, {kind}, p50 ms"].append(done["p50_ms"])
                samples[f"{program}, {kind}, p99 ms"].append(done["p99_ms"])
                samples[f"{program}, {kind}, CPU µs/event"].append(1e6 * done["cpu_s"] / done["events"])
    rows: list[tuple[Cell, ...]] = []
    for kind, size in _KINDS.items():
        for program, label in (("journal_append", "journal"), ("journal_raw", "raw apsw")):
            key = f"{program}, {kind}"
            rows.append(
                (
                    size,
                    label,
                    round(median(samples[f"{key}, events/s"])),
                    median(samples[f"{key}, p50 ms"]),
                    median(samples[f"{key}, p99 ms"]),
                    median(samples[f"{key}, CPU µs/event"]),
                )
            )
    table = Table(
        f"{sizes.tasks} tasks appending at once",
        ("event", "by", "durable events/s", "p50, ms", "p99, ms", "CPU, µs/event"),
        tuple(rows),
    )
    return Outcome(NAME, "Journal", __doc__ or "", (table,), _targets(samples), samples=dict(samples))


def _targets(samples: dict[str, list[float]]) -> tuple[Target, ...]:
    ours, raw = "journal_append, intent", "journal_raw, intent"
    share = median_ratio(samples[f"{ours}, events/s"], samples[f"{raw}, events/s"])
    slow = median_ratio(samples[f"{ours}, p99 ms"], samples[f"{raw}, p99 ms"])
    return (
        Target(
            "durable events a second", median(samples[f"{ours}, events/s"]), 10_000, "events/s", at_least=True
        ),
        Target("share of the raw group-commit rate", 100 * share, 25, "%", at_least=True),
        Target("p99 beside the raw commit's", slow, 2, "times"),
    )
