"""A storm of 429s over a real run: fifty tasks at once, two keys, and every request counted at the server."""

import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from providers.retry_budget import BudgetRule
from tests.e2e.command_line import Antiphon
from tests.model_server import Answer, ModelServer, Plain, Reply, ToolCall
from tests.model_server.requests import ModelRequest

TASKS = 50
CALLS_OF_A_TASK = 2
A_WINDOW = 8  # calls that a key may make in a second


class Throttled:
    """Lets so many calls of an account pass in each second; the others are told to come back."""

    def __init__(self, *, says_when: bool) -> None:
        self.served: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._says_when = says_when
        self._lock = threading.Lock()
        self._window: dict[str, tuple[int, int]] = {}

    def respond(self, request: ModelRequest, /) -> Reply:
        account = request.headers["x-account"]
        with self._lock:
            now = int(time.monotonic())
            since, passed = self._window.get(account, (now, 0))
            passed = passed if since == now else 0
            self._window[account] = (now, passed + 1)
            if passed >= A_WINDOW:
                self.refused[account] += 1
                headers = {"Retry-After": "1"} if self._says_when else {}
                return Plain(429, b'{"error":{"message":"too many requests"}}', headers=headers)
            self.served[account] += 1
        if request.turn == 0:
            path = f"{request.title.lower().replace(' ', '-')}.txt"
            return Answer(calls=(ToolCall("write_file", {"path": path, "content": "x\n"}),))
        return Answer(calls=(ToolCall("finish", {"summary": "Done."}),))


@pytest.mark.parametrize("says_when", [True, False])
def test_a_storm_fails_no_task_and_stays_within_the_retry_budget(tmp_path: Path, says_when: bool) -> None:
    antiphon = Antiphon(tmp_path / "home")
    throttled = Throttled(says_when=says_when)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    with ModelServer(throttled, strict=False, models=()) as server:
        config = antiphon.home / ".config" / "antiphon" / "config.toml"
        config.parent.mkdir(parents=True)
        tables = [
            f'[providers.{name}]\napi = "openai"\nbase_url = "{server.base_url}"\napi_key = "key-{name}"\n'
            f'headers = {{ "X-Account" = "{name}" }}'
            for name in ("a", "b")
        ]
        config.write_text("\n".join(tables))
        plan = tmp_path / "plan.json"
        tasks = [
            {
                "id": f"task-{number}",
                "title": f"Task {number}",
                "instructions": "Write the file.",
                "model": f"{'ab'[number % 2]}/m",
            }
            for number in range(TASKS)
        ]
        plan.write_text(json.dumps({"goal": "Fifty files", "tasks": tasks}))
        done = antiphon(
            "run", "--plan-file", plan, "--workspace", workspace, "--model", "a/m", "--trust",
            "--max-parallel", str(TASKS), "--json",
        )  # fmt: skip
    assert done.code == 0, done
    assert done.last["tasks"] == {"merged": TASKS}
    assert not [event for event in done.events if event["type"] in {"turn_failed", "attempt_failed"}]
    calls = TASKS * CALLS_OF_A_TASK
    assert throttled.served == {"a": calls // 2, "b": calls // 2}
    assert sum(throttled.refused.values()) > 0, "there was a storm"
    requests = server.records.completions()
    assert len(requests) == calls + sum(throttled.refused.values())
    rule = BudgetRule()
    elapsed = requests[-1].arrived_at - requests[0].arrived_at
    allowed = rule.reserve + rule.per_call * calls + rule.per_second * elapsed
    assert sum(throttled.refused.values()) <= allowed
