"""From a model id to a provider that can be called: `openai/NAME`, `anthropic/NAME` …, `scripted/NAME`.

Several ids with commas between them are a chain: the next answers when one cannot. Everything is built at the first
use: importing this module loads no HTTP client, and building a registry opens nothing. Settings arrive read
(`config.py`); the environment arrives as a mapping.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from providers import errors, local_servers
from providers.base import ModelProfile, ModelProvider, ProcessPort
from providers.cache import CachedProvider, ResponseCache
from providers.calibration import Calibration, Estimated
from providers.composition import Composed, Surroundings, compose
from providers.config import ProvidersConfig, RetryPolicy
from providers.exact_tokens import TokenCounter
from providers.fallback import FallbackProvider
from providers.key_stores import KeyStore, SystemKeyring
from providers.local_servers import LocalServer
from providers.messages import Request
from providers.price_table import PriceTable
from providers.profiles import UNKNOWN_PROFILE
from providers.recording import Recorder, Recording, RecordingProvider, ReplayingProvider
from providers.retry import RetryingProvider
from providers.retry_budget import RetryBudgets
from providers.scripts import script_path
from providers.settled import SettledProvider
from providers.shared_limits import SharedLimits
from providers.survey import Survey
from providers.vendors import APIS, VENDORS, known_providers

PROVIDERS = (*APIS, "scripted")
SEVERAL = ","
# A model that another one can stand in for is not waited for as long as the last of a chain.
QUICK_ATTEMPTS = 2
QUICK_WAIT_S = 10.0
QUICK_GIVE_UP_S = 20.0


class Registry:
    """Resolves model ids. Providers are built once and shared; `aclose()` closes their connections."""

    def __init__(
        self,
        config: ProvidersConfig,
        *,
        environment: Mapping[str, str],
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float],
        rand: Callable[[], float],
        processes: ProcessPort | None = None,
        folder: Path | None = None,
        editor_keys: KeyStore | None = None,
        key_found: Callable[[str], None] | None = None,
        limits: SharedLimits | None = None,
    ) -> None:
        self._config = config
        home = Path.home() if folder is None else folder
        keyring, counter = None, None
        if processes is not None:
            keyring = SystemKeyring(processes, folder=home, environment=environment)
            counter = TokenCounter(processes, folder=home, environment=environment)
        self._around = Surroundings(
            config,
            environment,
            sleep,
            monotonic,
            rand,
            processes,
            home,
            PriceTable(),
            Calibration(),
            RetryBudgets(monotonic),
            keyring,
            editor_keys,
            key_found,
            counter,
            limits or SharedLimits(),
        )
        self._survey = Survey(self._around, self._known)
        self._composed: dict[str, Composed] = {}
        self._scripted: dict[str, ModelProvider] = {}
        self._ready: dict[str, ModelProvider] = {}
        self._cache = ResponseCache(config.cache.max_bytes) if config.cache.max_bytes else None
        self._recorder: Recorder | None = None
        self._recording: Recording | None = None

    def resolve(self, model_id: str) -> tuple[ModelProvider, str]:
        """The provider and the model's name within it; of a chain, the whole id. No request is made.

        Raises ProviderConfigurationError for an id without a provider, an unknown provider, a missing key, a
        key or URL that cannot be, a script that is missing or wrong; the message names the mend.
        """
        if SEVERAL in model_id:
            return self._chain(model_id), model_id
        prefix, name = self._split(model_id)
        key = model_id if prefix == "scripted" else prefix
        provider = self._ready.get(key)
        if provider is None:
            provider = self._ready[key] = self._finished(self._patient(prefix, name, self._config.retry))
        return provider, name

    def profile(self, model_id: str) -> ModelProfile:
        """What is known of a model: the user's word, then what its server said, then the public tables once they
        are loaded (`load_tables`). Of a chain, what holds for each. Unknown fields are None.
        """
        if SEVERAL in model_id:
            try:
                return self.resolve(model_id)[0].profile(model_id)
            except errors.ProviderConfigurationError:
                return UNKNOWN_PROFILE
        prefix, _, name = model_id.partition("/")
        composed = self._composed.get(prefix)
        if composed is not None:
            return composed.provider.profile(name)
        return self._known(prefix, name)

    def load_tables(self) -> None:
        """Loads the public tables of prices and windows now, blocking (0.2 s): for programs without an event loop."""
        self._around.prices.load_now()

    async def load_tables_soon(self) -> None:
        """As `load_tables`, in a worker thread."""
        await self._around.prices.load()

    def estimate(self, model_id: str, request: Request) -> Estimated:
        """Input tokens of a request, calibrated by what the provider has reported so far, with the error."""
        return self._around.calibration.estimate(model_id, request)

    @property
    def survey(self) -> Survey:
        """What of all providers can be used."""
        return self._survey

    async def probe_local(self) -> list[LocalServer]:
        """Model servers that answer on loopback at well-known ports; takes under a second and never raises."""
        return await local_servers.probe_local()

    async def aclose(self) -> None:
        providers = [*self._scripted.values(), *(each.provider for each in self._composed.values())]
        self._ready.clear()
        self._scripted.clear()
        self._composed.clear()
        for provider in providers:
            await provider.aclose()
        if self._around.tokens is not None:
            await self._around.tokens.aclose()

    def _split(self, model_id: str) -> tuple[str, str]:
        known = (*known_providers(self._config), "scripted")
        prefix, slash, name = model_id.partition("/")
        if prefix not in known:
            raise errors.ProviderConfigurationError(
                _unknown_provider(model_id, prefix, known, named=bool(slash))
            )
        if not name:
            example = VENDORS[prefix].example if prefix in VENDORS else f"{prefix}/demo"
            raise errors.ProviderConfigurationError(
                f"{model_id!r} names no model: write {prefix}/NAME, e.g. {example}"
            )
        return prefix, name

    def _chain(self, model_ids: str) -> ModelProvider:
        provider = self._ready.get(model_ids)
        if provider is None:
            ids = [model_id.strip() for model_id in model_ids.split(SEVERAL) if model_id.strip()]
            if not ids:
                raise errors.ProviderConfigurationError(f"{model_ids!r} names no model")
            quick = replace(
                self._config.retry,
                max_attempts=QUICK_ATTEMPTS,
                longest_wait_s=QUICK_WAIT_S,
                give_up_after_s=QUICK_GIVE_UP_S,
            )
            links: list[tuple[ModelProvider, str]] = []
            for place, model_id in enumerate(ids):
                prefix, name = self._split(model_id)
                policy = self._config.retry if place == len(ids) - 1 else quick
                links.append((self._patient(prefix, name, policy), name))
            chain = links[0][0] if self._config.replay is not None else FallbackProvider(links)
            provider = self._ready[model_ids] = self._finished(chain)
        return provider

    def _patient(self, prefix: str, name: str, policy: RetryPolicy) -> ModelProvider:
        """The provider with its retries."""
        if self._config.replay is not None:
            return self._replaying(prefix)
        around = self._around
        inner = self._script(name) if prefix == "scripted" else self._endpoint(prefix).provider
        return RetryingProvider(
            inner,
            policy,
            sleep=around.sleep,
            monotonic=around.monotonic,
            rand=around.rand,
            budgets=around.budgets,
        )

    def _finished(self, provider: ModelProvider) -> ModelProvider:
        if self._config.record is not None:
            self._recorder = self._recorder or Recorder(self._config.record)
            provider = RecordingProvider(provider, self._recorder, monotonic=self._around.monotonic)
        if self._cache is not None:
            provider = CachedProvider(provider, self._cache)
        temperature = self._config.temperature
        return provider if temperature is None else SettledProvider(provider, temperature)

    def _replaying(self, prefix: str) -> ModelProvider:
        assert self._config.replay is not None
        if self._recording is None:
            self._recording = Recording(self._config.replay)
        return ReplayingProvider(prefix, self._recording, profiles=lambda name: self._known(prefix, name))

    def _endpoint(self, prefix: str) -> Composed:
        composed = self._composed.get(prefix)
        if composed is None:
            resolved = self._around.resolve(prefix)
            url = resolved.place.url
            composed = compose(
                resolved, self._around, profiles=lambda name: self._known_at(url, prefix, name)
            )
            self._composed[prefix] = composed
        return composed

    def _script(self, name: str) -> ModelProvider:
        provider = self._scripted.get(name)
        if provider is None:
            from providers.limits import CallLimiter, LimitedProvider
            from providers.scripted import ScriptedProvider

            around = self._around
            scripted = ScriptedProvider.load(
                script_path(name, self._config.scripts),
                sleep=around.sleep,
                profiles=lambda model: self._known("scripted", model),
            )
            most = self._config.max_concurrent_calls
            limiter = CallLimiter(
                most,
                monotonic=around.monotonic,
                sleep=around.sleep,
                rand=around.rand,
                longest_wait_s=self._config.retry.longest_wait_s,
                first_window=most,
            )
            provider = self._scripted[name] = LimitedProvider(scripted, limiter)
        return provider

    def _known(self, prefix: str, name: str) -> ModelProfile:
        """What is known of a model whose endpoint may not be usable."""
        url = ""
        if prefix != "scripted" and prefix in known_providers(self._config):
            with suppress(errors.ProviderConfigurationError):
                url = self._around.resolve(prefix).place.url
        return self._known_at(url, prefix, name)

    def _known_at(self, url: str, prefix: str, name: str) -> ModelProfile:
        """The user's word on each field, else the public tables' on who serves at `url`."""
        said = self._config.models.get(f"{prefix}/{name}", UNKNOWN_PROFILE)
        table = self._around.prices.profile(url, name) if url else None
        if table is None:
            return said
        fields = {field: getattr(said, field) for field in ModelProfile.__struct_fields__}
        known = {field: value for field, value in fields.items() if value is not None}
        return msgspec.structs.replace(table, **known)


def build_providers(
    config: ProvidersConfig,
    *,
    environment: Mapping[str, str],
    sleep: Callable[[float], Awaitable[None]],
    monotonic: Callable[[], float],
    rand: Callable[[], float],
    processes: ProcessPort | None = None,
    folder: Path | None = None,
    editor_keys: KeyStore | None = None,
    key_found: Callable[[str], None] | None = None,
    limits: SharedLimits | None = None,
) -> Registry:
    """The registry of a process. `sleep` and `monotonic` in seconds, `rand` uniform in [0, 1). `processes` runs key
    commands, in `folder` (without it the user's home), and asks the system's keyring. `editor_keys` is asked for keys
    that are nowhere else; `key_found` is told of those that come later than the settings. `limits` are shared with other
    registries of the process. Opens nothing.
    """
    return Registry(
        config,
        environment=environment,
        sleep=sleep,
        monotonic=monotonic,
        rand=rand,
        processes=processes,
        folder=folder,
        editor_keys=editor_keys,
        key_found=key_found,
        limits=limits,
    )


def _unknown_provider(model_id: str, prefix: str, known: Sequence[str], *, named: bool) -> str:
    if not named:
        return f"{model_id!r} names no provider: write PROVIDER/NAME, e.g. openai/{model_id or 'gpt-4o'}"
    return f"unknown provider {prefix!r} in {model_id!r}; known are {', '.join(known)}{near(prefix, known)}"


def near(name: str, known: Sequence[str]) -> str:
    import difflib  # only on the way to an error

    found = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
