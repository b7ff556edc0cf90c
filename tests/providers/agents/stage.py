"""A folder, a launcher and a scripted ACP agent, for tests of how agents are driven."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.edge import SystemClock
from orchestration.workspace.local_launcher import LocalLauncher
from providers.agents.acp import AcpProvider
from providers.agents.acp_description import AcpDescription
from providers.agents.acp_session import Grace
from providers.base import AgentEvent, AgentResult, AgentTask, PermissionRequest

PROGRAM = Path(__file__).with_name("acp_agent.py")


@dataclass
class Heard:
    """What the engine's side was told and asked. `answer` is its word on every question."""

    answer: bool = True
    events: list[AgentEvent] = field(default_factory=list)
    asked: list[PermissionRequest] = field(default_factory=list)

    async def on_event(self, event: AgentEvent) -> None:
        self.events.append(event)

    async def ask(self, request: PermissionRequest) -> bool:
        self.asked.append(request)
        return self.answer

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def text(self, kind: str = "text") -> str:
        return "".join(event.text for event in self.events if event.kind == kind)


class Stage:
    def __init__(self, base: Path) -> None:
        self.folder = base / "folder"
        self.folder.mkdir()
        self.scratch = base / "scratch"
        self.scratch.mkdir()
        self._notes = base / "notes.jsonl"
        token = f"test-{os.getpid()}-{abs(hash(str(base))) % 10**9}"
        self.launcher = LocalLauncher(base / "ledger", token, clock=SystemClock(), grace_s=0.3)

    def provider(
        self,
        script: dict[str, Any],
        *,
        users: dict[str, str] | None = None,
        grace: Grace | None = None,
        program: str = sys.executable,
        **fields: Any,
    ) -> AcpProvider:
        given = {
            "command": ("python", str(PROGRAM), json.dumps(script)),
            "set": {"ACP_TEST_NOTES": str(self._notes)},
            "start_s": 30.0,
            "silence_s": 30.0,
            **fields,
        }
        return AcpProvider(
            "tester",
            AcpDescription(**given),
            program,
            processes=self.launcher,
            environment=users or {},
            grace=grace,
            version="1.2.3",
        )

    def task(self, **fields: Any) -> AgentTask:
        return AgentTask(**{"prompt": "Do it.", "folder": self.folder, "scratch": self.scratch, **fields})

    async def run(self, heard: Heard, task: AgentTask | None = None, /, **script: Any) -> AgentResult:
        return await self.provider(script).run(task or self.task(), on_event=heard.on_event, ask=heard.ask)

    def notes(self) -> Sequence[dict[str, Any]]:
        """What the agent wrote down."""
        if not self._notes.exists():
            return []
        return [json.loads(line) for line in self._notes.read_text(encoding="utf-8").splitlines()]

    def noted(self, name: str) -> Any:
        """The last note that has the field."""
        return next(note[name] for note in reversed(self.notes()) if name in note)
