"""Puts one endpoint together: adapter, price, calibration, breaker, limiter; retries go around it per model id.

From the inside: adapter → served window (loopback) → price → calibration → breaker → limiter → window check (where the
tokenizer is public). A call that waits to be made again holds no slot, since retries are outside the limiter.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from providers import errors
from providers.base import ModelProfile, ModelProvider, ProcessPort
from providers.breaker import BreakingProvider, CircuitBreaker
from providers.calibration import CalibratingProvider, Calibration
from providers.config import ProvidersConfig
from providers.key_stores import KeyStore, StoredKey
from providers.late_adapter import LateAdapter
from providers.limits import FIRST_WINDOW, CallLimiter, LimitedProvider
from providers.price_table import PriceTable
from providers.pricing import PricedProvider
from providers.profiles import priced
from providers.retry_budget import RetryBudgets
from providers.shared_limits import SharedLimits
from providers.usage import Usage
from providers.vendors import VENDORS, Resolved, resolve_endpoint, wants_keyring
from providers.window_check import WindowCheckedProvider

if TYPE_CHECKING:
    from providers.exact_tokens import TokenCounter
    from providers.http.delays import Headers
    from providers.http.endpoint import Endpoint
    from providers.late_key import LateKey


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every provider of a process shares. `processes` may be missing: then no key command can run. `key_found`
    is told of keys that come later than the settings.
    """

    config: ProvidersConfig
    environment: Mapping[str, str]
    sleep: Callable[[float], Awaitable[None]]
    monotonic: Callable[[], float]
    rand: Callable[[], float]
    processes: ProcessPort | None
    folder: Path
    prices: PriceTable
    calibration: Calibration
    budgets: RetryBudgets
    keyring: KeyStore | None = None
    editor_keys: KeyStore | None = None
    key_found: Callable[[str], None] | None = None
    tokens: "TokenCounter | None" = None
    limits: SharedLimits = field(default_factory=SharedLimits)

    def resolve(self, name: str) -> Resolved:
        """Raises ProviderConfigurationError when the endpoint cannot be called as configured."""
        asked = [self.keyring] if wants_keyring(name, self.config) else []
        stores = [store for store in (*asked, self.editor_keys) if store is not None]
        return resolve_endpoint(name, self.config, self.environment, stores)


@dataclass(frozen=True, slots=True)
class Composed:
    """An endpoint ready to be called; `provider` lacks the retries."""

    resolved: Resolved
    provider: ModelProvider
    limiter: CallLimiter
    breaker: CircuitBreaker


def compose(resolved: Resolved, around: Surroundings, *, profiles: Callable[[str], ModelProfile]) -> Composed:
    """Opens nothing. Raises ProviderConfigurationError for a proxy or a key command that cannot be used."""
    config = around.config
    given = resolved.settings

    def make_limiter() -> CallLimiter:
        return CallLimiter(
            given.max_concurrent_calls or config.max_concurrent_calls,
            monotonic=around.monotonic,
            sleep=around.sleep,
            rand=around.rand,
            longest_wait_s=config.retry.longest_wait_s,
            # Who names a number for an endpoint knows it.
            first_window=given.max_concurrent_calls or FIRST_WINDOW,
            requests_per_minute=given.requests_per_minute,
            tokens_per_minute=given.tokens_per_minute,
        )

    limiter = around.limits.of(resolved, make_limiter)
    endpoint = make_endpoint(resolved, around, observe=_observer(limiter))
    provider: ModelProvider = LateAdapter(
        resolved.id, lambda: adapter_for(resolved, endpoint, profiles), profiles
    )
    if resolved.loopback and resolved.api == "openai":
        from providers.served_window import WindowReadingProvider

        provider = WindowReadingProvider(provider, endpoint)
    provider = PricedProvider(provider, _pricing(resolved, around, profiles))
    provider = CalibratingProvider(provider, around.calibration, resolved.id)
    breaker = CircuitBreaker(resolved.place.url, around.monotonic)
    provider = LimitedProvider(BreakingProvider(provider, breaker), limiter)
    if around.tokens is not None and resolved.place.url == VENDORS["openai"].default_url:
        provider = WindowCheckedProvider(provider, around.calibration, resolved.id, around.tokens.count)
    return Composed(resolved, provider, limiter, breaker)


def make_endpoint(
    resolved: Resolved,
    around: Surroundings,
    *,
    observe: "Callable[[int, Headers], None] | None" = None,
) -> "Endpoint":
    """Raises ProviderConfigurationError for a proxy or a key command that cannot be used."""
    from providers.http.endpoint import Endpoint
    from providers.http.proxies import proxy_for

    return Endpoint(
        resolved.place,
        headers=resolved.headers,
        limits=around.config.time_limits,
        proxy=proxy_for(resolved.place.url.replace("{model}", "model"), around.environment),
        query=resolved.settings.query,
        tls=resolved.tls,
        credential=_credential(resolved, around),
        observe=observe,
    )


def _credential(resolved: Resolved, around: Surroundings) -> "LateKey | None":
    """What gives the key once it is needed; None where it is known, or none is wanted."""
    if not resolved.key_command and not resolved.stores:
        return None
    from providers.key_command import KeyCommand
    from providers.late_key import LateKey

    place = resolved.place
    fetch: KeyCommand | StoredKey
    if resolved.key_command:
        if around.processes is None:
            raise errors.ProviderConfigurationError(
                f"the key command of {resolved.id} cannot be run here; set {place.key_setting}"
            )
        fetch = KeyCommand(
            resolved.key_command,
            processes=around.processes,
            folder=around.folder,
            environment=around.environment,
            url=place.url,
        )
    else:
        fetch = StoredKey(resolved.id, resolved.stores, url=place.url, setting=place.key_setting)
    return LateKey(
        fetch,
        place=place,
        header=resolved.key_header,
        scheme=resolved.key_scheme,
        noted=around.key_found,
        is_stale=lambda: isinstance(fetch, StoredKey) and fetch.is_stale,
    )


def _observer(limiter: CallLimiter) -> "Callable[[int, Headers], None]":
    """What the headers of any answer say of the limits goes to the limiter."""

    def observe(status: int, headers: "Headers") -> None:
        from providers.http.delays import allowances

        del status  # a 429 is told by its error
        known = allowances(headers)
        for what, each in (("requests", known.requests), ("tokens", known.tokens)):
            limiter.allowance(what, each.remaining, each.reset_s)

    return observe


def adapter_for(
    resolved: Resolved, endpoint: "Endpoint", profiles: Callable[[str], ModelProfile]
) -> ModelProvider:
    """The bare adapter of an endpoint. Each API's module is loaded when it is used."""
    name = resolved.id
    match resolved.api:
        case "openai":
            from providers.http.openai_chat import OpenAIChat

            return OpenAIChat(endpoint, profiles=profiles, name=name)
        case "openai-responses":
            from providers.http.openai_responses import OpenAIResponses

            return OpenAIResponses(endpoint, profiles=profiles, name=name)
        case "anthropic":
            from providers.http.anthropic_messages import AnthropicMessages

            form = resolved.form
            assert form in {"vendor", "bedrock", "vertex"}
            return AnthropicMessages(endpoint, profiles=profiles, name=name, form=form)  # type: ignore[arg-type]  # checked above
        case "google":
            from providers.http.gemini import Gemini

            vertex = resolved.form == "vertex"
            return Gemini(endpoint, profiles=profiles, name=name, form="vertex" if vertex else "vendor")
        case _:
            from providers.http.ollama import Ollama

            return Ollama(endpoint, profiles=profiles, name=name)


def _pricing(
    resolved: Resolved, around: Surroundings, profiles: Callable[[str], ModelProfile]
) -> Callable[[str, Usage], Awaitable[Usage]]:
    """The user's own prices first; then the vendor's, whom the base URL tells. A local server has none."""

    async def price(model: str, usage: Usage) -> Usage:
        known = around.config.models.get(f"{resolved.id}/{model}")
        if known is not None and known.prices is not None:
            return priced(usage, known.prices)
        if resolved.loopback:
            return priced(usage, profiles(model).prices)
        await around.prices.load()
        return around.prices.price(resolved.place.url, model, usage)

    return price
