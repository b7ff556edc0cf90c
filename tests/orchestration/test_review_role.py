"""The reviewing role as a gate of a run: it blocks with evidence, and its calls are journaled and counted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration import commands as cm
from orchestration import events as ev
from tests.orchestration.cutting import cut, ends_of_writes, recorded
from tests.orchestration.test_engine import FINISH, Bench, events, options, run, says, task, writes

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def review(*findings: dict[str, object], pattern: str) -> dict[str, object]:
    text = json.dumps({"findings": list(findings)})
    return {"match": {"role": "reviewer", "pattern": pattern}, "answer": {"text": text}}


async def test_a_defect_with_evidence_blocks_and_is_fed_back(bench: Bench) -> None:
    defect = {
        "path": "m.py",
        "line": 1,
        "severity": "error",
        "rule": "wrong-sign",
        "message": "the sign is wrong",
        "evidence": "x = -1",
    }
    invented = {**defect, "evidence": "y = 3"}
    bench.rules(
        review(defect, invented, pattern=r"x = -1"),
        review(pattern=r"x = 1"),
        says(*writes("m.py", "x = -1\n"), task="t", attempt=1),
        says(*writes("m.py", "x = 1\n"), task="t", attempt=2, pattern="the sign is wrong"),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("t"), review=True)
        seen = await events(engine, state.run_id)
    assert state.end == "completed", state.reasons
    gates = [event for event in seen if isinstance(event, ev.GateFinished) and event.gate == "review"]
    assert [gate.outcome for gate in gates] == ["blocked", "passed"]
    assert "1 report without evidence dropped" in gates[0].detail
    reported = [event.finding.rule for event in seen if isinstance(event, ev.FindingReported)]
    assert reported == ["wrong-sign"]
    assert not state.findings, "the text that it speaks of was thrown away with the attempt"
    asked = [event for event in seen if isinstance(event, ev.TurnCompleted) and event.task_id == "review:t"]
    assert [(event.attempt, event.turn) for event in asked] == [(1, 1), (2, 2)]
    assert state.tasks["t"].usage == state.usage, "what judging a task costs is the task's cost"
    total = sum(event.usage.total_tokens or 0 for event in seen if isinstance(event, ev.TurnCompleted))
    assert state.usage.total_tokens == total


async def test_without_the_option_nobody_reviews(bench: Bench) -> None:
    bench.rules(says(*writes("m.py", "x = 1\n"), task="t"))
    async with bench.engine() as engine:
        reply = await engine.submit(cm.StartRun(goal="g", options=options(), plan=(task("t"),)))
        state = await engine.wait(reply.run_id)
    assert state.end == "completed"


async def test_a_budget_that_ends_before_the_review_ends_the_run(bench: Bench) -> None:
    bench.rules(says(*writes("m.py", "x = 1\n"), task="t"), review(pattern="."))
    async with bench.engine() as engine:
        state = await run(engine, task("t"), review=True, budget={"tokens": 1})
    assert state.exhausted is not None
    assert state.exhausted.what == "tokens"
    assert (state.end, state.exit_code) == ("failed", 1)
    assert state.tasks["t"].status == "cancelled", "what was not reviewed does not merge"


async def test_an_answer_is_paid_for_once_wherever_the_run_was_stopped(bench: Bench) -> None:
    """The task is called as the reviewing conversations once were: its own conversation stays its own."""
    warning = {"path": "m.py", "line": 1, "severity": "warning", "message": "odd", "evidence": "x = 1"}
    bench.rules(
        review(warning, pattern="x = 1"),
        says(writes("m.py", "x = 1\n", done=False)[0], task="review", turn=1),
        says(FINISH, task="review", turn=2),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("review"), review=True)
        records = await recorded(engine, state.run_id)
    data = bench.settings.data_dir
    assert data is not None
    assert [finding.message for finding in state.findings.values()] == ["odd"]
    planned = next(record.seq for record in records if isinstance(record.event, ev.PlanAccepted))
    for seq in ends_of_writes(records):
        if seq < planned:
            continue
        kept = sum(isinstance(record.event, ev.TurnCompleted) for record in records[:seq])
        bench.settings = replace(
            bench.settings, data_dir=cut(data, state.run_id, seq, data.parent / f"cut-{seq}")
        )
        async with bench.engine() as engine:
            assert not (await engine.submit(cm.ResumeRun(run_id=state.run_id))).error
            again = await engine.wait(state.run_id)
            seen = await events(engine, state.run_id)
        turns = [(event.task_id, event.turn) for event in seen if isinstance(event, ev.TurnCompleted)]
        assert sorted(turns) == [("review", 1), ("review", 2), ("review:review", 1)], records[seq - 1].event
        assert len(turns) - kept == sum(isinstance(event, ev.TurnCompleted) for event in seen[seq:])
        assert (again.end, again.exit_code) == ("completed", 0)
        assert again.findings == state.findings
        assert again.usage == state.usage


@pytest.mark.parametrize(
    "answer",
    ["I see no defects.", '{"findings": "none"}', "[" * 100_000, '{"a":' * 100_000],
    ids=["prose", "no list", "a deep list", "a deep object"],
)
async def test_who_does_not_answer_with_findings_has_not_approved(bench: Bench, answer: str) -> None:
    bench.rules(
        {"match": {"role": "reviewer"}, "answer": {"text": answer}},
        says(*writes("m.py", "x = 1\n"), task="t"),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("t"), review=True)
    (gate,) = [gate for gate in state.tasks["t"].gates if gate.gate == "review"]
    assert (gate.outcome, state.tasks["t"].verified) == ("not_run", False)
    assert "not the list of findings" in gate.detail
    assert (state.end, state.exit_code) == ("completed", 1)


async def test_a_reviewer_is_asked_again_for_the_form(bench: Bench) -> None:
    bench.rules(
        review(pattern="not with the JSON object"),
        {"match": {"role": "reviewer"}, "answer": {"text": "Fine."}},
        says(*writes("m.py", "x = 1\n"), task="t"),
    )
    async with bench.engine() as engine:
        state = await run(engine, task("t"), review=True)
    assert [gate.outcome for gate in state.tasks["t"].gates if gate.gate == "review"] == ["passed"]
    assert (state.end, state.exit_code) == ("completed", 0), state.reasons


async def test_odd_reports_are_taken_as_far_as_they_go(bench: Bench) -> None:
    odd: dict[str, object] = {
        "path": "m.py",
        "line": "two",
        "severity": ["error"],
        "rule": None,
        "message": "\ud800",
        "evidence": "x = 1",
    }
    bench.rules(review(odd, pattern="x = 1"), says(*writes("m.py", "x = 1\n"), task="t"))
    async with bench.engine() as engine:
        state = await run(engine, task("t"), review=True)
    (finding,) = state.findings.values()
    assert (finding.severity, finding.rule, finding.message) == ("warning", "defect", "?")
    assert (state.end, state.exit_code) == ("completed", 0), state.reasons
