"""Reads an agent's JSON lines by the rules of its description. Pure: values in, what was said out."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from providers.agents.description import EventRule, Scalar, UsagePaths
from providers.base import AgentEvent
from providers.usage import UNKNOWN, Usage

Conditions = Mapping[str, Scalar | list[Scalar]]
_LONGEST_TEXT = 1_000_000


class Said(msgspec.Struct, kw_only=True):
    """What an agent has said about its end so far. `usage` is by its own whole count, where it gave one."""

    ended: bool = False
    failed: bool = False
    summary: str = ""
    failure: str = ""
    last_text: str = ""
    session: str = ""
    usage: Usage | None = None
    denied: list[str] = []


class RuleReader:
    """One run of an agent. `read` gives the events of a line and notes what it says of the end in `said`."""

    def __init__(self, rules: tuple[EventRule, ...]) -> None:
        self._rules = rules
        self._spent: dict[str, Usage] = {}
        self._at_end = [rule.usage for rule in rules if rule.kind == "end"]
        self.said = Said()

    def read(self, line: Any) -> list[AgentEvent]:
        """The events of one decoded line; none when no rule knows it."""
        return [event for rule in self._rules if matches(line, rule.when) for event in self._by(rule, line)]

    def _by(self, rule: EventRule, line: Any) -> Iterator[AgentEvent]:
        for element in _elements(line, rule):
            event = self._one(rule, line, element)
            if event is not None:
                yield event

    def _one(self, rule: EventRule, line: Any, element: Any) -> AgentEvent | None:
        said = self.said
        text = _text(element, rule.text)
        match rule.kind:
            case "text":
                if not text:
                    return None
                said.last_text = said.last_text + text if rule.piece else text
                return AgentEvent(kind="text", text=text if rule.piece else text + "\n")
            case "session":
                said.session = _text(element, rule.session) or said.session
                return AgentEvent(kind="session", session=said.session) if said.session else None
            case "tool" | "tool_result":
                return AgentEvent(
                    kind=rule.kind,
                    text=text,
                    tool=_text(element, rule.tool),
                    subject=_text(element, rule.subject),
                    call_id=_text(element, rule.call),
                    is_error=bool(rule.error) and matches(element, rule.error),
                )
            case "usage":
                return self._usage(rule, line, element)
            case "remark":
                return AgentEvent(kind="remark", text=text) if text else None
            case "denied":
                said.denied.append(text or "something")
                return None
            case _:
                self._ended(rule, element, text)
                return None

    def _ended(self, rule: EventRule, element: Any, text: str) -> None:
        said = self.said
        said.session = _text(element, rule.session) or said.session
        if rule.kind == "failure":
            said.failure = text or said.failure or "it reports an error without a word about it"
            return
        said.ended = True
        said.failed = bool(rule.failed) and matches(element, rule.failed)
        said.summary = text
        said.usage = usage_at(element, rule.usage) if rule.usage != UsagePaths() else said.usage

    def _usage(self, rule: EventRule, line: Any, element: Any) -> AgentEvent | None:
        now = usage_at(element, rule.usage)
        if now == UNKNOWN:
            return None
        now = self._still_to_come(now)
        if rule.scope == "step":
            return AgentEvent(kind="usage", usage=now)
        key = _text(line, rule.key) if rule.scope == "keyed" else ""
        before = self._spent.get(key)
        self._spent[key] = now
        more = now if before is None else _less(now, before)
        return AgentEvent(kind="usage", usage=more) if any(msgspec.structs.astuple(more)) else None

    def _still_to_come(self, now: Usage) -> Usage:
        """What is told at the end if not here, such as the cost, is nothing so far rather than unknown."""
        later = {
            field
            for field, paths in _FIELDS.items()
            if getattr(now, field) is None and any(getattr(end, paths) for end in self._at_end)
        }
        return msgspec.structs.replace(now, **dict.fromkeys(later, 0))


_FIELDS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cached_tokens": "cached",
    "reasoning_tokens": "reasoning",
    "cost_usd": "cost",
}


def matches(value: Any, conditions: Conditions) -> bool:
    """Whether every path holds what its condition says."""
    for path, wanted in conditions.items():
        found = at(value, path)
        if wanted == "*":
            if found is None:
                return False
        elif isinstance(wanted, list):
            if not any(_same(found, each) for each in wanted):
                return False
        elif not _same(found, wanted):
            return False
    return True


def at(value: Any, path: str) -> Any:
    """What stands at a path, of alternatives the first that is there and not empty; None when nothing does."""
    for alternative in path.split("|"):
        found = value
        for key in alternative.split(".") if alternative else ():
            if isinstance(found, list) and key.isdigit():
                found = found[int(key)] if int(key) < len(found) else None
            else:
                found = found.get(key) if isinstance(found, dict) else None
            if found is None:
                break
        if found not in (None, "", [], {}):
            return found
    return None


def usage_at(value: Any, paths: UsagePaths) -> Usage:
    """What is not a sensible number is unknown."""
    return Usage(
        _whole(value, paths.input),
        _whole(value, paths.output),
        _whole(value, paths.cached),
        _whole(value, paths.reasoning),
        _number(value, paths.cost),
        _whole(value, paths.cache_write) or 0,
    )


def _same(found: Any, wanted: Scalar) -> bool:
    if isinstance(wanted, str) and wanted.startswith("~"):
        return found is not None and re.search(wanted[1:], str(found)) is not None
    return type(found) is type(wanted) and found == wanted


def _elements(line: Any, rule: EventRule) -> Iterator[Any]:
    if not rule.each:
        if matches(line, rule.where):
            yield line
        return
    found = at(line, rule.each)
    for element in found if isinstance(found, list) else ():
        if matches(element, rule.where):
            yield element


def _text(value: Any, path: str) -> str:
    """A text; of a list of text blocks their texts, of anything else its JSON."""
    if not path:
        return ""
    found = at(value, path)
    if found is None:
        return ""
    if isinstance(found, list) and all(isinstance(block, dict) and "text" in block for block in found):
        found = "\n".join(str(block["text"]) for block in found)
    if not isinstance(found, str):
        found = msgspec.json.encode(found).decode()
    return found[:_LONGEST_TEXT]


def _number(value: Any, paths: tuple[str, ...]) -> float | None:
    """The sum of the places that hold a number; None when none does."""
    found = [_sensible(_raw(value, path)) for path in paths]
    known = [number for number in found if number is not None]
    return sum(known) if known else None


def _whole(value: Any, paths: tuple[str, ...]) -> int | None:
    number = _number(value, paths)
    return None if number is None else int(number)


def _raw(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _sensible(number: Any) -> float | None:
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < 1e12:
        return None
    return number


def _less(now: Usage, before: Usage) -> Usage:
    def less(a: float | None, b: float | None) -> float | None:
        return None if a is None else max(0, a - (b or 0))

    def whole(a: int | None, b: int | None) -> int | None:
        found = less(a, b)
        return None if found is None else int(found)

    return Usage(
        whole(now.input_tokens, before.input_tokens),
        whole(now.output_tokens, before.output_tokens),
        whole(now.cached_tokens, before.cached_tokens),
        whole(now.reasoning_tokens, before.reasoning_tokens),
        less(now.cost_usd, before.cost_usd),
        max(0, now.cache_write_tokens - before.cache_write_tokens),
    )
