"""Scripts for measurements: they share the machine with what is measured, so they do next to nothing.

`Echo` decides by a look at the raw bytes and sends bytes made beforehand. `Editor` makes one edit per task.
"""

import re

from tests.model_server import wire
from tests.model_server.replies import Answer, Plain, Prepared, Reply, ToolCall, Usage
from tests.model_server.requests import ModelRequest

_FINISH = re.compile(rb'"name": ?"finish"')
_STREAM = re.compile(rb'"stream": ?true')
_USAGE = re.compile(rb'"include_usage": ?true')
_WORDS = "The task is done and here is what came of it, told at some length for the sake of its size. "


def filler(size: int) -> str:
    """So many characters (and bytes) of prose."""
    return (_WORDS * (size // len(_WORDS) + 1))[:size]


class Echo:
    """Every task ends in one call: `finish` with a summary of `size` bytes where that tool is offered, else text.

    `piece` is the number of characters an event carries. Every answer has the same id and usage.
    """

    def __init__(self, *, size: int = 1024, delay_ms: float = 0, piece: int = 64) -> None:
        text = filler(size)
        usage = Usage(prompt_tokens=400, completion_tokens=size // 4)
        answers = (
            Answer(text=text, usage=usage),
            Answer(calls=(ToolCall("finish", {"summary": text}, id="call_finish"),), usage=usage),
        )
        self._replies = {
            (finishes, streams, with_usage): Prepared(
                _response(answer, streams=streams, with_usage=with_usage, piece=piece), delay_ms / 1000
            )
            for finishes, answer in enumerate(answers)
            for streams in (False, True)
            for with_usage in (False, True)
        }

    def respond(self, request: ModelRequest, /) -> Reply:
        raw = request.raw
        return self._replies[
            _FINISH.search(raw) is not None,
            _STREAM.search(raw) is not None,
            _USAGE.search(raw) is not None,
        ]


def _response(answer: Answer, *, streams: bool, with_usage: bool, piece: int) -> bytes:
    if not streams:
        return wire.whole_response(Plain(200, wire.completion(answer, index=0, model="test-model")))
    pieces = wire.events(answer, index=0, model="test-model", include_usage=with_usage, sizes=(piece,))
    return wire.stream_head() + b"".join(map(wire.framed, pieces)) + wire.LAST_CHUNK


class Editor:
    """Every task writes one small Python file, named after its title, and finishes, in a single answer."""

    def __init__(self, *, size: int = 1024, delay_ms: float = 0) -> None:
        self._text = filler(size)
        self._delay_s = delay_ms / 1000

    def respond(self, request: ModelRequest, /) -> Reply:
        name = re.sub(r"\W+", "_", request.title.lower()).strip("_") or "task"
        if request.turn:
            return Answer(calls=(ToolCall("finish", {"summary": name}),), delay_s=self._delay_s)
        write = ToolCall("write_file", {"path": f"made/{name}.py", "content": f'TEXT = "{self._text}"\n'})
        return Answer(calls=(write, ToolCall("finish", {"summary": name})), delay_s=self._delay_s)
