"""Real ACP agents, from their packages: what is left after an interrupt, and going on with a session."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from orchestration.edge import SystemClock
from orchestration.workspace.local_launcher import LocalLauncher
from providers.agents.acp import AcpProvider
from tests.agents.real_acp import AGENTS, DESCRIBED, USAGE, Real, left_alive
from tests.providers.agents.stage import Heard, Stage
from tests.providers.aimock import running


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("name", list(AGENTS))
def test_an_interrupted_run_leaves_no_process(name: str, tmp_path: Path) -> None:
    real = Real(tmp_path, name)
    slow = {
        "match": {},
        "response": {"content": "late"},
        "streamingProfile": {"ttft": 100_000},
        "latency": 100_000,
    }
    with running([slow], tmp_path) as mock, real.started(mock) as run:
        assert run.stdout is not None
        assert any('"agent_session"' in line for line in run.stdout)
        run.send_signal(signal.SIGINT)
        run.stdout.read()
        assert run.wait(30) != 0
    assert left_alive(real.antiphon.home) == []


@pytest.mark.parametrize("name", [name for name in AGENTS if DESCRIBED[name].resumes])
@pytest.mark.anyio
async def test_a_session_is_gone_on_with(name: str, tmp_path: Path) -> None:
    real, stage, heard, session = Real(tmp_path, name), Stage(tmp_path), Heard(), ""
    fixtures: list[dict[str, Any]] = [
        {"match": {"userMessage": "SECOND"}, "response": {"content": "Second answer.", "usage": USAGE}},
        {"match": {}, "response": {"content": "First answer.", "usage": USAGE}},
    ]
    with running(fixtures, tmp_path) as mock:
        real.prepare(mock)
        launcher = LocalLauncher(
            tmp_path / "processes", "test-real", clock=SystemClock(), inherited=real.antiphon.environment()
        )
        provider = AcpProvider(
            name,
            real.description,
            str(real.program),
            processes=launcher,
            environment=real.antiphon.variables,
        )
        for prompt in ("Begin.", "SECOND: go on."):
            task = stage.task(prompt=prompt, session=session or None)
            result = await provider.run(task, on_event=heard.on_event, ask=heard.ask)
            assert result.ok
            assert session in {"", result.session}
            session = result.session or ""
        await launcher.aclose()
        bodies = [json.dumps(entry["body"]) for entry in mock.journal()]
    assert heard.text().count("First answer.") == 1
    assert heard.text().endswith("Second answer.")
    # Bodies of more than 64 KB are not kept by the mock.
    assert any("First answer." in body or "truncated by aimock" in body for body in bodies)
