"""The conversation in one shape for every API: messages, tools, requests, answers.

These values are journaled as they stand: what the journal holds is what the model saw. Nothing here
knows a wire format; each adapter under `http/` converts at its own edge.
"""

from typing import Any, Literal

import msgspec

from providers.usage import Usage

Role = Literal["system", "user", "assistant", "tool"]
StopReason = Literal["end", "tool_calls", "length", "content_filter", "other"]
Effort = Literal["off", "low", "medium", "high"]


class Text(msgspec.Struct, frozen=True, tag="text", tag_field="kind"):
    text: str


class Image(msgspec.Struct, frozen=True, tag="image", tag_field="kind"):
    """A picture as input. `media_type` is one of image/png, image/jpeg, image/gif, image/webp; `data` its bytes
    (base64 in the journal).
    """

    media_type: str
    data: bytes


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call", tag_field="kind"):
    """A call as the model wrote it. `arguments` is its raw JSON text, kept even when it does not parse."""

    id: str
    name: str
    arguments: str


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result", tag_field="kind", omit_defaults=True):
    call_id: str
    text: str
    is_error: bool = False


class Opaque(msgspec.Struct, frozen=True, tag="opaque", tag_field="kind"):
    """State that only one API understands (signatures, encrypted reasoning); `data` is its JSON text.
    It is sent back byte for byte to the same `api` and dropped for any other.
    """

    api: str
    data: str


Part = Text | Image | ToolCall | ToolResult | Opaque


class Message(msgspec.Struct, frozen=True):
    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


def system(text: str) -> Message:
    return Message("system", (Text(text),))


def user(text: str) -> Message:
    return Message("user", (Text(text),))


def assistant(text: str, *calls: ToolCall) -> Message:
    return Message("assistant", ((Text(text),) if text else ()) + calls)


def tool_results(*results: ToolResult) -> Message:
    return Message("tool", results)


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as it is offered: `parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


class OutputSchema(msgspec.Struct, frozen=True):
    """The answer is to be one JSON text that fits `schema` (a JSON Schema of an object). Where an API has no such
    setting, the model is made to call a tool of this name, and its arguments become the answer's text.
    """

    name: str
    schema: dict[str, Any]


class RequestLabels(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who asks. Never sent over the wire: for logs, limits and the scripted provider. Of the calls of one run
    that wait for the same limit, those of the higher `priority` go first.
    """

    run_id: str = ""
    task_id: str = ""
    title: str = ""
    role: str = ""
    attempt: int = 1
    turn: int = 1
    priority: int = 0


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model call. `model` is the name within the provider, without the provider's prefix.

    `reasoning` None leaves the model its own default. `tool_choice`: None lets the model choose, `required` makes
    it call some tool, any other text is the name of the tool it must call.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_output_tokens: int | None = None
    temperature: float | None = None
    reasoning: Effort | None = None
    output: OutputSchema | None = None
    tool_choice: str | None = None
    labels: RequestLabels = RequestLabels()


class TextDelta(msgspec.Struct, frozen=True):
    """A piece of a streaming answer, for display only: it may be dropped. `restart`: the call is made anew
    after a fault, so what was shown of this answer before is void. `waiting` (with an empty text): the call waits
    for a limit for about so many seconds, for what `reason` says.
    """

    text: str
    restart: bool = False
    waiting: float = 0.0
    reason: str = ""


class Answer(msgspec.Struct, frozen=True):
    """A whole answer. `model` is what the server says it used. `discarded_attempts` counts broken-off
    answers before this one: they may have been billed, and `usage` does not hold them. `reasoning` is what the
    model showed of its thinking, for display; what must go back to the API is in `message`. `estimated_input`: the
    tokens that the request was thought to have before it was sent.
    """

    message: Message
    stop: StopReason
    usage: Usage
    model: str = ""
    discarded_attempts: int = 0
    reasoning: str = ""
    estimated_input: int | None = None
