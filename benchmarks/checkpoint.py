"""What checkpoints cost: decisions in a workspace of 10,000 and of 100,000 files, and restores.

Every accepted decision takes a checkpoint of the whole workspace first. *Accept* is one file's hunk from the command
to its outcome in the journal, the checkpoint and the file's durable write included; *reject* writes nothing, takes no
checkpoint and is the floor. Then a restore of one file, and one of the whole workspace after 1,000 of its files were
deleted (each written whole and flushed). Files of 2 kB in folders of twenty, in the process of a server.
"""

import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from benchmarks.outcome import Outcome, Table, Target, median, spread
from benchmarks.processes import run_program
from benchmarks.snapshot import FOLDER_FILES, make_workspace

NAME = "checkpoint"
Samples = defaultdict[str, list[float]]
_STEPS = {
    "accepts_s": "accept a file's hunk",
    "rejects_s": "reject it",
    "one_s": "restore one file",
    "whole_s": "restore {restored:,} deleted files",
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """`repeats` by number of files."""

    repeats: dict[int, int]
    decisions: int
    restored: int


FULL = Sizes({10_000: 3, 100_000: 1}, decisions=15, restored=1000)
TINY = Sizes({200: 1}, decisions=2, restored=FOLDER_FILES)


def run(sizes: Sizes) -> Outcome:
    samples: Samples = defaultdict(list)
    for files, repeats in sizes.repeats.items():
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name:
                folder = Path(name).resolve()
                make_workspace(folder / "workspace", files)
                done = run_program(
                    "checkpoint_decide",
                    folder / "workspace",
                    folder / "data",
                    "--decisions",
                    sizes.decisions,
                    "--restored",
                    sizes.restored,
                )
            for key in _STEPS:
                samples[f"{files} files, {key}"] += [1000 * value for value in done.result[key]]
    table = Table(
        "Decisions and restores",
        ("files", "what", "times", "median, ms", "min to max, ms"),
        tuple(
            (f"{files:,}", label.format(restored=sizes.restored), len(taken), median(taken), spread(taken))
            for files in sizes.repeats
            for key, label in _STEPS.items()
            if (taken := samples[f"{files} files, {key}"])
        ),
    )
    targets = tuple(
        Target(f"accept a hunk in {files:,} files", median(samples[f"{files} files, accepts_s"]), 150, "ms")
        for files in sizes.repeats
        if files == 10_000
    )
    return Outcome(NAME, "Checkpoints", __doc__ or "", (table,), targets, samples=dict(samples))
