"""Agents that speak the Agent Client Protocol (version 1) over their standard input and output.

An agent works in the folder it is given and nowhere else is offered to it: no file or terminal of ours. It is one process
group for one task. What is known of each is in `acp_description.py`, the conversation in `acp_session.py`, what they may call
on us in `acp_client.py`.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream

from providers import errors
from providers.agents import acp_faults
from providers.agents.acp_client import AcpClient, Patience
from providers.agents.acp_description import PREFIX, AcpDescription, variables_of
from providers.agents.acp_session import AcpSession, Grace, Sdk, load_sdk
from providers.agents.acp_stream import AgentStream, Tail
from providers.agents.acp_updates import Updates, text_of, usage_of
from providers.agents.redaction import Redaction
from providers.base import (
    AgentEvent,
    AgentResult,
    AgentTask,
    AskPermission,
    OnAgentEvent,
    PermissionRequest,
    ProcessPort,
    ProviderProcess,
)
from providers.usage import Usage

logger = logging.getLogger(__name__)

DRAIN_S = 1.0  # after the end of the process, for what is still in its pipes
EVENTS_AHEAD = 256
_STOPS = {
    "end_turn": "",
    "max_tokens": "it stopped at a limit of tokens",
    "max_turn_requests": "it stopped at its limit of requests for one turn",
    "refusal": "it, or its model, refused to go on",
    "cancelled": "it cancelled its turn",
}


class AcpProvider:
    """An `AgentProvider` for one agent. `program` is what its command starts, an absolute path; `environment` is the user's,
    of which it gets those that its description names; `version` is ours. Nothing is started or loaded before `run`.
    """

    form = "acp"

    def __init__(
        self,
        name: str,
        agent: AcpDescription,
        program: str,
        *,
        processes: ProcessPort,
        environment: Mapping[str, str],
        check: Callable[[], Awaitable[None]] | None = None,
        grace: Grace | None = None,
        version: str = "",
    ) -> None:
        """`name` is the agent's own, without `acp/`. `check` is awaited before each start and raises when the program is
        not usable.
        """
        self._name = name
        self._check = check
        self._agent = agent
        self._argv = (program, *agent.command[1:])
        self._processes = processes
        self._environment = environment
        self._grace = Grace() if grace is None else grace
        self._version = version

    @property
    def name(self) -> str:
        return f"{PREFIX}/{self._name}"

    @property
    def own_files(self) -> tuple[str, ...]:
        return self._agent.own_files

    @property
    def reports_cost(self) -> bool:
        return self._agent.reports_cost

    @property
    def auto(self) -> bool:
        return self._agent.auto

    @property
    def resumes(self) -> bool:
        return self._agent.resumes

    async def run(self, task: AgentTask, *, on_event: OnAgentEvent, ask: AskPermission) -> AgentResult:
        """Raises ProviderError: configuration (not installed), authentication (wants a login), bad response (ended,
        another protocol, no protocol at all), timeout (silent), a lost session. `ok` is false when the agent gave up its
        turn.
        """
        if self._check is not None:
            await self._check()
        sdk = await load_sdk()
        variables = variables_of(self._agent, self._environment)
        redaction = Redaction(variables)

        async def tell(event: AgentEvent) -> None:
            await on_event(redaction.event(event))

        async def put(request: PermissionRequest) -> bool:
            return await ask(msgspec.structs.replace(request, subject=redaction.text(request.subject)))

        patience = Patience(self._agent.limit_s)
        try:
            process = await self._processes.start(
                self._argv,
                cwd=task.folder,
                env={**task.environment, "NO_COLOR": "1", "TMPDIR": str(task.scratch), **variables},
                stdin=True,
                stderr=True,
                purpose=task.label or self.name,
            )
        except Exception as error:
            raise acp_faults.missing(self._name, self._agent, error) from error
        try:
            work = _Work(self._name, self._agent, sdk, process, self._grace, variables, patience)
            with patience.scope:
                return redaction.result(await work.carry_out(task, tell, put, version=self._version))
            raise acp_faults.too_long(self._name, self._agent.limit_s)
        except BaseExceptionGroup as group:  # tasks beside the conversation are not the caller's business
            fault = _first(group)
            if isinstance(fault, errors.ProviderError):
                fault.args = (redaction.text(str(fault)),)
            raise fault from fault.__cause__
        finally:
            with anyio.CancelScope(shield=True):
                await process.kill()

    async def aclose(self) -> None:
        """Every run ends its own process."""


class _Work:
    """One task of one started agent."""

    def __init__(
        self,
        name: str,
        agent: AcpDescription,
        sdk: Sdk,
        process: ProviderProcess,
        grace: Grace,
        variables: Mapping[str, str],
        patience: Patience,
    ) -> None:
        self._patience = patience
        self._name = name
        self._agent = agent
        self._sdk = sdk
        self._process = process
        self._grace = grace
        self._variables = variables
        self._updates = Updates()
        self._said = Tail()
        self._tell, self._told = anyio.create_memory_object_stream[AgentEvent](EVENTS_AHEAD)

    async def carry_out(
        self, task: AgentTask, on_event: OnAgentEvent, ask: AskPermission, *, version: str
    ) -> AgentResult:
        async with anyio.create_task_group() as delivery:
            delivery.start_soon(_deliver, self._told, on_event)
            async with anyio.create_task_group() as beside, self._tell:
                beside.start_soon(self._drain)
                client = AcpClient(
                    self._name,
                    task.folder,
                    updates=self._updates,
                    emit=self._emit,
                    ask=ask,
                    group=beside,
                    patience=self._patience,
                    refuse=self._sdk.error,
                )
                stream = AgentStream(self._process, on_update=client.update)
                beside.start_soon(self._watch)
                result = await self._converse(task, client, stream, version=version)
                beside.cancel_scope.cancel()
        self._log(client, stream)
        return result

    async def _converse(
        self, task: AgentTask, client: AcpClient, stream: AgentStream, *, version: str
    ) -> AgentResult:
        connection = self._sdk.connection(client.answer, stream)
        session = AcpSession(
            self._name,
            self._agent,
            sdk=self._sdk,
            connection=connection,
            client=client,
            stream=stream,
            updates=self._updates,
            grace=self._grace,
            variables=self._variables,
            said=self._said.text,
        )
        try:
            await session.open(task, version=version)
            await self._emit(AgentEvent(kind="session", session=session.id))
            if session.used_key:
                await self._emit(
                    AgentEvent(kind="remark", text=f"it wanted a login: {session.used_key} was used")
                )
            answer = await session.prompt(task.prompt)
            session.check_words(self._updates.summary)
            usage = usage_of(answer, self._updates.cost_usd)
            if (
                self._updates.told_cost and usage.input_tokens is None
            ):  # what was told held no tokens, and knew of none
                await self._emit(AgentEvent(kind="usage", usage=Usage(None, None, None, None)))
            await session.close()
        finally:
            client.cancel()
            with anyio.CancelScope(shield=True):
                await connection.close()
        return self._result(session, client, answer, usage)

    def _result(
        self, session: AcpSession, client: AcpClient, answer: Mapping[str, object], usage: Usage
    ) -> AgentResult:
        reason = text_of(answer.get("stopReason"))
        why = _STOPS.get(reason, f"it stopped for a reason that is not known here ({reason[:80]!r})")
        summary = self._updates.summary
        if why:
            denied = f", after it was not allowed: {'; '.join(client.denied[:5])}" if client.denied else ""
            summary = "\n".join(part for part in (f"{why}{denied}", summary) if part)
        return AgentResult(
            ok=not why, summary=summary, usage=usage, session=session.id, denied=tuple(client.denied)
        )

    async def _emit(self, event: AgentEvent) -> None:
        """Waits while the caller is behind; once it has gone away, nobody is told."""
        try:
            await self._tell.send(event)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    async def _drain(self) -> None:
        async for piece in self._process.stderr():
            self._said.add(piece)

    async def _watch(self) -> None:
        """What outlives the agent may hold its output open: reading ends all the same."""
        await self._process.wait()
        await anyio.sleep(DRAIN_S)
        await self._process.kill()

    def _log(self, client: AcpClient, stream: AgentStream) -> None:
        """What was not understood, once for a task."""
        unknown = {**client.unknown, **self._updates.unknown}
        if unknown:
            logger.info("ACP agent %s: not understood: %s", self._name, unknown)
        if stream.garbage_lines:
            logger.warning(
                "ACP agent %s printed %d lines that are no messages, the last: %r",
                self._name,
                stream.garbage_lines,
                stream.garbage,
            )


async def _deliver(told: MemoryObjectReceiveStream[AgentEvent], on_event: OnAgentEvent) -> None:
    """In order, one after the other."""
    async with told:
        async for event in told:
            await on_event(event)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one fault in a group; of several what is no ProviderError, since that follows from it."""
    leaves: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseExceptionGroup):
            waiting.extend(each.exceptions)
        else:
            leaves.append(each)
    return next((leaf for leaf in leaves if not isinstance(leaf, errors.ProviderError)), leaves[0])
