"""Questions that only a person can answer, put to the client; the first answer, whoever gives it, counts.

A client that declared `experimental.antiphon` gets `antiphon/approval/request`; any other gets a message
with three choices. A dismissed question stays open: nothing is allowed or refused by closing a window.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, Literal

import anyio

from orchestration.commands import Command, DecidePlan, Reply, ResolveApproval
from orchestration.events import ApprovalRequested, ApprovalResolved
from server.client import Client
from server.crew import Crew
from server.jsonrpc import RpcError
from server.methods import APPROVAL_REQUEST, APPROVAL_RESOLVED
from server.plain_text import one_line, several_lines
from server.workspaces import Workspace

logger = logging.getLogger(__name__)
Answer = Literal["once", "run", "reject"]
Submit = Callable[[Workspace, Command], Awaitable[Reply]]
_CHOICES: dict[str, Answer] = {"Allow once": "once", "Allow for this run": "run", "Reject": "reject"}
_PLAN_CHOICES: dict[str, Answer] = {"Accept the plan": "once", "Reject": "reject"}


class Approvals:
    def __init__(self, client: Client, tasks: Crew, submit: Submit) -> None:
        self._client = client
        self._tasks = tasks
        self._submit = submit
        self._open: dict[tuple[str, str], anyio.CancelScope] = {}
        self._screen = anyio.Lock()

    @property
    def open_questions(self) -> int:
        return len(self._open)

    def requested(self, workspace: Workspace, run_id: str, request: ApprovalRequested) -> None:
        """Asks the client, once."""
        key = (run_id, request.approval_id)
        if key not in self._open:
            self._open[key] = anyio.CancelScope()
            self._tasks.start_soon(self._ask, workspace, run_id, request)

    def resolved(self, run_id: str, answer: ApprovalResolved) -> None:
        """Takes the question back, if it still stands, and tells the client how it was answered."""
        self._withdraw((run_id, answer.approval_id))
        if self._client.profile.antiphon:
            params = {
                "runId": run_id,
                "approvalId": answer.approval_id,
                "decision": answer.decision,
                "by": answer.by,
            }
            self._client.notify(APPROVAL_RESOLVED, params)

    def withdraw_run(self, run_id: str) -> None:
        """The run has ended: nobody waits for these answers any more."""
        for key in [key for key in self._open if key[0] == run_id]:
            self._withdraw(key)

    def _withdraw(self, key: tuple[str, str]) -> None:
        scope = self._open.pop(key, None)
        if scope is not None:
            scope.cancel()

    async def _ask(self, workspace: Workspace, run_id: str, request: ApprovalRequested) -> None:
        # Messages come one after the other: an editor would show them on top of each other (Neovim does).
        turn = nullcontext() if self._client.profile.antiphon else self._screen
        with self._open[run_id, request.approval_id]:
            async with turn:
                # Meanwhile, the answer to another one may have been meant for this one too.
                state = await workspace.engine.state(run_id)
                granted = f"{request.kind}:{request.subject}" in state.granted
                asked = request.approval_id in state.approvals and not granted
                answer = await self._answer(run_id, request) if asked else None
                if answer is not None:
                    # It counts even if the question is withdrawn while it is being recorded.
                    with anyio.CancelScope(shield=True):
                        await self._record(workspace, run_id, request, answer)

    async def _answer(self, run_id: str, request: ApprovalRequested) -> Answer | None:
        """None when the client did not decide."""
        try:
            if self._client.profile.antiphon:
                said = await self._client.ask(APPROVAL_REQUEST, _question(run_id, request))
                decision = said.get("decision") if isinstance(said, dict) else None
                return next((known for known in _CHOICES.values() if known == decision), None)
            choices = _PLAN_CHOICES if request.kind == "plan" else _CHOICES
            params = {
                "type": 3,
                "message": _words(request),
                "actions": [{"title": title} for title in choices],
            }
            said = await self._client.ask("window/showMessageRequest", params)
            return choices.get(str(said.get("title"))) if isinstance(said, dict) else None
        except RpcError as error:
            logger.warning("the client could not ask for approval: %s", error, extra={"run_id": run_id})
            return None

    async def _record(
        self, workspace: Workspace, run_id: str, request: ApprovalRequested, answer: Answer
    ) -> None:
        by = self._client.profile.name or "editor"
        command: Command
        if request.kind == "plan":
            command = DecidePlan(run_id=run_id, accept=answer != "reject")
        else:
            command = ResolveApproval(run_id=run_id, approval_id=request.approval_id, decision=answer, by=by)
        try:
            await self._submit(workspace, command)
        except RpcError as error:
            # Somebody else was first, or the run is over.
            logger.info("an approval came too late: %s", error, extra={"run_id": run_id})


def _question(run_id: str, request: ApprovalRequested) -> dict[str, Any]:
    return {
        "runId": run_id,
        "approvalId": request.approval_id,
        "kind": request.kind,
        "subject": request.subject,
        "detail": request.detail,
        "taskId": request.task_id,
    }


def _words(request: ApprovalRequested) -> str:
    what = {
        "command": "An agent wants to run",
        "protected_change": "An agent wants to change a protected file",
        "plan": "A plan waits for your decision",
    }[request.kind]
    detail = f"\n{several_lines(request.detail, 1_500)}" if request.detail else ""
    task = f" (task {one_line(request.task_id, 40)})" if request.task_id else ""
    return f"Antiphon: {what}{task}: {one_line(request.subject, 500)}{detail}"
