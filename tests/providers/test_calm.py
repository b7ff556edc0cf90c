"""Calm under faults: a storm of 429s, the retry budget, the breaker, chains of models, cancellation."""

import asyncio
import time as clock
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest

from providers import errors
from providers.base import ModelProfile, OnDelta, Prices
from providers.breaker import FAILURES, BreakingProvider, CircuitBreaker
from providers.config import EndpointSettings, ProvidersConfig, RetryPolicy
from providers.fallback import FallbackProvider
from providers.messages import Answer, Request, RequestLabels, TextDelta, assistant, user
from providers.registry import Registry, build_providers
from providers.retry import RetryingProvider
from providers.retry_budget import BudgetRule, RetryBudget, RetryBudgets
from providers.shared_limits import SharedLimits
from providers.usage import Usage
from tests.providers.chat import HELLO
from tests.providers.virtual_time import VirtualTime
from tests.providers.wire_server import Exchange, plain, wire_server

REQUEST = Request("m", (user("x"),))
FAST = RetryPolicy(first_backoff_s=0.02, longest_backoff_s=0.2, give_up_after_s=60)


class Scripted:
    """Raises its errors in order, then answers."""

    def __init__(self, name: str, *faults: errors.ProviderError, window: int | None = None) -> None:
        self.name = name
        self.faults = list(faults)
        self.models: list[str] = []
        self.window = window

    def profile(self, model: str) -> ModelProfile:
        return ModelProfile(self.window)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        self.models.append(request.model)
        await anyio.lowlevel.checkpoint()
        if self.faults:
            fault = self.faults.pop(0)
            if fault.answer_begun and on_delta is not None:
                on_delta(TextDelta("part"))
            raise fault
        return Answer(assistant("ok"), "end", Usage(1, 1), model=self.name)

    async def aclose(self) -> None: ...


def begun(error: errors.ProviderError) -> errors.ProviderError:
    error.answer_begun = True
    return error


@asynccontextmanager
async def registry(
    config: ProvidersConfig, limits: SharedLimits | None = None, **environment: str
) -> AsyncIterator[Registry]:
    built = build_providers(
        config,
        environment=environment,
        sleep=anyio.sleep,
        monotonic=clock.monotonic,
        rand=lambda: 0.5,
        limits=limits,
    )
    try:
        yield built
    finally:
        await built.aclose()


class Throttle:
    """Lets `most` calls of a key pass in each `window_s`; refuses the rest, with or without saying until when."""

    def __init__(self, most: int, window_s: float, *, says: bool) -> None:
        self._most = most
        self._window = window_s
        self._says = says
        self._passed: dict[str, list[float]] = {}
        self.served: dict[str, int] = {}
        self.refused: dict[str, int] = {}

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.head.startswith("GET"):  # which models there are
            exchange.send(plain(404, b"{}"))
            return
        key = exchange.header("authorization") or ""
        now = asyncio.get_running_loop().time()
        passed = [at for at in self._passed.get(key, []) if at > now - self._window]
        if len(passed) >= self._most:
            self.refused[key] = self.refused.get(key, 0) + 1
            wait = f"retry-after-ms: {1000 * (passed[0] + self._window - now):.0f}"
            exchange.send(plain(429, b'{"error":{"message":"Rate limit"}}', *([wait] if self._says else [])))
            return
        self._passed[key] = [*passed, now]
        self.served[key] = self.served.get(key, 0) + 1
        exchange.stream(*HELLO)


@pytest.mark.parametrize("says", [True, False])
async def test_a_storm_of_50_tasks_over_two_keys(says: bool) -> None:
    """Every task gets its answer, and the server counts no more requests than calls and the retry budget allow."""
    throttle = Throttle(5, 0.25, says=says)
    tasks = 50
    async with wire_server(throttle) as server:
        config = ProvidersConfig(
            endpoints={
                "a": EndpointSettings(api="openai", base_url=server.base_url, api_key="key-a"),
                "b": EndpointSettings(api="openai", base_url=server.base_url, api_key="key-b"),
            },
            retry=FAST,
        )
        answers: list[Answer] = []
        began = clock.monotonic()
        async with registry(config) as providers, anyio.create_task_group() as group:

            async def task(number: int) -> None:
                provider, model = providers.resolve(f"{'ab'[number % 2]}/m")
                labels = RequestLabels(run_id="run", task_id=str(number))
                answers.append(await provider.complete(Request(model, (user("x"),), labels=labels)))

            for number in range(tasks):
                group.start_soon(task, number)
        elapsed = clock.monotonic() - began
        completions = [exchange for exchange in server.exchanges if exchange.head.startswith("POST")]
    rule = BudgetRule()
    allowed = tasks + rule.reserve + rule.per_call * tasks + rule.per_second * elapsed
    assert len(answers) == tasks
    assert sum(throttle.served.values()) == tasks
    assert len(completions) == tasks + sum(throttle.refused.values())
    assert len(completions) <= allowed
    assert set(throttle.served.values()) == {tasks // 2}


async def test_two_names_and_two_registries_of_one_key_share_its_limits() -> None:
    """Of a process: two workspaces are two registries, and what a server allows, it allows a key."""
    open_now: Counter[str | None] = Counter()
    most: Counter[str | None] = Counter()

    async def hello(exchange: Exchange) -> None:
        if exchange.head.startswith("POST"):
            key = exchange.header("authorization")
            open_now[key] += 1
            most[key] = max(most[key], open_now[key])
            await anyio.sleep(0.02)
            open_now[key] -= 1
        exchange.stream(*HELLO)

    async with wire_server(hello) as server:

        def named(key: str) -> EndpointSettings:
            return EndpointSettings(
                api="openai", base_url=server.base_url, api_key=key, max_concurrent_calls=2
            )

        ends = {"one": named("key-a"), "two": named("key-a"), "other": named("key-b")}
        limits = SharedLimits()
        async with (
            registry(ProvidersConfig(endpoints=ends), limits) as first,
            registry(ProvidersConfig(endpoints=ends), limits) as second,
            anyio.create_task_group() as group,
        ):
            for providers in (first, second):
                for name in ends:
                    for _ in range(3):
                        group.start_soon(providers.resolve(f"{name}/m")[0].complete, REQUEST)
    assert most == {"Bearer key-a": 2, "Bearer key-b": 2}


async def test_a_limited_key_does_not_slow_its_neighbour() -> None:
    async def answers(exchange: Exchange) -> None:
        if exchange.header("authorization") == "Bearer key-a":
            exchange.send(plain(429, b"{}", "retry-after: 30"))
        else:
            exchange.stream(*HELLO)

    async with wire_server(answers) as server:
        config = ProvidersConfig(
            endpoints={
                name: EndpointSettings(api="openai", base_url=server.base_url, api_key=f"key-{name}")
                for name in "ab"
            }
        )
        shown: list[TextDelta] = []
        async with registry(config) as providers, anyio.create_task_group() as group:

            async def limited() -> None:
                await providers.resolve("a/m")[0].complete(REQUEST, on_delta=shown.append)

            for _ in range(3):
                group.start_soon(limited)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(5):
                for _ in range(10):
                    assert (await providers.resolve("b/m")[0].complete(REQUEST)).message.text == "Hello."
            group.cancel_scope.cancel()


def test_a_budget_fills_by_calls_and_time_and_lends_ever_longer(time: VirtualTime) -> None:
    budget = RetryBudget(BudgetRule(2, 0.5, 0.5), time.monotonic)
    assert [budget.take() for _ in range(4)] == [0, 0, 2, 4]
    time.now += 4
    budget.give_back()
    assert budget.take() == 0
    budget.called()
    budget.called()
    assert budget.take() == 0
    assert budget.take() == 2
    budgets = RetryBudgets(time.monotonic)
    assert budgets.of("a") is budgets.of("a")
    assert budgets.of("a") is not budgets.of("b")


async def test_without_budget_a_fault_is_the_answer_and_a_limit_waits(time: VirtualTime) -> None:
    budgets = RetryBudgets(time.monotonic, BudgetRule(0, 0, 0.5))

    def calm(inner: Scripted) -> RetryingProvider:
        return RetryingProvider(
            inner,
            RetryPolicy(),
            sleep=time.sleep,
            monotonic=time.monotonic,
            rand=lambda: 0.0,
            budgets=budgets,
        )

    broken = Scripted("s", errors.OverloadedError("500"))
    with pytest.raises(errors.OverloadedError):
        await calm(broken).complete(REQUEST)
    assert len(broken.models) == 1
    limited = Scripted("s", errors.RateLimitError("429", retry_after=0.1))
    assert (await calm(limited).complete(REQUEST)).message.text == "ok"
    assert time.slept == [2.0]


async def test_a_breaker_opens_probes_and_closes(time: VirtualTime) -> None:
    faults = [errors.ConnectionFailedError("down") for _ in range(FAILURES + 1)]
    inner = Scripted("s", *faults)
    breaker = CircuitBreaker("the server", time.monotonic)
    provider = BreakingProvider(inner, breaker)

    async def fails(kind: type[errors.ProviderError]) -> errors.ProviderError:
        with pytest.raises(kind) as raised:
            await provider.complete(REQUEST)
        return raised.value

    for _ in range(FAILURES):
        assert breaker.state == "closed"
        await fails(errors.ConnectionFailedError)
    assert breaker.state == "open"
    refused = await fails(errors.CircuitOpenError)
    assert refused.retry_after == 5
    assert len(inner.models) == FAILURES
    time.now += 5
    assert breaker.state == "half-open"
    await fails(errors.ConnectionFailedError)  # the probe
    assert (await fails(errors.CircuitOpenError)).retry_after == 10
    time.now += 10
    assert (await provider.complete(REQUEST)).message.text == "ok"
    assert breaker.state == "closed"


async def test_only_one_probe_at_a_time_and_a_cancelled_one_frees_its_place(time: VirtualTime) -> None:
    class Hangs(Scripted):
        async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
            if len(self.models) == FAILURES:
                self.models.append("probe")
                await anyio.sleep_forever()
            return await super().complete(request, on_delta=on_delta)

    provider = BreakingProvider(
        Hangs("s", *[errors.OverloadedError("x") for _ in range(FAILURES)]),
        CircuitBreaker("s", time.monotonic),
    )
    for _ in range(FAILURES):
        with pytest.raises(errors.OverloadedError):
            await provider.complete(REQUEST)
    time.now += 5
    async with anyio.create_task_group() as group:
        group.start_soon(provider.complete, REQUEST)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(errors.CircuitOpenError):
            await provider.complete(REQUEST)
        group.cancel_scope.cancel()
    assert (await provider.complete(REQUEST)).message.text == "ok"


async def test_errors_of_the_caller_do_not_open_a_breaker(time: VirtualTime) -> None:
    breaker = CircuitBreaker("s", time.monotonic)
    provider = BreakingProvider(
        Scripted("s", *[errors.InvalidRequestError("400") for _ in range(2 * FAILURES)]), breaker
    )
    for _ in range(2 * FAILURES):
        with pytest.raises(errors.InvalidRequestError):
            await provider.complete(REQUEST)
    assert breaker.state == "closed"


@pytest.mark.parametrize(
    "fault",
    [
        errors.OverloadedError("500"),
        errors.QuotaExhaustedError("credit"),
        errors.RateLimitError("429"),
        errors.AuthenticationError("401"),
        errors.ModelNotFoundError("404"),
        errors.ContextOverflowError("long", requested=20, limit=10),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_the_next_model_answers_when_one_cannot(fault: errors.ProviderError) -> None:
    first, second = Scripted("first", begun(fault)), Scripted("second")
    shown: list[TextDelta] = []
    chain = FallbackProvider([(first, "a"), (second, "b")])
    answer = await chain.complete(REQUEST, on_delta=shown.append)
    assert (answer.model, second.models, answer.discarded_attempts) == ("second", ["b"], 1)
    assert shown == [TextDelta("part"), TextDelta("", restart=True)]


async def test_a_refusal_leads_to_no_other_model_and_an_overflow_only_to_a_larger_window() -> None:
    for fault, window in (
        (errors.RefusalError("no"), None),
        (errors.ContextOverflowError("x", limit=900), 800),
    ):
        second = Scripted("second", window=window)
        with pytest.raises(type(fault)):
            await FallbackProvider([(Scripted("first", fault), "a"), (second, "b")]).complete(REQUEST)
        assert second.models == []


async def test_the_last_error_of_a_chain_tells_of_the_others() -> None:
    chain = FallbackProvider(
        [
            (Scripted("first", errors.OverloadedError("busy"), window=100), "a"),
            (Scripted("second", errors.QuotaExhaustedError("broke"), window=50), "b"),
        ]
    )
    assert chain.profile("") == ModelProfile(50)
    with pytest.raises(errors.QuotaExhaustedError, match="broke") as raised:
        await chain.complete(REQUEST)
    assert raised.value.__notes__ == ["before it failed first/a: busy"]


def test_the_price_of_a_chain_is_the_highest_and_unknown_where_one_is() -> None:
    def priced(*prices: Prices | None) -> Prices | None:
        models = {f"openai/{n}": ModelProfile(prices=each) for n, each in enumerate(prices)}
        providers = build_providers(
            ProvidersConfig(models=models),
            environment={"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"},
            sleep=anyio.sleep,
            monotonic=clock.monotonic,
            rand=lambda: 0.5,
        )
        return providers.profile(", ".join(models)).prices

    assert priced(Prices(1.0, 9.0), Prices(2.0, 3.0, 0.5)) == Prices(2.0, 9.0, 1.0)
    assert priced(Prices(1.0, 9.0), None) is None


async def test_a_chain_by_its_ids_goes_on_after_few_tries() -> None:
    async def broken(exchange: Exchange) -> None:
        exchange.send(plain(500, b"{}"))

    async def well(exchange: Exchange) -> None:
        exchange.stream(*HELLO)

    async with wire_server(broken) as bad, wire_server(well) as good:
        config = ProvidersConfig(
            endpoints={
                "bad": EndpointSettings(api="openai", base_url=bad.base_url),
                "good": EndpointSettings(api="openai", base_url=good.base_url),
            },
            retry=replace(FAST, max_attempts=9),
        )
        async with registry(config) as providers:
            provider, model = providers.resolve("bad/m, good/n")
            answer = await provider.complete(Request(model, (user("x"),)))
            with pytest.raises(errors.ProviderConfigurationError, match="unknown provider 'nope'"):
                providers.resolve("good/m,nope/m")
        assert answer.message.text == "Hello."
        assert len([each for each in bad.exchanges if each.head.startswith("POST")]) == 2


async def cancelled_round(api: str, first: bytes) -> tuple[float, float]:
    """Seconds from the cancellation of 200 open calls until the server has seen the last connection close: by the
    clock, and of this process (server included) on the processor.
    """
    from tests.providers.adapters import adapter, ask

    async def hangs(exchange: Exchange) -> None:
        if "/api/show" in exchange.head:
            exchange.send(plain(404, b"{}"))
            return
        exchange.stream(first, ends=False)
        await exchange.client_closed.wait()

    async with wire_server(hangs) as server, adapter(api, server.base_url) as provider:
        showing = anyio.Semaphore(0)
        async with anyio.create_task_group() as group:

            async def call() -> None:
                await provider.complete(ask(api), on_delta=lambda _: showing.release())

            for _ in range(200):
                group.start_soon(call)
            with anyio.fail_after(30):
                for _ in range(200):
                    await showing.acquire()
            began, used = clock.perf_counter(), clock.process_time()
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            for exchange in server.exchanges:
                if "/api/show" not in exchange.head:
                    await exchange.client_closed.wait()
        return clock.perf_counter() - began, clock.process_time() - used


@pytest.mark.parametrize("api", ["openai", "openai-responses", "anthropic", "google", "ollama"])
async def test_200_cancelled_calls_are_all_closed_at_the_server_within_100_ms(api: str) -> None:
    """The best of three rounds counts. On a machine that others keep busy the processor's time stands for the clock:
    nothing is waited for in between.
    """
    first: Mapping[str, Any] = {
        "openai": HELLO[1],
        "anthropic": b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}\n\n',
        "openai-responses": b'data: {"type":"response.output_text.delta","output_index":0,"delta":"x"}\n\n',
        "google": b'data: {"candidates":[{"content":{"parts":[{"text":"x"}]}}]}\n\n',
        "ollama": b'{"message":{"content":"x"},"done":false}\n',
    }
    took = []
    for _ in range(3):
        wall, used = await cancelled_round(api, first[api])
        took.append((wall, used))
        if wall < 0.1 or (used < 0.06 and wall < 0.5):
            return
    pytest.fail(f"took {took} s")
