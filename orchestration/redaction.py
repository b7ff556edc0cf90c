"""Known secrets are taken out of every text before it reaches a model or the journal.

What is known are the values of the user's own keys and tokens (the composition root says which). A mark stands
in their place, once and for good: the journal holds what the model saw. Files are never rewritten: an edit
that holds the mark is refused (`agents/tools/contract.py`), and the contents that a decision writes are exact.
"""

import json
import re
from collections.abc import Iterable

import msgspec

from orchestration import events as ev
from providers.messages import Message, Text, ToolCall

WITHHELD = "[secret withheld]"
_SHORTEST = 12
_KEY = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[^\s/]\S*")


class Redaction:
    """May learn of secrets while it is in use: keys come from stores that are asked late."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        self._written: tuple[tuple[bytes, bytes], ...] = ()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """A value that could stand in any text is not taken for a secret: local servers want some key and get
        `ollama` or `no-key-required`, and variables with KEY in their name may hold a path or words.
        """
        if len(secret) < _SHORTEST or not _KEY.fullmatch(secret):
            return
        if secret not in self._secrets:
            # Longest first, so that a secret which contains another goes as a whole.
            self._secrets = tuple(sorted((*self._secrets, secret), key=len, reverse=True))
            mark = WITHHELD.encode()
            self._written = tuple(
                (json.dumps(one, ensure_ascii=False)[1:-1].encode(), mark) for one in self._secrets
            )

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, WITHHELD)
        return text

    def message(self, message: Message) -> Message:
        """With the texts and the arguments of calls cleaned."""
        if not self._secrets:
            return message
        parts = tuple(
            Text(self.text(part.text))
            if isinstance(part, Text)
            else msgspec.structs.replace(part, arguments=self.text(part.arguments))
            if isinstance(part, ToolCall)
            else part
            for part in message.parts
        )
        return message if parts == message.parts else msgspec.structs.replace(message, parts=parts)

    def event(self, event: ev.Event) -> ev.Event:
        """With every text in it cleaned."""
        if not self._written:
            return event
        body = ev.encode(event)
        clean = body
        for written, mark in self._written:
            clean = clean.replace(written, mark)
        return event if clean == body else ev.decode(clean)
