"""The reviewing role as a gate of a run: it blocks with evidence, and its calls are journaled and counted."""

import json
from pathlib import Path

import pytest

from orchestration import commands as cm
from orchestration import events as ev
from tests.orchestration.test_engine import Bench, events, options, run, says, task, writes

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
    assert [finding.rule for finding in state.findings.values()] == ["wrong-sign"]
    asked = [event for event in seen if isinstance(event, ev.TurnCompleted) and event.task_id == "review"]
    assert len(asked) == 2
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
