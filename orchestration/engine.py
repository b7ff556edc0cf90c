"""The front door: commands in, events out. One engine serves one workspace.

    async with Engine(ports) as engine:
        reply = await engine.submit(StartRun(goal=…, options=…))
        async for item in engine.subscribe(reply.run_id): …

The engine's runs live in its own task group: a request that started one may end, be cancelled or lose
its client without touching it.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from orchestration.commands import Command, Reply
from orchestration.events import Delta, Record
from orchestration.journal.contract import RunSummary
from orchestration.review.view import ChangesView
from orchestration.run import RunState


class EngineFront(Protocol):
    """What the server and the command line may ask of an engine."""

    async def submit(self, command: Command) -> Reply:
        """Carries out or durably accepts `command`. Errors come back in the reply, they are not raised.
        A command for a run that another live process owns goes through the inbox and waits for the
        owner's recorded answer.
        """

    def subscribe(self, run_id: str, after: int = 0) -> AsyncIterator[Record | Delta]:
        """State events after `after`, in order and without a gap, then live ones; deltas in between
        where this process runs the run. Ends after `run_finished` unless the run is resumed… it keeps
        following decisions until the consumer stops. Raises NotFoundError for an unknown run.
        """

    async def state(self, run_id: str) -> RunState:
        """The run as it stands, a copy. Raises NotFoundError."""

    async def runs(self, limit: int = 200) -> Sequence[RunSummary]:
        """Newest first."""

    async def changes(self, run_id: str) -> ChangesView:
        """The change set against the files and buffers as they are now. Raises NotFoundError."""

    async def wait(self, run_id: str) -> RunState:
        """Returns when the run has finished (or at once, if it has)."""
