from collections.abc import Sequence

import anyio
import pytest

from providers import errors
from providers.base import ModelProfile, OnDelta
from providers.config import RetryPolicy
from providers.messages import Answer, Request, TextDelta, assistant, user
from providers.retry import RetryingProvider
from providers.usage import Usage
from tests.providers.virtual_time import VirtualTime

REQUEST = Request("m", (user("x"),))
POLICY = RetryPolicy(
    max_attempts=4, first_backoff_s=1.0, longest_backoff_s=3.0, longest_wait_s=60.0, give_up_after_s=300.0
)


class Played:
    """A provider that plays these outcomes in order: an error, or a text."""

    name = "played"

    def __init__(self, outcomes: Sequence[errors.ProviderError | str]) -> None:
        self._outcomes = list(outcomes)
        self.calls = 0
        self.closed = False

    def profile(self, model: str) -> ModelProfile:
        return ModelProfile(context_window=len(model))

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        self.calls += 1
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, str):
            if on_delta is not None:
                on_delta(TextDelta(outcome))
            return Answer(assistant(outcome), "end", Usage(1, 1))
        if outcome.answer_begun and on_delta is not None:
            on_delta(TextDelta("half"))
        raise outcome

    async def aclose(self) -> None:
        self.closed = True


def begun(error: errors.ProviderError) -> errors.ProviderError:
    error.answer_begun = True
    return error


def retrying(
    time: VirtualTime, played: Played, *, rand: float = 0.5, policy: RetryPolicy = POLICY
) -> RetryingProvider:
    return RetryingProvider(played, policy, sleep=time.sleep, monotonic=time.monotonic, rand=lambda: rand)


async def test_an_answer_at_once_is_passed_through(time: VirtualTime) -> None:
    played = Played(["hi"])
    provider = retrying(time, played)
    answer = await provider.complete(REQUEST)
    assert (answer.message.text, answer.discarded_attempts, time.slept) == ("hi", 0, [])
    assert (provider.name, provider.profile("abc").context_window) == ("played", 3)
    await provider.aclose()
    assert played.closed


async def test_full_jitter_doubles_its_ceiling_up_to_the_longest(time: VirtualTime) -> None:
    played = Played(
        [
            errors.OverloadedError("a"),
            errors.ConnectionFailedError("b"),
            errors.ProviderTimeoutError("c"),
            "hi",
        ]
    )
    answer = await retrying(time, played, rand=0.5).complete(REQUEST)
    assert answer.message.text == "hi"
    assert time.slept == [0.5, 1.0, 1.5]


async def test_the_last_error_is_raised_when_the_attempts_are_used_up(time: VirtualTime) -> None:
    played = Played([errors.OverloadedError(str(number)) for number in range(9)])
    with pytest.raises(errors.OverloadedError, match="3"):
        await retrying(time, played).complete(REQUEST)
    assert played.calls == 4


async def test_one_attempt_means_one(time: VirtualTime) -> None:
    played = Played([errors.OverloadedError("x")])
    with pytest.raises(errors.OverloadedError):
        await retrying(time, played, policy=RetryPolicy(max_attempts=1)).complete(REQUEST)
    assert (played.calls, time.slept) == (1, [])


@pytest.mark.parametrize(
    "error",
    [
        errors.AuthenticationError("x"),
        errors.QuotaExhaustedError("x"),
        errors.RefusalError("x"),
        errors.ContextOverflowError("x"),
        errors.BadResponseError("a page", retryable=False),
    ],
)
async def test_what_waiting_does_not_mend_is_raised_at_once(
    time: VirtualTime, error: errors.ProviderError
) -> None:
    for outcomes in ([error], [errors.OverloadedError("x"), error]):
        played = Played(outcomes)
        with pytest.raises(type(error)) as raised:
            await retrying(time, played).complete(REQUEST)
        assert raised.value is error
        assert played.calls == len(outcomes)


async def test_the_servers_delay_is_honoured(time: VirtualTime) -> None:
    played = Played(
        [errors.RateLimitError("x", retry_after=7), errors.OverloadedError("y", retry_after=3), "hi"]
    )
    await retrying(time, played, rand=0.5).complete(REQUEST)
    assert time.slept == [7.5, 3.5]


async def test_a_delay_beyond_the_longest_wait_is_not_waited_for(time: VirtualTime) -> None:
    played = Played([errors.RateLimitError("x", retry_after=61)])
    with pytest.raises(errors.RateLimitError) as raised:
        await retrying(time, played).complete(REQUEST)
    assert (raised.value.retry_after, time.slept) == (61, [])


async def test_rate_limits_use_up_time_not_attempts(time: VirtualTime) -> None:
    played = Played([*(errors.RateLimitError("x", retry_after=10) for _ in range(20)), "hi"])
    assert (await retrying(time, played, rand=0).complete(REQUEST)).message.text == "hi"
    endless = Played([errors.RateLimitError("x", retry_after=50) for _ in range(20)])
    with pytest.raises(errors.RateLimitError):
        await retrying(time, endless, rand=0).complete(REQUEST)
    assert endless.calls == 7  # at 0, 50, … 300 s


async def test_a_broken_off_answer_is_made_anew_and_counted(time: VirtualTime) -> None:
    played = Played([begun(errors.BadResponseError("cut")), errors.OverloadedError("x"), "whole"])
    shown: list[TextDelta] = []
    answer = await retrying(time, played).complete(REQUEST, on_delta=shown.append)
    assert answer.message.text == "whole"
    assert answer.discarded_attempts == 1
    assert answer.usage == Usage(1, 1)
    assert shown == [
        TextDelta("half"),
        TextDelta("", restart=True),
        TextDelta("", restart=True),
        TextDelta("whole"),
    ]


async def test_cancelling_ends_the_wait() -> None:
    played = Played([errors.OverloadedError("x", retry_after=50), "hi"])
    provider = RetryingProvider(
        played, POLICY, sleep=anyio.sleep, monotonic=anyio.current_time, rand=lambda: 0.5
    )
    with anyio.move_on_after(0.05) as scope:
        await provider.complete(REQUEST)
    assert scope.cancelled_caught
    assert played.calls == 1


async def test_cancelling_a_repeated_call_is_not_taken_for_a_fault() -> None:
    class Hangs(Played):
        async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
            if self.calls:
                self.calls += 1
                await anyio.sleep_forever()
            return await super().complete(request, on_delta=on_delta)

    played = Hangs([errors.OverloadedError("x", retry_after=0)])
    provider = RetryingProvider(
        played, POLICY, sleep=anyio.sleep, monotonic=anyio.current_time, rand=lambda: 0
    )
    with anyio.move_on_after(0.1) as scope:
        await provider.complete(REQUEST)
    assert scope.cancelled_caught
    assert played.calls == 2
