"""The exercises themselves: every stub fails its tests, every reference passes them, with the real runners."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.exercises_test_support import NODE, run_exercise, run_node, run_pytest
from tests.model_server.exercises import (
    Exercise,
    apply_solution,
    copy_exercises,
    load_exercises,
    plan_of,
    write_plan,
)

ALL = load_exercises()
each = pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.task_id)


def skip_without_node(exercise: Exercise) -> None:
    if exercise.runs_on_node and NODE is None:
        pytest.skip("node is not installed")


@each
def test_the_stub_fails_and_the_reference_passes(exercise: Exercise, tmp_path: Path) -> None:
    skip_without_node(exercise)
    copy_exercises(tmp_path, [exercise])
    stub = run_exercise(exercise, tmp_path)
    assert not stub.passed
    assert any(name in stub.output for name in exercise.test_names) or "Error" in stub.output

    apply_solution(exercise, tmp_path)
    reference = run_exercise(exercise, tmp_path)
    assert reference.passed, reference.output


@pytest.mark.parametrize(
    "exercise",
    [exercise for exercise in ALL if not exercise.runs_on_node and not exercise.needs_pytest],
    ids=lambda exercise: exercise.task_id,
)
def test_most_python_exercises_run_with_unittest_too(exercise: Exercise, tmp_path: Path) -> None:
    copy_exercises(tmp_path, [exercise])
    assert not run_exercise(exercise, tmp_path, runner="unittest").passed
    apply_solution(exercise, tmp_path)
    reference = run_exercise(exercise, tmp_path, runner="unittest")
    assert reference.passed, reference.output


def test_all_references_together_pass_from_the_top_of_the_workspace(tmp_path: Path) -> None:
    copy_exercises(tmp_path)
    for exercise in ALL:
        apply_solution(exercise, tmp_path)
    python = run_pytest([], tmp_path)
    assert python.passed, python.output
    if NODE is None:
        pytest.skip("node is not installed")
    node = run_node(tmp_path)
    assert node.passed, node.output
    assert re.search(r"^# fail 0$", node.output, re.MULTILINE), node.output


def test_twenty_exercises_with_unique_names_of_modules() -> None:
    assert len(ALL) == 20
    assert len({exercise.task_id for exercise in ALL}) == 20
    names = Counter(
        path.stem
        for exercise in ALL
        for path in exercise.folder.rglob("*.py")
        if path.parent in {exercise.folder, exercise.folder / "tests"} and path.name != "conftest.py"
    )
    assert {name: count for name, count in names.items() if count > 1} == {}


def test_no_solution_stands_in_an_exercise() -> None:
    for exercise in ALL:
        contents = {path.read_bytes() for path in exercise.folder.rglob("*") if path.is_file()}
        assert not contents & set(exercise.solution.values()), exercise.name


def test_the_trouble_of_real_life_is_there() -> None:
    by_name = {exercise.name: exercise for exercise in ALL}
    assert "tide table" in by_name
    crlf = by_name["museum-labels"]
    for content in (crlf.stub("museum_labels.py"), crlf.solution["museum_labels.py"]):
        assert content is not None
        assert content.count(b"\n") == content.count(b"\r\n") > 10
    mark = by_name["seed-packets"]
    for content in (mark.stub("seed_packets.py"), mark.solution["seed_packets.py"]):
        assert content is not None
        assert content.startswith(b"\xef\xbb\xbf")
    assert "🌥️".encode() in (by_name["mood-weather"].stub("mood_weather.py") or b"")
    assert len(by_name["harbour-fees"].solution) == 2
    assert by_name["slug-shelf"].stub("slug.mjs") is None
    assert by_name["unit-shim"].deleted == ("unit_shim/conversoins.py",)
    assert by_name["flag-plugins"].deleted == ("flagship/plugins/nordic_old.py",)


def test_the_plan_names_every_task_with_its_files_and_tests(tmp_path: Path) -> None:
    plan = plan_of(ALL)
    assert [task["title"] for task in plan["tasks"]] == [f"Solve {exercise.name}" for exercise in ALL]
    copy_exercises(tmp_path)
    for task, exercise in zip(plan["tasks"], ALL, strict=True):
        assert (exercise.folder / "INSTRUCTIONS.md").read_text(encoding="utf-8").strip() in task[
            "instructions"
        ]
        assert task["tests"]
        assert all((tmp_path / path).is_file() for path in task["tests"])
    assert write_plan(tmp_path / "plan.json").stat().st_size > 10_000
