"""The real clock, identifiers, chance and worker threads. Only the composition root names these."""

import random
import secrets
import time
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


# Time in which the machine slept counts too: limits, budgets and ownership go by the world's time.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _since_boot() -> float:
    return time.clock_gettime(_BOOT_CLOCK)


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return _since_boot()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class RandomIds:
    """`KIND-` and 48 random bits; run ids begin with the start time so that they sort by age."""

    def new(self, kind: str) -> str:
        tail = secrets.token_hex(6)
        if kind == "run":
            return f"run-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{tail[:6]}"
        return f"{kind}-{tail}"


class SystemRandomness:
    def random(self) -> float:
        return random.random()  # noqa: S311 - jitter, not cryptography


class ThreadExecutor:
    """Worker threads of anyio, bounded so that disk work cannot start hundreds."""

    def __init__(self, threads: int = 8) -> None:
        self._threads = threads
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, function: Callable[..., T], *args: object) -> T:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._threads)
        return await anyio.to_thread.run_sync(function, *args, abandon_on_cancel=True, limiter=self._limiter)
