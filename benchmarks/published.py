"""The published results with some benchmarks measured anew: the others stay as they were, and each says so."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.outcome import Outcome, Table, Target
from benchmarks.report import Report


def renewed(published: Path, fresh: Report, order: Sequence[str]) -> Report:
    """`published` (JSON of a report) with the outcomes of `fresh` in the place of those of the same names; each of
    these carries when and where it was measured. Sorted as in `order`.
    """
    stored = json.loads(published.read_text(encoding="utf-8"))
    before, after = fresh.load
    note = (
        f"Measured alone on {fresh.date} at commit `{fresh.commit or 'unknown'}`; load average before and after: "
        f"{before} and {after}{', measured before all other work (real-time scheduling)' if _first() else ''}."
    )
    outcomes = {outcome["name"]: _outcome(outcome) for outcome in stored["outcomes"]}
    outcomes |= {outcome.name: replace(outcome, notes=(*outcome.notes, note)) for outcome in fresh.outcomes}
    return Report(
        date=stored["date"],
        commit=stored["commit"],
        command=stored["command"],
        minutes=stored["minutes"],
        machine=stored["machine"],
        versions=stored["versions"],
        load=tuple(stored["load"]),
        outcomes=tuple(sorted(outcomes.values(), key=lambda outcome: order.index(outcome.name))),
        failures={**stored.get("failures", {}), **fresh.failures},
    )


def _first() -> bool:
    """Whether the kernel lets everything else wait for us (`chrt -r 1 …`), children included."""
    return sys.platform == "linux" and os.sched_getscheduler(0) in {os.SCHED_RR, os.SCHED_FIFO}


def _outcome(stored: dict[str, Any]) -> Outcome:
    targets = [{key: value for key, value in target.items() if key != "met"} for target in stored["targets"]]
    return Outcome(
        name=stored["name"],
        title=stored["title"],
        purpose=stored["purpose"],
        tables=tuple(
            Table(table["title"], tuple(table["columns"]), tuple(tuple(row) for row in table["rows"]))
            for table in stored["tables"]
        ),
        targets=tuple(Target(**target) for target in targets),
        notes=tuple(stored["notes"]),
        samples=stored["samples"],
    )
