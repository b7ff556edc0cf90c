"""Reads what a program prints for people, line by line, by the patterns of its description. Pure."""

import re
from collections.abc import Sequence

from providers.agents.description import LineRule
from providers.base import AgentEvent
from providers.usage import Usage

_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000}


class LineReader:
    """Gives the events of a line; what is no event but a failure or a refusal is kept."""

    def __init__(self, rules: Sequence[LineRule]) -> None:
        self._rules = [(re.compile(rule.pattern), rule.tool) for rule in rules]
        self._calls = 0
        self.failure = ""
        self.denied: list[str] = []
        self.session = ""

    def read(self, line: str) -> list[AgentEvent]:
        events: list[AgentEvent] = []
        for pattern, tool in self._rules:
            match = pattern.search(line)
            if match is not None:
                events += self._events({name: text for name, text in match.groupdict().items() if text}, tool)
        return events

    def _events(self, found: dict[str, str], default: str) -> list[AgentEvent]:
        self.failure = found.get("failure") or self.failure
        if "denied" in found:
            self.denied.append(found["denied"])
        events: list[AgentEvent] = []
        if "session" in found:
            self.session = found["session"]
            events.append(AgentEvent(kind="session", session=self.session))
        if found.keys() & {"input", "output", "cost"}:
            events.append(AgentEvent(kind="usage", usage=_usage(found)))
        if found.keys() & {"tool", "subject"}:
            self._calls += 1
            tool, subject = found.get("tool", default), found.get("subject", "")
            call = f"line-{self._calls}"
            events.append(AgentEvent(kind="tool", tool=tool, subject=subject, call_id=call))
            events.append(AgentEvent(kind="tool_result", tool=tool, subject=subject, call_id=call))
        return events


def _usage(found: dict[str, str]) -> Usage:
    """What a line does not name is unknown, the parts of the input aside."""
    tokens = {name: _number(found[name]) for name in ("input", "output") if name in found}
    return Usage(
        None if tokens.get("input") is None else round(tokens["input"] or 0),
        None if tokens.get("output") is None else round(tokens["output"] or 0),
        cost_usd=_number(found["cost"]) if "cost" in found else None,
    )


def _number(text: str) -> float | None:
    """`1,234`, `2.1k`, `1M`, `0.0065`."""
    match = re.fullmatch(r"([0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)([kKmM]?)", text.strip())
    if match is None:
        return None
    return float(match[1].replace(",", "")) * _FACTORS[match[2].lower()]
