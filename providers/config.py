"""What the composition root hands to `registry.build_providers`: plain values, already read and layered.

No file, environment or secret store is read here. Nothing here is journaled: it may hold a key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from providers.base import ModelProfile


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Limits of one HTTP call, in seconds.

    `first_token` runs from the start of the call, `between_tokens` from the last piece of content: bytes
    that carry none (comments, empty deltas) do not extend it. `between_tokens` is checked at most a tenth
    of itself late.
    """

    connect: float = 10.0
    first_token: float = 300.0
    between_tokens: float = 120.0
    whole_call: float = 1800.0


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. `ca_file` is trusted beside the system's certificates; `client_key` may be in the certificate's
    own file.
    """

    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed call is made again. Times in seconds.

    Rate limits do not use up attempts: they are waited out until `give_up_after_s` from the first failure.
    A server's own delay is honoured up to `longest_wait_s`; beyond it the error is raised at once.
    """

    max_attempts: int = 4
    first_backoff_s: float = 0.5
    longest_backoff_s: float = 30.0
    longest_wait_s: float = 120.0
    give_up_after_s: float = 300.0


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """What the user's own configuration says of one endpoint; a workspace file may say none of it.

    `api` is one of `vendors.APIS`; None where the id of the endpoint is one. `base_url` may hold `{model}`. `form`:
    `vendor`, or how a cloud serves the same API (`azure`, `bedrock`, `vertex`). `key_command` is run for a key when
    there is none; with `keyring` the system's keyring is asked for one. `key_header` and `key_scheme` replace how the
    API sends its key. Limits per minute are beside what the server tells by itself.
    """

    api: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    key_command: tuple[str, ...] = ()
    keyring: bool = False
    key_header: str | None = None
    key_scheme: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    tls: TlsFiles | None = None
    form: str = "vendor"
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_concurrent_calls: int | None = None


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The response cache: off unless `max_bytes` is given. Only calls with temperature 0 are kept."""

    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ProvidersConfig:
    """Settings of all providers. A variable of the environment wins over the field of the same meaning.

    `models` maps full ids (`openai/gpt-4o`) to what the user says of them. `scripts` is a folder of `NAME.yaml` files
    or one such file, for `scripted/NAME`. `endpoints` are by provider id: a known one is changed by it (what is said
    of `openai` holds for `openai-responses` too, until that has settings of its own), any other name is a provider of
    the user's own. `tls` holds for endpoints that name no files themselves, `keyring` for all, `temperature` for every call that sets none. `record` names a file
    that all answers are written to, `replay` one that they are read from: then no call is made.
    """

    models: Mapping[str, ModelProfile] = field(default_factory=dict)
    scripts: Path | None = None
    endpoints: Mapping[str, EndpointSettings] = field(default_factory=dict)
    tls: TlsFiles | None = None
    keyring: bool = False
    time_limits: TimeLimits = TimeLimits()
    retry: RetryPolicy = RetryPolicy()
    max_concurrent_calls: int = 64
    temperature: float | None = None
    cache: CacheSettings = CacheSettings()
    record: Path | None = None
    replay: Path | None = None
