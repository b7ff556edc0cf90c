"""The runs that this process owns: starting, resuming, cancelling and hosting them.

Each hosted run is one task of the engine's group with a cancel scope of its own. Cancelling the scope
ends the run as cancelled; cancelling the group (the engine closes) leaves it without an end, to be
resumed.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.abc

from orchestration import commands as cm
from orchestration import events as ev
from orchestration.agents.roles import packaged_roles
from orchestration.budget import SpentError
from orchestration.dead_letters import retried_tasks
from orchestration.engine_ports import EnginePorts
from orchestration.errors import (
    AntiphonError,
    ConfigurationError,
    FencedError,
    JournalError,
    NotFoundError,
    RunOwnedError,
    UsageError,
)
from orchestration.graph import problems
from orchestration.journal.contract import RunExistsError, RunJournal
from orchestration.lifecycle import Lifecycle
from orchestration.live_run import LiveRun, summary
from orchestration.run import RunState
from orchestration.run_states import RunStates

_log = logging.getLogger(__name__)
OWNED_RETRIES = 20
OWNED_PAUSE_S = 0.05


@dataclass(slots=True)
class _Hosted:
    live: LiveRun
    life: Lifecycle
    scope: anyio.CancelScope
    spent: SpentError | None = None
    borrowers: int = 0
    returned: anyio.Event = field(default_factory=anyio.Event)


class Hosts:
    """`group` is the engine's task group, set when the engine is entered."""

    group: anyio.abc.TaskGroup | None = None

    def __init__(self, ports: EnginePorts, states: RunStates) -> None:
        self._ports = ports
        self._states = states
        self._hosted: dict[str, _Hosted] = {}
        self._broken: dict[str, str] = {}

    def live(self, run_id: str) -> LiveRun | None:
        hosted = self._hosted.get(run_id)
        return None if hosted is None else hosted.live

    async def given_up(self, run_id: str) -> None:
        """Returns once this process does not host the run (any more)."""
        hosted = self._hosted.get(run_id)
        if hosted is not None:
            await hosted.live.until_closed()

    def adopted(self, run_id: str) -> None:
        """Another process has taken the run: what is at work here is ended, and nothing is recorded."""
        hosted = self._hosted.get(run_id)
        if hosted is not None:
            hosted.scope.cancel()

    def broken(self, run_id: str) -> JournalError | None:
        """Why a run that this process carried out stopped without an end: its journal took no more."""
        why = self._broken.get(run_id)
        if why is None:
            return None
        return JournalError(f"{run_id} stopped where it is: {why}; `antiphon resume {run_id}` goes on then")

    def live_ids(self) -> tuple[str, ...]:
        return tuple(self._hosted)

    # --- starting --------------------------------------------------------------------------------

    async def start(self, command: cm.StartRun) -> str:
        """Durable before it returns. Raises UsageError and its kin, ProviderError."""
        ports = self._ports
        self._check(command.options)
        if command.plan is not None:
            reasons = problems(command.plan, roles=packaged_roles(), limit=None)
            if reasons:
                raise UsageError("the given plan is not valid: " + "; ".join(reasons[:10]))
        run_id = ports.ids.new("run")
        created = ev.RunCreated(
            goal=command.goal,
            workspace=str(ports.root),
            options=command.options,
            version=ports.version,
            plan=command.plan if command.options.plan == "confirm" else None,
            context=command.context,
        )
        first: list[ev.Event] = [created, ev.RunOwned(epoch=1, pid=ports.pid)]
        if command.plan is not None and command.options.plan == "auto":
            first.append(ev.PlanAccepted(tasks=command.plan))
        try:
            clean = map(ports.redaction.event, first)
            writer = await ports.journal.create(run_id, *clean, idempotency_key=command.idempotency_key)
        except RunExistsError as exists:
            if command.idempotency_key is None:
                raise
            return exists.run_id
        live = self._live_run(writer, RunState(run_id))
        live.take(*writer.created)
        try:
            await writer.summarise(summary(live.state))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await writer.close()  # durable, but not taken up here: it can be resumed
            raise
        self._host(live)
        return run_id

    async def resume(self, command: cm.ResumeRun) -> None:
        """Takes an unfinished run and goes on. Raises RunOwnedError while another process runs it, unless the
        command adopts it.
        """
        hosted = self._hosted.get(command.run_id)
        if hosted is not None:
            if hosted.live.state.end is None:
                raise UsageError(f"{command.run_id} is running here already")
            await self.given_up(command.run_id)
        state = await self._states.read(command.run_id)
        retried = retried_tasks(state, command.retry)
        if state.end == "completed":
            raise UsageError(f"{command.run_id} is completed: nothing is left to resume")
        options = command.options or state.options
        if options is None:
            raise UsageError(f"{command.run_id} has no options in its journal and cannot be resumed")
        self._check(options)
        if command.retry is not None and command.retry.model is not None:
            self._ports.models.resolve(command.retry.model)
        live, epoch = await self._taken(command.run_id, seize=command.adopt)
        owned = ev.RunOwned(epoch=epoch, pid=self._ports.pid, resumed=True, options=command.options)
        try:
            await live.record(owned, *retried)
        except BaseException:
            await live.close()  # what is not hosted is not held: it can be tried again, by others too
            raise
        self._host(live)

    def _check(self, options: ev.RunOptions) -> None:
        """Raises ProviderError or ConfigurationError for options that cannot work."""
        if options.max_parallel < 1:
            raise ConfigurationError("max_parallel must be at least 1")
        agent = self._ports.agents.resolve(options.model)
        if agent is not None:
            if options.budget.usd is not None and not agent[0].reports_cost:
                raise ConfigurationError(
                    f"{agent[0].name} does not say what it costs, so a limit in USD cannot be kept; limit tokens "
                    "instead (--max-tokens)"
                )
            return
        provider, model = self._ports.models.resolve(options.model)
        if options.budget.usd is not None and provider.profile(model).prices is None:
            raise ConfigurationError(
                f"a limit in USD needs the prices of {options.model}, which are not known. Limit tokens "
                f'instead (--max-tokens), or set its prices under [models."{options.model}"] in the '
                "configuration"
            )

    def _live_run(self, writer: RunJournal, state: RunState) -> LiveRun:
        ports = self._ports
        return LiveRun(
            writer,
            state,
            clock=ports.clock,
            ids=ports.ids,
            interactive=ports.interactive,
            redaction=ports.redaction,
        )

    # --- hosting ---------------------------------------------------------------------------------

    def _host(self, live: LiveRun) -> None:
        assert self.group is not None
        hosted = _Hosted(live, Lifecycle(self._ports, live), anyio.CancelScope())
        self._hosted[live.state.run_id] = hosted
        self._broken.pop(live.state.run_id, None)
        self.group.start_soon(self._carry_out, hosted, name=f"run {live.state.run_id}")

    async def _carry_out(self, hosted: _Hosted) -> None:
        live, failure = hosted.live, None
        try:
            with hosted.scope:
                try:
                    await self._within_time(hosted)
                except Exception as error:  # noqa: BLE001 - one run's fault must not end the others
                    failure = _failure(error, live.state.run_id)
            cancelled = hosted.scope.cancelled_caught and hosted.spent is None
            with anyio.CancelScope(shield=True):
                await hosted.life.finish(cancelled=cancelled, failure=hosted.spent or failure)
        except FencedError:
            _log.warning("run %s was adopted by another process and goes on there", live.state.run_id)
        except JournalError as error:
            self._broken[live.state.run_id] = str(error)
            _log.exception("run %s cannot be recorded any more and stops where it is", live.state.run_id)
        finally:
            with anyio.CancelScope(shield=True):
                del self._hosted[live.state.run_id]
                while hosted.borrowers:
                    await hosted.returned.wait()
                self._states.keep(live.state)
                await live.close()

    async def _within_time(self, hosted: _Hosted) -> None:
        options = hosted.live.state.options
        limit = None if options is None else options.budget.wall_seconds
        if limit is None:
            await hosted.life.carry_out()
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch_time, hosted, limit)
            await hosted.life.carry_out()
            group.cancel_scope.cancel()

    async def _watch_time(self, hosted: _Hosted, limit: float) -> None:
        await self._ports.clock.sleep(limit)
        hosted.spent = SpentError("seconds", limit, limit)
        hosted.scope.cancel()

    # --- answering -------------------------------------------------------------------------------

    async def cancel(self, command: cm.CancelRun) -> None:
        """Raises NotFoundError for a task that the run does not have, UsageError when it has ended."""
        async with self.owned(command.run_id) as live:
            if live.state.end is not None:
                raise UsageError(f"{command.run_id} has ended already ({live.state.end})")
            await live.record(ev.CancelRequested(task_id=command.task_id, by=command.by))
            hosted = self._hosted.get(command.run_id)
            if hosted is None:
                await Lifecycle(self._ports, live).finish(cancelled=True, failure=None)
            elif command.task_id is None:
                hosted.scope.cancel()
            elif hosted.life.scheduler is None or command.task_id not in live.state.tasks:
                raise NotFoundError(f"{command.run_id} has no task {command.task_id}")
            else:
                await hosted.life.scheduler.cancel_task(command.task_id)

    async def answer(self, command: cm.DecidePlan | cm.ResolveApproval) -> None:
        """Gives an answer to a waiting run. Raises NotFoundError when nothing waits for it."""
        async with self.owned(command.run_id) as live:
            if isinstance(command, cm.ResolveApproval):
                known = await live.answer(command.approval_id, command.decision, command.by)
            else:
                waiting = [key for key, ask in live.state.approvals.items() if ask.kind == "plan"]
                live.edited_plan = command.plan
                decision = "once" if command.accept else "reject"
                known = bool(waiting) and await live.answer(waiting[0], decision, "")
            if not known:
                raise NotFoundError("nothing waits for that answer (any more)")

    @asynccontextmanager
    async def owned(self, run_id: str) -> AsyncIterator[LiveRun]:
        """The run as its owner: the hosted one, or opened for the moment. Raises RunOwnedError when
        another process keeps it.
        """
        hosted = self._hosted.get(run_id)
        if hosted is not None:
            hosted.borrowers += 1
            try:
                yield hosted.live
            finally:
                hosted.borrowers -= 1
                hosted.returned.set()
                hosted.returned = anyio.Event()
            return
        await self._states.read(run_id)
        live, _ = await self._taken(run_id)
        try:
            yield live
        finally:
            with anyio.CancelScope(shield=True):
                await live.close()

    async def _taken(self, run_id: str, *, seize: bool = False) -> tuple[LiveRun, int]:
        """The run as its owner, with the epoch. What cannot be read is not held."""
        writer = await (self._ports.journal.open(run_id, seize=True) if seize else self._open(run_id))
        try:
            return self._live_run(writer, await self._states.read(run_id)), writer.epoch
        except BaseException:
            with anyio.CancelScope(shield=True):
                await writer.close()
            raise

    async def _open(self, run_id: str) -> RunJournal:
        """Takes the run. Raises RunOwnedError when another process keeps it: one that is finished is held
        for a moment only, by whoever decides in it or has just ended it.
        """
        for _ in range(OWNED_RETRIES):
            try:
                return await self._ports.journal.open(run_id)
            except RunOwnedError:
                if (await self._states.read(run_id)).phase != "finished":
                    raise
            await self._ports.clock.sleep(OWNED_PAUSE_S)
        return await self._ports.journal.open(run_id)


def _failure(error: Exception, run_id: str) -> AntiphonError:
    """The cause of a run's end, for people; errors of task groups are unwrapped."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, JournalError):
        raise error
    if isinstance(error, AntiphonError):
        return error
    _log.error("run %s failed inside", run_id, exc_info=error)
    return AntiphonError(f"internal error ({type(error).__name__}: {error}); the log has the details")
