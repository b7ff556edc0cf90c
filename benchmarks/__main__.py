"""`python -m benchmarks [NAME …]`: measures, prints what it finds, and writes the report when all were asked for."""

import argparse
import datetime as dt
import importlib
import sys
import time
from pathlib import Path
from typing import Any, Protocol, cast

from benchmarks import machine
from benchmarks.outcome import Outcome
from benchmarks.processes import REPOSITORY
from benchmarks.report import Report, markdown, write

NAMES = ("orchestration", "parallel", "server", "review", "snapshot", "diff", "journal")
JSON_FILE = REPOSITORY / "benchmarks" / "results" / "latest.json"
PAGE = REPOSITORY / "docs" / "benchmarks.md"


class Benchmark(Protocol):
    """The shape of a module that is a benchmark."""

    FULL: Any
    TINY: Any

    def run(self, sizes: Any) -> Outcome: ...


def benchmark(name: str) -> Benchmark:
    return cast("Benchmark", importlib.import_module(f"benchmarks.{name}"))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help=f"some of: {', '.join(NAMES)}; all")
    parser.add_argument("--tiny", action="store_true", help="sizes that say nothing but run in seconds")
    parser.add_argument("--json", type=Path, help="write the results there; the page stays as it is")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    names = chosen.names or list(NAMES)
    began, load_before = time.monotonic(), machine.load()
    outcomes = []
    for name in names:
        module = benchmark(name)
        sys.stderr.write(f"{name} …\n")
        outcomes.append(module.run(module.TINY if chosen.tiny else module.FULL))
    report = Report(
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        commit=machine.commit(),
        command=" ".join(["python -m benchmarks", *chosen.names]) if chosen.names else "make bench",
        minutes=(time.monotonic() - began) / 60,
        machine=machine.machine(),
        versions=machine.versions(),
        load=(load_before, machine.load()),
        outcomes=tuple(outcomes),
    )
    print(markdown(report))
    whole = not chosen.names and not chosen.tiny
    if chosen.json is not None:
        write(report, chosen.json, None)
    elif whole:
        write(report, JSON_FILE, PAGE)


if __name__ == "__main__":
    main()
