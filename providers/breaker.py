"""Leaves an endpoint alone that keeps failing, and tries it with single calls until it answers again.

One `CircuitBreaker` per endpoint. Closed: calls pass. After `FAILURES` failures in a row it opens: calls fail at once
for a while that doubles. Then it is half open: one call at a time passes; its success closes it.
"""

from collections.abc import Callable

from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.errors import (
    CircuitOpenError,
    ConnectionFailedError,
    OverloadedError,
    ProviderError,
    ProviderTimeoutError,
)
from providers.messages import Answer, Request

FAILURES = 5
FIRST_REST_S = 5.0
LONGEST_REST_S = 60.0
_COUNTS = (ConnectionFailedError, OverloadedError, ProviderTimeoutError)


class CircuitBreaker:
    """`name` is shown in the error. Times in seconds of `monotonic`."""

    def __init__(self, name: str, monotonic: Callable[[], float]) -> None:
        self._name = name
        self._monotonic = monotonic
        self._failures = 0
        self._rest = FIRST_REST_S
        self._open_until: float | None = None
        self._probing = False

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        if self._open_until is None:
            return "closed"
        return "open" if self._monotonic() < self._open_until else "half-open"

    def admit(self) -> bool:
        """Whether the call is a probe. Raises CircuitOpenError when it may not start."""
        if self._open_until is None:
            return False
        left = self._open_until - self._monotonic()
        if left > 0 or self._probing:
            delay = max(left, 1.0)
            raise CircuitOpenError(
                f"{self._name} failed {self._failures} times in a row; it is tried again in {delay:.0f} s",
                retry_after=delay,
            )
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The endpoint answered, be it with a refusal."""
        self._failures = 0
        self._rest = FIRST_REST_S
        self._open_until = None

    def failed(self, *, probe: bool) -> None:
        self._failures += 1
        if probe or (self._open_until is None and self._failures >= FAILURES):
            self._open_until = self._monotonic() + self._rest
            self._rest = min(LONGEST_REST_S, 2 * self._rest)

    def probed(self) -> None:
        """The probe has ended, however."""
        self._probing = False


class BreakingProvider:
    """A ModelProvider behind a circuit breaker."""

    def __init__(self, inner: ModelProvider, breaker: CircuitBreaker) -> None:
        self._inner = inner
        self._breaker = breaker

    @property
    def name(self) -> str:
        return self._inner.name

    def profile(self, model: str) -> ModelProfile:
        return self._inner.profile(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        probe = self._breaker.admit()
        try:
            answer = await self._inner.complete(request, on_delta=on_delta)
        except ProviderError as error:
            if isinstance(error, _COUNTS):
                self._breaker.failed(probe=probe)
            else:
                self._breaker.succeeded()
            raise
        finally:
            if probe:
                self._breaker.probed()
        self._breaker.succeeded()
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()
