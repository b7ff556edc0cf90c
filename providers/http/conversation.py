"""A conversation made fit for one API's wire, whatever API its parts came from.

What every vendor answers with a permanent 400 is mended here, once: state of another API, tool ids and names
that its pattern refuses or that occur twice, calls without a result, results without a call. Everything is a
function of the messages before it, so that a longer conversation begins with the same bytes. No JSON is made here.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import msgspec

from providers.messages import Image, Message, Opaque, Part, Text, ToolCall, ToolResult, ToolSpec

UNANSWERED = "This call was interrupted: it has no result, and whether it had an effect is not known."
_DIGEST = 8


class WireRules(msgspec.Struct, frozen=True):
    """What one API takes. Ids and names consist of ASCII letters, digits and the characters of `id_extra` or
    `name_extra`, and are at most so long.
    """

    api: str
    id_extra: str = "_-"
    id_max: int = 64
    name_extra: str = "_-"
    name_max: int = 64


@dataclass(slots=True)
class ToolNames:
    """Names of tools as this API takes them, and back. Names that were never offered come back as they are."""

    rules: WireRules
    _to_wire: dict[str, str] = field(default_factory=dict)
    _from_wire: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, tools: Iterable[ToolSpec], rules: WireRules) -> "ToolNames":
        names = cls(rules)
        for tool in tools:
            names.wire(tool.name)
        return names

    def wire(self, name: str) -> str:
        known = self._to_wire.get(name)
        if known is None:
            known = _fitted(name, self.rules.name_extra, self.rules.name_max, self._from_wire, salt="")
            self._to_wire[name] = known
            self._from_wire[known] = name
        return known

    def own(self, name: str) -> str:
        return self._from_wire.get(name, name)


def fitted(messages: Sequence[Message], rules: WireRules) -> list[Message]:
    """The same conversation, in which every call has exactly one result, directly after the message that made it.

    Between two answers of the model come first the results, then everything else in its order. A result whose
    call is unknown becomes a text of the user. Messages left without any part are left out.
    """
    conversation: list[Message] = []
    ids: dict[str, str] = {}  # id on the wire → id of the call, over the whole conversation
    start = 0
    while start < len(messages):
        message = messages[start]
        end = start + 1
        if message.role != "assistant":
            _add(conversation, _without_results(message, rules))
            start = end
            continue
        while end < len(messages) and messages[end].role != "assistant":
            end += 1
        answer, calls = _answer(message, rules, ids)
        _add(conversation, answer)
        results, others = _results(calls, messages[start + 1 : end], rules)
        if results:
            conversation.append(Message("tool", results))
        for other in others:
            _add(conversation, other)
        start = end
    return conversation


def _answer(message: Message, rules: WireRules, ids: dict[str, str]) -> tuple[Message, list[tuple[str, str]]]:
    """The message with the ids of the wire, and its calls as (id, id on the wire)."""
    parts: list[Part] = []
    calls: list[tuple[str, str]] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            wire = _fitted(part.id, rules.id_extra, rules.id_max, ids, salt=str(len(ids)))
            ids[wire] = part.id
            calls.append((part.id, wire))
            parts.append(part if wire == part.id else ToolCall(wire, part.name, part.arguments))
        elif not isinstance(part, Opaque) or part.api == rules.api:
            parts.append(part)
    return Message("assistant", tuple(parts)), calls


def _results(
    calls: list[tuple[str, str]], following: Sequence[Message], rules: WireRules
) -> tuple[tuple[ToolResult, ...], list[Message]]:
    """One result for each call, in the order of the calls, and what else these messages hold."""
    waiting: dict[str, list[str]] = {}
    for own, wire in calls:
        waiting.setdefault(own, []).append(wire)
    found: dict[str, ToolResult] = {}
    others: list[Message] = []
    for message in following:
        rest: list[Part] = []
        for part in message.parts:
            if not isinstance(part, ToolResult):
                rest.append(part)
            elif waiting.get(part.call_id):
                wire = waiting[part.call_id].pop(0)
                found[wire] = ToolResult(wire, part.text, part.is_error)
            elif part.call_id not in waiting:
                rest.append(_as_text(part))
        if rest:
            role = "user" if message.role == "tool" else message.role
            others.append(_without_results(Message(role, tuple(rest)), rules))
    missing = (ToolResult(wire, UNANSWERED, is_error=True) for _, wire in calls if wire not in found)
    found.update((result.call_id, result) for result in missing)
    return tuple(found[wire] for _, wire in calls), others


def _without_results(message: Message, rules: WireRules) -> Message:
    parts = tuple(
        _as_text(part) if isinstance(part, ToolResult) else part
        for part in message.parts
        if not isinstance(part, Opaque) or part.api == rules.api
    )
    return Message("user" if message.role == "tool" else message.role, parts)


def _as_text(result: ToolResult) -> Text:
    return Text(f"[Result of an earlier tool call]\n{result.text}")


def _add(conversation: list[Message], message: Message) -> None:
    if message.parts:
        conversation.append(message)


def leading_system(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """The text of the system messages that open a conversation, and the rest; later ones become the user's."""
    count = 0
    while count < len(messages) and messages[count].role == "system":
        count += 1
    text = "\n\n".join(message.text for message in messages[:count] if message.text)
    rest = [
        Message("user", message.parts) if message.role == "system" else message
        for message in messages[count:]
    ]
    return text, rest


def merged(messages: Iterable[Message]) -> list[Message]:
    """Neighbours of one side as one message, results first: for APIs whose turns must alternate. Of the roles only
    `user` and `assistant` are left. Texts of nothing but white space are dropped, as these APIs refuse them.
    """
    turns: list[Message] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        parts = tuple(part for part in message.parts if not isinstance(part, Text) or part.text.strip())
        if not parts:
            continue
        if turns and turns[-1].role == role:
            turns[-1] = Message(turns[-1].role, turns[-1].parts + parts)
        else:
            turns.append(Message("assistant" if role == "assistant" else "user", parts))
    return turns


def has_images(messages: Iterable[Message]) -> bool:
    return any(isinstance(part, Image) for message in messages for part in message.parts)


def _fitted(text: str, extra: str, longest: int, taken: dict[str, str], *, salt: str) -> str:
    """`text` itself where the API takes it and it is free; else a name made of it and of a digest."""
    foreign = _foreign(extra)
    if text and len(text) <= longest and text not in taken and not foreign.search(text):
        return text
    digest = hashlib.sha256(f"{salt}:{text}".encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    kept = foreign.sub("_", text)[: longest - _DIGEST - 1]
    return f"{kept}_{digest}"


@cache
def _foreign(extra: str) -> re.Pattern[str]:
    """What is neither an ASCII letter, a digit nor one of `extra`."""
    return re.compile(f"[^A-Za-z0-9{re.escape(extra)}]")
