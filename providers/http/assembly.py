"""The parts of one answer while it streams: texts, tool calls in pieces, opaque state, in the order they began.

Each API's stream module feeds one of these and decides when its answer is whole. Nothing leaves before that:
no half tool call, no text that the end of the stream cut. Deltas shown on the way are display only.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from providers import errors
from providers.base import OnDelta
from providers.http.conversation import ToolNames
from providers.http.failures import Place
from providers.http.half_characters import decode_marked, ends_in_half, joined
from providers.http.wire_json import parses, unwrapped_arguments
from providers.messages import Opaque, Part, Text, TextDelta, ToolCall

Decoded = TypeVar("Decoded")

MAX_ANSWER_CHARACTERS = 16 * 1024 * 1024


class OpenCall:
    """A tool call whose pieces are still coming."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self, call_id: str, name: str) -> None:
        self.id = call_id
        self.name = name
        self.arguments: list[str] = []


class Assembly:
    """`call_prefix` begins the ids of calls that came without one. `size` counts characters, thinking included."""

    def __init__(
        self, *, place: Place, model: str, call_prefix: str, names: ToolNames, on_delta: OnDelta | None
    ) -> None:
        self.place = place
        self.model = model
        self.size = 0
        self._call_prefix = call_prefix
        self._names = names
        self._on_delta = on_delta
        self._parts: list[list[str] | OpenCall | Opaque] = []
        self._reasoning: list[str] = []
        self._fresh: list[str] = []
        self._halved = False  # some event was cut inside a character

    @property
    def reasoning(self) -> str:
        return self.join(self._reasoning)

    def decode(self, decode: Callable[[bytes], Decoded], data: bytes) -> Decoded:
        """An event, be it one that was cut inside a character. Raises what `DECODE_ERRORS` names."""
        decoded, halved = decode_marked(decode, data)
        if halved:
            self._halved = True
        return decoded

    def join(self, pieces: Sequence[str]) -> str:
        """Pieces of one text."""
        text = "".join(pieces)
        return joined(text) if self._halved else text

    def new_text(self) -> list[str]:
        """A text part of its own; give it to `text`."""
        part: list[str] = []
        self._parts.append(part)
        return part

    def text(self, piece: str, part: list[str] | None = None) -> None:
        """Without a part it goes on with the text that came last, or begins one."""
        if part is None:
            last = self._parts[-1] if self._parts else None
            part = last if isinstance(last, list) else self.new_text()
        part.append(piece)
        if self._on_delta is not None:
            self._fresh.append(piece)
        self.grow(len(piece))

    def think(self, piece: str) -> None:
        self._reasoning.append(piece)
        self.grow(len(piece))

    def opaque(self, api: str, data: str) -> None:
        self._parts.append(Opaque(api, data))

    def call(self, call_id: str, name: str) -> OpenCall:
        opened = OpenCall(call_id, name)
        self._parts.append(opened)
        return opened

    def arguments(self, call: OpenCall, piece: str) -> None:
        call.arguments.append(piece)
        self.grow(len(piece))

    def show(self) -> None:
        """Hands on the text that came since the last time."""
        if not self._fresh or self._on_delta is None:
            return
        text = "".join(self._fresh)
        self._fresh.clear()
        if self._halved:
            if ends_in_half(text):
                self._fresh.append(text[-1])
                text = text[:-1]
            text = joined(text)
        if text:
            self._on_delta(TextDelta(text))

    def grow(self, characters: int) -> None:
        self.size += characters
        if self.size > MAX_ANSWER_CHARACTERS:
            raise errors.BadResponseError(
                f"{self.place.url} sent an answer of more than {MAX_ANSWER_CHARACTERS} characters",
                retryable=False,
            )

    def parts(self, *, cut: bool) -> tuple[Part, ...]:
        """`cut`: the answer hit its length limit, so a call whose arguments do not parse was not finished.

        Raises BadResponseError for a call without a name.
        """
        finished: list[Part] = []
        taken: set[str] = set()
        for part in self._parts:
            if isinstance(part, OpenCall):
                call = self._finished(part, taken, cut=cut)
                if call is not None:
                    finished.append(call)
            elif isinstance(part, Opaque):
                finished.append(part)
            elif any(part):
                finished.append(Text(self.join(part)))
        return tuple(finished)

    def _finished(self, call: OpenCall, taken: set[str], *, cut: bool) -> ToolCall | None:
        arguments = unwrapped_arguments(self.join(call.arguments))
        if cut and not parses(arguments):
            return None
        if not call.name:
            raise errors.BadResponseError(f"{self.place.url} sent a tool call without a name")
        number = len(taken)
        identity = call.id or f"{self._call_prefix}_{number}"
        if identity in taken:
            identity = f"{identity}_{number}"
        taken.add(identity)
        return ToolCall(identity, self._names.own(call.name), arguments)

    def unfinished(self) -> errors.BadResponseError:
        got = f"after {self.size} characters" if self.size else "before its first token"
        return errors.BadResponseError(f"{self.place.url} ended the answer {got} without finishing it")

    def garbage(self, data: bytes, error: Exception) -> errors.BadResponseError:
        said = self.place.quote(data[:400].decode("utf-8", "replace"))
        return errors.BadResponseError(f"{self.place.url} sent an event that is no answer ({error}): {said}")


DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError)
