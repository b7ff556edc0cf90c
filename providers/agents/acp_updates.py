"""What an ACP agent reports while it works (`session/update`) as our events; pure.

An agent's word is material for the journal, never the result. Both `tool_call` and `tool_call_update` say something of a
call, in any order; unknown updates are counted.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from providers.base import AgentEvent
from providers.http.half_characters import ends_in_half, joined
from providers.http.wire_json import token_count
from providers.usage import Usage

LONGEST_SUMMARY = 20_000
LONGEST_TITLE = 500
LONGEST_OUTPUT = 4_000
MOST_TOOLS = 10_000
_OVER = frozenset({"completed", "failed"})
_LOOKS = frozenset({"fetch", "read", "search", "think"})  # what such a call leaves the files as they were
_SILENT = frozenset({
    "available_commands_update", "config_option_update", "plan", "plan_removed",
    "plan_update", "session_info_update", "user_message_chunk",
})  # fmt: skip


class ToolCall(msgspec.Struct):
    """What is known of a call so far. `paths` are as the agent wrote them; `command` is text for people."""

    id: str
    title: str = ""
    kind: str = ""
    status: str = "pending"
    paths: tuple[str, ...] = ()
    command: str = ""
    output: str = ""
    begun: bool = False
    ended: bool = False

    def learn(self, update: Mapping[str, Any]) -> None:
        """An absent or null field says nothing; a present one replaces what was known."""
        self.title = text_of(update.get("title"))[:LONGEST_TITLE] or self.title
        self.kind = text_of(update.get("kind"))[:LONGEST_TITLE] or self.kind
        self.status = text_of(update.get("status")) or self.status
        self.paths = _paths(update) or self.paths
        self.command = _command(update.get("rawInput")) or self.command
        self.output = _output(update.get("content")) or self.output

    @property
    def subject(self) -> str:
        """The places of a command are where it runs, so its title says more."""
        paths = ", ".join(self.paths[:5])
        told = (self.title, paths) if self.kind == "execute" else (paths, self.title)
        return self.command or told[0] or told[1] or self.kind or "a tool without a name"


class Updates:
    """One for a session."""

    def __init__(self) -> None:
        self._tools: dict[str, ToolCall] = {}
        self._held = {"text": "", "thought": ""}
        self._last: list[str] = []
        self._last_size = 0
        self._replaying = False
        self._cost_before: float | None = 0.0
        self._cost: float | None = None
        self._cost_told = 0.0
        self.unknown: Counter[str] = Counter()

    @property
    def summary(self) -> str:
        """What the agent said after the last tool it began to use, at most the last LONGEST_SUMMARY characters."""
        return "".join(self._last)[-LONGEST_SUMMARY:].strip()

    @property
    def cost_usd(self) -> float | None:
        """Of this task; None where the agent reports none, or not in USD."""
        if self._cost is None or self._cost_before is None:
            return None
        return max(0.0, self._cost - self._cost_before)

    @property
    def used_tools(self) -> bool:
        return bool(self._tools)

    @property
    def told_cost(self) -> bool:
        """Whether a `usage` event went out."""
        return self._cost_told > 0

    def replay(self, *, on: bool) -> None:
        """While a session is loaded the agent repeats its past: none of it is an event. What the session had cost by then
        is not this task's; if the agent does not say it, the cost stays unknown.
        """
        self._replaying = on
        self._cost_before = None if on else self._cost

    def take(self, update: Any) -> list[AgentEvent]:
        """The events of one update, which is decoded JSON of any shape."""
        if not isinstance(update, dict):
            self.unknown["(no object)"] += 1
            return []
        name = update.get("sessionUpdate")
        if name == "usage_update":
            return self._usage(update)
        if self._replaying:
            return []
        match name:
            case "agent_message_chunk":
                return self._chunk("text", update.get("content"))
            case "agent_thought_chunk":
                return self._chunk("thought", update.get("content"))
            case "tool_call" | "tool_call_update":
                return self.tool(update)[1]
            case "current_mode_update":
                mode = text_of(update.get("currentModeId"))[:LONGEST_TITLE]
                return [AgentEvent(kind="remark", text=f"its mode is now {mode}")]
            case _:
                if name not in _SILENT:
                    self.unknown[text_of(name)[:80] or "(no name)"] += 1
                return []

    def tool(self, update: Mapping[str, Any], *, asks: bool = False) -> tuple[ToolCall, list[AgentEvent]]:
        """Adds to what is known of a call, told in an update or with a request for permission (`asks`). A call is told of
        once it is known what it does, at the latest when it asks or has ended.
        """
        identity = text_of(update.get("toolCallId"))
        call = self._tools.get(identity)
        if call is None:
            if len(self._tools) >= MOST_TOOLS:  # an agent that never ends must not fill the memory
                self._tools.pop(next(iter(self._tools)))
            call = self._tools[identity] = ToolCall(identity)
            self._last.clear()
            self._last_size = 0
        call.learn(update)
        told: list[AgentEvent] = []
        over = call.status in _OVER
        clear = call.command or (call.paths and call.kind != "execute") or call.status != "pending"
        if not call.begun and (asks or over or clear):
            call.begun = True
            told.append(
                AgentEvent(kind="tool", tool=call.kind or "tool", subject=call.subject, call_id=call.id)
            )
        if over and not call.ended:
            call.ended = True
            told.append(
                AgentEvent(
                    kind="tool_result",
                    tool=call.kind or "tool",
                    subject=call.subject,
                    call_id=call.id,
                    text=call.output,
                    is_error=call.status == "failed",
                    edits=call.kind not in _LOOKS,
                )
            )
        return call, told

    def _chunk(self, kind: Literal["text", "thought"], content: Any) -> list[AgentEvent]:
        if not isinstance(content, dict) or content.get("type") != "text":
            self.unknown[f"{kind} without text"] += 1
            return []
        said = content.get("text")
        raw = self._held[kind] + (said if isinstance(said, str) else "")
        self._held[kind] = ""
        if ends_in_half(raw):  # the other half of the character is in the next piece
            raw, self._held[kind] = raw[:-1], raw[-1]
        text = joined(raw)
        if not text:
            return []
        if kind == "text":
            self._last.append(text)
            self._last_size += len(text)
            if self._last_size > 2 * LONGEST_SUMMARY:
                kept = self.summary
                self._last, self._last_size = [kept], len(kept)
        return [AgentEvent(kind=kind, text=text)]

    def _usage(self, update: Mapping[str, Any]) -> list[AgentEvent]:
        """`used` is the size of the conversation, not what was spent; only the cost counts, and it is of the session."""
        cost = update.get("cost")
        if not isinstance(cost, dict) or cost.get("currency") != "USD":
            return []
        amount = cost.get("amount")
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < 1e6:
            return []
        self._cost = float(amount)
        known = self.cost_usd
        if self._replaying or known is None or known <= self._cost_told:
            return []
        new, self._cost_told = known - self._cost_told, known
        return [AgentEvent(kind="usage", usage=Usage(cost_usd=new))]


def usage_of(answer: Mapping[str, Any], cost_usd: float | None) -> Usage:
    """The usage in the answer to a prompt; one agent has it in its `_meta`. ACP counts cached tokens beside the input; where the total tells that an agent
    counts them within, they are not added again. Anything missing is unknown.
    """
    reported = answer.get("usage")
    if not isinstance(reported, dict):
        return _quota(answer.get("_meta"), cost_usd)
    said: Mapping[str, Any] = reported
    given, taken = token_count(said.get("inputTokens")), token_count(said.get("outputTokens"))
    read, written = token_count(said.get("cachedReadTokens")), token_count(said.get("cachedWriteTokens"))
    total, thought = token_count(said.get("totalTokens")), token_count(said.get("thoughtTokens"))
    if given is not None and taken is not None:
        beside = (read or 0) + (written or 0)
        within = beside and total in {given + taken, given + taken + (thought or 0)}
        if total == given + taken + beside + (thought or 0) and thought:
            taken += thought  # ours are part of the output
        if not within:
            given += beside
    return Usage(given, taken, read, thought, cost_usd, written or 0)


def _quota(meta: Any, cost_usd: float | None) -> Usage:
    """As Gemini CLI tells it."""
    found = meta
    for name in ("quota", "token_count"):
        found = found.get(name) if isinstance(found, dict) else None
    said = found if isinstance(found, dict) else {}
    return Usage(
        token_count(said.get("input_tokens")), token_count(said.get("output_tokens")), None, None, cost_usd
    )


def text_of(value: Any) -> str:
    return joined(value) if isinstance(value, str) else ""


def _paths(update: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a call acts: its locations, and the files of the differences that it shows."""
    found: dict[str, None] = {}
    for name in ("locations", "content"):
        items = update.get(name)
        for item in items if isinstance(items, list) else []:
            if isinstance(item, dict) and (path := text_of(item.get("path"))):
                found[path] = None
    return tuple(found)


def _output(content: Any) -> str:
    """The text of a call's content, at most LONGEST_OUTPUT characters of it."""
    parts = []
    for item in content if isinstance(content, list) else []:
        inner = item.get("content") if isinstance(item, dict) else None
        if isinstance(inner, dict) and inner.get("type") == "text" and isinstance(inner.get("text"), str):
            parts.append(inner["text"][:LONGEST_OUTPUT])
    return joined("\n".join(parts)[:LONGEST_OUTPUT])


def _command(raw: Any) -> str:
    """A shell command in the arguments of a tool, by the names that agents give it."""
    if not isinstance(raw, dict):
        return ""
    for name in ("command", "cmd", "script"):
        said = raw.get(name)
        if isinstance(said, str) and said.strip():
            return joined(said)
        if isinstance(said, list) and said and all(isinstance(word, str) for word in said):
            return joined(" ".join(said))
    return ""
