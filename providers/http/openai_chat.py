"""OpenAI Chat Completions over any compatible server: the vendor's, a gateway, a local one.

One call = one POST, streamed. A server that refuses an optional field (`stream_options`, `temperature`, the
name of the output limit …) is asked again without it, and the refusal is remembered for that model. Retries
of faults are not made here (`providers/retry.py`), nor are calls bounded (`providers/limits.py`).
"""

from collections.abc import Callable

from providers.base import ModelProfile, OnDelta
from providers.http.conversation import ToolNames
from providers.http.endpoint import Endpoint
from providers.http.openai_stream import AnswerAssembler
from providers.http.openai_wire import RULES, Dialect, encode_request
from providers.http.sse import SseParser
from providers.http.streamed_call import refused_field, streamed_answer
from providers.messages import Answer, Request
from providers.structured import as_tool_call, from_tool_call

VENDOR_HOST = "api.openai.com"


class OpenAIChat:
    """`profiles` gives what is known of a model, by its name within this provider."""

    def __init__(
        self, endpoint: Endpoint, *, profiles: Callable[[str], ModelProfile], name: str = "openai"
    ) -> None:
        self._endpoint = endpoint
        self._profiles = profiles
        self._name = name
        self._vendor = f"//{VENDOR_HOST}" in endpoint.place.url
        self._dialect = Dialect("max_completion_tokens" if self._vendor else "max_tokens")
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
            if request.output is not None and not dialect.schema:
                outcome = await self._call(as_tool_call(request), dialect, on_delta)
                if isinstance(outcome, Answer):
                    return from_tool_call(outcome, request.output)
            else:
                outcome = await self._call(request, dialect, on_delta)
            if isinstance(outcome, Answer):
                return outcome
            self._dialects[request.model] = outcome

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def _call(self, request: Request, dialect: Dialect, on_delta: OnDelta | None) -> Answer | Dialect:
        """The answer, or the dialect to try next."""
        names = ToolNames.of(request.tools, RULES)
        assembler = AnswerAssembler(
            place=self._endpoint.place,
            model=request.model,
            call_prefix=f"call_{len(request.messages)}",
            on_delta=on_delta,
            names=names,
            think_tags=not self._vendor,
        )

        def refused(status: int, body: bytes) -> Dialect | None:
            if status not in {400, 422}:
                return None
            parameter = refused_field(body, dialect.sends(request))
            return None if parameter is None else dialect.without(parameter)

        return await streamed_answer(
            self._endpoint,
            "/chat/completions",
            encode_request(request, dialect, names),
            model=request.model,
            assembler=assembler,
            parser=SseParser(),
            on_refused=refused,
        )
