"""How many calls may be open at once, and the pause that a 429 imposes on all of them.

One `CallLimiter` per provider and key, shared by every run of the process: a call that is told to wait makes its
siblings wait too instead of failing one after the other. Rates are not learnt here yet.
"""

from collections.abc import Awaitable, Callable

import anyio

from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.errors import RateLimitError
from providers.messages import Answer, Request

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
SPREAD = 0.1  # calls resume over this part of the pause, not all in one moment


class CallLimiter:
    """At most `max_concurrent` calls at once, first come first served; none starts during a pause.

    A rate limit without a delay of the server pauses 1 s, then 2, 4 … up to 30 s while no call succeeds.
    """

    def __init__(
        self,
        max_concurrent: int,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        rand: Callable[[], float],
        longest_wait_s: float = 120.0,
    ) -> None:
        self._slots = anyio.Semaphore(max_concurrent, fast_acquire=True)
        self._monotonic = monotonic
        self._sleep = sleep
        self._rand = rand
        self._longest_wait = longest_wait_s
        self._resume_at = float("-inf")
        self._backoff = FIRST_PAUSE_S

    @property
    def paused_for(self) -> float:
        """Seconds until calls start again; 0 when they do."""
        return max(0.0, self._resume_at - self._monotonic())

    async def acquire(self) -> None:
        """Waits for a slot and for the end of a pause. The slot is held while pausing, so order is kept.

        Raises RateLimitError at once when the pause is longer than `longest_wait_s`.
        """
        await self._slots.acquire()
        try:
            await self._wait_out_pause()
        except BaseException:
            self._slots.release()
            raise

    async def _wait_out_pause(self) -> None:
        while (left := self.paused_for) > 0:
            if left > self._longest_wait:
                raise RateLimitError(
                    f"calls are paused for another {left:.0f} s by a rate limit; try again then",
                    retry_after=left,
                )
            await self._sleep(left * (1 + SPREAD * self._rand()))

    def release(self) -> None:
        self._slots.release()

    def succeeded(self) -> None:
        self._backoff = FIRST_PAUSE_S

    def limited(self, retry_after: float | None) -> float:
        """A call was refused for its rate: pauses every call. Returns the seconds to wait."""
        if retry_after is None:
            if self.paused_for > 0:  # a sibling of the call that imposed this pause: no reason to double it
                return self.paused_for
            retry_after = self._backoff
            self._backoff = min(LONGEST_PAUSE_S, self._backoff * 2)
        self._resume_at = max(self._resume_at, self._monotonic() + retry_after)
        return self.paused_for


class LimitedProvider:
    """A ModelProvider whose calls go through a limiter. Put it inside the retries, so that waiting frees its slot."""

    def __init__(self, inner: ModelProvider, limiter: CallLimiter) -> None:
        self._inner = inner
        self._limiter = limiter

    @property
    def name(self) -> str:
        return self._inner.name

    def profile(self, model: str) -> ModelProfile:
        return self._inner.profile(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        """As the inner one. A RateLimitError leaves with the pause as its `retry_after`."""
        limiter = self._limiter
        await limiter.acquire()
        try:
            answer = await self._inner.complete(request, on_delta=on_delta)
        except RateLimitError as error:
            error.retry_after = limiter.limited(error.retry_after)
            raise
        finally:
            limiter.release()
        limiter.succeeded()
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()
