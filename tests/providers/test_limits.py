import anyio
import pytest

from providers import errors
from providers.base import ModelProfile, OnDelta
from providers.config import RetryPolicy
from providers.limits import CallLimiter, LimitedProvider
from providers.messages import Answer, Request, assistant, user
from providers.retry import RetryingProvider
from providers.usage import Usage
from tests.providers.virtual_time import VirtualTime

REQUEST = Request("m", (user("x"),))


class Server:
    """Counts calls and how many are open at once; refuses all before `open_at` with a rate limit."""

    name = "server"

    def __init__(self, time: VirtualTime, *, open_at: float = 0.0, retry_after: float | None = None) -> None:
        self._time = time
        self._open_at = open_at
        self._retry_after = retry_after
        self.calls: list[float] = []
        self.open = 0
        self.most_open = 0

    def profile(self, model: str) -> ModelProfile:
        return ModelProfile()

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        self.calls.append(self._time.now)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            self.open -= 1
        if self._time.now < self._open_at:
            raise errors.RateLimitError("429", retry_after=self._retry_after)
        return Answer(assistant("ok"), "end", Usage(1, 1))

    async def aclose(self) -> None: ...


def limiter(time: VirtualTime, most: int = 3, *, rand: float = 0.0) -> CallLimiter:
    return CallLimiter(most, monotonic=time.monotonic, sleep=time.sleep, rand=lambda: rand)


async def test_no_more_calls_at_once_than_allowed(time: VirtualTime) -> None:
    server = Server(time)
    provider = LimitedProvider(server, limiter(time, 3))
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(provider.complete, REQUEST)
    assert (len(server.calls), server.most_open) == (20, 3)


async def test_a_429_makes_its_siblings_wait_instead_of_failing(time: VirtualTime) -> None:
    server = Server(time, open_at=time.now + 5, retry_after=5.0)
    calm = RetryingProvider(
        LimitedProvider(server, limiter(time, 2)),
        RetryPolicy(),
        sleep=time.sleep,
        monotonic=time.monotonic,
        rand=lambda: 0.0,
    )
    answers: list[Answer] = []

    async def call() -> None:
        answers.append(await calm.complete(REQUEST))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(call)
    assert len(answers) == 50
    assert len(server.calls) <= 52  # only the two that were open met the limit
    assert all(at == 1000.0 or at >= 1005.0 for at in server.calls)


async def test_without_a_delay_the_pause_doubles_until_a_call_succeeds(time: VirtualTime) -> None:
    limits = limiter(time)
    waits = []
    for _ in range(7):
        waits.append(limits.limited(None))
        time.now += limits.paused_for
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    limits.succeeded()
    assert limits.limited(None) == 1


async def test_siblings_that_fail_together_do_not_double_the_pause(time: VirtualTime) -> None:
    limits = limiter(time)
    assert [limits.limited(None) for _ in range(5)] == [1.0] * 5


async def test_a_shorter_delay_does_not_shorten_a_pause(time: VirtualTime) -> None:
    limits = limiter(time)
    limits.limited(20.0)
    assert limits.limited(2.0) == 20.0


async def test_calls_resume_spread_over_a_tenth_of_the_pause(time: VirtualTime) -> None:
    limits = limiter(time, rand=0.5)
    limits.limited(10.0)
    await limits.acquire()
    assert time.slept == [10.5]


async def test_a_pause_beyond_the_longest_wait_is_said_at_once(time: VirtualTime) -> None:
    limits = limiter(time, 1)
    limits.limited(3600.0)
    for _ in range(2):  # and the slot is free again
        with pytest.raises(errors.RateLimitError, match="another 3600 s") as raised:
            await limits.acquire()
        assert raised.value.retry_after == 3600.0
    assert time.slept == []


async def test_the_error_carries_the_pause_and_frees_the_slot(time: VirtualTime) -> None:
    provider = LimitedProvider(Server(time, open_at=time.now + 0.5), limiter(time, 1))
    with pytest.raises(errors.RateLimitError) as raised:
        await provider.complete(REQUEST)
    assert raised.value.retry_after == 1.0
    assert (await provider.complete(REQUEST)).message.text == "ok"


async def test_a_cancelled_call_frees_its_slot(time: VirtualTime) -> None:
    limits = CallLimiter(1, monotonic=time.monotonic, sleep=anyio.sleep, rand=lambda: 0.0)
    limits.limited(50.0)
    with anyio.move_on_after(0.01) as scope:
        await limits.acquire()
    assert scope.cancelled_caught
    time.now += 60
    with anyio.fail_after(1):
        await limits.acquire()
