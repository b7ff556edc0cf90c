"""Gates as a run meets them: real runs of pytest in a trusted workspace, from an attempt to the final tree."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestration import commands as cm
from orchestration import events as ev
from orchestration.engine import EngineFront
from orchestration.graph_model import TaskSpec
from orchestration.run import RunState
from server.app import open_engine
from tests.orchestration.test_engine import FINISH, Bench, events, says, task, writes

pytestmark = pytest.mark.anyio

SUM = {
    "a.py": "A = 1\n",
    "b.py": "B = 1\n",
    "test_sum.py": "import a\nimport b\n\ndef test_sum():\n    assert a.A + b.B <= 3, 'too much in all'\n",
}
STUB = "def f():\n    raise NotImplementedError\n"


class Trusted(Bench):
    """A trusted workspace whose tests run in an environment with pytest."""

    def __init__(self, folder: Path, python: Path) -> None:
        super().__init__(folder)
        self.environ = {**self.environ, "VIRTUAL_ENV": str(python.parent.parent)}

    def files(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            self.write(path, text)

    @asynccontextmanager
    async def opened(self, *, trusted: bool = True, interactive: bool = False) -> AsyncIterator[EngineFront]:
        async with open_engine(
            self.root, settings=self.settings, trusted=trusted, environ=self.environ, interactive=interactive
        ) as engine:
            yield engine


@pytest.fixture
def bench(tmp_path: Path, python_with_pytest: Path) -> Trusted:
    return Trusted(tmp_path, python_with_pytest)


async def start(engine: EngineFront, *tasks: TaskSpec, **changes: Any) -> str:
    wanted = {"model": "scripted/script", "approval": "auto", **changes}
    reply = await engine.submit(cm.StartRun(goal="goal", options=ev.RunOptions(**wanted), plan=tasks))
    assert not reply.error, reply.error
    return reply.run_id


async def run(engine: EngineFront, *tasks: TaskSpec, **changes: Any) -> RunState:
    return await engine.wait(await start(engine, *tasks, **changes))


async def answered(engine: EngineFront, run_id: str, decision: str) -> list[ev.ApprovalRequested]:
    """Answers every question of a run to its end; the questions."""
    asked = []
    async for item in engine.subscribe(run_id):
        if not isinstance(item, ev.Record):
            continue
        if isinstance(item.event, ev.ApprovalRequested):
            asked.append(item.event)
            answer = cm.ResolveApproval(
                run_id=run_id,
                approval_id=item.event.approval_id,
                decision=decision,  # type: ignore[arg-type]  # one of its literals
            )
            await engine.submit(answer)
        if isinstance(item.event, ev.RunFinished):
            break
    return asked


def said(state: RunState, task_id: str, gate: str = "tests") -> tuple[str, str]:
    found = next(item for item in state.tasks[task_id].gates if item.gate == gate)
    return found.outcome, found.detail


def final(state: RunState, gate: str = "tests") -> tuple[str, str]:
    found = next(item for item in state.final_gates if item.gate == gate)
    return found.outcome, found.detail


# --- attempts --------------------------------------------------------------------------------------


async def test_a_blocked_attempt_is_fed_back_with_the_failing_test(bench: Trusted) -> None:
    bench.files({"f.py": STUB, "test_f.py": "from f import f\n\ndef test_f():\n    assert f() == 'right'\n"})
    bench.rules(
        says(*writes("f.py", "def f():\n    return 'wrong'\n"), task="t", attempt=1),
        says(*writes("f.py", "def f():\n    return 'right'\n"), task="t", attempt=2),
    )
    async with bench.opened() as engine:
        state = await run(engine, task("t"))
        seen = await events(engine, state.run_id)
    assert (state.end, state.exit_code) == ("completed", 0), state.reasons
    (failure,) = state.tasks["t"].failures
    assert failure.kind == "gate"
    assert "FAILED test_f.py::test_f" in failure.feedback
    openings = [
        item.messages[0].text
        for item in seen
        if isinstance(item, ev.TurnStarted) and item.turn == 1 and item.messages
    ]
    assert "FAILED test_f.py::test_f" not in openings[0]
    assert "FAILED test_f.py::test_f" in openings[1]
    assert "assert 'wrong' == 'right'" in openings[1]
    assert final(state) == ("passed", "1 other test passed; 1 file known from an equal tree")


async def test_other_failures_of_the_workspace_neither_block_nor_hide(bench: Trusted) -> None:
    mixed = "import f\n\ndef test_good():\n    assert f.N == 1\n\ndef test_bad():\n    assert f.N == 0\n"
    bench.files({"f.py": "N = 1\n", "test_mixed.py": mixed, "test_else.py": "def test_e():\n    assert 0\n"})
    keeps, breaks = "N = 1\nM = 2\n", "N = 2\n"
    bench.rules(
        says(*writes("f.py", breaks), task="t", attempt=1), says(*writes("f.py", keeps), task="t", attempt=2)
    )
    async with bench.opened() as engine:
        state = await run(engine, task("t", tests=("test_mixed.py::test_good",)))
    assert (state.end, state.exit_code) == ("completed", 0), state.reasons
    assert "test_mixed.py::test_good" in state.tasks["t"].failures[0].feedback
    assert said(state, "t") == ("passed", "1 own test passed; 2 failed before, too")


# --- the merged tree -------------------------------------------------------------------------------


async def test_dead_letters_do_not_block_the_final_tree(bench: Trusted) -> None:
    test = "from {0} import f\n\ndef test_{0}():\n    assert f() == '{0}'\n"
    for name in ("x", "y"):
        bench.files({f"{name}/{name}.py": STUB, f"{name}/test_{name}.py": test.format(name)})
    bench.rules(
        says(*writes("x/x.py", "def f():\n    return 'x'\n"), task="x"),
        says(*writes("y/y.py", "def f():\n    return 'z'\n"), task="y"),
    )
    async with bench.opened() as engine:
        state = await run(engine, task("x"), task("y"))
    assert state.counts() == {"merged": 1, "dead": 1}
    assert (state.end, state.exit_code) == ("partial", 1)
    assert final(state)[0] == "passed"
    (reason,) = state.reasons
    assert reason.startswith("y is a dead letter after 3 attempts: tests: 1 of 1 own tests fail")


async def test_what_only_breaks_together_becomes_a_repair(bench: Trusted) -> None:
    """Each task is green alone. The repair must pass the tests that blocked, at its own gate already."""
    bench.files(SUM)
    bench.rules(
        says(*writes("a.py", "A = 2\n"), task="a"),
        says(*writes("b.py", "B = 2\n"), task="b"),
        says(*writes("b.py", "B = 3\n"), task="repair", attempt=1),
        says(*writes("b.py", "B = 1\n"), task="repair", attempt=2),
    )
    async with bench.opened() as engine:
        state = await run(engine, task("a"), task("b"))
        gates = [
            (item.outcome, item.detail)
            for item in await events(engine, state.run_id)
            if isinstance(item, ev.GateFinished) and item.gate == "tests" and item.task_id is None
        ]
    assert said(state, "a")[0] == said(state, "b")[0] == "passed"
    assert gates[0] == ("blocked", "breaks 1 test: test_sum.py::test_sum")
    repair = state.tasks["repair"]
    assert repair.spec.kind == "repair"
    assert repair.spec.tests == ("test_sum.py::test_sum",)
    assert "too much in all" in repair.spec.instructions
    assert [failure.kind for failure in repair.failures] == ["gate"]
    assert gates[-1][0] == "passed"
    assert (state.end, state.exit_code) == ("completed", 0), state.reasons


async def test_what_parses_only_apart_becomes_a_repair(bench: Trusted) -> None:
    """A body of two statements of which each task takes away one; without trust, since nothing is started."""
    lines = ["def f():", "    one = 1", *(f"    # {number}" for number in range(9)), "    two = 2", ""]
    bench.files({"f.py": "\n".join(lines)})

    def drops(search: str) -> list[tuple[str, dict[str, Any]]]:
        edits = [{"search": search, "replace": ""}]
        return [("edit_file", {"path": "f.py", "edits": edits}), FINISH]

    bench.rules(
        says(*drops("    one = 1\n"), task="a"),
        says(*drops("    two = 2\n"), task="b"),
        says(*writes("f.py", "def f():\n    pass\n"), task="repair"),
    )
    async with bench.opened(trusted=False) as engine:
        state = await run(engine, task("a"), task("b"))
        seen = await events(engine, state.run_id)
    outcomes = [
        (item.task_id, item.outcome)
        for item in seen
        if isinstance(item, ev.GateFinished) and item.gate == "syntax"
    ]
    assert outcomes[-3:] == [(None, "blocked"), ("repair", "passed"), (None, "passed")]
    assert "f.py" in state.tasks["repair"].spec.instructions
    assert (state.end, state.exit_code) == ("completed", 0), state.reasons
    assert not state.findings, "what the first judgement found is mended"


async def test_what_no_gate_concerns_is_said_and_changes_no_exit(bench: Trusted) -> None:
    bench.files({"f.py": "N = 1\n"})
    bench.rules(
        says(*writes("notes.txt", "read me\n"), task="notes"), says(*writes("x.odd", "((\n"), task="odd")
    )
    async with bench.opened() as engine:
        state = await run(engine, task("notes"), task("odd"))
    for name in ("notes", "odd"):
        assert said(state, name, "syntax")[0] == said(state, name)[0] == "not_applicable"
        assert state.tasks[name].verified
    assert final(state)[0] == "not_applicable"
    assert (state.end, state.exit_code, state.reasons) == ("completed", 0, ())


async def test_a_repair_that_fails_leaves_a_blocked_run(bench: Trusted) -> None:
    bench.files(SUM)
    bench.rules(
        says(*writes("a.py", "A = 2\n"), task="a"),
        says(*writes("b.py", "B = 2\n"), task="b"),
        says(FINISH, task="repair"),
    )
    async with bench.opened() as engine:
        state = await run(engine, task("a"), task("b"))
    assert state.counts() == {"merged": 2, "dead": 1}
    assert (state.end, state.exit_code) == ("partial", 1)
    assert final(state)[0] == "blocked"
    assert any("the merged result: the tests gate blocks" in reason for reason in state.reasons)
    assert state.changes is not None, "what there is can still be looked at"


# --- people ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", ["once", "reject"])
async def test_a_changed_test_needs_a_person(bench: Trusted, decision: str) -> None:
    bench.files({"f.py": "N = 1\n", "test_f.py": "import f\n\ndef test_f():\n    assert f.N == 1\n"})
    weaker = ("write_file", {"path": "test_f.py", "content": "import f\n\ndef test_f():\n    assert f.N\n"})
    bench.rules(
        says(weaker, *writes("f.py", "N = 2\n"), task="t", attempt=1),
        says(*writes("f.py", "N = 1\nM = 2\n"), task="t"),
    )
    async with bench.opened(interactive=True) as engine:
        run_id = await start(engine, task("t"))
        asked = await answered(engine, run_id, decision)
        state = await engine.wait(run_id)
    assert [(item.kind, item.subject) for item in asked] == [
        ("protected_change", "change of tests: test_f.py")
    ]
    assert "With their former version 1 of 1 tests fail." in asked[0].detail
    assert (state.end, state.exit_code) == ("completed", 0), state.reasons
    if decision == "once":
        assert not state.tasks["t"].failures
        assert "a person approved the change of test_f.py" in said(state, "t")[1]
    else:
        assert "Give these files their former content" in state.tasks["t"].failures[0].feedback


async def test_nobody_is_asked_before_a_process_is_needed(bench: Trusted) -> None:
    bench.files(
        {"notes.md": "", "f.py": "N = 0\n", "test_f.py": "import f\n\ndef test_f():\n    assert f.N\n"}
    )
    bench.rules(
        says(*writes("notes.md", "read\n"), task="notes"),
        says(*writes("f.py", "N = False\n"), task="t", attempt=1),
        says(*writes("f.py", "N = 1\n"), task="t", attempt=2),
    )
    async with bench.opened(interactive=True) as engine:
        run_id = await start(engine, task("notes"), approval="ask")
        assert await answered(engine, run_id, "once") == []
        assert said(await engine.wait(run_id), "notes")[0] == "not_applicable"
        run_id = await start(engine, task("t"), approval="ask")
        asked = await answered(engine, run_id, "once")
        state = await engine.wait(run_id)
    assert [item.task_id for item in asked if item.task_id] == ["t"], "once for both attempts"
    assert state.tasks["t"].attempt == 2
    assert (state.end, state.exit_code) == ("completed", 0), state.reasons


@pytest.mark.parametrize(
    ("trusted", "approval", "why"),
    [
        (False, "auto", "the workspace is not trusted"),
        (True, "never", "approval is `never`"),
        (True, "ask", "nobody can be asked here"),
    ],
)
async def test_what_may_not_run_is_not_run_and_merges_unverified(
    bench: Trusted, *, trusted: bool, approval: str, why: str
) -> None:
    bench.files({"f.py": "N = 0\n", "test_f.py": "import f\n\ndef test_f():\n    assert f.N\n"})
    bench.rules(says(*writes("f.py", "N = 1\n"), task="t"))
    async with bench.opened(trusted=trusted) as engine:
        state = await run(engine, task("t"), approval=approval)
    outcome, detail = said(state, "t")
    assert outcome == "not_run"
    assert why in detail
    assert not state.tasks["t"].verified
    assert (state.end, state.exit_code) == ("completed", 1)
    assert any("merged unverified" in reason for reason in state.reasons)
