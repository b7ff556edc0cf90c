"""How many calls may be open at once and how fast they may follow, learnt from what the server says.

One `CallLimiter` per provider and key, shared by every run of the process. The window of open calls grows with each
success and is cut by a 429 (additive increase, multiplicative decrease): then nothing starts until the pause
is over, and first a single call, whose success opens the window again; and calls follow each other no faster than
they have passed before, a little faster with each that passes. So a 429 delays its siblings and fails none. Runs take
turns; inside a run the higher priority goes first.
"""

import heapq
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.errors import CircuitOpenError, OverloadedError, RateLimitError
from providers.messages import Answer, Request, TextDelta
from providers.tokens import estimate_request

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
SPREAD = 0.1  # calls resume over this part of the pause, not all in one moment
FIRST_WINDOW = 12
SHOWN_FROM_S = 5.0  # a shorter wait is not worth a word
GROWTH = 0.05  # of the rate at which calls had passed before a 429, more with each that passes
_ENOUGH = 10.0
_BURST_S = 5.0  # so much of a minute's allowance may be used at once

OnWait = Callable[[float, str], None]


@dataclass(slots=True)
class _Allowance:
    """What the server said is left of one limit, and when it is whole again."""

    remaining: int
    resets_at: float


class _Rate:
    """A limit per second: a bucket that fills evenly and may be overdrawn by one call."""

    def __init__(self, per_second: float, now: float, *, burst_s: float = _BURST_S) -> None:
        self._first = self._per_second = per_second
        self._most = max(1.0, self._per_second * burst_s)
        self._level = self._most
        self._at = now

    def ready_at(self, amount: float, now: float) -> float:
        self._fill(now)
        lacking = min(amount, self._most) - self._level
        return now if lacking <= 0 else now + lacking / self._per_second

    def take(self, amount: float, now: float) -> None:
        self._fill(now)
        self._level -= amount

    def grow(self) -> bool:
        """A call passed. Whether the rate has become so high that it limits nothing any more."""
        self._per_second += GROWTH * self._first
        return self._per_second > _ENOUGH * self._first

    def _fill(self, now: float) -> None:
        now = max(now, self._at)
        self._level = min(self._most, self._level + (now - self._at) * self._per_second)
        self._at = now


@dataclass(slots=True)
class _Waiter:
    run: str
    tokens: int
    on_wait: OnWait | None
    event: anyio.Event = field(default_factory=anyio.Event)
    granted: bool = False
    left: bool = False
    told: float = float("-inf")


class CallLimiter:
    """At most `max_concurrent` calls at once; none starts during a pause.

    A rate limit without a delay of the server pauses 1 s, then 2, 4 … up to 30 s while no call succeeds.
    `requests_per_minute` and `tokens_per_minute` are the user's own limits beside those that the server tells.
    """

    def __init__(
        self,
        max_concurrent: int,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        rand: Callable[[], float],
        longest_wait_s: float = 120.0,
        first_window: int = FIRST_WINDOW,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        self._most = max_concurrent
        self._monotonic = monotonic
        self._sleep = sleep
        self._rand = rand
        self._longest_wait = longest_wait_s
        now = monotonic()
        self._requests = _Rate(requests_per_minute / 60, now) if requests_per_minute else None
        self._tokens = _Rate(tokens_per_minute / 60, now) if tokens_per_minute else None
        self._learnt: _Rate | None = None  # learnt from the last 429
        self._episode = now  # since the last pause
        self._passed = 0  # calls that succeeded since
        self._left: dict[str, _Allowance] = {}
        self._window = float(min(first_window, max_concurrent))
        self._steep_until = float(max_concurrent)  # below it the window grows by one for each success
        self._open = 0
        self._resume_at = float("-inf")
        self._cut_at = float("-inf")
        self._backoff = FIRST_PAUSE_S
        self._queues: dict[str, list[tuple[int, int, _Waiter]]] = {}
        self._turns: deque[str] = deque()
        self._number = 0
        self._pacer: _Waiter | None = None

    @property
    def paused_for(self) -> float:
        """Seconds until calls start again; 0 when they do."""
        return max(0.0, self._resume_at - self._monotonic())

    @property
    def window(self) -> int:
        """How many calls may be open now."""
        return max(1, int(self._window))

    @property
    def wants_tokens(self) -> bool:
        """Whether a call should say how many tokens it is likely to use."""
        return self._tokens is not None or "tokens" in self._left

    @property
    def waiting(self) -> int:
        return sum(not waiter.left for queue in self._queues.values() for _, _, waiter in queue)

    async def acquire(
        self, run: str = "", *, priority: int = 0, tokens: int = 0, on_wait: OnWait | None = None
    ) -> float:
        """Waits for its turn and returns the time of the start. `on_wait` gets the seconds and the reason of a wait
        that is longer than `SHOWN_FROM_S`.

        Raises RateLimitError at once when the wait is longer than `longest_wait_s`.
        """
        waiter = _Waiter(run, tokens, on_wait)
        self._enqueue(waiter, priority)
        try:
            while True:
                self._dispatch()
                if waiter.granted:
                    break
                await self._wait(waiter)
        except BaseException:
            if waiter.granted:
                self.release()
            waiter.left = True
            self._hand_over()
            raise
        self._hand_over()
        return self._monotonic()

    def release(self) -> None:
        """The call has ended, however."""
        self._open -= 1
        self._dispatch()
        self._wake_pacer()

    def succeeded(self, *, started: float | None = None) -> None:
        """A call that began at `started` was answered. One from before the last 429 says nothing of after."""
        if started is not None and started <= self._cut_at:
            return
        self._backoff = FIRST_PAUSE_S
        self._passed += 1
        if self._learnt is not None and self._learnt.grow():
            self._learnt = None
        if self._window < self._steep_until:
            self._window = min(self._window + 1, float(self._most))
        else:
            self._window = min(self._window + 1 / self._window, float(self._most))

    def limited(self, retry_after: float | None, *, started: float | None = None) -> float:
        """A call that began at `started` was refused for its rate: pauses every call. Returns the seconds to wait."""
        known = started is not None and started <= self._cut_at  # a sibling of one that was refused already
        passed, episode = self._passed, self._episode
        if not known:
            self._cut()
        if retry_after is None:
            if self.paused_for > 0 or known:  # no reason to double the pause
                return max(self.paused_for, 0.0 if not known else self._rand() * FIRST_PAUSE_S)
            retry_after = self._backoff
            self._backoff = min(LONGEST_PAUSE_S, self._backoff * 2)
        self._resume_at = max(self._resume_at, self._monotonic() + retry_after)
        if not known:
            self._episode, self._passed = self._resume_at, 0
            took = max(self._resume_at - episode, 0.001)
            self._learnt = _Rate(max(passed, 1) / took, self._resume_at, burst_s=0)
        self._wake_pacer()
        return self.paused_for

    def overloaded(self, *, started: float) -> None:
        """A call was refused since the server is busy: fewer at once, without a pause."""
        if started > self._cut_at:
            window = max(1.0, self._window / 2)
            self._cut()
            self._window = window

    def allowance(self, what: str, remaining: int | None, reset_s: float | None) -> None:
        """What the server said is left of `requests` or `tokens`, and in how many seconds it is whole again."""
        if remaining is None or reset_s is None:
            return
        self._left[what] = _Allowance(remaining, self._monotonic() + min(reset_s, self._longest_wait))

    def _cut(self) -> None:
        self._cut_at = self._monotonic()
        self._steep_until = max(1.0, max(self._open, 1) / 2)
        self._window = 1.0

    def _enqueue(self, waiter: _Waiter, priority: int) -> None:
        queue = self._queues.get(waiter.run)
        if queue is None:
            queue = self._queues[waiter.run] = []
            self._turns.append(waiter.run)
        self._number += 1
        heapq.heappush(queue, (-priority, self._number, waiter))

    def _next(self) -> _Waiter | None:
        """The one whose turn it is; those that left are dropped on the way."""
        while self._turns:
            queue = self._queues[self._turns[0]]
            while queue and queue[0][2].left:
                heapq.heappop(queue)
            if queue:
                return queue[0][2]
            del self._queues[self._turns.popleft()]
        return None

    def _dispatch(self) -> None:
        now = self._monotonic()
        while self._open < self.window:
            waiter = self._next()
            if waiter is None or self._may_start_at(waiter, now) > now:
                return
            heapq.heappop(self._queues[waiter.run])
            self._turns.rotate(-1)
            self._start(waiter, now)

    def _start(self, waiter: _Waiter, now: float) -> None:
        self._open += 1
        waiter.granted = True
        waiter.event.set()
        for rate in (self._requests, self._learnt):
            if rate is not None:
                rate.take(1, now)
        if self._tokens is not None:
            self._tokens.take(waiter.tokens, now)
        for what, amount in (("requests", 1), ("tokens", waiter.tokens)):
            if what in self._left:
                self._left[what].remaining -= amount

    def _may_start_at(self, waiter: _Waiter, now: float) -> float:
        at = self._resume_at
        for rate in (self._requests, self._learnt):
            if rate is not None:
                at = max(at, rate.ready_at(1, now))
        if self._tokens is not None:
            at = max(at, self._tokens.ready_at(waiter.tokens, now))
        for what, amount in (("requests", 1), ("tokens", waiter.tokens)):
            left = self._left.get(what)
            if left is not None and left.resets_at <= now:
                del self._left[what]
            elif left is not None and left.remaining < amount and self._open:
                at = max(at, left.resets_at)  # with none open it is tried: the figure may be old
        return at

    async def _wait(self, waiter: _Waiter) -> None:
        """One of those that wait watches the clock; all others sleep until they are woken."""
        if self._pacer is not None:
            await waiter.event.wait()
        else:
            self._pacer = waiter
            try:
                await self._pace(waiter)
            finally:
                self._pacer = None
        if not waiter.granted:
            waiter.event = anyio.Event()

    async def _pace(self, waiter: _Waiter) -> None:
        now = self._monotonic()
        first = self._next()
        delay = 0.0 if first is None else self._may_start_at(first, now) - now
        if delay <= 0:  # only an open call is in the way
            await waiter.event.wait()
            return
        if delay > self._longest_wait:
            raise RateLimitError(
                f"calls are paused for another {delay:.0f} s by a rate limit; try again then",
                retry_after=delay,
            )
        self._tell(now, delay)
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                await self._sleep(delay * (1 + SPREAD * self._rand()))
                group.cancel_scope.cancel()

            group.start_soon(watch)
            await waiter.event.wait()
            group.cancel_scope.cancel()

    def _tell(self, now: float, delay: float) -> None:
        if delay < SHOWN_FROM_S:
            return
        for queue in self._queues.values():
            for _, _, waiter in queue:
                if not waiter.left and waiter.on_wait is not None and waiter.told < now + delay - 1:
                    waiter.told = now + delay
                    waiter.on_wait(delay, "a rate limit")

    def _wake_pacer(self) -> None:
        if self._pacer is not None:
            self._pacer.event.set()

    def _hand_over(self) -> None:
        """The next one that waits watches the clock."""
        if self._pacer is None:
            waiter = self._next()
            if waiter is not None:
                waiter.event.set()


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
        labels = request.labels
        started = await limiter.acquire(
            labels.run_id,
            priority=labels.priority,
            tokens=estimate_request(request) if limiter.wants_tokens else 0,
            on_wait=None if on_delta is None else _teller(on_delta),
        )
        try:
            answer = await self._inner.complete(request, on_delta=on_delta)
        except RateLimitError as error:
            error.retry_after = limiter.limited(error.retry_after, started=started)
            raise
        except OverloadedError as error:
            if not isinstance(error, CircuitOpenError):
                limiter.overloaded(started=started)
            raise
        finally:
            limiter.release()
        limiter.succeeded(started=started)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


def _teller(on_delta: OnDelta) -> OnWait:
    return lambda seconds, reason: on_delta(TextDelta("", waiting=seconds, reason=reason))
