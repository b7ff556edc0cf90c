"""Which base URLs and keys can be, before any request. Loads nothing."""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from providers import errors

MODEL = "{model}"  # stands in a base URL where a form of the API wants the model in the path


def check_base_url(url: str, *, setting: str) -> SplitResult:
    """Raises ProviderConfigurationError, naming `setting`, for what cannot be a base URL."""
    problem = ""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - the property raises for a port that is no number
    except ValueError as error:
        raise errors.ProviderConfigurationError(f"{setting} = {url!r} is no URL: {error}") from error
    if not url.isascii() or not url.isprintable() or " " in url:
        problem = "it holds a character that no URL may hold"
    elif parts.scheme not in {"http", "https"}:
        problem = "it must begin with http:// or https://"
    elif not parts.hostname:
        problem = "it names no host"
    elif parts.username is not None or parts.password is not None:
        url = url.replace(parts.netloc, f"…@{parts.hostname}")
        problem = "a user or password does not belong in it"
    elif parts.fragment:
        problem = "a #fragment does not belong in it"
    if problem:
        raise errors.ProviderConfigurationError(f"{setting} = {url!r} is no base URL: {problem}")
    return parts


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_key(key: str, *, setting: str) -> str:
    """Raises ProviderConfigurationError, without showing it, for a key that no header can carry."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise errors.ProviderConfigurationError(
            f"the key in {setting} holds a line break, a space or another character that no key has: "
            "copy it anew, without what surrounds it"
        )
    return key
