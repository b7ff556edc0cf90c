"""Faults of an ACP agent as our errors, each with the thing and the mend."""

from typing import TYPE_CHECKING, Any

from providers import errors
from providers.agents.acp_agents import AcpAgent

if TYPE_CHECKING:
    from acp.exceptions import RequestError

_AUTH_REQUIRED = -32000
_SHOWN = 600


def missing(agent: AcpAgent, fault: Exception) -> errors.ProviderError:
    mend = (
        f"install it with `{agent.package}`" if agent.package else f"see `command` of [agents.{agent.name}]"
    )
    return errors.ProviderConfigurationError(f"the ACP agent {agent.name} cannot be started: {fault}; {mend}")


def login_wanted(agent: AcpAgent, methods: Any) -> errors.ProviderError:
    """`methods` are what the agent said of its ways to log in."""
    items = methods if isinstance(methods, list) else []
    named = [str(item.get("name") or item.get("id")) for item in items if isinstance(item, dict)]
    known = f" (it knows: {', '.join(named[:5])})" if named else ""
    mend = agent.login or f"log in with {agent.command[0]} by hand"
    return errors.AuthenticationError(f"the ACP agent {agent.name} wants a login{known}: {mend}")


def refused(agent: AcpAgent, step: str, error: "RequestError", methods: Any = None) -> errors.ProviderError:
    """An error that the agent answered a request with."""
    if error.code == _AUTH_REQUIRED or "auth_required" in str(error).lower():
        return login_wanted(agent, methods)
    words = f"{error}{_detail(error.data)}"[:_SHOWN]
    kind: type[errors.ProviderError] = errors.BadResponseError
    if any(
        sign in words.lower() for sign in ("authentication required", "not logged in", "please run /login")
    ):
        return login_wanted(agent, methods)
    if "rate limit" in words.lower() or "too many requests" in words.lower():
        kind = errors.RateLimitError
    return kind(f"the ACP agent {agent.name} refused {step} with error {error.code}: {words}")


def wrong_version(agent: AcpAgent, version: Any) -> errors.ProviderError:
    return errors.BadResponseError(
        f"the ACP agent {agent.name} speaks version {version!r} of the protocol, not 1: install a version of it that "
        "speaks 1",
        retryable=False,
    )


def ended(agent: AcpAgent, step: str, *, how: str, said: str) -> errors.ProviderError:
    """The agent, or its output, ended before it answered. `said` is the end of its standard error."""
    tail = f"; its last words: {said[-_SHOWN:]}" if said else ""
    return errors.BadResponseError(f"the ACP agent {agent.name} {how} {step}{tail}")


def late(agent: AcpAgent, step: str, seconds: float, *, garbage: str, said: str) -> errors.ProviderError:
    words = f"; what it printed is no message: {garbage!r}" if garbage else ""
    tail = f"; its last words: {said[-_SHOWN:]}" if said else ""
    return errors.ProviderTimeoutError(
        f"the ACP agent {agent.name} said nothing for {seconds:g} s {step}{words}{tail}; try it by hand: "
        f"{' '.join(agent.command)}"
    )


def lost(agent: AcpAgent, why: str) -> errors.ProviderError:
    return errors.SessionLostError(f"the ACP agent {agent.name} cannot go on with its session: {why}")


def shapeless(agent: AcpAgent, step: str) -> errors.ProviderError:
    return errors.BadResponseError(f"the ACP agent {agent.name} answered {step} with what is no answer to it")


def _detail(data: Any) -> str:
    if data is None:
        return ""
    if isinstance(data, dict):
        for name in ("details", "message", "error"):
            if isinstance(data.get(name), str):
                return f" ({data[name]})"
    return f" ({data})"
