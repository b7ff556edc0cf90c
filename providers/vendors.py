"""Where each provider is and how it is authorised: from the user's settings and the vendors' own variables.

Pure: values in, a resolved endpoint or an error that names the mend out. Nothing is opened, and no HTTP module is
loaded beyond what checks a URL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from providers import errors
from providers.config import EndpointSettings, ProvidersConfig, TlsFiles
from providers.http.addresses import MODEL, check_base_url, check_key, is_loopback
from providers.http.failures import Place
from providers.key_stores import KeyStore

APIS = ("openai", "openai-responses", "anthropic", "google", "ollama")
FORMS = {
    "openai": ("vendor", "azure"),
    "openai-responses": ("vendor", "azure"),
    "anthropic": ("vendor", "bedrock", "vertex"),
    "google": ("vendor", "vertex"),
    "ollama": ("vendor",),
}


@dataclass(frozen=True, slots=True)
class Vendor:
    """`keys`: variables for the key, each with the header and the words before it; the first that is set counts."""

    url_variable: str
    default_url: str
    keys: tuple[tuple[str, str, str], ...]
    strip: tuple[str, ...] = ()  # ends of a base URL that the paths of the API bring themselves
    path_hint: str = ""
    example: str = ""


_OPENAI_KEYS = (("OPENAI_API_KEY", "authorization", "Bearer "),)
_V1_HINT = " (most servers want it to end in /v1)"
VENDORS: Mapping[str, Vendor] = {
    "openai": Vendor(
        "OPENAI_BASE_URL", "https://api.openai.com/v1", _OPENAI_KEYS, (), _V1_HINT, "openai/gpt-4o"
    ),
    "openai-responses": Vendor(
        "OPENAI_BASE_URL", "https://api.openai.com/v1", _OPENAI_KEYS, (), _V1_HINT, "openai-responses/gpt-5"
    ),
    "anthropic": Vendor(
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        (
            ("ANTHROPIC_API_KEY", "x-api-key", ""),
            ("ANTHROPIC_AUTH_TOKEN", "authorization", "Bearer "),
        ),
        ("/v1",),
        " (without /v1/messages)",
        "anthropic/claude-sonnet-4-5",
    ),
    "google": Vendor(
        "GOOGLE_GEMINI_BASE_URL",
        "https://generativelanguage.googleapis.com",
        (("GEMINI_API_KEY", "x-goog-api-key", ""), ("GOOGLE_API_KEY", "x-goog-api-key", "")),
        ("/v1beta",),
        " (without /v1beta)",
        "google/gemini-2.5-pro",
    ),
    "ollama": Vendor(
        "OLLAMA_HOST",
        "http://127.0.0.1:11434",
        (("OLLAMA_API_KEY", "authorization", "Bearer "),),
        ("/api", "/v1"),
        " (without /api)",
        "ollama/qwen3",
    ),
}
_DEFAULT_SOURCE = {False: "the vendor's own", True: "the usual port of this machine, not asked yet"}
DEFAULT_SOURCES = frozenset(_DEFAULT_SOURCE.values())
_CLOUD_KEYS = {
    "azure": ("AZURE_OPENAI_API_KEY", "api-key", ""),
    "bedrock": ("AWS_BEARER_TOKEN_BEDROCK", "authorization", "Bearer "),
    "vertex": ("", "authorization", "Bearer "),
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """An endpoint that can be called. `sources`: what was found where, never the key. `key_command` is to be run for
    the key, or `stores` are to be asked for it; it goes into `key_header` after `key_scheme`.
    """

    id: str
    api: str
    form: str
    place: Place
    headers: Mapping[str, str]
    settings: EndpointSettings
    tls: TlsFiles | None
    loopback: bool
    sources: tuple[tuple[str, str], ...]
    key_header: str
    key_scheme: str
    stores: tuple[KeyStore, ...] = ()

    @property
    def key_command(self) -> tuple[str, ...]:
        return () if self.place.key is not None else self.settings.key_command


def known_providers(config: ProvidersConfig) -> tuple[str, ...]:
    """Ids in the order in which they are shown: the known ones, then the user's own."""
    return (*APIS, *(name for name in config.endpoints if name not in APIS))


def wants_keyring(name: str, config: ProvidersConfig) -> bool:
    """Whether the user's configuration asks for the system's keyring."""
    return config.keyring or _settings(name, config).keyring


def resolve_endpoint(
    name: str, config: ProvidersConfig, environment: Mapping[str, str], stores: Sequence[KeyStore] = ()
) -> Resolved:
    """`stores` are asked at the first call for a key that is nowhere else; a server that may do without is not.
    Raises ProviderConfigurationError when the endpoint cannot be called as configured.
    """
    settings = _settings(name, config)
    api = settings.api or name
    where = f"providers.{name}"
    if api not in APIS:
        raise errors.ProviderConfigurationError(
            f"{where} needs `api`: one of {', '.join(APIS)}" + (f", not {api!r}" if settings.api else "")
        )
    if settings.form not in FORMS[api]:
        raise errors.ProviderConfigurationError(
            f"{where}: form = {settings.form!r} is none of {', '.join(FORMS[api])}, the forms of {api}"
        )
    url, url_setting, url_source = _url(name, api, settings, environment)
    parts = check_base_url(url.replace(MODEL, "model"), setting=url_setting)
    loopback = is_loopback(parts.hostname or "")
    key, key_setting, header, scheme = _key(name, api, settings, environment)
    sources = [("base URL", url_source)]
    optional = loopback or _sends_own_key(settings)
    asked = tuple(stores) if not optional or settings.keyring else ()
    if key is not None:
        check_key(key, setting=key_setting)
        sources.append(("key", key_setting))
        asked = ()
    elif settings.key_command:
        sources.append(("key", f"the command {settings.key_command[0]!r}"))
        asked = ()
    elif asked:
        sources.append(("key", f"{' or '.join(store.title for store in asked)}, at the first call"))
    elif not optional:
        raise errors.ProviderConfigurationError(
            f"no key for {url}: set {key_setting} (any text where the server wants none), or point "
            f"{url_setting} at a server on this machine"
        )
    place = Place(url, url_setting, key_setting, key, VENDORS[api].path_hint)
    headers = {"content-type": "application/json"}
    if api == "anthropic" and settings.form == "vendor":
        headers["anthropic-version"] = "2023-06-01"
    if key is not None:
        headers[header] = f"{scheme}{key}"
    for field, value in settings.headers.items():
        headers[_checked_header(field, value, where)] = value
    tls = settings.tls or config.tls
    return Resolved(
        name,
        api,
        settings.form,
        place,
        headers,
        settings,
        tls,
        loopback,
        tuple(sources),
        header,
        scheme,
        asked,
    )


def _settings(name: str, config: ProvidersConfig) -> EndpointSettings:
    settings = config.endpoints.get(name)
    if settings is None and name == "openai-responses" and "openai" in config.endpoints:
        settings = replace(config.endpoints["openai"], api=None)
    return settings or EndpointSettings()


def _url(
    name: str, api: str, settings: EndpointSettings, environment: Mapping[str, str]
) -> tuple[str, str, str]:
    """The base URL, what to change to mend it, and where it is from. Variables hold for the vendors' own ids only."""
    vendor = VENDORS[api]
    field = f"providers.{name}.base_url"
    variable = environment.get(vendor.url_variable) if name in APIS else None
    if variable:
        url, setting, source = variable, vendor.url_variable, vendor.url_variable
        if api == "ollama":
            url = _ollama_url(variable)
    elif settings.base_url:
        url, setting, source = settings.base_url, field, field
    elif name in APIS:
        url, setting, source = vendor.default_url, vendor.url_variable, _DEFAULT_SOURCE[api == "ollama"]
    else:
        raise errors.ProviderConfigurationError(f"providers.{name} needs `base_url`")
    url = url.rstrip("/")
    if settings.form == "vendor":
        for end in vendor.strip:
            url = url.removesuffix(end)
    return url, setting, source


def _ollama_url(host: str) -> str:
    """The variable is written for the server too: `0.0.0.0` there means any address, and a port may be missing."""
    url = host.strip()
    if "://" not in url:
        url = f"http://{url}"
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    name, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    if not colon:
        name, port = authority, {"http": "11434", "https": "443"}.get(scheme, "11434")
    if name in {"", "0.0.0.0", "[::]"}:  # noqa: S104 - it is replaced, nothing binds to it
        name = "127.0.0.1"
    return f"{scheme}://{name}:{port}{slash}{path}"


def _key(
    name: str, api: str, settings: EndpointSettings, environment: Mapping[str, str]
) -> tuple[str | None, str, str, str]:
    """The key, its place in words, the header that carries it and what stands before it there."""
    own = name in APIS
    candidates = [_CLOUD_KEYS[settings.form]] if settings.form in _CLOUD_KEYS else list(VENDORS[api].keys)
    field = f"providers.{name}.api_key"
    header, scheme = settings.key_header or candidates[0][1], candidates[0][2]
    if settings.key_header is not None:
        scheme = ""
    if settings.key_scheme is not None:
        scheme = f"{settings.key_scheme} " if settings.key_scheme else ""
    if own or settings.form in _CLOUD_KEYS:
        for variable, usual_header, usual_scheme in candidates:
            if environment.get(variable) and (own or settings.api_key is None):
                if settings.key_header is None and settings.key_scheme is None:
                    header, scheme = usual_header, usual_scheme
                return environment[variable], variable, header, scheme
    if settings.api_key:
        return settings.api_key, field, header, scheme
    return None, (candidates[0][0] or field) if own else field, header, scheme


def _sends_own_key(settings: EndpointSettings) -> bool:
    """A gateway may be authorised by a header, a query or a client certificate instead of a key."""
    return bool(settings.headers or settings.query or (settings.tls and settings.tls.client_certificate))


def _checked_header(field: str, value: str, where: str) -> str:
    if not field.isascii() or not field.replace("-", "").replace("_", "").isalnum():
        raise errors.ProviderConfigurationError(f"{where}: {field!r} is no name of a header")
    if not value.isascii() or not value.isprintable():
        raise errors.ProviderConfigurationError(
            f"{where}: the value of the header {field!r} holds a character that no header may hold"
        )
    return field.lower()
