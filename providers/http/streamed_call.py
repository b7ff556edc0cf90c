"""One streamed call of any API: sends the body, feeds what comes to an assembler, ends with an answer or an error.

The adapters give the wire (body, parser, assembler) and say what a refusal teaches them. Faults are not retried
here (`providers/retry.py`), nor are calls bounded (`providers/limits.py`).
"""

import re
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from providers import errors
from providers.http.endpoint import MAX_ERROR_BODY, CallTimer, Endpoint, Reply
from providers.http.failures import Place, decode_error, error_of_status, is_html
from providers.http.late_pattern import LatePattern
from providers.http.sse import Event
from providers.messages import Answer

GRACE_FOR_USAGE_S = 5.0  # for the last event, once the answer itself is whole
# For the end of the body after the last event: only the connection's reuse hangs on it.
GRACE_FOR_THE_CONNECTION_S = 0.2
MAX_WHOLE_BODY = 64 * 1024 * 1024  # bytes of an answer that comes as one JSON object

_REFUSES_A_FIELD = LatePattern(
    r"unsupported|not support|unrecogni|unknown|unexpected|extra|not permitted|not allowed|invalid param|"
    r"cannot find field|deprecated",
    re.IGNORECASE,
)

Lesson = TypeVar("Lesson")


class Assembler(Protocol):
    """Puts events together. `begun`: some content has come. `whole`: the answer is complete, only usage may
    follow. `closed`: the server said that nothing follows.
    """

    begun: bool
    closed: bool

    @property
    def whole(self) -> bool: ...
    def feed(self, events: Sequence[Event]) -> bool:
        """Whether content came. Raises ProviderError for an error event, garbage or too much."""

    def feed_whole(self, body: bytes) -> None:
        """The answer of a server that was asked to stream and sent one JSON object instead."""

    def answer(self) -> Answer:
        """Raises BadResponseError when the answer is not whole, RefusalError on a refusal."""


class Parser(Protocol):
    """Cuts bytes into events. `rest`: what the end of the stream completes."""

    def feed(self, chunk: bytes) -> list[Event]: ...
    def rest(self) -> list[Event]: ...


async def streamed_answer(
    endpoint: Endpoint,
    path: str,
    body: bytes,
    *,
    model: str,
    assembler: Assembler,
    parser: Parser,
    on_refused: Callable[[int, bytes], Lesson | None],
    json_lines: bool = False,
) -> Answer | Lesson:
    """The answer; or, when the server refused the request, what `on_refused` (status, body) makes of it.

    `json_lines`: the stream itself begins with a brace. Raises ProviderError, `answer_begun` set.
    """
    place = endpoint.place
    lesson: Lesson | None = None
    timer = endpoint.timer()
    try:
        with timer:
            reply = await endpoint.post(path, body, model=model)
            try:
                if reply.status == 200:
                    await _read(reply, assembler, timer, parser, "<" if json_lines else "{[<")
                else:
                    said = await reply.body(MAX_ERROR_BODY)
                    lesson = on_refused(reply.status, said)
                    if lesson is None:
                        raise error_of_status(reply.status, reply.headers, said, place=place, model=model)
            finally:
                await reply.aclose()
        if lesson is not None:
            return lesson
        if timer.expired is not None and not assembler.whole:
            raise errors.ProviderTimeoutError(f"{place.url}: {timer.expired}")
        return _plausible(assembler.answer())
    except errors.ProviderError as error:
        error.answer_begun = assembler.begun
        raise


def _plausible(answer: Answer) -> Answer:
    """No prompt has no tokens, and nothing that was said has none: such counts are unknown."""
    usage = answer.usage
    if usage.input_tokens == 0:
        usage = msgspec.structs.replace(usage, input_tokens=None, cached_tokens=None)
    if usage.output_tokens == 0 and answer.message.parts:
        usage = msgspec.structs.replace(usage, output_tokens=None, reasoning_tokens=None)
    return answer if usage is answer.usage else msgspec.structs.replace(answer, usage=usage)


async def _read(reply: Reply, assembler: Assembler, timer: CallTimer, parser: Parser, whole: str) -> None:
    """`whole`: the characters with which no stream of this API begins; JSON or a page of HTML does."""
    begins = tuple(character.encode() for character in whole)
    head: bytes | None = b""
    try:
        async for arrived in reply:
            piece = arrived
            if head is not None:
                head = piece = head + arrived
                start = piece.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
                if start in begins:
                    await _read_whole(reply, piece, assembler)
                    return
                if not start:
                    continue
                head = None
            if assembler.feed(parser.feed(piece)):
                timer.content()
            if assembler.whole or assembler.closed:
                timer.ending(GRACE_FOR_THE_CONNECTION_S if assembler.closed else GRACE_FOR_USAGE_S)
        assembler.feed(parser.rest())
    except errors.ConnectionFailedError:
        if not assembler.whole:
            raise


async def _read_whole(reply: Reply, begin: bytes, assembler: Assembler) -> None:
    body = begin + await reply.body(MAX_WHOLE_BODY)
    if is_html(body):
        raise not_an_api(reply.place, body)
    assembler.feed_whole(body.lstrip(b"\xef\xbb\xbf"))


def not_an_api(place: Place, body: bytes) -> errors.BadResponseError:
    """A web page came where an answer belongs: a login page, a proxy's notice, or the wrong path."""
    title = re.search(rb"<title[^>]*>(.*?)</title>", body[:MAX_ERROR_BODY], re.IGNORECASE | re.DOTALL)
    called = f" ({place.quote(title.group(1).decode('utf-8', 'replace'))})" if title else ""
    return errors.BadResponseError(
        f"{place.url} answers with a web page{called}, not with a model's answer: "
        f"check {place.setting}{place.path_hint}",
        retryable=False,
    )


def refused_field(body: bytes, sent: Sequence[str]) -> str | None:
    """Which of the optional fields that were sent the server's 400 is about."""
    said = decode_error(body)
    text = f"{said.parameter} {said.words}"
    for field in sent:
        if said.parameter == field or said.parameter.startswith(f"{field}."):
            return field if field == "stream_options" or _REFUSES_A_FIELD.search(said.words) else None
    if "stream_options" in sent and ("stream_options" in text or "include_usage" in text):
        return "stream_options"
    if not _REFUSES_A_FIELD.search(text):
        return None
    named = [(text.find(field), field) for field in sent if field in text]
    return min(named)[1] if named else None
