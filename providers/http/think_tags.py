"""Separates `<think>…</think>` at the start of an answer from the answer, as it streams.

Local servers without a reasoning parser send a model's thinking as text. Only a tag that opens the answer counts:
anywhere else it is text about tags. What looks like a tool call inside either stays text.
"""

OPEN, CLOSE = "<think>", "</think>"


class ThinkSplitter:
    """Feed it pieces in order, then `rest()`. Each gives (thinking, text)."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._state = "start"  # then "thinking", "after" (white space before the text) and "text"
        self._held = ""

    def feed(self, piece: str) -> tuple[str, str]:
        if self._state == "text":
            return "", piece
        self._held += piece
        if self._state == "start":
            begun = self._held.lstrip()
            if begun.startswith(OPEN):
                self._held = begun[len(OPEN) :]
                self._state = "thinking"
            elif OPEN.startswith(begun):  # not yet known
                return "", ""
            else:
                self._state = "text"
                return "", self._take()
        if self._state == "thinking":
            return self._thinking()
        return "", self._after()

    def rest(self) -> tuple[str, str]:
        """What is held at the end: a thought that never closed is thinking still."""
        held = self._take()
        if self._state == "thinking":
            return held, ""
        return "", "" if self._state == "after" else held

    def _thinking(self) -> tuple[str, str]:
        thought, close, text = self._held.partition(CLOSE)
        if close:
            self._held = text
            self._state = "after"
            return thought, self._after()
        held = next((size for size in range(len(CLOSE) - 1, 0, -1) if self._held.endswith(CLOSE[:size])), 0)
        thought = self._held[: len(self._held) - held]
        self._held = self._held[len(self._held) - held :]
        return thought, ""

    def _after(self) -> str:
        text = self._held.lstrip()
        if text:
            self._held = ""
            self._state = "text"
        return text

    def _take(self) -> str:
        held, self._held = self._held, ""
        return held
