"""What an external agent says while it works, as events of the run: text, tools, usage, its session.

A session's id is durable when it is seen, so that a crash can be gone on from; so is, now and then, the tree as
it stands. Nothing here believes the agent about its files.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from orchestration import events as ev
from orchestration.budget import Spending
from orchestration.live_run import LiveRun
from orchestration.ports import Clock
from providers.base import AgentEvent
from providers.usage import Usage

TEXT_KEPT = 60_000
RESULT_KEPT = 4_000
KEEP_TREE_EVERY_S = 5.0
MOST_CALLS = 2_000  # of an attempt, in the journal; a program may say what it likes as often as it likes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Who reports: an agent at a turn of an attempt. `keep_tree` stores the files as they are now and gives the
    id of the tree; None for an agent that could not go on from it.
    """

    live: LiveRun
    spending: Spending
    clock: Clock
    agent: str
    task_id: str
    attempt: int
    turn: int
    folder: str
    keep_tree: Callable[[], Awaitable[str]] | None


@dataclass(slots=True)
class Reports:
    """`usage` is the sum of what was reported, None when nothing was; `text` the end of what it said."""

    reporter: Reporter
    text: str = ""
    usage: Usage | None = None
    _session: str = ""
    _calls: dict[str, tuple[str, str]] = field(default_factory=dict)
    _count: int = 0
    _results: int = 0
    _tree: str = ""
    _kept_at: float = 0.0

    async def take(self, event: AgentEvent) -> None:
        """Raises SpentError when what was spent reaches a limit of the run."""
        reporter = self.reporter
        match event.kind:
            case "text":
                self.text = (self.text + event.text)[-TEXT_KEPT:]
                reporter.live.delta(reporter.task_id, event.text)
            case "remark":
                reporter.live.delta(reporter.task_id, f"[{reporter.agent}: {event.text}]\n")
            case "session":
                await self._see_session(event.session)
            case "usage":
                await self._spend(event.usage)
            case "tool":
                await self._begin_tool(event)
            case "tool_result":
                await self._end_tool(event)

    async def _see_session(self, session: str) -> None:
        if session and session != self._session:
            self._session = session
            reporter = self.reporter
            seen = ev.AgentSession(task_id=reporter.task_id, attempt=reporter.attempt, session=session)
            await reporter.live.record(seen)

    async def _spend(self, usage: Usage) -> None:
        reporter = self.reporter
        self.usage = usage if self.usage is None else self.usage + usage
        await reporter.live.record(
            ev.AgentUsage(task_id=reporter.task_id, attempt=reporter.attempt, usage=usage)
        )
        reporter.spending.add_reported(usage)
        reporter.spending.check()

    async def _begin_tool(self, event: AgentEvent) -> None:
        reporter = self.reporter
        self._count += 1
        if self._count > MOST_CALLS:
            return
        call_id = event.call_id or f"call-{self._count}"
        if call_id in self._calls:
            return  # said again with more about it
        self._calls[call_id] = (event.tool, event.subject)
        await reporter.live.record(
            ev.ToolStarted(
                task_id=reporter.task_id,
                attempt=reporter.attempt,
                turn=reporter.turn,
                call_id=call_id,
                tool=event.tool or "tool",
                subject=self.inside(event.subject),
            )
        )

    async def _end_tool(self, event: AgentEvent) -> None:
        reporter = self.reporter
        self._results += 1
        if self._results > MOST_CALLS:
            return
        call_id = event.call_id or f"call-{self._count}"
        tool, subject = self._calls.pop(call_id, ("", ""))
        await reporter.live.record(
            ev.ToolFinished(
                task_id=reporter.task_id,
                attempt=reporter.attempt,
                turn=reporter.turn,
                call_id=call_id,
                tool=event.tool or tool or "tool",
                text=event.text[:RESULT_KEPT],
                is_error=event.is_error,
                subject=self.inside(event.subject or subject),
                tree=await self._kept_tree() if event.edits else "",
            )
        )

    async def _kept_tree(self) -> str:
        """Empty where a tree is of no use, is the one of last time, or was kept a moment ago."""
        reporter = self.reporter
        now = reporter.clock.monotonic()
        if reporter.keep_tree is None or now - self._kept_at < KEEP_TREE_EVERY_S:
            return ""
        self._kept_at = now
        before, self._tree = self._tree, await reporter.keep_tree()
        return "" if self._tree == before else self._tree

    def inside(self, subject: str) -> str:
        """A short subject, with paths of the agent's folder as paths of the workspace."""
        folder = self.reporter.folder
        return subject.replace(f"{folder}/", "").replace(folder, ".")[:200]
