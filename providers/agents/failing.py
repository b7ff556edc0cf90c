"""What a failed agent's words mean: its own patterns first, then those that all of them have in common."""

import re
from collections.abc import Mapping, Sequence

from providers import errors
from providers.agents.description import FailureRule, Fault

_COMMON: Sequence[FailureRule] = (
    FailureRule(
        r"not logged in|please (log|sign) ?in|/login|log in (at|with|to)|login required|invalid (api|x-api)[- ]?key"
        r"|incorrect api key|no (api|auth)[\w ]*(key|token|method|credentials)|(api|auth)[\w ]*(key|token|method)[\w ]* "
        r"(not (set|found|configured)|is (missing|required))|unauthori[sz]ed|authentication.?(error|failed|required)"
        r"|\b401\b|must specify[\w ]*\bauth",
        "login",
    ),
    FailureRule(
        r"credit balance|insufficient.?(quota|credit|funds)|usage limit|quota exceeded|out of credits",
        "quota",
    ),
    FailureRule(r"rate.?limit|too many requests|\b429\b", "rate_limit"),
    FailureRule(r"overloaded|\b(502|503|529)\b|service unavailable", "overloaded"),
    FailureRule(
        r"no (conversation|session|thread|rollout)[\w ]* found|(session|thread) not found", "session"
    ),
    FailureRule(r"prompt is too long|context.?(length|window)|maximum context", "context"),
    FailureRule(r"model[\w ]*(not found|does not exist|not available)|unknown model", "model"),
)

_ERRORS: Mapping[Fault, type[errors.ProviderError]] = {
    "login": errors.AuthenticationError,
    "quota": errors.QuotaExhaustedError,
    "rate_limit": errors.RateLimitError,
    "overloaded": errors.OverloadedError,
    "session": errors.SessionLostError,
    "context": errors.ContextOverflowError,
    "model": errors.ModelNotFoundError,
    "configuration": errors.ProviderConfigurationError,
}


def fault_of(words: str, own: Sequence[FailureRule]) -> Fault | None:
    """None: it failed for a reason of its own."""
    for rule in (*own, *_COMMON):
        if re.search(rule.pattern, words, re.IGNORECASE):
            return rule.fault
    return None


def failure(name: str, fault: Fault, words: str) -> errors.ProviderError:
    """The error, with what the agent said and the mend where there is one."""
    kind = _ERRORS[fault]
    mend = (
        f": log in with it by hand, once, or set its key (docs/providers.md): {words}"
        if fault == "login"
        else ""
    )
    said = mend or f": {words}"
    lost = errors.SessionLostError(f"{name} cannot go on with the session{said}", retryable=True)
    texts: Mapping[Fault, str] = {
        "login": f"{name} wants a login{said}",
        "quota": f"the credit or quota of {name} is used up{said}",
        "rate_limit": f"{name} was told to slow down{said}",
        "overloaded": f"the service of {name} is overloaded{said}",
        "context": f"the task does not fit the model of {name}{said}",
        "model": f"{name} does not know the model{said}",
        "configuration": f"{name} is not configured for this{said}",
    }
    return lost if fault == "session" else kind(texts[fault])
