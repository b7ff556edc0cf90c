"""From a model id to a provider that can be called: `openai/NAME`, `scripted/NAME`.

The one place that composes adapter, limiter and retries. Everything is built at the first use: importing this
module loads no HTTP client, and building a registry opens nothing. Settings arrive read (`config.py`); the
environment arrives as a mapping.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from providers import errors, local_servers
from providers.base import ModelProfile, ModelProvider
from providers.config import ProvidersConfig
from providers.limits import CallLimiter
from providers.local_servers import LocalServer
from providers.pricing import PricedProvider, profile_pricing
from providers.profiles import UNKNOWN_PROFILE
from providers.retry import RetryingProvider

OPENAI_BASE_URL = "https://api.openai.com/v1"
PROVIDERS = ("openai", "scripted")
_SCRIPT_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """What was found of one provider, for `doctor`. Holds no key.

    `ready`: calls can be made. `sources`: where each thing came from, as (what, where), e.g. ("key",
    "OPENAI_API_KEY"). `problem` names what is missing or wrong and the mend; empty when ready.
    """

    name: str
    ready: bool
    address: str
    sources: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _OpenAISettings:
    base_url: str
    key: str | None
    sources: tuple[tuple[str, str], ...]


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
    ) -> None:
        self._config = config
        self._environment = environment
        self._sleep = sleep
        self._monotonic = monotonic
        self._rand = rand
        self._built: dict[str, ModelProvider] = {}

    def resolve(self, model_id: str) -> tuple[ModelProvider, str]:
        """The provider and the model's name within it. No request is made.

        Raises ProviderConfigurationError for an id without a provider, an unknown provider, a missing key, a
        key or URL that cannot be, a script that is missing or wrong; the message names the mend.
        """
        prefix, slash, name = model_id.partition("/")
        if prefix not in PROVIDERS:
            raise errors.ProviderConfigurationError(_unknown_provider(model_id, prefix, known=bool(slash)))
        if not name:
            raise errors.ProviderConfigurationError(
                f"{model_id!r} names no model: write {prefix}/NAME, e.g. {_example(prefix)}"
            )
        key = model_id if prefix == "scripted" else prefix
        provider = self._built.get(key)
        if provider is None:
            provider = self._scripted(name) if prefix == "scripted" else self._openai()
            self._built[key] = provider
        return provider, name

    def profile(self, model_id: str) -> ModelProfile:
        """What the configuration says of a model; every field unknown when it says nothing."""
        return self._config.models.get(model_id, UNKNOWN_PROFILE)

    def configured(self) -> list[ProviderStatus]:
        """What was found for each provider, ready or not, never the key."""
        return [self._openai_status(), self._scripted_status()]

    async def probe_local(self) -> list[LocalServer]:
        """Model servers that answer on loopback at well-known ports; takes under a second and never raises."""
        return await local_servers.probe_local()

    async def aclose(self) -> None:
        providers = list(self._built.values())
        self._built.clear()
        for provider in providers:
            await provider.aclose()

    def _openai(self) -> ModelProvider:
        settings = self._openai_settings()
        from providers.http.endpoint import Endpoint
        from providers.http.failures import Place
        from providers.http.openai_chat import OpenAIChat
        from providers.http.proxies import proxy_for

        headers = {"content-type": "application/json"}
        if settings.key is not None:
            headers["authorization"] = f"Bearer {settings.key}"
        place = Place(settings.base_url, "OPENAI_BASE_URL", "OPENAI_API_KEY", settings.key)
        endpoint = Endpoint(
            place,
            headers=headers,
            limits=self._config.time_limits,
            proxy=proxy_for(settings.base_url, self._environment),
        )
        adapter = OpenAIChat(endpoint, profiles=lambda name: self.profile(f"openai/{name}"))
        return self._calm(PricedProvider(adapter, profile_pricing(adapter.profile)))

    def _scripted(self, name: str) -> ModelProvider:
        from providers.scripted import ScriptedProvider

        path = self._script_path(name)
        provider = ScriptedProvider.load(
            path, sleep=self._sleep, profiles=lambda model: self.profile(f"scripted/{model}")
        )
        return self._calm(provider)

    def _calm(self, provider: ModelProvider) -> ModelProvider:
        """Retries outside, limiter inside: a call that waits to be made again holds no slot."""
        from providers.limits import LimitedProvider

        limiter = CallLimiter(
            self._config.max_concurrent_calls,
            monotonic=self._monotonic,
            sleep=self._sleep,
            rand=self._rand,
            longest_wait_s=self._config.retry.longest_wait_s,
        )
        return RetryingProvider(
            LimitedProvider(provider, limiter),
            self._config.retry,
            sleep=self._sleep,
            monotonic=self._monotonic,
            rand=self._rand,
        )

    def _openai_settings(self) -> _OpenAISettings:
        from providers.http.endpoint import check_base_url, check_key, is_loopback

        base_url, url_from = self._setting("OPENAI_BASE_URL", self._config.openai_base_url, "openai_base_url")
        key, key_from = self._setting("OPENAI_API_KEY", self._config.openai_api_key, "openai_api_key")
        base_url = (base_url or OPENAI_BASE_URL).rstrip("/")
        parts = check_base_url(base_url, setting=url_from or "OPENAI_BASE_URL")
        sources = [("base URL", url_from or "the vendor's own")]
        if key is not None:
            check_key(key, setting=key_from)
            sources.append(("key", key_from))
        elif not is_loopback(parts.hostname or ""):
            raise errors.ProviderConfigurationError(
                f"no key for {base_url}: set OPENAI_API_KEY (any text where the server wants none), or point "
                "OPENAI_BASE_URL at a server on this machine"
            )
        return _OpenAISettings(base_url, key, tuple(sources))

    def _setting(self, variable: str, configured: str | None, field: str) -> tuple[str | None, str]:
        """The value and where it is from. An empty variable counts as not set."""
        value = self._environment.get(variable)
        if value:
            return value, variable
        return (configured, f"{field} of the configuration") if configured else (None, "")

    def _openai_status(self) -> ProviderStatus:
        address = self._environment.get("OPENAI_BASE_URL") or self._config.openai_base_url or OPENAI_BASE_URL
        try:
            settings = self._openai_settings()
        except errors.ProviderConfigurationError as error:
            return ProviderStatus("openai", False, _without_credentials(address), problem=str(error))
        return ProviderStatus("openai", True, settings.base_url, settings.sources)

    def _scripted_status(self) -> ProviderStatus:
        scripts = self._config.scripts
        if scripts is None:
            return ProviderStatus("scripted", False, "", problem="no script is configured")
        try:
            names = self._script_names(scripts)
        except errors.ProviderConfigurationError as error:
            return ProviderStatus("scripted", False, str(scripts), problem=str(error))
        if not names:
            return ProviderStatus("scripted", False, str(scripts), problem=f"{scripts} holds no script")
        found = tuple(("script", f"scripted/{name}") for name in names)
        return ProviderStatus("scripted", True, str(scripts), found)

    def _script_path(self, name: str) -> Path:
        scripts = self._config.scripts
        if scripts is None:
            raise errors.ProviderConfigurationError(
                f"scripted/{name} needs a script and none is configured: name a folder of NAME.yaml files"
            )
        names = self._script_names(scripts)
        if name in names:
            return names[name]
        known = ", ".join(f"scripted/{known}" for known in names) or "none"
        raise errors.ProviderConfigurationError(
            f"no script named {name!r} in {scripts}; there are: {known}{_near(name, list(names))}"
        )

    def _script_names(self, scripts: Path) -> dict[str, Path]:
        try:
            files = sorted(scripts.iterdir()) if scripts.is_dir() else [scripts] if scripts.is_file() else []
        except OSError as error:
            raise errors.ProviderConfigurationError(
                f"cannot read the scripts in {scripts}: {error}"
            ) from error
        return {path.stem: path for path in files if path.suffix in _SCRIPT_SUFFIXES}


def build_providers(
    config: ProvidersConfig,
    *,
    environment: Mapping[str, str],
    sleep: Callable[[float], Awaitable[None]],
    monotonic: Callable[[], float],
    rand: Callable[[], float],
) -> Registry:
    """The registry of a process. `sleep` and `monotonic` in seconds, `rand` uniform in [0, 1). Opens nothing."""
    return Registry(config, environment=environment, sleep=sleep, monotonic=monotonic, rand=rand)


def _unknown_provider(model_id: str, prefix: str, *, known: bool) -> str:
    if not known:
        return f"{model_id!r} names no provider: write PROVIDER/NAME, e.g. openai/{model_id or 'gpt-4o'}"
    return f"unknown provider {prefix!r} in {model_id!r}; known are {', '.join(PROVIDERS)}{_near(prefix, PROVIDERS)}"


def _near(name: str, known: Sequence[str]) -> str:
    import difflib  # only on the way to an error

    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _example(prefix: str) -> str:
    return "openai/gpt-4o" if prefix == "openai" else "scripted/demo"


def _without_credentials(url: str) -> str:
    """A refused URL may hold a password before its @."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}…@{rest.rpartition('@')[2]}" if "@" in rest else url
