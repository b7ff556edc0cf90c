"""The front door: commands in, events out. One engine serves one workspace.

    async with Engine(ports) as engine:
        reply = await engine.submit(StartRun(goal=…, options=…))
        async for item in engine.subscribe(reply.run_id): …

The engine's runs live in its own task group: a request that started one may end, be cancelled or lose
its client without touching it. When the engine is closed, runs stop where they are, without an end, and
can be resumed. How a run is carried out is `lifecycle.py`; how hunks are decided is `review/`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Protocol, Self

import anyio
import anyio.abc
import msgspec

from orchestration import commands as cm
from orchestration.checkpoints.desk import CheckpointDesk, run_of
from orchestration.checkpoints.taking import CheckpointTaker
from orchestration.checkpoints.view import CheckpointDiff, CheckpointView
from orchestration.commands import Command, Reply
from orchestration.engine_ports import EnginePorts
from orchestration.errors import AntiphonError, FencedError, RunOwnedError, UsageError
from orchestration.events import Delta, Record, RunFinished
from orchestration.hosting import Hosts
from orchestration.journal.contract import RunSummary
from orchestration.review.desk import ReviewDesk
from orchestration.review.view import ChangesView, PlacedFinding
from orchestration.run import RunState
from orchestration.run_states import RunStates
from providers.errors import ProviderError

INBOX_SECONDS = 0.1
FORWARD_TIMEOUT_S = 30.0


class EngineFront(Protocol):
    """What the server and the command line may ask of an engine."""

    async def submit(self, command: Command) -> Reply:
        """Carries out or durably accepts `command`. Errors come back in the reply, they are not raised.
        A command for a run that another live process owns goes through the inbox and waits for the
        owner's recorded answer.
        """

    def subscribe(self, run_id: str, after: int = 0) -> AsyncIterator[Record | Delta]:
        """State events after `after`, in order and without a gap, then live ones; deltas in between
        where this process runs the run. It goes on after `run_finished` (decisions follow) until the
        consumer stops. Raises NotFoundError for an unknown run, JournalError when this process carried the run
        out and its journal took no more.
        """

    async def state(self, run_id: str) -> RunState:
        """The run as it stands, a copy. Raises NotFoundError."""

    async def runs(self, limit: int = 200) -> Sequence[RunSummary]:
        """Newest first."""

    async def changes(self, run_id: str) -> ChangesView:
        """The change set against the files and buffers as they are now. Raises NotFoundError."""

    async def findings(self, run_id: str) -> tuple[PlacedFinding, ...]:
        """Open findings with their place in the files and buffers as they are now."""

    async def checkpoints(self, run_id: str | None = None, limit: int = 50) -> Sequence[CheckpointView]:
        """Newest first, of one run (then all) or of the workspace. Raises NotFoundError for an unknown run."""

    async def checkpoint_diff(self, checkpoint_id: str, paths: Sequence[str] = ()) -> CheckpointDiff:
        """What restoring would do to files and buffers as they are now, `paths` of it or all. Raises NotFoundError
        for an unknown checkpoint, and for a path that neither it nor the workspace has.
        """

    async def wait(self, run_id: str) -> RunState:
        """Returns when the run has finished (or at once, if it has)."""


class Engine:
    """Implements EngineFront over the ports of one workspace."""

    def __init__(self, ports: EnginePorts) -> None:
        self._ports = ports
        self._states = RunStates(ports.journal)
        self._stack = AsyncExitStack()
        self._hosts = Hosts(ports, self._states)
        self._checkpoints = CheckpointDesk(ports, self._states)
        self._review = ReviewDesk(ports, self._states, CheckpointTaker(ports))
        self._deciding = anyio.Lock()

    async def __aenter__(self) -> Self:
        group = await self._stack.enter_async_context(anyio.create_task_group())
        self._hosts.group = group
        group.start_soon(self._serve_inbox, name="inbox")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._hosts.group is not None
        self._hosts.group.cancel_scope.cancel()
        return await self._stack.__aexit__(kind, error, trace)

    # --- asking ----------------------------------------------------------------------------------

    async def state(self, run_id: str) -> RunState:
        live = self._hosts.live(run_id)
        return live.state.snapshot() if live is not None else await self._states.read(run_id)

    async def runs(self, limit: int = 200) -> Sequence[RunSummary]:
        return await self._ports.journal.runs(limit)

    async def changes(self, run_id: str) -> ChangesView:
        return await self._review.view(await self.state(run_id))

    async def findings(self, run_id: str) -> tuple[PlacedFinding, ...]:
        return await self._review.findings(await self.state(run_id))

    async def checkpoints(self, run_id: str | None = None, limit: int = 50) -> Sequence[CheckpointView]:
        if run_id is None:
            return await self._checkpoints.newest(limit)
        return await self._checkpoints.of_run(await self.state(run_id))

    async def checkpoint_diff(self, checkpoint_id: str, paths: Sequence[str] = ()) -> CheckpointDiff:
        return await self._checkpoints.diff(await self.state(run_of(checkpoint_id)), checkpoint_id, paths)

    async def wait(self, run_id: str) -> RunState:
        live = self._hosts.live(run_id)
        if live is not None:
            await live.until_closed()
            if live.state.phase == "finished":
                return live.state.snapshot()
        state = await self.state(run_id)
        if state.phase != "finished":
            async for item in self.subscribe(run_id, state.last_seq):
                if isinstance(item, Record) and isinstance(item.event, RunFinished):
                    break
            await self._hosts.given_up(run_id)
            state = await self.state(run_id)
        return state

    async def subscribe(self, run_id: str, after: int = 0) -> AsyncIterator[Record | Delta]:
        await self.state(run_id)
        seen = after
        live = self._hosts.live(run_id)
        if live is not None:
            async for item in live.listen(self._ports.journal, after):
                if isinstance(item, Record):
                    seen = item.seq
                yield item
        if (error := self._hosts.broken(run_id)) is not None:
            raise error
        async for record in self._ports.journal.follow(run_id, after=seen):
            yield record

    # --- commands --------------------------------------------------------------------------------

    async def submit(self, command: Command) -> Reply:
        try:
            return await self._carry_out(command)
        except RunOwnedError as error:
            if isinstance(command, cm.StartRun | cm.ResumeRun):
                return _refused(error)
            return await self._forward(command)
        except (AntiphonError, ProviderError) as error:
            return _refused(error)

    async def _carry_out(self, command: Command) -> Reply:
        if isinstance(command, cm.StartRun):
            return Reply(run_id=await self._hosts.start(command))
        if isinstance(command, cm.ResumeRun):
            await self._hosts.resume(command)
            return Reply(run_id=command.run_id)
        if isinstance(command, cm.CancelRun):
            await self._hosts.cancel(command)
            return Reply(run_id=command.run_id)
        if isinstance(command, cm.DecidePlan | cm.ResolveApproval):
            await self._hosts.answer(command)
            return Reply(run_id=command.run_id)
        if isinstance(command, cm.RestoreCheckpoint):
            holder = await self._checkpoints.holder_elsewhere(command)
        else:
            holder = await self._review.holder_elsewhere(command)
        if holder is not None:
            item = await self._ports.journal.send_to_server(holder, cm.encode(command))
            return await self._answer_of(item, command)
        # One at a time: what one of them read of the files must hold until it has written.
        async with self._deciding, self._hosts.owned(command.run_id) as live:
            await self._checkpoints.settle(live)
            if isinstance(command, cm.RestoreCheckpoint):
                reply = await self._checkpoints.restore(live, command)
                # What was accepted may be gone from the files, and what was taken back there again.
                await self._review.carry_out(live, cm.NoteFiles(run_id=command.run_id))
                return reply
            return await self._review.carry_out(live, command)

    async def _forward(self, command: Command) -> Reply:
        assert not isinstance(command, cm.StartRun)
        item = await self._ports.journal.send(command.run_id, cm.encode(command))
        return await self._answer_of(item, command)

    async def _answer_of(self, item: int, command: Command) -> Reply:
        answer = await self._ports.journal.wait_answer(item, FORWARD_TIMEOUT_S)
        if answer is None:
            return _refused(
                UsageError(
                    "the process that holds this run (or has the file open) did not answer in "
                    f"{FORWARD_TIMEOUT_S:g} s; the command stays in its inbox"
                )
            )
        del command
        return msgspec.json.decode(answer, type=Reply)

    async def _serve_inbox(self) -> None:
        """Carries out what other processes ask of the runs this one owns, and of its open documents, which
        it registers so that nobody writes beneath them.
        """
        journal, server_id = self._ports.journal, self._ports.server_id
        while True:
            items: list[tuple[int, bytes]] = []
            for run_id in self._hosts.live_ids():
                try:
                    items.extend(await journal.take(run_id))
                except FencedError:
                    self._hosts.adopted(run_id)
            if server_id:
                open_paths = sorted(self._ports.documents.open_documents())
                await journal.lease_documents(server_id, self._ports.pid, open_paths)
                items.extend(await journal.take_for_server(server_id))
            for item, body in items:
                await journal.answer(item, msgspec.json.encode(await self._served(body)))
            await self._ports.clock.sleep(INBOX_SECONDS)

    async def _served(self, body: bytes) -> Reply:
        try:
            command = cm.decode(body)
        except msgspec.ValidationError as error:
            return _refused(UsageError(f"not a command of this version: {error}"))
        try:
            return await self._carry_out(command)
        except (AntiphonError, ProviderError) as error:
            return _refused(error)


def _refused(error: AntiphonError | ProviderError) -> Reply:
    return Reply(
        error=str(error),
        error_kind=type(error).__name__,
        exit_code=error.exit_code if isinstance(error, AntiphonError) else 2,
    )
