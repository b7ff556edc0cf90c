"""The whole engine over its real adapters: SQLite, the shadow repository, the user's files. Only the model
is scripted.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from orchestration import commands as cm
from orchestration import events as ev
from orchestration.engine import EngineFront
from orchestration.graph_model import TaskSpec
from orchestration.run import RunState
from server.app import open_engine
from server.settings import ProviderSettings, Settings

pytestmark = pytest.mark.anyio
Rule = dict[str, Any]


def says(*calls: tuple[str, dict[str, Any]], delay: float = 0.0, text: str = "", **match: Any) -> Rule:
    """A rule: a call that matches gets these tool calls."""
    answer = {"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in calls]}
    return {"match": match, "answer": {**answer, "delay_s": delay, "text": text}}


def writes(path: str, content: str, *, done: bool = True) -> list[tuple[str, dict[str, Any]]]:
    calls: list[tuple[str, dict[str, Any]]] = [("write_file", {"path": path, "content": content})]
    return [*calls, ("finish", {"summary": f"wrote {path}"})] if done else calls


FINISH = ("finish", {"summary": "done"})


class Bench:
    """A workspace, a data folder and a script."""

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        self.root = folder / "work"
        self.root.mkdir(parents=True, exist_ok=True)
        self.script = folder / "script.yaml"
        self.settings = Settings(
            model="scripted/script",
            approval="never",
            providers=ProviderSettings(scripts=folder),
            data_dir=data or folder / "data",
        )
        self.environ = {"HOME": str(folder), "PATH": "/usr/local/bin:/usr/bin:/bin"}

    def rules(self, *rules: Rule) -> None:
        self.script.write_text(yaml.safe_dump(list(rules)))

    def engine(self, **options: Any) -> AbstractAsyncContextManager[EngineFront]:
        return open_engine(self.root, settings=self.settings, trusted=False, environ=self.environ, **options)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def options(**changes: Any) -> ev.RunOptions:
    budget = ev.Budget(**changes.pop("budget", {}))
    return ev.RunOptions(model="scripted/script", approval="never", budget=budget, **changes)


def task(name: str, *needs: str, **more: Any) -> TaskSpec:
    return TaskSpec(id=name, title=f"Do {name}", instructions=f"Please do {name}.", depends_on=needs, **more)


async def run(engine: EngineFront, *tasks: TaskSpec, **changes: Any) -> RunState:
    reply = await engine.submit(cm.StartRun(goal="goal", options=options(**changes), plan=tasks or None))
    assert not reply.error, reply.error
    return await engine.wait(reply.run_id)


async def events(engine: EngineFront, run_id: str) -> list[ev.Event]:
    found = []
    async for item in engine.subscribe(run_id):
        if isinstance(item, ev.Record):
            found.append(item.event)
            if isinstance(item.event, ev.RunFinished):
                break
    return found


# --- the graph -------------------------------------------------------------------------------------


async def test_a_task_sees_its_dependencies_and_nothing_else(bench: Bench) -> None:
    bench.write("start.txt", "start\n")
    bench.rules(
        says(*writes("a.txt", "a\n"), task="a"),
        says(*writes("b.txt", "b\n"), task="b"),
        says(("list_files", {}), task="c", turn=1),
        says(FINISH, task="c", text="a.txt"),
        says(("read_file", {"path": "b.txt"}), task="d", turn=1),
        says(FINISH, task="d", turn=2),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("a"), task("b"), task("c", "a"), task("d", "a"))
        tools = {
            (event.task_id, event.tool): event
            for event in await events(engine, state.run_id)
            if isinstance(event, ev.ToolFinished)
        }
    assert state.end == "completed"
    assert state.exit_code == 0
    assert tools["c", "list_files"].text == "a.txt\nstart.txt"
    assert tools["d", "read_file"].is_error


async def test_a_dead_letter_takes_its_dependents_and_leaves_the_rest(bench: Bench) -> None:
    bench.rules(
        says(*writes("bad.py", "def ("), task="bad"),
        says(*writes("good.py", "x = 1\n"), task="good"),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("bad"), task("after", "bad"), task("good"))
    assert state.counts() == {"dead": 1, "skipped": 1, "merged": 1}
    assert (state.end, state.exit_code) == ("partial", 1)
    dead = state.tasks["bad"]
    assert dead.attempt == 3
    assert "syntax" in dead.reason
    assert "bad.py" in dead.failures[0].feedback
    assert "needs bad (Do bad), which failed" in state.tasks["after"].reason


async def test_a_retry_starts_from_the_same_files_with_the_feedback(bench: Bench) -> None:
    bench.write("m.py", "x = 1\n")
    bench.rules(
        says(*writes("junk.py", "def ("), task="t", attempt=1),
        says(("list_files", {}), task="t", attempt=2, turn=1, pattern="Do t\n\nPlease do t."),
        says(*writes("m.py", "x = 2\n"), task="t", attempt=2, turn=2),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("t"))
        seen = await events(engine, state.run_id)
    assert state.end == "completed"
    opening = [
        event.messages[0].text
        for event in seen
        if isinstance(event, ev.TurnStarted) and event.turn == 1 and event.messages
    ]
    assert opening[0].startswith("Do t\n\nPlease do t.")
    assert opening[1].startswith("Do t\n\nPlease do t.")
    assert "junk.py" in opening[1]
    listed = next(
        event.text for event in seen if isinstance(event, ev.ToolFinished) and event.tool == "list_files"
    )
    assert listed == "m.py"


async def test_parallel_results_that_touch_different_lines_merge(bench: Bench) -> None:
    bench.write("f.txt", "".join(f"line {number}\n" for number in range(20)))
    bench.rules(
        says(
            ("edit_file", {"path": "f.txt", "edits": [{"search": "line 2\n", "replace": "LINE 2\n"}]}),
            FINISH,
            task="a",
        ),
        says(
            ("edit_file", {"path": "f.txt", "edits": [{"search": "line 17\n", "replace": "LINE 17\n"}]}),
            FINISH,
            task="b",
        ),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("a"), task("b"))
        reply = await engine.submit(cm.DecideHunks(run_id=state.run_id, decision="accept", all=True))
        assert not reply.error
    assert "LINE 2\n" in bench.read("f.txt")
    assert "LINE 17\n" in bench.read("f.txt")


async def test_a_merge_conflict_becomes_a_task(bench: Bench) -> None:
    bench.write("f.txt", "one\ntwo\nthree\n")
    bench.rules(
        says(*writes("f.txt", "one\nA\nthree\n"), task="a"),
        says(*writes("f.txt", "one\nB\nthree\n"), task="b"),
        says(("read_file", {"path": "f.txt"}), task="merge-1", turn=1),
        says(*writes("f.txt", "one\nA and B\nthree\n"), task="merge-1", turn=2),
        says(("read_file", {"path": "f.txt"}), task="after", turn=1),
        says(FINISH, task="after", turn=2),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("a"), task("b"), task("after", "a", "b"))
        seen = await events(engine, state.run_id)
        await engine.submit(cm.DecideHunks(run_id=state.run_id, decision="accept", all=True))
    assert state.end == "completed", state.reasons
    assert state.tasks["merge-1"].spec.kind == "conflict"
    read = {
        event.task_id: event.text
        for event in seen
        if isinstance(event, ev.ToolFinished) and event.tool == "read_file"
    }
    assert "<<<<<<<" in read["merge-1"]
    assert read["after"] == "one\nA and B\nthree\n"
    assert bench.read("f.txt") == "one\nA and B\nthree\n"


async def test_delegation_gives_back_the_slot_and_takes_the_result(bench: Bench) -> None:
    bench.rules(
        says(
            ("write_file", {"path": "mine.txt", "content": "mine\n"}),
            ("delegate", {"title": "Part", "instructions": "Do the part.", "role": "coder"}),
            task="t",
            turn=1,
        ),
        says(("read_file", {"path": "mine.txt"}), task="t.1", turn=1),
        says(*writes("part.txt", "part\n"), task="t.1", turn=2),
        says(("read_file", {"path": "part.txt"}), task="t", turn=2),
        says(FINISH, task="t", turn=3),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("t"), max_parallel=1)
        await engine.submit(cm.DecideHunks(run_id=state.run_id, decision="accept", all=True))
    assert state.end == "completed", state.reasons
    assert state.tasks["t.1"].spec.parent == "t"
    assert bench.read("part.txt") == "part\n"
    assert bench.read("mine.txt") == "mine\n"


# --- the plan --------------------------------------------------------------------------------------


def planned(*tasks: tuple[str, list[str]]) -> tuple[str, dict[str, Any]]:
    wanted = [
        {"id": name, "title": name, "role": "coder", "instructions": f"do {name}", "depends_on": needs}
        for name, needs in tasks
    ]
    return ("submit_plan", {"tasks": wanted})


async def test_an_invalid_plan_goes_back_with_the_reason(bench: Bench) -> None:
    bench.rules(
        says(planned(("a", ["b"]), ("b", ["a"])), role="lead", turn=1),
        says(planned(("a", [])), role="lead", turn=2, pattern="in a circle"),
        says(FINISH, task="a"),
    )
    async with bench.engine() as engine:
        state = await run(engine)
    assert (state.end, list(state.tasks)) == ("completed", ["a"])


async def test_three_invalid_plans_fail_the_run_with_the_reason(bench: Bench) -> None:
    bench.rules(says(planned(("a", ["ghost"])), role="lead"))
    async with bench.engine() as engine:
        state = await run(engine)
        refused = [e for e in await events(engine, state.run_id) if isinstance(e, ev.PlanRefused)]
    assert (state.end, state.exit_code, len(refused)) == ("failed", 1, 3)
    assert "'ghost', which is no task" in state.reasons[0]


async def test_a_plan_waits_for_confirmation_and_may_be_edited(bench: Bench) -> None:
    bench.rules(says(planned(("a", []), ("b", [])), role="lead"), says(FINISH, role="coder"))
    async with bench.engine(interactive=True) as engine:
        reply = await engine.submit(cm.StartRun(goal="g", options=options(plan="confirm")))
        state = await until(engine, reply.run_id, lambda state: state.phase == "confirming")
        assert [spec.id for spec in state.proposed_plan] == ["a", "b"]
        await engine.submit(cm.DecidePlan(run_id=reply.run_id, accept=True, plan=(task("c"),)))
        state = await engine.wait(reply.run_id)
    assert (state.end, list(state.tasks)) == ("completed", ["c"])


async def test_a_rejected_plan_ends_the_run(bench: Bench) -> None:
    bench.rules(says(planned(("a", [])), role="lead"))
    async with bench.engine(interactive=True) as engine:
        reply = await engine.submit(cm.StartRun(goal="g", options=options(plan="confirm")))
        await until(engine, reply.run_id, lambda state: state.phase == "confirming")
        await engine.submit(cm.DecidePlan(run_id=reply.run_id, accept=False))
        state = await engine.wait(reply.run_id)
    assert (state.end, state.exit_code) == ("failed", 1)
    assert "was not accepted" in state.reasons[0]


async def until(engine: EngineFront, run_id: str, holds: Callable[[RunState], bool]) -> RunState:
    with anyio.fail_after(20):
        async for _ in engine.subscribe(run_id):
            state = await engine.state(run_id)
            if holds(state):
                return state
    raise AssertionError("the run ended first")


# --- ends ------------------------------------------------------------------------------------------


async def test_cancelling_a_run_ends_it_readable(bench: Bench) -> None:
    bench.rules(says(*writes("a.txt", "a\n"), task="a"), says(FINISH, task="slow", delay=60))
    async with bench.engine() as engine:
        reply = await engine.submit(
            cm.StartRun(goal="g", options=options(), plan=(task("a"), task("slow", "a")))
        )
        await until(
            engine, reply.run_id, lambda state: state.tasks["slow"].turn == 1 if state.tasks else False
        )
        assert not (await engine.submit(cm.CancelRun(run_id=reply.run_id))).error
        state = await engine.wait(reply.run_id)
        assert (await engine.runs())[0].state == "cancelled"
    assert (state.end, state.exit_code) == ("cancelled", 130)
    assert state.tasks["a"].status == "merged"
    assert state.tasks["slow"].status == "cancelled"


async def test_cancelling_a_task_skips_what_needs_it(bench: Bench) -> None:
    bench.rules(says(FINISH, task="slow", delay=60), says(*writes("b.txt", "b\n"), task="b"))
    async with bench.engine() as engine:
        plan = (task("slow"), task("after", "slow"), task("b"))
        reply = await engine.submit(cm.StartRun(goal="g", options=options(), plan=plan))
        await until(
            engine, reply.run_id, lambda state: state.tasks["slow"].turn == 1 if state.tasks else False
        )
        await engine.submit(cm.CancelRun(run_id=reply.run_id, task_id="slow"))
        state = await engine.wait(reply.run_id)
    assert state.counts() == {"cancelled": 1, "skipped": 1, "merged": 1}
    assert state.end == "partial"


@pytest.mark.parametrize("budget", [{"tokens": 1}, {"wall_seconds": 0.2}], ids=["tokens", "seconds"])
async def test_a_used_up_budget_ends_the_run(bench: Bench, budget: dict[str, Any]) -> None:
    bench.rules(
        says(*writes("a.txt", "a\n"), task="a"),
        says(FINISH, task="b", delay=60 if "wall_seconds" in budget else 0),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("a"), task("b", "a"), budget=budget)
    assert (state.end, state.exit_code) == ("partial", 1)
    assert "is used up" in state.reasons[0]
    assert state.exhausted is not None


async def test_a_limit_in_usd_needs_prices(bench: Bench) -> None:
    bench.rules(says(FINISH))
    async with bench.engine() as engine:
        reply = await engine.submit(
            cm.StartRun(goal="g", options=options(budget={"usd": 1.0}), plan=(task("a"),))
        )
    assert reply.exit_code == 2
    assert "--max-tokens" in reply.error


async def test_a_provider_fault_that_stays_makes_a_dead_letter_at_once(bench: Bench) -> None:
    bench.rules(
        {"match": {"task": "a"}, "fault": {"kind": "authentication", "message": "key refused"}},
        says(FINISH, task="b"),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("a"), task("b"))
    assert state.tasks["a"].attempt == 1
    assert "key refused" in state.tasks["a"].reason
    assert state.tasks["b"].status == "merged"


# --- surviving -------------------------------------------------------------------------------------


async def test_a_closed_engine_leaves_the_run_to_be_resumed(bench: Bench) -> None:
    bench.rules(
        says(*writes("a.txt", "a\n"), task="a"),
        says(*writes("b.txt", "b\n", done=False), task="b", turn=1),
        says(FINISH, task="b", turn=2, delay=60),
    )
    async with bench.engine() as engine:
        plan = (task("a"), task("b", "a"))
        reply = await engine.submit(cm.StartRun(goal="g", options=options(), plan=plan))
        await until(engine, reply.run_id, lambda state: state.tasks["b"].turn == 2 if state.tasks else False)
    bench.rules(says(FINISH, task="b", turn=2))
    async with bench.engine() as engine:
        assert (await engine.runs())[0].state == "interrupted"
        assert not (await engine.submit(cm.ResumeRun(run_id=reply.run_id))).error
        state = await engine.wait(reply.run_id)
        seen = await events(engine, reply.run_id)
    assert (state.end, state.exit_code) == ("completed", 0)
    turns = [(e.task_id, e.turn) for e in seen if isinstance(e, ev.TurnCompleted)]
    assert sorted(turns) == [("a", 1), ("b", 1), ("b", 2)], "no finished turn is paid for again"
    assert state.tasks["b"].attempt == 1
    assert state.tasks["b"].changed == ("b.txt",)


async def test_the_same_key_starts_one_run(bench: Bench) -> None:
    bench.rules(says(FINISH))
    async with bench.engine() as engine:
        command = cm.StartRun(goal="g", options=options(), plan=(task("a"),), idempotency_key="k")
        first, second = await engine.submit(command), await engine.submit(command)
        assert first.run_id == second.run_id
        await engine.wait(first.run_id)
        assert len(await engine.runs()) == 1


async def test_a_second_engine_follows_cancels_and_decides_through_the_inbox(bench: Bench) -> None:
    bench.rules(says(*writes("a.txt", "a\n"), task="a"), says(FINISH, task="slow", delay=60))
    async with bench.engine() as owner, bench.engine() as other:
        plan = (task("a"), task("slow", "a"))
        reply = await owner.submit(cm.StartRun(goal="g", options=options(), plan=plan))
        await until(
            other, reply.run_id, lambda state: state.tasks["slow"].turn == 1 if state.tasks else False
        )
        answer = await other.submit(cm.CancelRun(run_id=reply.run_id))
        assert not answer.error, answer.error
        state = await other.wait(reply.run_id)
        assert state.end == "cancelled"


async def test_nothing_valid_comes_of_unknown_things(bench: Bench) -> None:
    bench.rules(says(FINISH))
    async with bench.engine() as engine:
        for command in (
            cm.ResumeRun(run_id="run-none"),
            cm.CancelRun(run_id="run-none"),
            cm.DecideHunks(run_id="run-none", decision="accept", all=True),
            cm.UndoDecision(run_id="run-none"),
        ):
            reply = await engine.submit(command)
            assert reply.error_kind == "NotFoundError", reply
        bad = replace_model("nobody/model")
        reply = await engine.submit(cm.StartRun(goal="g", options=bad, plan=(task("a"),)))
        assert reply.exit_code == 2
        assert "nobody" in reply.error
        state = await run(engine, task("a"))
        again = await engine.submit(cm.CancelRun(run_id=state.run_id))
        assert "ended already" in again.error
        unknown = await engine.submit(cm.DecideHunks(run_id=state.run_id, decision="accept", path="a.py"))
        assert "no changes" in unknown.error
        nothing = await engine.submit(cm.DecideHunks(run_id=state.run_id, decision="accept", all=True))
        assert (nothing.error, nothing.files) == ("", ())


def replace_model(model: str) -> ev.RunOptions:
    return ev.RunOptions(model=model)


# --- decisions -------------------------------------------------------------------------------------


@asynccontextmanager
async def changed(bench: Bench) -> AsyncIterator[tuple[EngineFront, str]]:
    bench.write("f.txt", "".join(f"{number}\n" for number in range(30)))
    after = "".join(f"{'X' if number in {2, 15, 28} else number}\n" for number in range(30))
    bench.rules(
        says(("write_file", {"path": "f.txt", "content": after}), *writes("new.txt", "new\n"), task="a")
    )
    async with bench.engine() as engine:
        state = await run(engine, task("a"))
        assert state.end == "completed", state.reasons
        yield engine, state.run_id


async def test_hunks_follow_the_users_edits_and_conflicts_are_named(bench: Bench) -> None:
    async with changed(bench) as (engine, run_id):
        text = bench.read("f.txt").replace("15\n", "fifteen\n")
        bench.write("f.txt", "mine\n" + text)
        view = await engine.changes(run_id)
        hunks = {hunk.start_line: hunk for hunk in view.hunks() if hunk.path == "f.txt"}
        assert [hunk.state for hunk in hunks.values()] == ["proposed", "conflict", "proposed"]
        assert list(hunks) == [3, 16, 29]
        reply = await engine.submit(cm.DecideHunks(run_id=run_id, decision="accept", path="f.txt"))
        assert reply.exit_code == 1
        assert "changed since" in reply.error
        expected = [str(number) for number in range(30)]
        expected[2], expected[15], expected[28] = "X", "fifteen", "X"
        assert bench.read("f.txt") == "mine\n" + "".join(f"{line}\n" for line in expected)
        assert not (bench.root / "new.txt").exists()


async def test_reject_writes_nothing_and_undo_opens_it_again(bench: Bench) -> None:
    async with changed(bench) as (engine, run_id):
        before = bench.read("f.txt")
        (first, *_) = (await engine.changes(run_id)).hunks()
        await engine.submit(cm.DecideHunks(run_id=run_id, decision="reject", hunk_ids=(first.hunk_id,)))
        assert (await engine.changes(run_id)).hunks()[0].state == "rejected"
        assert bench.read("f.txt") == before
        assert not (await engine.submit(cm.UndoDecision(run_id=run_id))).error
        assert (await engine.changes(run_id)).hunks()[0].state == "proposed"


async def test_undo_keeps_what_the_user_did_since(bench: Bench) -> None:
    async with changed(bench) as (engine, run_id):
        before = bench.read("f.txt")
        accepted = await engine.submit(cm.DecideHunks(run_id=run_id, decision="accept", all=True))
        assert not accepted.error
        assert bench.read("new.txt") == "new\n"
        bench.write("f.txt", bench.read("f.txt") + "mine\n")
        undone = await engine.submit(cm.UndoDecision(run_id=run_id, decision_id=accepted.decision_id))
        assert not undone.error, undone.error
        assert bench.read("f.txt") == before + "mine\n"
        assert not (bench.root / "new.txt").exists()
        assert {hunk.state for hunk in (await engine.changes(run_id)).hunks()} == {"proposed"}


async def test_undo_that_cannot_be_is_refused_and_changes_nothing(bench: Bench) -> None:
    async with changed(bench) as (engine, run_id):
        await engine.submit(cm.DecideHunks(run_id=run_id, decision="accept", all=True))
        touched = bench.read("f.txt").replace("X\n", "Y\n")
        bench.write("f.txt", touched)
        undone = await engine.submit(cm.UndoDecision(run_id=run_id))
        assert undone.exit_code == 1
        assert bench.read("f.txt") == touched
        assert bench.read("new.txt") == "new\n"


async def test_protected_paths_are_never_accepted_with_all(bench: Bench) -> None:
    bench.settings = replace(bench.settings)
    bench.rules(says(*writes("AGENTS.md", "be nice\n"), task="a"))
    async with bench.engine() as engine:
        state = await run(engine, task("a"))
        tool = next(
            event for event in await events(engine, state.run_id) if isinstance(event, ev.ToolFinished)
        )
    assert tool.is_error
    assert "protected" in tool.text


async def test_models_write_null_for_what_they_leave_out(bench: Bench) -> None:
    bench.write("a.txt", "one\ntwo\n")
    loose = {"id": "a", "title": "A", "instructions": "do", "role": None, "depends_on": None, "tests": None}
    bench.rules(
        says(("submit_plan", {"tasks": [loose]}), role="lead"),
        says(
            ("read_file", {"path": "a.txt", "offset": None, "limit": "1"}),
            ("list_files", {"path": None, "glob": None}),
            task="a",
            turn=1,
        ),
        says(("finish", {"summary": None}), task="a", turn=2),
    )
    async with bench.engine() as engine:
        state = await run(engine)
        texts = [e.text for e in await events(engine, state.run_id) if isinstance(e, ev.ToolFinished)]
    assert state.end == "completed", state.reasons
    assert texts[1].startswith("one\n")
    assert texts[2] == "a.txt"
