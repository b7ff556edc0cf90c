"""What can go wrong on the wire, one function per fault, and a script that plays them in order."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from tests.model_server import wire
from tests.model_server.listener import LOOP_PATH
from tests.model_server.replies import Answer, Drop, End, Plain, Reply, Script, Stream, ToolCall
from tests.model_server.requests import ModelRequest

MODEL = "test-model"
HELLO = Answer(text="Grüße aus dem Testlauf 🎼, und noch ein paar Worte dazu.")


class Sequence:
    """The n-th completion gets the n-th reply; afterwards `then` answers, by default with a short text."""

    def __init__(self, replies: Iterable[Reply], *, then: Script | None = None) -> None:
        self._replies = tuple(replies)
        self._then = then

    def respond(self, request: ModelRequest, /) -> Reply:
        if request.index < len(self._replies):
            return self._replies[request.index]
        return HELLO if self._then is None else self._then.respond(request)


def rate_limited(retry_after: str | None = "1") -> Plain:
    """429; `retry_after` is the header as it stands: seconds or an HTTP date."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return wire.error(
        429,
        "Rate limit reached for test-model.",
        kind="requests",
        code="rate_limit_exceeded",
        headers=headers,
    )


def out_of_quota() -> Plain:
    """429 that no waiting mends."""
    message = "You exceeded your current quota, please check your plan and billing details."
    return wire.error(429, message, kind="insufficient_quota", code="insufficient_quota")


def server_error(status: int = 500) -> Plain:
    return wire.error(status, "The server had an error while processing your request.", kind="server_error")


def bad_key() -> Plain:
    return wire.error(401, "Incorrect API key provided.", code="invalid_api_key")


def context_overflow() -> Plain:
    message = (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    )
    return wire.error(400, message, code="context_length_exceeded", param="messages")


def html_body(status: int = 200) -> Plain:
    """What a proxy or a login page answers."""
    page = b"<!doctype html><html><body><h1>Please sign in</h1></body></html>"
    return Plain(status, page, content_type="text/html; charset=utf-8")


def redirect_loop() -> Plain:
    return Plain(307, headers={"Location": LOOP_PATH})


def reset() -> Drop:
    """The connection is reset before any answer."""
    return Drop()


def hang(answer: Answer = HELLO, *, after_events: int = 0) -> Stream:
    """So many events, then nothing until the client closes."""
    return Stream(_events(answer)[:after_events], End.HANG)


def hang_before_headers() -> Plain:
    """Not even a status line for an hour."""
    return replace(server_error(), delay_s=3600.0)


def cut(answer: Answer = HELLO, *, after_events: int = 2, clean: bool = False) -> Stream:
    """The stream ends early. Clean: as a whole HTTP body without finish_reason or [DONE]; else mid-body."""
    return Stream(_events(answer)[:after_events], End.COMPLETE if clean else End.CUT)


def cut_inside_event(answer: Answer = HELLO, *, after_events: int = 2) -> Stream:
    """The connection closes in the middle of an event's line."""
    pieces = _events(answer)
    half = pieces[after_events][: len(pieces[after_events]) // 2]
    return Stream((*pieces[:after_events], half), End.CUT)


def reset_in_stream(answer: Answer = HELLO, *, after_events: int = 2) -> Stream:
    return Stream(_events(answer)[:after_events], End.RESET)


def garbage_event(answer: Answer = HELLO, *, after_events: int = 2) -> Stream:
    """An event that is no JSON, in an otherwise whole stream."""
    pieces = _events(answer)
    return Stream((*pieces[:after_events], b"data: {not json\n\n", *pieces[after_events:]))


def error_event(answer: Answer = HELLO, *, after_events: int = 2) -> Stream:
    """Status 200, some text, then an error object in place of a chunk."""
    message = "The server had an error while processing your request."
    failure = wire.event({"error": {"message": message, "type": "server_error", "param": None, "code": None}})
    return Stream((*_events(answer)[:after_events], failure))


def without_usage(answer: Answer = HELLO) -> Answer:
    return replace(answer, sends_usage=False)


def without_done(answer: Answer = HELLO) -> Stream:
    """Everything up to and with finish_reason, but no [DONE], as some servers do."""
    return Stream(_events(answer)[:-1])


def with_comments(answer: Answer = HELLO) -> Stream:
    """Keep-alive comments and empty lines between the events, as some routers send."""
    return Stream(tuple(piece for event in _events(answer) for piece in (b": still working\n\n", event)))


def with_crlf(answer: Answer = HELLO) -> Stream:
    """Events whose lines end in CR LF."""
    return Stream(tuple(event.replace(b"\n", b"\r\n") for event in _events(answer)))


def in_single_bytes(answer: Answer = HELLO) -> Stream:
    """Every byte in a chunk of its own: events, lines and UTF-8 characters come apart."""
    return Stream(tuple(bytes([byte]) for event in _events(answer) for byte in event))


def in_one_piece(answer: Answer = HELLO) -> Stream:
    """All events in a single chunk."""
    return Stream((b"".join(_events(answer)),))


def empty() -> Answer:
    """An answer with neither text nor calls."""
    return Answer()


def refusal(text: str = "I cannot help with that.") -> Answer:
    return Answer(refusal=text)


def filtered() -> Answer:
    return Answer(text="As I was", finish_reason="content_filter")


def cut_off_by_length(text: str = "And then") -> Answer:
    return Answer(text=text, finish_reason="length")


def truncated_arguments(name: str = "write_file") -> Answer:
    """A call whose JSON breaks off."""
    return Answer(calls=(ToolCall(name, '{"path": "a.txt", "content": "half of'),), finish_reason="length")


def unknown_tool() -> Answer:
    return Answer(calls=(ToolCall("launch_rocket", {"when": "now"}),))


BY_NAME: dict[str, Callable[[], Reply]] = {
    function.__name__: function
    for function in (
        rate_limited,
        out_of_quota,
        server_error,
        bad_key,
        context_overflow,
        html_body,
        redirect_loop,
        reset,
        hang,
        hang_before_headers,
        cut,
        cut_inside_event,
        reset_in_stream,
        garbage_event,
        error_event,
        without_usage,
        without_done,
        with_comments,
        with_crlf,
        in_single_bytes,
        in_one_piece,
        empty,
        refusal,
        filtered,
        cut_off_by_length,
        truncated_arguments,
        unknown_tool,
    )
}
"""Every fault that needs no argument, for the command line and for tests over all of them."""


def _events(answer: Answer) -> tuple[bytes, ...]:
    return tuple(wire.events(answer, index=0, model=MODEL, include_usage=True))
