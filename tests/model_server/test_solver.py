"""The solver against a small agent loop of our own: it speaks the wire, applies the calls and runs the tests.

The loop is no part of Antiphon. It shows that the contract alone (tool names, titles, fed-back output) leads to
thirteen exercises solved at once, five on the retry and two never.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.exercises_test_support import NODE, run_exercise
from tests.model_server import Answer, ModelRequest, ModelServer, Solver, ToolCall
from tests.model_server.edit_calls import edit_calls, model_text, search_replace, write_calls
from tests.model_server.exercises import Exercise, copy_exercises, load_exercises, plan_of
from tests.model_server.solver import EDITED, NEVER, OUTCOMES, WRONG_FIRST, is_retry

ALL = load_exercises()
each = pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.task_id)
TOOLS = ["read_file", "list_files", "edit_file", "write_file", "move_file", "delete_file", "finish"]


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


def converse(server: ModelServer, first: str, workspace: Path) -> str:
    """One attempt: talks and applies calls until `finish`; the summary."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You code."},
        {"role": "user", "content": first},
    ]
    for _ in range(6):
        response = httpx2.post(
            f"{server.base_url}/chat/completions",
            json={"model": "test-model", "messages": messages, "tools": [tool(name) for name in TOOLS]},
        )
        assert response.status_code == 200, response.text
        message = response.json()["choices"][0]["message"]
        messages.append(message)
        for call in message["tool_calls"]:
            name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
            if name == "finish":
                summary: str = arguments["summary"]
                return summary
            result = apply(ToolCall(name, arguments), workspace)
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    raise AssertionError("the model never finished")


def apply(call: ToolCall, workspace: Path) -> str:
    """Does what a call says, keeping line ends and byte order mark of the file."""
    assert isinstance(call.arguments, dict)
    path = workspace / call.arguments["path"]
    if call.name == "read_file":
        return model_text(path.read_bytes())
    if call.name == "list_files":
        return "\n".join(sorted(child.name for child in path.iterdir()))
    if call.name == "delete_file":
        path.unlink()
    elif call.name == "move_file":
        path.rename(workspace / call.arguments["to"])
    elif call.name == "write_file":
        path.write_text(call.arguments["content"], encoding="utf-8")
    elif call.name == "edit_file":
        before = path.read_bytes()
        text = model_text(before)
        for edit in call.arguments["edits"]:
            assert text.count(edit["search"]) == 1
            text = text.replace(edit["search"], edit["replace"])
        mark = b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b""
        path.write_bytes(mark + text.replace("\n", "\r\n" if b"\r\n" in before else "\n").encode())
    else:
        raise AssertionError(f"{call.name} is not in the contract")
    return "done"


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_thirteen_at_once_five_on_the_retry_two_never(tmp_path: Path) -> None:
    copy_exercises(tmp_path)
    needed: dict[str, int | None] = {}
    with ModelServer(Solver()) as server:
        for exercise in ALL:
            first = f"{exercise.title}\n\n{exercise.instructions}\n\nThese tests must pass: {exercise.tests}"
            for attempt in (1, 2, 3):
                assert exercise.name in converse(server, first, tmp_path)
                tested = run_exercise(exercise, tmp_path)
                if tested.passed:
                    needed[exercise.name] = attempt
                    break
                first = f"{exercise.title}\n\n{exercise.instructions}\n\nThe tests say:\n{tested.output}"
            else:
                needed[exercise.name] = None
        attempts = server.records.attempts_by_task()
    assert Counter(needed.values()) == {1: 13, 2: 5, None: 2}
    assert {name for name, attempt in needed.items() if attempt == 2} == set(WRONG_FIRST)
    assert {name for name, attempt in needed.items() if attempt is None} == set(NEVER)
    assert sum(attempts.values()) == 13 + 5 * 2 + 2 * 3
    assert attempts["Solve lending-desk"] == 3


def test_the_table_names_exercises() -> None:
    names = {exercise.name for exercise in ALL}
    assert set(OUTCOMES) <= names
    assert names >= EDITED
    assert not EDITED & set(OUTCOMES)


@each
def test_calls_lead_to_the_reference_byte_by_byte(exercise: Exercise, tmp_path: Path) -> None:
    makers = [edit_calls] if exercise.name in EDITED else [edit_calls, write_calls]
    for position, make in enumerate(makers):
        workspace = tmp_path / str(position)
        copy_exercises(workspace, [exercise])
        for call in (call for turn in make(exercise) for call in turn):
            apply(call, workspace)
        folder = workspace / exercise.name
        assert {path: (folder / path).read_bytes() for path in exercise.solution} == exercise.solution
        assert not any((folder / path).exists() for path in exercise.deleted)


def test_all_kinds_of_change_are_made() -> None:
    calls = [
        call.name
        for exercise in ALL
        for turn in (edit_calls if exercise.name in EDITED else write_calls)(exercise)
        for call in turn
    ]
    assert set(calls) == {"write_file", "edit_file", "move_file", "delete_file"}


@each
def test_a_wrong_answer_is_another_exercises_solution(exercise: Exercise) -> None:
    call = Solver().wrong_call(exercise)
    assert isinstance(call.arguments, dict)
    others = {model_text(c) for other in ALL if other is not exercise for c in other.solution.values()}
    assert call.arguments["content"] in others
    assert call.arguments["path"] == f"{exercise.name}/{exercise.main_file}"


@each
def test_a_retry_is_known_by_the_gates_output_alone(exercise: Exercise) -> None:
    first = f"{exercise.title}\n\n{exercise.instructions}\n\nTests: {', '.join(exercise.tests)}"
    assert not is_retry(first, exercise)
    assert is_retry(f"{first}\n\n{exercise.test_names[0]} did not pass", exercise)
    assert is_retry(f"{first}\n\nFAILED {exercise.tests[0]}", exercise)
    assert is_retry(f"{first}\n\nnot ok 1 - something", exercise)


def test_the_planner_gets_the_plan_in_one_call() -> None:
    with ModelServer(Solver()) as server:
        answer = httpx2.post(
            f"{server.base_url}/chat/completions",
            json={
                "model": "test-model",
                "messages": [{"role": "user", "content": "Solve all exercises"}],
                "tools": [tool("submit_plan")],
            },
        ).json()
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "submit_plan"
    assert json.loads(call["function"]["arguments"]) == plan_of(ALL)


def test_an_unknown_task_is_finished_and_noted() -> None:
    solver = Solver()
    raw = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Resolve a conflict"}]}).encode()
    reply = solver.respond(ModelRequest(index=0, method="POST", path="/", headers={}, raw=raw))
    assert isinstance(reply, Answer)
    assert [call.name for call in reply.calls] == ["finish"]
    assert solver.unknown_titles == ["Resolve a conflict"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nb\nc\n", "a\nB\nc\n"),
        ("x\n" * 20 + "y\n" + "x\n" * 20, "x\n" * 20 + "z\n" + "x\n" * 20),
        ("a\nb\n", "a\nb\nc"),
        ("no end", "no end\n"),
        ("a\n" * 9, "a\n" * 4 + "b\n" + "a\n" * 5),
    ],
)
def test_search_blocks_are_unique(before: str, after: str) -> None:
    text = before
    for search, replace in search_replace(before, after):
        assert before.count(search) == text.count(search) == 1
        text = text.replace(search, replace)
    assert text == after
