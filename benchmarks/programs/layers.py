"""The plan that is measured: layers of ten tasks, each depending on the whole layer before."""

import json
from pathlib import Path

from benchmarks.programs.chat_client import instructions
from orchestration.graph_model import TaskSpec

WIDTH = 10


def tasks_of(count: int) -> tuple[TaskSpec, ...]:
    specs = []
    for number in range(count):
        first = number // WIDTH * WIDTH
        title, _, text = instructions(number).partition("\n\n")
        before = range(max(first - WIDTH, 0), first)
        depends_on = tuple(f"task-{earlier}" for earlier in before)
        specs.append(TaskSpec(id=f"task-{number}", title=title, instructions=text, depends_on=depends_on))
    return tuple(specs)


def write_plan(path: Path, count: int) -> None:
    """The same plan as a file for `antiphon run --plan-file`."""
    tasks = [
        {
            "id": spec.id,
            "title": spec.title,
            "instructions": spec.instructions,
            "depends_on": list(spec.depends_on),
        }
        for spec in tasks_of(count)
    ]
    path.write_text(json.dumps({"goal": "Measure the orchestration", "tasks": tasks}))
