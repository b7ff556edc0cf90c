"""What a run pins, and that it is what a resumed run works with, whatever the installation holds by then."""

from pathlib import Path

import msgspec
import pytest

from orchestration import commands as cm
from orchestration import events as ev
from orchestration.agents.roles import packaged_prompts, packaged_roles
from orchestration.agents.tools.catalogue import schemas
from orchestration.engine import Engine
from orchestration.quality.reviewer import PROMPT
from server.app import open_ports
from tests.orchestration.test_engine import Bench, events, options, says, task, writes

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_run_pins_every_prompt(bench: Bench) -> None:
    bench.rules(says(*writes("a.txt", "a\n"), task="a"))
    async with (
        open_ports(bench.root, settings=bench.settings, trusted=False, environ=bench.environ) as ports,
        Engine(ports) as engine,
    ):
        reply = await engine.submit(cm.StartRun(goal="g", options=options(), plan=(task("a"),)))
        state = await engine.wait(reply.run_id)
        body = await ports.journal.read_blob(reply.run_id, state.prompts)
    pinned = msgspec.json.decode(body, type=dict[str, str])
    assert pinned == packaged_prompts()
    assert PROMPT in pinned


@pytest.mark.parametrize("pinned", [True, False])
async def test_a_resumed_run_speaks_in_its_own_prompts(bench: Bench, *, pinned: bool) -> None:
    """Its journal is that of another version: one prompt reads otherwise, or, older still, none is pinned."""
    bench.rules(
        says(*writes("m.py", "def ("), task="t", attempt=1), says(*writes("m.py", "x = 1\n"), task="t")
    )
    async with open_ports(bench.root, settings=bench.settings, trusted=False, environ=bench.environ) as ports:
        created = ev.RunCreated(goal="g", workspace=str(bench.root), options=options(), version="0")
        writer = await ports.journal.create("run-old", created, ev.RunOwned(epoch=1, pid=ports.pid))
        roles = {name: await writer.put_blob(role.source.encode()) for name, role in packaged_roles().items()}
        prompts = await writer.put_blob(b'{"retry": "It went wrong before: {feedback}"}') if pinned else ""
        await writer.append(
            ev.DefinitionsPinned(roles=roles, tools=await writer.put_blob(schemas()), prompts=prompts),
            ev.PlanAccepted(tasks=(task("t"),)),
        )
        await writer.close()
    async with bench.engine() as engine:
        assert not (await engine.submit(cm.ResumeRun(run_id="run-old"))).error
        state = await engine.wait("run-old")
        seen = await events(engine, "run-old")
    assert state.end == "completed", state.reasons
    openings = [
        event.messages[0].text for event in seen if isinstance(event, ev.TurnStarted) and event.turn == 1
    ]
    words = "It went wrong before: " if pinned else "An earlier attempt at this task (attempt 1)"
    assert words in openings[1]
