"""An event loop whose time is virtual and whose order is a seed's.

Of the steps that are ready together, asyncio keeps the order in which they became ready; where a library keeps tasks in a
set (anyio's scopes do), that order depends on addresses and differs between two processes. So ready steps are sorted by
the creation number of their task first and shuffled by the seed then. Time moves only when nothing is ready.
There are no threads, no sockets and no signals here; what needs one fails loudly.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from random import Random
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
STEPS_MAX = 400_000
SECONDS_MAX = 3_600.0


class StalledError(Exception):
    """Nothing can go on, or nothing comes to an end: a deadlock or a livelock of what was simulated."""


class SimulatedLoop(asyncio.AbstractEventLoop):
    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._now = 0.0
        self._numbers = itertools.count()
        self._tasks: dict[int, int] = {}
        self._ready: list[tuple[int, asyncio.Handle]] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._running = False
        self.steps = 0
        self.unhandled: list[dict[str, Any]] = []

    # --- what asyncio asks of a loop -------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        return None

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> "asyncio.Task[T]":
        # A task's first step is asked for while it is being made: its number is the next one.
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.setdefault(id(task), next(self._numbers))
        task.add_done_callback(self._forget, context=context)
        return task

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context or copy_context())
        self._ready.append((self._number_of(callback), handle))
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context or copy_context())
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asked by a handle that is cancelled; the heap drops it when its time has come."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.unhandled.append(context)

    # --- running ---------------------------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Raises what `main` raises, and StalledError."""
        asyncio.events._set_running_loop(self)
        self._running = True
        try:
            task = self.create_task(main)
            while not task.done():
                self._turn()
            return task.result()
        finally:
            self._running = False
            asyncio.events._set_running_loop(None)

    def _turn(self) -> None:
        if not self._ready:
            self._advance()
        batch = sorted(self._ready, key=lambda step: step[0])
        self._ready = []
        self._chance.shuffle(batch)
        for _, handle in batch:
            if not handle.cancelled():
                self.steps += 1
                handle._run()
        if self.steps > STEPS_MAX:
            raise StalledError(f"{STEPS_MAX} steps and no end")

    def _advance(self) -> None:
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            raise StalledError("nothing is ready and nothing will be: a deadlock")
        self._now = max(self._now, self._timers[0][0])
        if self._now > SECONDS_MAX:
            raise StalledError(f"{SECONDS_MAX:g} virtual seconds and no end")
        while self._timers and self._timers[0][0] <= self._now:
            _, number, handle = heapq.heappop(self._timers)
            if not handle.cancelled():
                self._ready.append((number, handle))

    def _number_of(self, callback: Callable[..., object]) -> int:
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, asyncio.Task):
            return self._tasks.setdefault(id(owner), next(self._numbers))
        return next(self._numbers)

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(id(task), None)
