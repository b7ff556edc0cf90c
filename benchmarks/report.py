"""Writes outcomes down: JSON for machines, and Markdown between two markers of `docs/benchmarks.md` for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.outcome import Cell, Outcome, Table, Target, shown

BEGIN = "<!-- benchmarks: begin (written by `make bench`) -->"
END = "<!-- benchmarks: end -->"


@dataclass(frozen=True, slots=True)
class Report:
    """`load` is the load average before and after: above the bench's own 1 to 2, something else was at work.
    `failures`: why a benchmark has no outcome, by its name.
    """

    date: str
    commit: str
    command: str
    minutes: float
    machine: dict[str, str]
    versions: dict[str, str]
    load: tuple[float | None, float | None]
    outcomes: tuple[Outcome, ...]
    failures: Mapping[str, str] = field(default_factory=dict)

    def as_object(self) -> dict[str, Any]:
        value = asdict(self)
        value["outcomes"] = [_outcome_object(outcome) for outcome in self.outcomes]
        return value


def write(report: Report, json_file: Path, page: Path | None) -> None:
    """Replaces `json_file`, and the section of `page`."""
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(_rounded(report.as_object()), indent=1, ensure_ascii=False) + "\n")
    if page is not None:
        page.write_text(placed(page.read_text(encoding="utf-8"), markdown(report)), encoding="utf-8")


def placed(page: str, section: str) -> str:
    """`page` with `section` between its markers. Raises ValueError when it has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no section between {BEGIN!r} and {END!r}; put both lines into it")
    return f"{head}{BEGIN}\n\n{section.strip()}\n\n{END}{tail}"


def markdown(report: Report) -> str:
    machine = "; ".join(f"{name}: {value}" for name, value in report.machine.items())
    packages = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    before, after = report.load
    taken = (
        f"Measured {report.date} at commit `{report.commit or 'unknown'}` with `{report.command}`"
        f" in {report.minutes:.0f} minutes."
    )
    lines = [
        taken,
        "",
        f"Machine: {machine}. Packages: {packages}. Load average before and after: {before} and {after}.",
        "",
        *_failed(report.failures),
        "### Targets",
        "",
        *_targets(report.outcomes),
    ]
    for outcome in report.outcomes:
        lines += ["", f"### {outcome.title}", "", outcome.purpose.strip()]
        for table in outcome.tables:
            lines += ["", f"**{table.title}**", "", *_table(table)]
        if outcome.notes:
            lines += ["", *(f"- {note}" for note in outcome.notes)]
    return "\n".join(lines)


def _failed(failures: Mapping[str, str]) -> list[str]:
    if not failures:
        return []
    lines = [f"- **{name}** failed: {_text(reason.splitlines()[0])}" for name, reason in failures.items()]
    return ["Missing below, since they failed:", "", *lines, ""]


def _targets(outcomes: Iterable[Outcome]) -> list[str]:
    rows = [
        (outcome.title, target.name, _wanted(target), _got(target), _verdict(target))
        for outcome in outcomes
        for target in outcome.targets
    ]
    table = Table("", ("of", "target", "wanted", "measured", "met"), tuple(rows))
    return _table(table)


def _wanted(target: Target) -> str:
    return f"{'≥' if target.at_least else '≤'} {_text(target.limit)} {target.unit}"


def _got(target: Target) -> str:
    return f"not measured: {target.why}" if target.value is None else f"{_text(target.value)} {target.unit}"


def _verdict(target: Target) -> str:
    return {True: "yes", False: "**no**", None: "—"}[target.met]


def _table(table: Table) -> list[str]:
    numeric = [
        any(isinstance(row[place], int | float) for row in table.rows) for place in range(len(table.columns))
    ]
    rule = ["--:" if right else "---" for right in numeric]
    rows: list[Sequence[str]] = [table.columns, rule, *([_text(cell) for cell in row] for row in table.rows)]
    return ["| " + " | ".join(row) + " |" for row in rows]


def _text(cell: Cell) -> str:
    return shown(cell).replace("|", "\\|").replace("\n", " ")


def _outcome_object(outcome: Outcome) -> dict[str, Any]:
    value = asdict(outcome)
    value["targets"] = [{**asdict(target), "met": target.met} for target in outcome.targets]
    return value


def _rounded(value: Any) -> Any:
    """Five significant digits: more is noise, and would make every line of the file differ for nothing."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
