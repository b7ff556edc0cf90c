"""`python -m benchmarks [NAME …]`: measures, prints what it finds, and writes the report when all were asked for."""

import argparse
import datetime as dt
import importlib
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, cast

from benchmarks import machine
from benchmarks.outcome import Outcome
from benchmarks.processes import REPOSITORY
from benchmarks.published import renewed
from benchmarks.report import Report, markdown, write

NAMES = (
    "orchestration",
    "parallel",
    "server",
    "review",
    "providers",
    "snapshot",
    "checkpoint",
    "diff",
    "journal",
)
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
    parser.add_argument(
        "--publish", action="store_true", help="put what is named into the page, beside the others' figures"
    )
    return parser.parse_args()


def measure(names: Iterable[str], *, tiny: bool) -> tuple[list[Outcome], dict[str, str]]:
    """What each benchmark found, and why each that failed did: one hides none of the others."""
    outcomes, failures = [], {}
    for name in names:
        sys.stderr.write(f"{name} …\n")
        try:
            module = benchmark(name)
            outcomes.append(module.run(module.TINY if tiny else module.FULL))
        except Exception as fault:  # noqa: BLE001 - whatever it is, the others run, and it is reported
            traceback.print_exc()
            failures[name] = str(fault) or type(fault).__name__
    return outcomes, failures


def main() -> int:
    """0 when every benchmark ran, whatever it found; 1 when one failed."""
    chosen = options()
    began, load_before = time.monotonic(), machine.load()
    outcomes, failures = measure(chosen.names or NAMES, tiny=chosen.tiny)
    report = Report(
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        commit=machine.commit(),
        command=" ".join(["python -m benchmarks", *chosen.names]) if chosen.names else "make bench",
        minutes=(time.monotonic() - began) / 60,
        machine=machine.machine(),
        versions=machine.versions(),
        load=(load_before, machine.load()),
        outcomes=tuple(outcomes),
        failures=failures,
    )
    print(markdown(report))
    whole = not chosen.names and not chosen.tiny
    if chosen.json is not None:
        write(report, chosen.json, None)
    elif whole:
        write(report, JSON_FILE, PAGE)
    elif chosen.publish and not chosen.tiny:
        write(renewed(JSON_FILE, report, NAMES), JSON_FILE, PAGE)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
