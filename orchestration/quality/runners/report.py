"""Reading the line-by-line report of a Python run into cases. Pure.

A run that was ended by its time limit leaves a report without an end: what it says until there still
counts, and the test that was under way is known.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from orchestration.quality.runners.contract import Case, CaseOutcome


@dataclass(slots=True)
class Report:
    """`outside`: modules that came from the user's workspace, with their places. `ended`: the runner came
    to its own end. `under_way`: the id of a test that began and has no result. `collected` counts tests
    by file, where the runner says so.
    """

    cases: list[Case] = field(default_factory=list)
    outside: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False
    under_way: str = ""
    collected: dict[str, int] = field(default_factory=dict)


def events(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a report, one a line; a line that was cut short is left out."""
    found = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict):
            found.append(event)
    return found


def read_report(text: str, checkout: str) -> Report:
    """`checkout` is the real path of the checkout's root; ids begin below it."""
    report = Report()
    phases: dict[str, list[dict[str, Any]]] = {}
    for event in events(text):
        kind = event.get("event")
        case_id = _case_id(event, checkout) if "path" in event else ""
        if kind == "start":
            report.under_way = case_id
        elif kind == "result":
            phases.setdefault(case_id, []).append(event)
            if event.get("phase") in {"call", "teardown"} or event.get("outcome") == "skipped":
                report.under_way = ""
        elif kind == "loaded":
            report.under_way = ""
        elif kind == "broken":
            report.under_way = ""
            report.cases.append(Case(case_id.split("::")[0], "failed", str(event.get("text", ""))))
        elif kind == "skipped_file":
            report.under_way = ""
            report.cases.append(Case(case_id.split("::")[0], "skipped", str(event.get("text", ""))))
        elif kind == "collected":
            report.under_way = ""
            report.collected[case_id] = int(event.get("count", 0))
        elif kind == "outside":
            report.outside += [(str(name), str(place)) for name, place in event.get("modules", ())]
        elif kind == "end":
            report.ended = True
            report.under_way = ""
    report.cases += [
        _case(case_id, found) for case_id, found in phases.items() if case_id != report.under_way
    ]
    return report


def _case_id(event: dict[str, Any], checkout: str) -> str:
    path = os.path.relpath(str(event["path"]), checkout)
    node = str(event.get("node", ""))
    return f"{path}::{node}" if node else path


def _case(case_id: str, phases: Iterable[dict[str, Any]]) -> Case:
    """Failed if any of setup, call and teardown failed."""
    found = list(phases)
    outcome: CaseOutcome = "passed"
    if any(phase.get("outcome") == "failed" for phase in found):
        outcome = "failed"
    elif any(phase.get("outcome") == "skipped" for phase in found):
        outcome = "skipped"
    text = "\n".join(str(phase.get("text", "")) for phase in found if phase.get("outcome") == outcome)
    return Case(case_id, outcome, text.strip(), sum(float(phase.get("seconds", 0.0)) for phase in found))
