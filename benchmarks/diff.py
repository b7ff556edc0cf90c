"""How long a diff takes: ten scattered changes in a file of 10,000 and of 100,000 lines.

Beside the line diff alone: with the clean-up that makes it readable, and the whole change set (decoding, diff,
hunks with their ids). Git is its histogram diff without the cost of starting a process; difflib is Python's own.
Wall time, one thread, everything in memory but git's two files.
"""

from dataclasses import dataclass

from benchmarks.outcome import Cell, Outcome, Table, Target, median, spread
from benchmarks.processes import run_program

NAME = "diff"
_WAYS = {
    "lines": "ours, line diff",
    "readable": "ours, with clean-up",
    "change set": "ours, whole change set",
    "git": "git, histogram",
    "difflib": "difflib.SequenceMatcher",
}


@dataclass(frozen=True, slots=True)
class Sizes:
    lines: tuple[int, ...]
    repeats: int
    difflib_repeats: int


FULL = Sizes((10_000, 100_000), 15, 3)
TINY = Sizes((500,), 2, 1)
_LIMITS_MS = {10_000: 10.0, 100_000: 120.0}


def run(sizes: Sizes) -> Outcome:
    rows: list[tuple[Cell, ...]] = []
    targets: list[Target] = []
    samples: dict[str, list[float]] = {}
    for lines in sizes.lines:
        done = run_program(
            "diff_lines", lines, "--repeats", sizes.repeats, "--difflib-repeats", sizes.difflib_repeats
        )
        taken: dict[str, list[float]] = done.result["samples"]
        samples |= {f"{way}, {lines} lines, ms": values for way, values in taken.items()}
        rows += [
            (f"{lines:,}", label, median(taken[way]), spread(taken[way])) for way, label in _WAYS.items()
        ]
        if lines in _LIMITS_MS:
            value = median(taken["readable"])
            targets.append(
                Target(f"ten changes in {lines:,} lines, with clean-up", value, _LIMITS_MS[lines], "ms")
            )
    table = Table("Ten scattered changes", ("lines", "way", "median, ms", "min to max, ms"), tuple(rows))
    return Outcome(NAME, "Diff", __doc__ or "", (table,), tuple(targets), samples=samples)
