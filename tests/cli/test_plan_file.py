import json
from pathlib import Path

import pytest

from orchestration.errors import UsageError
from orchestration.graph_model import TaskSpec
from server.commands.plan_file import parse_plan, read_plan, written_plan

TASK = {"id": "a", "title": "A", "instructions": "Do a."}


def test_a_plan_in_yaml_and_the_same_in_json(tmp_path: Path) -> None:
    yaml_file = tmp_path / "plan.yaml"
    yaml_file.write_text(
        """\
goal: Mend the parser
tasks:
  - id: survey
    title: Look around
    instructions: |
      Read everything.
  - id: 7
    title: Mend
    instructions: Mend it.
    role: tester
    depends_on: [survey]
    paths: [src/a b.py]
    tests: [tests/test_a.py]
"""
    )
    plan = read_plan(yaml_file)
    assert plan.goal == "Mend the parser"
    assert plan.tasks == (
        TaskSpec(id="survey", title="Look around", instructions="Read everything.\n"),
        TaskSpec(
            id="7",
            title="Mend",
            instructions="Mend it.",
            role="tester",
            depends_on=("survey",),
            paths=("src/a b.py",),
            tests=("tests/test_a.py",),
        ),
    )
    json_file = tmp_path / "plan.json"
    tasks = [
        {"id": "survey", "title": "Look around", "instructions": "Read everything.\n"},
        {
            "id": 7,
            "title": "Mend",
            "instructions": "Mend it.",
            "role": "tester",
            "dependsOn": ["survey"],
            "paths": ["src/a b.py"],
            "tests": ["tests/test_a.py"],
        },
    ]
    json_file.write_text(json.dumps({"goal": "Mend the parser", "tasks": tasks}))
    assert read_plan(json_file) == plan
    json_file.write_text(json.dumps(tasks))
    assert read_plan(json_file).tasks == plan.tasks
    assert read_plan(json_file).goal == ""


def test_a_plan_written_for_editing_reads_back(tmp_path: Path) -> None:
    tasks = (
        TaskSpec(id="a", title="Ä: 'quoted'", instructions="One.\n\nTwo.", tests=("t.py",)),
        TaskSpec(id="b", title="B", instructions="x", role="writer", depends_on=("a",), model="openai/x"),
    )
    assert parse_plan(written_plan(tasks), source="edited").tasks == tasks


def test_thousands_of_tasks(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(
        "".join(
            f"- id: t{n}\n  title: Task {n}\n  instructions: Do it.\n  depends_on: [{f't{n - 1}' if n else ''}]\n"
            for n in range(3000)
        )
    )
    assert len(read_plan(file).tasks) == 3000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must be a list of tasks"),
        ("just text", "must be a list of tasks"),
        ("tasks: []", "has no tasks"),
        ("taks: []", "unknown key `taks`; did you mean `tasks`?"),
        ("goal: [1]\ntasks: []", "`goal` must be text"),
        ("- a\n- b", "task 1 must be a mapping with id, title and instructions, not 'a'"),
        ([{**TASK, "depend_on": []}], "task 1 (a): unknown key `depend_on`; did you mean `depends_on`?"),
        ([{"id": "a", "title": "A"}], "task 1 (a) has no `instructions`"),
        ([{"title": "A", "instructions": "x"}], "task 1 has no `id`"),
        ([{**TASK, "depends_on": "b"}], "task 1 (a): `depends_on` must be a list; write [b]"),
        ([{**TASK, "tests": [1.5]}], "`tests` must be text, not 1.5; quote it"),
        ([{**TASK, "title": True}], "task 1 (a): `title` must be text, not True; quote it"),
        ([TASK, TASK], "two tasks have the id 'a'"),
        ([{**TASK, "depends_on": ["b"]}], "depends on 'b', which is no task of the plan"),
        ([{**TASK, "role": "wizard"}], "names the role 'wizard'; the roles are"),
        ([{**TASK, "id": "a b"}], "task id 'a b' is not usable"),
        (
            [{**TASK, "depends_on": ["b"]}, {**TASK, "id": "b", "depends_on": ["a"]}],
            "the tasks depend on each other in a circle: a -> b -> a",
        ),
        ("- id: a\n  title: [", "is not valid YAML: "),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_wrong_plan_names_the_task_and_the_key(content: str | list[object], message: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(UsageError) as caught:
        parse_plan(text, source="plan.yaml")
    assert message in str(caught.value)
    assert "plan.yaml" in str(caught.value)


@pytest.mark.parametrize(("data", "message"), [(b"\xff\xfe", "is not UTF-8"), (b"{", "is not valid JSON")])
def test_a_file_that_cannot_be_read(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "plan.json"
    file.write_bytes(data)
    with pytest.raises(UsageError, match=message):
        read_plan(file)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist; correct --plan-file"):
        read_plan(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="cannot be read"):
        read_plan(tmp_path)
