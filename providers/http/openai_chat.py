"""OpenAI Chat Completions over any compatible server: the vendor's, a gateway, a local one.

One call = one POST, streamed. A server that refuses an optional field (`stream_options`, `temperature`, the
name of the output limit) is asked again without it, and the refusal is remembered for that model. Retries
of faults are not made here (`providers/retry.py`), nor are calls bounded (`providers/limits.py`).
"""

import re
from collections.abc import Callable

from providers import errors
from providers.base import ModelProfile, OnDelta
from providers.http.endpoint import MAX_ERROR_BODY, CallTimer, Endpoint, Reply
from providers.http.failures import Place, decode_error, error_of_status, is_html
from providers.http.openai_stream import AnswerAssembler
from providers.http.openai_wire import Dialect, encode_request
from providers.http.sse import SseParser
from providers.messages import Answer, Request
from providers.profiles import priced
from providers.usage import Usage

VENDOR_HOST = "api.openai.com"
GRACE_FOR_USAGE_S = 5.0  # for the last chunk, once the answer itself is whole
GRACE_FOR_THE_CONNECTION_S = (
    0.2  # for the end of the body after [DONE]: only the connection's reuse hangs on it
)
MAX_WHOLE_BODY = 64 * 1024 * 1024  # bytes of an answer that comes as one JSON object

_REFUSES_A_FIELD = re.compile(
    r"unsupported|not support|unrecogni|unknown|unexpected|extra|not permitted|not allowed|invalid param",
    re.IGNORECASE,
)


class OpenAIChat:
    """`profiles` gives what is known of a model, by its name within this provider."""

    def __init__(
        self, endpoint: Endpoint, *, profiles: Callable[[str], ModelProfile], name: str = "openai"
    ) -> None:
        self._endpoint = endpoint
        self._profiles = profiles
        self._name = name
        own = f"//{VENDOR_HOST}" in endpoint.place.url
        self._dialect = Dialect("max_completion_tokens" if own else "max_tokens")
        self._dialects: dict[str, Dialect] = {}

    @property
    def name(self) -> str:
        return self._name

    def profile(self, model: str) -> ModelProfile:
        return self._profiles(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        """One call, and one more for each optional field that the server refuses."""
        while True:
            dialect = self._dialects.get(request.model, self._dialect)
            outcome = await self._call(request, dialect, on_delta)
            if isinstance(outcome, Answer):
                return outcome
            self._dialects[request.model] = outcome

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def _call(self, request: Request, dialect: Dialect, on_delta: OnDelta | None) -> Answer | Dialect:
        """The answer, or the dialect to try next."""
        place = self._endpoint.place
        assembler = AnswerAssembler(
            place=place,
            model=request.model,
            call_prefix=f"call_{len(request.messages)}",
            on_delta=on_delta,
        )
        next_dialect: Dialect | None = None
        timer = self._endpoint.timer()
        try:
            with timer:
                reply = await self._endpoint.post("/chat/completions", encode_request(request, dialect))
                try:
                    if reply.status == 200:
                        await self._read(reply, assembler, timer)
                    else:
                        next_dialect = await self._refused(reply, request, dialect)
                finally:
                    await reply.aclose()
            if next_dialect is not None:
                return next_dialect
            if timer.expired is not None and not assembler.whole:
                raise errors.ProviderTimeoutError(f"{place.url}: {timer.expired}")
            return assembler.answer(usage_priced=self._pricing(request.model))
        except errors.ProviderError as error:
            error.answer_begun = assembler.begun
            raise

    async def _read(self, reply: Reply, assembler: AnswerAssembler, timer: CallTimer) -> None:
        parser = SseParser()
        head: bytes | None = b""
        try:
            async for arrived in reply:
                piece = arrived
                if head is not None:
                    # No event stream begins so; JSON or a page of HTML does.
                    head = piece = head + arrived
                    start = piece.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
                    if start in {b"{", b"[", b"<"}:
                        await _read_whole(reply, piece, assembler)
                        return
                    if not start:
                        continue
                    head = None
                if assembler.feed(parser.feed(piece)):
                    timer.content()
                if assembler.whole or assembler.closed:
                    timer.ending(GRACE_FOR_THE_CONNECTION_S if assembler.closed else GRACE_FOR_USAGE_S)
        except errors.ConnectionFailedError:
            if not assembler.whole:
                raise

    async def _refused(self, reply: Reply, request: Request, dialect: Dialect) -> Dialect:
        body = await reply.body(MAX_ERROR_BODY)
        if reply.status in {400, 422}:
            parameter = _refused_field(body, dialect.sends(request))
            changed = None if parameter is None else dialect.without(parameter)
            if changed is not None:
                return changed
        raise error_of_status(
            reply.status, reply.headers, body, place=self._endpoint.place, model=request.model
        )

    def _pricing(self, model: str) -> Callable[[Usage], Usage]:
        prices = self._profiles(model).prices
        return lambda usage: priced(usage, prices)


async def _read_whole(reply: Reply, begin: bytes, assembler: AnswerAssembler) -> None:
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
        f"check {place.setting} (most servers want it to end in /v1)",
        retryable=False,
    )


def _refused_field(body: bytes, sent: tuple[str, ...]) -> str | None:
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
