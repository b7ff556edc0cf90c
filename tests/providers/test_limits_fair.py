"""Turns between runs, priorities, allowances that servers tell, limits that the user sets, waits that are shown."""

import itertools

import anyio
import pytest

from providers.base import ModelProfile, OnDelta
from providers.errors import OverloadedError, RateLimitError
from providers.limits import FIRST_WINDOW, CallLimiter, LimitedProvider
from providers.messages import Answer, Request, RequestLabels, TextDelta, assistant, user
from providers.usage import Usage
from tests.providers.virtual_time import VirtualTime


def limiter(
    time: VirtualTime, most: int = 64, *, requests: float | None = None, tokens: float | None = None
) -> CallLimiter:
    return CallLimiter(
        most,
        monotonic=time.monotonic,
        sleep=time.sleep,
        rand=lambda: 0.0,
        requests_per_minute=requests,
        tokens_per_minute=tokens,
    )


async def test_runs_take_turns_and_priority_goes_first_inside(time: VirtualTime) -> None:
    limits = limiter(time, 1)
    await limits.acquire()
    order: list[str] = []

    async def call(name: str, run: str, priority: int = 0) -> None:
        await limits.acquire(run, priority=priority)
        order.append(name)
        limits.release()

    async with anyio.create_task_group() as group:
        for name in ("a1", "a2", "a3"):
            group.start_soon(call, name, "a")
        await anyio.wait_all_tasks_blocked()
        for name, priority in (("b1", 0), ("b2", 5)):
            group.start_soon(call, name, "b", priority)
        await anyio.wait_all_tasks_blocked()
        assert limits.waiting == 5
        limits.release()
    assert order == ["a1", "b2", "a2", "b1", "a3"]


async def test_the_window_grows_with_success_and_is_cut_by_a_429(time: VirtualTime) -> None:
    limits = limiter(time)
    assert limits.window == FIRST_WINDOW
    started = await limits.acquire()
    limits.succeeded(started=started)
    assert limits.window == FIRST_WINDOW + 1
    time.now += 1
    limits.limited(5.0, started=time.now)
    assert limits.window == 1
    limits.limited(1.0, started=started)  # a sibling that was on its way
    assert limits.paused_for == 5.0
    limits.succeeded(started=started)  # an old success opens nothing
    assert limits.window == 1
    time.now += 5
    limits.succeeded(started=time.now)
    assert limits.window == 2


async def test_a_busy_server_halves_the_window_without_a_pause(time: VirtualTime) -> None:
    limits = limiter(time)
    limits.overloaded(started=time.now)
    assert (limits.window, limits.paused_for) == (FIRST_WINDOW // 2, 0)


async def test_after_a_pause_calls_follow_no_faster_than_they_passed_before(time: VirtualTime) -> None:
    limits = limiter(time)
    for _ in range(10):
        started = await limits.acquire()
        time.now += 0.1
        limits.succeeded(started=started)
        limits.release()
    limits.limited(1.0, started=time.now)  # 10 calls in 2 s
    began = time.now
    starts = []
    for _ in range(5):
        starts.append(await limits.acquire() - began)
        limits.succeeded(started=time.now)
        limits.release()
    assert starts[0] == pytest.approx(1.0, abs=0.01)
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert all(gap < 0.2 for gap in gaps)  # ever a little faster than the 0.2 s of before
    assert gaps == sorted(gaps, reverse=True)


async def test_what_the_server_says_is_left_is_not_overrun(time: VirtualTime) -> None:
    limits = limiter(time)
    limits.allowance("requests", 2, 30.0)
    began = time.now
    starts = [await limits.acquire() - began for _ in range(3)]
    assert starts == [0, 0, 30]
    limits = limiter(time)
    await limits.acquire()
    limits.allowance("tokens", 1000, 10.0)
    assert limits.wants_tokens
    began = time.now
    assert await limits.acquire(tokens=900) - began == 0
    assert await limits.acquire(tokens=900) - began == 10


async def test_limits_per_minute_of_the_user(time: VirtualTime) -> None:
    limits = limiter(time, requests=60)
    began = time.now
    starts = []
    for _ in range(8):
        starts.append(await limits.acquire() - began)
        limits.release()
    assert starts == pytest.approx([0, 0, 0, 0, 0, 1, 2, 3])  # five seconds' worth at once, then one a second
    limits = limiter(time, tokens=6000)
    began = time.now
    starts = []
    for _ in range(3):
        starts.append(await limits.acquire(tokens=600) - began)
        limits.release()
    assert starts == pytest.approx([0, 6, 12])


async def test_a_longer_wait_is_shown_with_its_end(time: VirtualTime) -> None:
    class Server:
        name = "s"
        calls = 0

        def profile(self, model: str) -> ModelProfile:
            return ModelProfile()

        async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
            self.calls += 1
            if self.calls == 1:
                raise RateLimitError("429", retry_after=30.0)
            if self.calls == 2:
                raise OverloadedError("529")
            return Answer(assistant("ok"), "end", Usage(1, 1))

        async def aclose(self) -> None: ...

    provider = LimitedProvider(Server(), limiter(time))
    request = Request("m", (user("x"),), labels=RequestLabels(run_id="r"))
    with pytest.raises(RateLimitError):
        await provider.complete(request)
    shown: list[TextDelta] = []
    with pytest.raises(OverloadedError):
        await provider.complete(request, on_delta=shown.append)
    assert shown == [TextDelta("", waiting=30.0, reason="a rate limit")]


async def test_whoever_is_cancelled_while_waiting_leaves_no_gap(time: VirtualTime) -> None:
    limits = limiter(time, 1)
    await limits.acquire()
    got = anyio.Event()

    async def patient() -> None:
        await limits.acquire("b")
        got.set()

    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()

        async def impatient() -> None:
            with scope:
                await limits.acquire("a")

        group.start_soon(impatient)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(patient)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        limits.release()
        with anyio.fail_after(2):
            await got.wait()
    assert limits.waiting == 0
