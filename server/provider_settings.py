"""From the settings of the process to the configuration of the providers. Plain values in and out; nothing is opened."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestration.errors import ConfigurationError
from providers.config import (
    CacheSettings,
    EndpointSettings,
    ProvidersConfig,
    RetryPolicy,
    TimeLimits,
    TlsFiles,
)
from providers.profiles import profiles_from_settings
from server.settings import EndpointValue, Settings

_MEGABYTE = 1_000_000
_TLS = ("ca_file", "client_certificate", "client_key")


def providers_config(settings: Settings) -> ProvidersConfig:
    """What is not set keeps the provider's own default. Raises ConfigurationError for settings that exclude each other."""
    given = settings.providers
    if given.record is not None and given.replay is not None:
        raise ConfigurationError("a run is either recorded or replayed: leave `record` or `replay` out")
    limits = {
        "connect": given.connect_s,
        "first_token": given.first_token_s,
        "between_tokens": given.between_tokens_s,
        "whole_call": given.whole_call_s,
    }
    chosen = ProvidersConfig(
        models=profiles_from_settings(settings.models),
        scripts=given.scripts,
        endpoints={name: _endpoint(values) for name, values in given.endpoints.items()},
        tls=_tls(given.ca_file, given.client_certificate, given.client_key),
        keyring=given.keyring,
        time_limits=TimeLimits(**{name: value for name, value in limits.items() if value is not None}),
        temperature=given.temperature,
        cache=CacheSettings((given.cache_mb or 0) * _MEGABYTE),
        record=given.record,
        replay=given.replay,
    )
    if given.max_attempts is not None:
        chosen = replace(chosen, retry=RetryPolicy(max_attempts=given.max_attempts))
    if given.max_concurrent_calls is not None:
        chosen = replace(chosen, max_concurrent_calls=given.max_concurrent_calls)
    return chosen


def _endpoint(values: Mapping[str, EndpointValue]) -> EndpointSettings:
    # Any: the checks of the settings have given every value the type of its field.
    files: list[Any] = [values.get(name) for name in _TLS]
    fields: dict[str, Any] = {name: value for name, value in values.items() if name not in _TLS}
    return EndpointSettings(**fields, tls=_tls(*files))


def _tls(ca_file: Path | None, certificate: Path | None, key: Path | None) -> TlsFiles | None:
    return TlsFiles(ca_file, certificate, key) if ca_file or certificate or key else None
