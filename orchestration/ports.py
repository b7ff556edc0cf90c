"""The ports through which effects reach the engine: clock, identifiers, chance and blocking work.

The engine calls none of `time`, `uuid`, `random`, `anyio.to_thread` or `subprocess` itself; that is
what makes a run replayable and a simulator possible. Ports with a contract of their own live beside
their adapters: the journal (`journal/contract.py`), objects (`workspace/objects.py`), processes
(`workspace/launcher.py`), files (`workspace/files.py`). The real adapters of the ports below are in
`edge.py`; tests and the simulator bring their own.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the Unix epoch; may jump, so it stamps events and orders nothing."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""

    async def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    def new(self, kind: str) -> str:
        """A fresh identifier of at most 40 characters `[a-z0-9-]`, e.g. `new("run")` -> `run-…`."""


class Randomness(Protocol):
    def random(self) -> float:
        """Uniform in [0, 1)."""


class Executor(Protocol):
    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Runs blocking work off the event loop. When the caller is cancelled, the work is left to
        end by itself and its result is dropped.
        """
