"""Which proxy the environment names for a URL, by the usual variables. No request is made here."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from providers.errors import ProviderConfigurationError
from providers.http.addresses import is_loopback


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` (lower case wins, as in curl), unless `NO_PROXY` names the host.

    Loopback hosts never go through a proxy. Raises ProviderConfigurationError for a proxy that cannot be used.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or _excluded(host, parts.port, _variable("NO_PROXY", environment)[1]):
        return None
    name, proxy = _variable(f"{parts.scheme}_proxy".upper(), environment)
    if not proxy:
        name, proxy = _variable("ALL_PROXY", environment)
    if not proxy:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    scheme = urlsplit(proxy).scheme
    if scheme not in {"http", "https"}:
        raise ProviderConfigurationError(
            f"{name} names a proxy of scheme {scheme!r}, which is not supported: use an http proxy, "
            f"or add {host} to NO_PROXY"
        )
    return proxy


def _variable(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    for variant in (name.lower(), name):
        value = environment.get(variant, "").strip()
        if value:
            return variant, value
    return name, ""


def _excluded(host: str, port: int | None, no_proxy: str) -> bool:
    for entry in no_proxy.split(","):
        name = entry.strip().lower()
        if name == "*":
            return True
        name, _, entry_port = name.partition(":") if name.count(":") == 1 else (name, "", "")
        if entry_port and entry_port != str(port or ""):
            continue
        name = name.lstrip(".")
        if name and (host == name or host.endswith(f".{name}")):
            return True
    return False
