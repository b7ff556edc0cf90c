"""Transport retries: a failed call is made again when that may help, never more than the policy allows.

This is the only layer that repeats a call; a task that fails is repeated by the scheduler. Part of an answer
that was streamed before a fault is thrown away: it was display only, and an answer is used once it is whole.
What the thrown-away part cost is unknown, so it is counted (`Answer.discarded_attempts`), not guessed.
"""

import importlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.config import RetryPolicy
from providers.errors import CircuitOpenError, OverloadedError, ProviderError, RateLimitError
from providers.limits import SHOWN_FROM_S
from providers.loading import load
from providers.messages import Answer, Request, TextDelta
from providers.retry_budget import RetryBudget, RetryBudgets

# What a wait is for, in the words of `TextDelta.reason`.
WAITS = {
    RateLimitError: "a rate limit",
    OverloadedError: "a busy server",
    CircuitOpenError: "a server that failed too often",
}

if TYPE_CHECKING:  # tenacity costs 30 ms to import: only the first retry pays for it
    import tenacity


class RetryingProvider:
    """A ModelProvider that repeats retryable faults: full-jitter backoff (each wait uniform from 0 to a doubling
    ceiling), the server's own delay where it gave one. `rand` is uniform in [0, 1). Each repetition is taken from the
    budget of its run.
    """

    def __init__(
        self,
        inner: ModelProvider,
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float],
        rand: Callable[[], float],
        budgets: RetryBudgets | None = None,
    ) -> None:
        self._inner = inner
        self._policy = policy
        self._sleep = sleep
        self._monotonic = monotonic
        self._rand = rand
        self._budgets = RetryBudgets(monotonic) if budgets is None else budgets

    @property
    def name(self) -> str:
        return self._inner.name

    def profile(self, model: str) -> ModelProfile:
        return self._inner.profile(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        """As the inner one; the last error is raised when the policy is at its end.

        `on_delta` gets a delta with `restart` before the pieces of an answer that is made anew.
        """
        budget = self._budgets.of(request.labels.run_id)
        budget.called()
        try:
            return await self._inner.complete(request, on_delta=on_delta)
        except ProviderError as error:
            if not error.retryable:
                raise
            first = error
        return await _Repetition(self._inner, self._policy, budget, first, self._monotonic, self._rand).run(
            request, on_delta, self._sleep
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Repetition:
    """One call after its first fault. Tenacity drives it: its first attempt raises the fault we already have."""

    def __init__(
        self,
        inner: ModelProvider,
        policy: RetryPolicy,
        budget: RetryBudget,
        first: ProviderError,
        monotonic: Callable[[], float],
        rand: Callable[[], float],
    ) -> None:
        self._inner = inner
        self._policy = policy
        self._budget = budget
        self._known: ProviderError | None = first
        self._monotonic = monotonic
        self._rand = rand
        self._give_up_at = monotonic() + policy.give_up_after_s
        self._attempts = 0  # those that count: rate limits do not
        self._faults = 0
        self._lacking = 0.0  # seconds until the budget of the run allows the next repetition
        self._discarded = 0

    async def run(
        self, request: Request, on_delta: OnDelta | None, sleep: Callable[[float], Awaitable[None]]
    ) -> Answer:
        # 20 ms and more to import: not on the loop, and only for a run that meets a fault.
        library = await load(partial(importlib.import_module, "tenacity"))

        def tell(state: "tenacity.RetryCallState") -> None:
            if on_delta is not None and state.upcoming_sleep >= SHOWN_FROM_S:
                reason = WAITS.get(type(_fault(state)), "a fault to pass")
                on_delta(TextDelta("", waiting=state.upcoming_sleep, reason=reason))

        repeat = library.AsyncRetrying(
            sleep=sleep,
            before_sleep=tell,
            stop=self._is_at_end,
            wait=self._wait,
            retry=library.retry_if_exception(_is_retryable),
            reraise=True,
        )
        answer: Answer = await repeat(self._attempt, request, on_delta)
        if self._discarded:
            answer = msgspec.structs.replace(answer, discarded_attempts=self._discarded)
        return answer

    async def _attempt(self, request: Request, on_delta: OnDelta | None) -> Answer:
        known, self._known = self._known, None
        if known is not None:
            self._note(known)
            raise known
        if on_delta is not None and self._discarded:
            on_delta(TextDelta("", restart=True))
        try:
            return await self._inner.complete(request, on_delta=on_delta)
        except ProviderError as error:
            self._note(error)
            raise

    def _note(self, error: ProviderError) -> None:
        self._faults += 1
        self._attempts += not isinstance(error, RateLimitError)
        self._discarded += error.answer_begun

    def _is_at_end(self, state: "tenacity.RetryCallState") -> bool:
        """Asked after `_wait`, which has taken a repetition from the budget: it goes back when there is none."""
        wait = state.upcoming_sleep
        fault = _fault(state)
        at_end = (
            (self._lacking > 0 and not isinstance(fault, RateLimitError))
            or self._attempts >= self._policy.max_attempts
            or (fault.retry_after or 0.0) > self._policy.longest_wait_s
            or self._monotonic() + wait > self._give_up_at
        )
        if at_end:
            self._budget.give_back()
        return at_end

    def _wait(self, state: "tenacity.RetryCallState") -> float:
        policy = self._policy
        ceiling = min(policy.longest_backoff_s, policy.first_backoff_s * 2.0 ** min(self._faults - 1, 30))
        delay = _fault(state).retry_after
        wait = self._rand() * ceiling if delay is None else delay + self._rand() * policy.first_backoff_s
        self._lacking = self._budget.take()
        return max(wait, self._lacking)


def _fault(state: "tenacity.RetryCallState") -> ProviderError:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert isinstance(error, ProviderError)
    return error


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, ProviderError) and error.retryable
