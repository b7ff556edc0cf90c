"""Work-done progress: one token per run, one per task at work, opened, kept up to date and always ended.

What should be shown is computed from the state of the run; this keeps the client's tokens equal to it, at
most ten times a second and only while the client keeps up, so nothing piles up for a slow one.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from orchestration.events import Delta, Record
from orchestration.graph_model import PLAN_TASK
from orchestration.run import ENDED, RunState
from server.client import Client
from server.crew import Crew
from server.jsonrpc import RpcError
from server.plain_text import one_line
from server.waits import Wait, Waits

logger = logging.getLogger(__name__)
_INTERVAL_S = 0.1
_CREATE_WITHIN_S = 30.0

# A run, or a task of it.
Subject = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Bar:
    title: str
    message: str
    percentage: int | None = None


@dataclass(slots=True)
class _Token:
    name: str
    shown: Bar | None = None
    failed: bool = False


class Progress:
    def __init__(self, client: Client, tasks: Crew) -> None:
        self._client = client
        self._tasks = tasks
        self._numbers = itertools.count(1)
        self._tokens: dict[Subject, _Token] = {}
        self._subjects: dict[str, Subject] = {}
        self._runs: dict[str, RunState] = {}
        self._dirty: dict[str, None] = {}
        self._waits: dict[str, Waits] = {}
        self._wake = anyio.Event()

    def changed(self, state: RunState) -> None:
        """A run or one of its tasks may look different now."""
        if not self._client.profile.progress:
            return
        self._runs[state.run_id] = state
        self._dirty[state.run_id] = None
        self._wake.set()

    def published(self, state: RunState, item: Record | Delta) -> None:
        """What the run published, pieces of answers included: a task may begin or end to wait for a limit."""
        wait = self._waits.setdefault(state.run_id, Waits()).take(item)
        if wait is not None:
            self.changed(state)
            # Its end is no event: what is shown of it must go all the same.
            over = max(0.0, wait.until - time.time()) + _INTERVAL_S
            asyncio.get_running_loop().call_later(over, self.changed, state)

    def subject_of(self, token: object) -> Subject | None:
        """What the client wants to cancel."""
        return self._subjects.get(token) if isinstance(token, str) else None

    @property
    def open_tokens(self) -> int:
        return len(self._tokens)

    async def keep(self) -> None:
        """Runs until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            await self._client.room()
            dirty, self._dirty = self._dirty, {}
            for run_id in dirty:
                self._bring_up_to_date(self._runs[run_id])
            await anyio.sleep(_INTERVAL_S)

    def _bars(self, state: RunState) -> dict[Subject, Bar]:
        waits = self._waits.get(state.run_id)
        return bars(state, {} if waits is None else waits.now(time.time()))

    def _bring_up_to_date(self, state: RunState) -> None:
        wanted = self._bars(state)
        over = [key for key in self._tokens if key[0] == state.run_id and key not in wanted]
        for subject in sorted(over, key=lambda key: key[1] is None):  # tasks before their run
            self._end(subject, last_word(state, subject[1]))
        for subject, bar in wanted.items():
            token = self._tokens.get(subject)
            if token is None:
                token = self._tokens[subject] = _Token(f"antiphon-{next(self._numbers)}")
                self._subjects[token.name] = subject
                self._tasks.start_soon(self._create, token, state)
            elif token.shown is not None and token.shown != bar:
                self._send(token, _report(bar))
                token.shown = bar
        if not wanted:
            del self._runs[state.run_id]
            self._waits.pop(state.run_id, None)

    async def _create(self, token: _Token, state: RunState) -> None:
        try:
            with anyio.fail_after(_CREATE_WITHIN_S):
                await self._client.ask("window/workDoneProgress/create", {"token": token.name})
        except (RpcError, TimeoutError) as error:
            logger.info("the client refused a progress token: %s", error)
            token.failed = True
            return
        subject = self._subjects.get(token.name)
        bar = self._bars(state).get(subject) if subject is not None else None
        if subject is None or bar is None:
            # It ended before the client knew of it: a token that never began needs no end.
            self._forget(subject, token)
            return
        token.shown = bar
        begin = {"kind": "begin", "title": bar.title, "cancellable": True, "message": bar.message}
        self._send(token, begin if bar.percentage is None else begin | {"percentage": bar.percentage})

    def _end(self, subject: Subject, message: str) -> None:
        token = self._tokens[subject]
        if token.shown is not None:
            self._send(token, {"kind": "end", "message": message})
        self._forget(subject, token)

    def _forget(self, subject: Subject | None, token: _Token) -> None:
        self._subjects.pop(token.name, None)
        if subject is not None and self._tokens.get(subject) is token:
            del self._tokens[subject]

    def _send(self, token: _Token, value: Mapping[str, Any]) -> None:
        if not token.failed:
            self._client.notify("$/progress", {"token": token.name, "value": value})


def _report(bar: Bar) -> dict[str, Any]:
    report: dict[str, Any] = {"kind": "report", "message": bar.message}
    return report if bar.percentage is None else report | {"percentage": bar.percentage}


def bars(state: RunState, waits: Mapping[str, Wait] | None = None) -> dict[Subject, Bar]:
    """What is to be shown of a run: nothing once it has finished. `waits`: for limits of providers, by task."""
    if state.phase == "finished":
        return {}
    waits = waits or {}
    shown: dict[Subject, Bar] = {(state.run_id, None): _run_bar(state, waits.get(PLAN_TASK))}
    for task in state.tasks.values():
        if task.status in {"running", "waiting"}:
            doing = "waiting" if task.status == "waiting" else task.activity or "starting"
            if (wait := waits.get(task.spec.id)) is not None:
                doing = _waiting(wait)
            again = f"attempt {task.attempt}: " if task.attempt > 1 else ""
            title = f"Antiphon task: {one_line(task.spec.title or task.spec.id, 60)}"
            shown[state.run_id, task.spec.id] = Bar(title, one_line(f"{again}{doing}", 100))
    return shown


def _waiting(wait: Wait) -> str:
    """With the time of day at which it ends: a report is not renewed by the second."""
    end = time.strftime("%H:%M:%S", time.localtime(wait.until))
    return f"waits until {end} for {one_line(wait.reason, 40) or 'its provider'}"


def _run_bar(state: RunState, planning: Wait | None) -> Bar:
    title = f"Antiphon: {one_line(state.goal, 60)}"
    if planning is not None and state.phase == "planning":
        return Bar(title, f"planning {_waiting(planning)}")
    if state.phase != "running":
        return Bar(title, "the plan waits for you" if state.phase == "confirming" else "planning")
    counts = state.counts()
    total, done = len(state.tasks), sum(counts.get(status, 0) for status in ENDED)
    message = f"{done}/{total} tasks, {counts.get('running', 0)} at work"
    if state.approvals:
        message += ", waiting for your approval"
    return Bar(title, f"{message}{spent(state)}", done * 100 // total if total else 0)


def spent(state: RunState) -> str:
    """Cost and tokens, as far as they are known."""
    tokens, cost = state.usage.total_tokens, state.usage.cost_usd
    shown = f", {_count(tokens)} tokens" if tokens else ""
    return f"{shown}, ${cost:.2f}" if cost else shown


def _count(tokens: int) -> str:
    return str(tokens) if tokens < 1_000 else f"{tokens / 1_000:.0f}k"


def last_word(state: RunState, task_id: str | None) -> str:
    if task_id is not None:
        task = state.tasks.get(task_id)
        return task.status if task is not None else "ended"
    counts = ", ".join(f"{number} {status}" for status, number in sorted(state.counts().items()))
    return f"{state.end or 'ended'}{f': {counts}' if counts else ''}{spent(state)}"
