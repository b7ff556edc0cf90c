"""The exercises under `tests/fixtures` as values: their texts, tests, reference solutions, and a plan of them.

Works for any pair of folders of the same shape, so that other exercises can be served too.
"""

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
EXERCISES = FIXTURES / "exercises"
SOLUTIONS = FIXTURES / "solutions"
DELETE = "DELETE"

_TEST_FILE = re.compile(r"test_.*\.py|.*_test\.py|.*\.(test|spec)\.[cm]?[jt]s")
_TEST_NAME = re.compile(r"""def (test_\w+)|\b(?:test|it)\(\s*(["'`])(.+?)\2""")
_CODE_SUFFIXES = (".py", ".mjs", ".js", ".sh", ".sql")
_IGNORED = shutil.ignore_patterns("__pycache__", ".pytest_cache", "*.pyc")


@dataclass(frozen=True)
class Exercise:
    """Paths are relative to `folder`, in POSIX form."""

    name: str
    folder: Path
    solution: dict[str, bytes]
    """The content of every file that the reference adds or changes."""
    deleted: tuple[str, ...]
    """The files that the reference takes away."""

    @property
    def title(self) -> str:
        return f"Solve {self.name}"

    @property
    def task_id(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @cached_property
    def instructions(self) -> str:
        """What stands in the plan: where the exercise is, then its INSTRUCTIONS.md, line ends as LF."""
        text = (self.folder / "INSTRUCTIONS.md").read_text(encoding="utf-8").strip()
        return f"The exercise is in the folder `{self.name}`; the paths below are relative to it.\n\n{text}"

    @cached_property
    def tests(self) -> tuple[str, ...]:
        files = (
            path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
        )
        return tuple(
            sorted(p.relative_to(self.folder).as_posix() for p in files if _TEST_FILE.fullmatch(p.name))
        )

    @cached_property
    def test_names(self) -> tuple[str, ...]:
        """Functions and titles of the tests, as a runner prints them for a failure."""
        text = "\n".join((self.folder / path).read_text(encoding="utf-8") for path in self.tests)
        return tuple(match[1] or match[3] for match in _TEST_NAME.finditer(text))

    @property
    def runs_on_node(self) -> bool:
        return not any(path.endswith(".py") for path in self.tests)

    @property
    def needs_pytest(self) -> bool:
        """Its tests are plain functions, which unittest does not find."""
        return not self.runs_on_node and not any(
            "unittest.TestCase" in (self.folder / path).read_text(encoding="utf-8") for path in self.tests
        )

    @property
    def main_file(self) -> str:
        """The first file of code that the reference writes."""
        return next(path for path in self.solution if path.endswith(_CODE_SUFFIXES))

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file that the reference touches."""
        return (*self.solution, *self.deleted)

    def stub(self, path: str) -> bytes | None:
        """The file as the exercise gives it; None when the reference creates it."""
        file = self.folder / path
        return file.read_bytes() if file.is_file() else None


def load_exercises(exercises: Path = EXERCISES, solutions: Path = SOLUTIONS) -> list[Exercise]:
    """All exercises by name. ValueError for one without a solution or without instructions."""
    loaded = []
    for folder in sorted(path for path in exercises.iterdir() if path.is_dir() and path.name[0] not in "._"):
        reference = solutions / folder.name
        if not reference.is_dir() or not (folder / "INSTRUCTIONS.md").is_file():
            raise ValueError(
                f"{folder.name}: wants an INSTRUCTIONS.md and a folder of that name in {solutions}"
            )
        deletions = reference / DELETE
        files = sorted(
            p for p in reference.rglob("*") if p.is_file() and p != deletions and p.suffix != ".pyc"
        )
        loaded.append(
            Exercise(
                name=folder.name,
                folder=folder,
                solution={path.relative_to(reference).as_posix(): path.read_bytes() for path in files},
                deleted=tuple(deletions.read_text(encoding="utf-8").splitlines())
                if deletions.is_file()
                else (),
            )
        )
    return loaded


def copy_exercises(destination: Path, exercises: Iterable[Exercise] | None = None) -> None:
    """Copies the exercises into a folder (made when missing), which becomes a workspace."""
    destination.mkdir(parents=True, exist_ok=True)
    for exercise in load_exercises() if exercises is None else exercises:
        shutil.copytree(exercise.folder, destination / exercise.name, ignore=_IGNORED)


def apply_solution(exercise: Exercise, workspace: Path) -> None:
    """Brings the reference solution into a workspace that `copy_exercises` made."""
    folder = workspace / exercise.name
    for path in exercise.deleted:
        (folder / path).unlink()
    for path, content in exercise.solution.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def plan_of(exercises: Sequence[Exercise]) -> dict[str, Any]:
    """A plan with one independent task per exercise; its paths are relative to the workspace."""
    return {
        "tasks": [
            {
                "id": exercise.task_id,
                "title": exercise.title,
                "role": "coder",
                "instructions": exercise.instructions,
                "depends_on": [],
                "paths": [f"{exercise.name}/{path}" for path in exercise.paths],
                "tests": [f"{exercise.name}/{path}" for path in exercise.tests],
            }
            for exercise in exercises
        ]
    }


def write_plan(path: Path, exercises: Sequence[Exercise] | None = None) -> Path:
    """Writes the plan as JSON, for `--plan-file`; returns the path."""
    plan = plan_of(load_exercises() if exercises is None else exercises)
    path.write_text(json.dumps(plan, ensure_ascii=False, indent=2), encoding="utf-8")
    return path
