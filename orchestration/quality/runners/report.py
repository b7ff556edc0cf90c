"""From what runners wrote to cases: reports line by line, whole runs that only pass or fail, runs that
were ended by their time limit.

A run that was ended leaves a report without an end: what it says until there still
counts, and the test that was under way is known.
"""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.quality.processes import Finished
from orchestration.quality.runners.contract import Case, CaseOutcome, Ran, Target

_LONG_SHARE = 0.5
"""A test that was alone under way for this share of the time limit hangs; else the whole run was slow."""
HUNG = "It did not end"
"""How the output of a test begins that was stopped."""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\\\)")


@dataclass(slots=True)
class Report:
    """`outside`: modules that came from the user's workspace, with their places. `ended`: the runner came
    to its own end. `under_way`: the id of a test that began and has no result. `collected` counts tests
    by file, where the runner says so. `begun`: what a Python said of itself before it ran anything;
    `stray`: the module because of which it ran nothing.
    """

    cases: list[Case] = field(default_factory=list)
    outside: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False
    under_way: str = ""
    collected: dict[str, int] = field(default_factory=dict)
    begun: dict[str, Any] = field(default_factory=dict)
    stray: str = ""


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
        else:
            _of_the_run(report, event)
    report.cases += [
        _case(case_id, found) for case_id, found in phases.items() if case_id != report.under_way
    ]
    return report


def _of_the_run(report: Report, event: dict[str, Any]) -> None:
    """What is no single test's."""
    kind = event.get("event")
    if kind == "begin":
        report.begun = event
    elif kind == "stray":
        report.stray = str(event.get("module", ""))
    elif kind == "outside":
        report.outside += [(str(name), str(place)) for name, place in event.get("modules", ())]
    elif kind == "end":
        report.ended = True
        report.under_way = ""


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


def stopped(cases: Sequence[Case], under_way: str, limit_s: float, said: str = "") -> Ran:
    """What a run says that was ended by its time limit: a test that hangs has failed, a slow run has not
    been seen to its end.
    """
    left = limit_s - sum(case.seconds for case in cases)
    if under_way and left > limit_s * _LONG_SHARE:
        hung = Case(under_way, "failed", f"{HUNG}: stopped after {limit_s:g} s.", left)
        return Ran((*cases, hung))
    why = f"the tests were stopped after {limit_s:g} s; {len(cases)} had a result by then"
    return Ran(tuple(cases), why, slow=True, said=plain(said) or why)


def whole_run(done: Finished, targets: Sequence[Target], limit_s: float, what: str) -> Ran:
    """A run that is known by its exit code alone: each test asked for did what the whole did."""
    if done.failure:
        return Ran(problem=done.failure)
    if done.timed_out:
        why = f"{what} was stopped after {limit_s:g} s"
        return Ran(problem=why, slow=True, said=f"{why}\n{plain(done.output)}".strip())
    outcome: CaseOutcome = "passed" if done.exit_code == 0 else "failed"
    output = "" if outcome == "passed" else plain(done.output)
    ids = [case_id for target in targets for case_id in target.ids]
    return Ran(tuple(Case(case_id, outcome, output, done.seconds) for case_id in ids))


def plain(text: str) -> str:
    """Without terminal escapes."""
    return _ESCAPE.sub("", text).strip()


def read_file(path: Path) -> str:
    """Empty when there is none."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
