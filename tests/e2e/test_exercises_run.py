"""The main job on real input: twenty exercises, eight at once, over the real wire, from the command line.

13 are right at once, 5 after the gate's feedback, 2 never: 18 merge, 2 are dead letters.
"""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command_line import Antiphon
from tests.exercises_test_support import run_exercise
from tests.model_server import ModelServer, Solver
from tests.model_server.exercises import copy_exercises, load_exercises, write_plan
from tests.model_server.solver import NEVER, WRONG_FIRST


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(Solver(), api_key="test-key") as running:
        yield running


@pytest.fixture
def antiphon(tmp_path: Path, server: ModelServer, python_with_pytest: Path) -> Antiphon:
    variables = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "test-key"}
    return Antiphon(tmp_path / "home", {**variables, "VIRTUAL_ENV": str(python_with_pytest.parent.parent)})


def every_byte(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def git(workspace: Path, *args: str) -> str:
    command = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *args]
    return subprocess.run(command, cwd=workspace, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("with_git", [True, False], ids=["git", "no-git"])
def test_twenty_tasks_eight_at_once(
    tmp_path: Path, antiphon: Antiphon, server: ModelServer, with_git: bool
) -> None:
    workspace = tmp_path / "work space"
    copy_exercises(workspace)
    plan = write_plan(tmp_path / "plan.json")
    if with_git:
        git(workspace, "init", "-q", "-b", "main")
        git(workspace, "add", "-A")
        git(workspace, "commit", "-qm", "start")
    before = every_byte(workspace)

    run = antiphon(
        "run", "Solve the exercises", "--plan-file", plan, "--workspace", workspace,
        "--model", "openai/test-model", "--max-parallel", "8", "--approval", "auto", "--trust", "--json",
    )  # fmt: skip

    assert run.code == 1, run
    finished = run.last
    assert finished["type"] == "run_finished"
    assert finished["state"] == "partial"
    assert finished["tasks"] == {"merged": 18, "dead": 2}, run
    assert 1 < server.records.most_open <= 8
    by_name = {exercise.name: exercise for exercise in load_exercises()}
    dead = {event["taskId"]: event["reason"] for event in run.events if event["type"] == "task_dead"}
    assert set(dead) == {by_name[name].task_id for name in NEVER}
    feedback = {
        event["taskId"]: event["feedback"] for event in run.events if event["type"] == "attempt_failed"
    }
    for name in (*NEVER, *WRONG_FIRST):
        exercise = by_name[name]
        # A test that cannot be imported is told by its file, a file that does not parse by its own.
        names = (*exercise.test_names, *exercise.tests, exercise.main_file)
        assert any(test in feedback[exercise.task_id] for test in names), name
    assert every_byte(workspace) == before, "nothing is written before a decision"

    accepted = antiphon("accept", finished["runId"], "--all", "--workspace", workspace)
    assert accepted.code == 0, accepted
    for exercise in by_name.values():
        assert run_exercise(exercise, workspace).passed == (exercise.name not in NEVER), exercise.name
    if with_git:
        after = every_byte(workspace)
        changed_git = {
            path for path in before if path.startswith(".git/") and before[path] != after.get(path)
        }
        assert changed_git == set(), "the user's repository is never written"
        assert {path for path in after if path.startswith(".git/")} == {
            path for path in before if path.startswith(".git/")
        }
        assert git(workspace, "diff", "--cached", "--name-only") == ""

    undone = antiphon("undo", finished["runId"], "--workspace", workspace)
    assert undone.code == 0, undone
    assert every_byte(workspace) == before


def test_the_model_plans_when_no_plan_is_given(tmp_path: Path, antiphon: Antiphon) -> None:
    workspace = tmp_path / "w"
    copy_exercises(workspace, load_exercises()[:3])
    with ModelServer(Solver(load_exercises()[:3]), api_key="test-key") as server:
        antiphon.variables["OPENAI_BASE_URL"] = server.base_url
        run = antiphon(
            "run", "Solve the exercises", "--workspace", workspace, "--model", "openai/test-model",
            "--approval", "auto", "--trust", "--accept", "all", "--json",
        )  # fmt: skip
    kinds = [event["type"] for event in run.events]
    assert "plan_proposed" in kinds
    assert "plan_accepted" in kinds
    assert run.last["state"] in {"completed", "partial"}, run
