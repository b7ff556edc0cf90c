"""Events of a run as notifications, for clients that asked for them.

State events are read from the engine only as fast as the client takes them, so a slow client is served
from the journal later instead of from memory now, and misses none. Pieces of answers are joined for a
moment, held back while the client lags, and dropped when they would no longer be news.
"""

import asyncio
import logging

import anyio
import msgspec

from orchestration.events import Delta, Record
from orchestration.events import encode as encode_event
from server.client import Client
from server.crew import Crew
from server.methods import EVENT
from server.workspaces import Workspace

logger = logging.getLogger(__name__)
_JOIN_S = 0.05
_LONGEST_DELTA = 64 << 10


def event_params(run_id: str, record: Record) -> bytes:
    """`{runId, seq, time, type, …}`: the journaled event with its place."""
    place = msgspec.json.encode({"runId": run_id, "seq": record.seq, "time": record.time})
    return place[:-1] + b"," + encode_event(record.event)[1:]


class Subscriptions:
    """At most one for each run; a new one replaces the old."""

    def __init__(self, client: Client, tasks: Crew) -> None:
        self._client = client
        self._tasks = tasks
        self._scopes: dict[str, anyio.CancelScope] = {}

    @property
    def runs(self) -> tuple[str, ...]:
        return tuple(self._scopes)

    def add(self, workspace: Workspace, run_id: str, after: int) -> None:
        self.remove(run_id)
        scope = self._scopes[run_id] = anyio.CancelScope()
        self._tasks.start_soon(self._follow, workspace, run_id, after, scope)

    def remove(self, run_id: str) -> None:
        scope = self._scopes.pop(run_id, None)
        if scope is not None:
            scope.cancel()

    async def _follow(self, workspace: Workspace, run_id: str, after: int, scope: anyio.CancelScope) -> None:
        deltas = _Deltas(self._client, run_id)
        with scope:
            try:
                await asyncio.sleep(
                    0
                )  # the answer to the request goes out in this turn, before the first event
                async for item in workspace.engine.subscribe(run_id, after):
                    if isinstance(item, Delta):
                        deltas.add(item)
                        continue
                    deltas.flush()
                    await self._client.room()
                    self._client.notify_raw(EVENT, event_params(run_id, item))
            except Exception:
                logger.exception("a subscription ended", extra={"run_id": run_id})
            finally:
                deltas.drop()
        if self._scopes.get(run_id) is scope:
            del self._scopes[run_id]


class _Deltas:
    def __init__(self, client: Client, run_id: str) -> None:
        self._client = client
        self._run_id = run_id
        self._texts: dict[str, tuple[int, str]] = {}
        self._waits: dict[str, Delta] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, delta: Delta) -> None:
        if delta.until:
            self._waits[delta.task_id] = delta
        else:
            self._waits.pop(delta.task_id, None)
        _, text = self._texts.get(delta.task_id, (0, ""))
        self._texts[delta.task_id] = (delta.seq, (text + delta.text)[-_LONGEST_DELTA:])
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_JOIN_S, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._client.keeps_up:
            self.flush()
        elif self._texts:
            self._timer = asyncio.get_running_loop().call_later(_JOIN_S, self._due)

    def flush(self) -> None:
        """Sends what was joined, or drops it where the client lags: a state event comes next."""
        texts, self._texts = self._texts, {}
        waits, self._waits = self._waits, {}
        for task_id, (seq, text) in texts.items() if self._client.keeps_up else ():
            params = {"runId": self._run_id, "seq": seq, "type": "delta", "taskId": task_id, "text": text}
            if (wait := waits.get(task_id)) is not None:
                params |= {"until": wait.until, "reason": wait.reason}
            self._client.notify(EVENT, params)

    def drop(self) -> None:
        self._texts = {}
        if self._timer is not None:
            self._timer.cancel()
