"""Keys that an agent was given, kept out of what it says."""

import re
from collections.abc import Mapping

import msgspec

from providers.base import AgentEvent, AgentResult

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 8
INSTEAD = "[redacted]"


class Redaction:
    """Of the values of those variables whose names say that they are secret."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        found = {
            value for name, value in environment.items() if _SECRET.search(name) and len(value) >= _SHORTEST
        }
        # longest first: one may hold another
        self._secrets = tuple(sorted(found, key=lambda value: (-len(value), value)))

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, INSTEAD)
        return text

    def event(self, event: AgentEvent) -> AgentEvent:
        if not self._secrets or not (event.text or event.subject):
            return event
        return msgspec.structs.replace(event, text=self.text(event.text), subject=self.text(event.subject))

    def result(self, result: AgentResult) -> AgentResult:
        return msgspec.structs.replace(
            result, summary=self.text(result.summary), denied=tuple(map(self.text, result.denied))
        )
