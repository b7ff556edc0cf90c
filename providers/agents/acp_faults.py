"""Faults of an ACP agent as our errors, each with the thing and the mend. `name` is the agent's, without `acp/`."""

from typing import TYPE_CHECKING, Any

from providers import errors
from providers.agents.acp_description import AcpDescription
from providers.agents.failing import failure, fault_of

if TYPE_CHECKING:
    from acp.exceptions import RequestError

AUTH_REQUIRED = -32000
_SHOWN = 600


def missing(name: str, agent: AcpDescription, fault: Exception | str) -> errors.ProviderError:
    mend = f"install it with `{agent.install}`, or name it" if agent.install else "name it"
    return errors.ProviderConfigurationError(
        f'the ACP agent {name} cannot be started: {fault}; {mend}: [agents.{name}] with protocol = "acp" and '
        f'command = ["/path/to/{agent.command[0].rpartition("/")[2]}"] in your configuration'
    )


def login_wanted(name: str, agent: AcpDescription, methods: Any) -> errors.ProviderError:
    """`methods` are what the agent said of its ways to log in."""
    items = methods if isinstance(methods, list) else []
    named = [str(item.get("name") or item.get("id")) for item in items if isinstance(item, dict)]
    known = f" (it knows: {', '.join(named[:5])})" if named else ""
    mend = agent.login or f"log in with {agent.command[0]} by hand"
    return errors.AuthenticationError(f"the ACP agent {name} wants a login{known}: {mend}")


def refused(
    name: str, agent: AcpDescription, step: str, error: "RequestError", methods: Any = None
) -> errors.ProviderError:
    """An error that the agent answered a request with."""
    words = f"{error}{_detail(error.data)}"[:_SHOWN]
    if error.code == AUTH_REQUIRED:
        return login_wanted(name, agent, methods)
    return _meaning(name, agent, words, methods) or errors.BadResponseError(
        f"the ACP agent {name} refused {step.removeprefix('to ')} with error {error.code}: {words}"
    )


def failed(name: str, agent: AcpDescription, words: str, methods: Any) -> errors.ProviderError:
    """It ended its turn with words that tell of a fault."""
    words = words[-_SHOWN:]
    return _meaning(name, agent, words, methods) or errors.BadResponseError(
        f"the ACP agent {name} failed: {words}"
    )


def _meaning(name: str, agent: AcpDescription, words: str, methods: Any) -> errors.ProviderError | None:
    fault = fault_of(words, agent.failures)
    if fault == "login":
        return login_wanted(name, agent, methods)
    return None if fault is None else failure(f"the ACP agent {name}", fault, words)


def wrong_version(name: str, version: Any) -> errors.ProviderError:
    return errors.BadResponseError(
        f"the ACP agent {name} speaks version {version!r} of the protocol, not 1: install a version of it that speaks 1",
        retryable=False,
    )


def ended(name: str, agent: AcpDescription, step: str, *, how: str, said: str) -> errors.ProviderError:
    """The agent, or its output, ended before it answered. `said` is the end of its standard error."""
    tail = f"; its last words: {said[-_SHOWN:]}" if said else ""
    fault = fault_of(said, agent.failures)
    if fault == "login":
        return errors.AuthenticationError(f"{login_wanted(name, agent, None)}{tail}")
    return errors.BadResponseError(f"the ACP agent {name} {how} {step}{tail}")


def late(
    name: str, agent: AcpDescription, step: str, seconds: float, *, garbage: str, said: str
) -> errors.ProviderError:
    words = f"; what it printed is no message: {garbage!r}" if garbage else ""
    tail = f"; its last words: {said[-_SHOWN:]}" if said else ""
    return errors.ProviderTimeoutError(
        f"the ACP agent {name} said nothing for {seconds:g} s {step}{words}{tail}; try it by hand: "
        f"{' '.join(agent.command)}",
        retryable=False,
    )


def too_long(name: str, seconds: float) -> errors.ProviderError:
    return errors.ProviderTimeoutError(
        f"the ACP agent {name} took longer than {seconds:g} s and was stopped", retryable=False
    )


def lost(name: str, why: str) -> errors.ProviderError:
    return errors.SessionLostError(
        f"the ACP agent {name} cannot go on with its session: {why}", retryable=True
    )


def shapeless(name: str, step: str) -> errors.ProviderError:
    return errors.BadResponseError(
        f"the ACP agent {name} answered {step.removeprefix('to ')} with what is no answer to it"
    )


def _detail(data: Any) -> str:
    if data is None:
        return ""
    if isinstance(data, dict):
        for name in ("details", "message", "error"):
            if isinstance(data.get(name), str):
                return f" ({data[name]})"
    return f" ({data})"
