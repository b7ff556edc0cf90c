"""Every benchmark runs at a tiny size and yields figures that make sense. Nothing is timed here."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import NAMES, PAGE, benchmark, measure
from benchmarks.outcome import Outcome, Table, Target, median_ratio, percentile
from benchmarks.published import renewed
from benchmarks.report import BEGIN, END, Report, markdown, placed, write


def numbers_in(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers_in(item)]
    if isinstance(value, list | tuple):
        return [number for item in value for number in numbers_in(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_yields_figures(name: str) -> None:
    module = benchmark(name)
    outcome = module.run(module.TINY)
    assert outcome.name == name
    assert outcome.purpose.strip(), "its docstring says what it measures"
    assert outcome.samples
    assert all(len(row) == len(table.columns) for table in outcome.tables for row in table.rows)
    assert all(table.rows for table in outcome.tables)
    assert all(target.value is not None or target.why for target in outcome.targets)
    numbers = numbers_in(json.loads(json.dumps(asdict(outcome))))
    assert numbers
    assert all(math.isfinite(number) for number in numbers)
    assert markdown(report_of(outcome))


def report_of(*outcomes: Outcome) -> Report:
    return Report(
        date="2026-01-02",
        commit="abc",
        command="make bench",
        minutes=1.0,
        machine={"cpu": "one"},
        versions={"anyio": "4"},
        load=(0.5, 1.0),
        outcomes=outcomes,
    )


OUTCOME = Outcome(
    "made",
    "Made up",
    "What it is for.",
    (Table("A table", ("what", "ms"), (("a|b", 1234.5), ("c", None))),),
    (Target("speed", 3.0, 2.0, "ms"), Target("share", 30.0, 25.0, "%", at_least=True)),
    ("A note.",),
)


def test_a_report_shows_targets_met_and_missed() -> None:
    text = markdown(report_of(OUTCOME))
    assert "| Made up | speed | ≤ 2.00 ms | 3.00 ms | **no** |" in text
    assert "| Made up | share | ≥ 25.0 % | 30.0 % | yes |" in text
    assert "| a\\|b | 1,234 |" in text
    assert "- A note." in text


def test_a_benchmark_that_fails_hides_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    outcomes, failures = measure(["missing", "diff"], tiny=True)
    assert [outcome.name for outcome in outcomes] == ["diff"]
    assert failures == {"missing": "No module named 'benchmarks.missing'"}
    assert "ModuleNotFoundError" in capfd.readouterr().err
    text = markdown(replace(report_of(*outcomes), failures=failures))
    assert "- **missing** failed: No module named 'benchmarks.missing'" in text
    assert "### Diff" in text


def test_one_benchmark_is_published_beside_the_others(tmp_path: Path) -> None:
    results = tmp_path / "latest.json"
    other = replace(OUTCOME, name="other", title="Another")
    write(report_of(OUTCOME, other), results, None)
    fresh = replace(report_of(replace(OUTCOME, tables=(), targets=())), date="2026-03-04", commit="def")
    added = replace(fresh, outcomes=(*fresh.outcomes, replace(OUTCOME, name="added")))
    found = renewed(results, added, ("added", "made", "other"))
    assert [outcome.name for outcome in found.outcomes] == ["added", "made", "other"]
    assert (found.date, found.commit) == ("2026-01-02", "abc")
    _, made, kept = found.outcomes
    assert made.tables == ()
    assert "Measured alone on 2026-03-04 at commit `def`" in made.notes[-1]
    assert kept == other
    write(found, results, None)
    assert markdown(renewed(results, replace(fresh, outcomes=()), ("added", "made", "other"))) == markdown(
        found
    )


def test_a_report_is_written_between_the_markers(tmp_path: Path) -> None:
    page, results = tmp_path / "page.md", tmp_path / "results" / "latest.json"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write(report_of(OUTCOME), results, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    stored = json.loads(results.read_text(encoding="utf-8"))
    assert [target["met"] for target in stored["outcomes"][0]["targets"]] == [False, True]


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="put both lines into it"):
        placed("nothing here", "section")


def test_the_published_page_has_its_markers() -> None:
    assert "section" in placed(PAGE.read_text(encoding="utf-8"), "section")


def test_statistics() -> None:
    assert percentile([5, 1, 4, 2, 3], 50) == 3
    assert percentile([5, 1, 4, 2, 3], 99) == 5
    assert median_ratio([2, 9, 4], [1, 3, 4]) == 2
