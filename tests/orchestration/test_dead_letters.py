"""Dead letters tried again over the real engine: with a word of the user's, with what was skipped for them."""

from pathlib import Path

import pytest

from orchestration import commands as cm
from orchestration import events as ev
from tests.orchestration.test_engine import FINISH, Bench, events, run, says, task, writes

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_dead_letter_is_tried_again_with_a_note_and_its_dependents_come_back(bench: Bench) -> None:
    noted = says(*writes("bad.py", "x = 1\n"), task="bad")
    noted["match"]["text"] = "mind the brackets"
    bench.rules(
        noted,
        says(*writes("bad.py", "def ("), task="bad"),
        says(*writes("after.py", "y = 2\n"), task="after"),
        says(FINISH, task="good"),
    )
    async with bench.engine() as engine:
        first = await run(engine, task("bad"), task("after", "bad"), task("good"))
        assert first.counts() == {"dead": 1, "skipped": 1, "merged": 1}
        reply = await engine.submit(
            cm.ResumeRun(run_id=first.run_id, retry=cm.Retry(note="Please mind the brackets."))
        )
        assert not reply.error
        state = await engine.wait(first.run_id)
        assert (state.end, state.exit_code) == ("completed", 0)
        assert state.tasks["bad"].attempt == 4
        started = [
            event.task_id
            for event in await events(engine, first.run_id)
            if isinstance(event, ev.TaskStarted) and event.task_id == "good"
        ]
        assert started == ["good"], "what was merged is not done again"
        await engine.submit(cm.DecideHunks(run_id=state.run_id, decision="accept", all=True))
    assert (bench.read("bad.py"), bench.read("after.py")) == ("x = 1\n", "y = 2\n")


async def test_it_has_as_many_attempts_as_a_new_task(bench: Bench) -> None:
    bench.rules(says(*writes("bad.py", "def ("), task="bad"))
    async with bench.engine() as engine:
        first = await run(engine, task("bad"), budget={"attempts": 2})
        await engine.submit(cm.ResumeRun(run_id=first.run_id, retry=cm.Retry(task_ids=("bad",))))
        state = await engine.wait(first.run_id)
    assert state.tasks["bad"].attempt == 4
    assert state.tasks["bad"].status == "dead"


@pytest.mark.parametrize(
    ("retry", "kind", "words"),
    [
        (cm.Retry(task_ids=("bda",)), "NotFoundError", "did you mean 'bad'?"),
        (cm.Retry(task_ids=("good",)), "UsageError", "good is merged, not a dead letter"),
        (cm.Retry(model="nobody/model"), "ProviderConfigurationError", "nobody"),
    ],
)
async def test_what_cannot_be_tried_again_is_refused(
    bench: Bench, retry: cm.Retry, kind: str, words: str
) -> None:
    bench.rules(says(*writes("bad.py", "def ("), task="bad"), says(FINISH, task="good"))
    async with bench.engine() as engine:
        first = await run(engine, task("bad"), task("good"), budget={"attempts": 1})
        reply = await engine.submit(cm.ResumeRun(run_id=first.run_id, retry=retry))
        assert (reply.error_kind, words in reply.error) == (kind, True), reply
        assert (await engine.state(first.run_id)).end == "partial"


async def test_a_run_without_one_says_so(bench: Bench) -> None:
    bench.rules(says(FINISH, task="good"))
    async with bench.engine() as engine:
        first = await run(engine, task("good"))
        reply = await engine.submit(cm.ResumeRun(run_id=first.run_id, retry=cm.Retry()))
    assert "no dead letter" in reply.error
