"""The client's side of an ACP session: what the agent calls on us is answered here, whatever it calls.

No ability is offered (`fs`, `terminal`), so such calls do not exist; permission is asked through the caller; questions to a
person are declined. Questions are put in tasks of the caller's group, so that a fault in one ends the session.
"""

import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

from providers.agents.acp_permissions import chosen, outcome, request_of
from providers.agents.acp_updates import Updates, text_of
from providers.base import AgentEvent, AskPermission, PermissionRequest

if TYPE_CHECKING:
    from acp.exceptions import RequestError

logger = logging.getLogger(__name__)

MOST_OPEN_QUESTIONS = 64


class Patience:
    """A time limit that stands still while a person is asked. `scope` is cancelled when it is over."""

    def __init__(self, seconds: float) -> None:
        self.scope = anyio.CancelScope(deadline=anyio.current_time() + seconds)
        self._left: float | None = None

    def stop(self) -> None:
        if self._left is None:
            self._left = self.scope.deadline - anyio.current_time()
            self.scope.deadline = math.inf

    def go_on(self) -> None:
        if self._left is not None:
            self.scope.deadline = anyio.current_time() + self._left
            self._left = None


class AcpClient:
    """`answer` is the handler of an SDK `Connection`. `refuse` makes the SDK's error from a code, a message and data."""

    def __init__(
        self,
        agent: str,
        folder: Path,
        *,
        updates: Updates,
        emit: Callable[[AgentEvent], Awaitable[None]],
        ask: AskPermission,
        group: TaskGroup,
        patience: Patience,
        refuse: "Callable[[int, str, Any], RequestError]",
    ) -> None:
        self._agent = agent
        self._folder = folder
        self._updates = updates
        self._emit = emit
        self._ask = ask
        self._group = group
        self._patience = patience
        self._refuse = refuse
        self._cancelled = anyio.Event()
        self._open = 0
        self.session = ""
        self.unknown: Counter[str] = Counter()
        self.denied: list[str] = []

    @property
    def asking(self) -> bool:
        """Whether somebody is being asked right now: the agent is then silent with good reason."""
        return self._open > 0

    def cancel(self) -> None:
        """Answers open questions with `cancelled`, and every later one at once."""
        self._cancelled.set()

    async def update(self, params: Any) -> None:
        """A `session/update`."""
        given = params if isinstance(params, dict) else {}
        if self.session and given.get("sessionId") != self.session:
            self._count("an update of another session")
            return
        for event in self._updates.take(given.get("update")):
            await self._emit(event)

    async def answer(self, method: str, params: Any, is_notification: bool) -> Any:  # noqa: FBT001 - the SDK's handler
        given = params if isinstance(params, dict) else {}
        if is_notification:
            if method != "elicitation/complete" and not method.startswith(("_", "$/")):
                self._count(method)
            return None
        match method:
            case "session/request_permission":
                return await self._permission(given)
            case "elicitation/create":
                return await self._decline(given)
        self._count(method)
        raise self._refuse(-32601, "Method not found", {"method": method})

    async def _permission(self, given: dict[str, Any]) -> dict[str, Any]:
        told = given.get("toolCall")
        call, events = self._updates.tool(told if isinstance(told, dict) else {}, asks=True)
        for event in events:
            await self._emit(event)
        asked = request_of(call, self._folder)
        allowed: bool | None = True
        if self._cancelled.is_set() or self._open >= MOST_OPEN_QUESTIONS:
            return outcome(None)
        if asked is not None:
            allowed = await self._put(asked)
            if allowed is None:
                return outcome(None)
        options = given.get("options")
        option = chosen(options, allow=True) if allowed else None
        if option is None:
            why = " (it offers no permission for one time)" if allowed else ""
            self.denied.append(f"{call.subject[:500]}{why}")
            await self._emit(AgentEvent(kind="remark", text=f"not allowed: {self.denied[-1]}"))
            option = chosen(options, allow=False)
        return outcome(option)

    async def _put(self, asked: PermissionRequest) -> bool | None:
        """The answer to a question; None when the task is cancelled meanwhile."""
        said: list[bool] = []
        done = anyio.Event()
        scope = anyio.CancelScope()

        async def put() -> None:
            try:
                with scope:
                    said.append(await self._ask(asked))
            finally:
                done.set()

        async def withdraw() -> None:
            await self._cancelled.wait()
            scope.cancel()
            done.set()

        self._open += 1
        self._patience.stop()
        self._group.start_soon(put)
        try:
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(withdraw)
                await done.wait()
                waiting.cancel_scope.cancel()
        finally:
            self._open -= 1
            if not self._open:
                self._patience.go_on()
        return said[0] if said and not self._cancelled.is_set() else None

    async def _decline(self, given: dict[str, Any]) -> dict[str, Any]:
        """Nobody fills in an agent's form here; the agent goes on without, or ends with what it has."""
        words = text_of(given.get("message"))[:500]
        await self._emit(AgentEvent(kind="remark", text=f"it asks what nobody is asked here: {words}"))
        return {"action": "cancel" if self._cancelled.is_set() else "decline"}

    def _count(self, what: str) -> None:
        self.unknown[what[:80]] += 1
        if self.unknown[what[:80]] == 1:
            logger.info("ACP agent %s: %s is not known here", self._agent, what[:80])
