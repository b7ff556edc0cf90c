"""Anthropic Messages: the vendor's API, whatever speaks it, and its forms on Bedrock and Vertex.

One call = one POST, streamed. What a model refuses (thinking, a temperature, a limit that is too high …) is asked
again without it and remembered for that model. Retries of faults are not made here.
"""

from collections.abc import Callable

from providers.base import ModelProfile, OnDelta
from providers.http.anthropic_stream import MessageAssembler
from providers.http.anthropic_wire import RULES, Dialect, Form, encode_request
from providers.http.assembly import Assembly
from providers.http.aws_event_stream import AwsEventParser
from providers.http.conversation import ToolNames
from providers.http.endpoint import Endpoint
from providers.http.failures import decode_error
from providers.http.sse import SseParser
from providers.http.streamed_call import refused_field, streamed_answer
from providers.messages import Answer, Request
from providers.structured import as_tool_call, from_tool_call

VERSION = "2023-06-01"
PATHS: dict[Form, str] = {
    "vendor": "/v1/messages",
    "bedrock": "/model/{model}/invoke-with-response-stream",
    "vertex": "/publishers/anthropic/models/{model}:streamRawPredict",
}


class AnthropicMessages:
    """`profiles` gives what is known of a model, by its name within this provider."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        profiles: Callable[[str], ModelProfile],
        name: str = "anthropic",
        form: Form = "vendor",
    ) -> None:
        self._endpoint = endpoint
        self._profiles = profiles
        self._name = name
        self._form: Form = form
        self._dialects: dict[str, Dialect] = {}

    @property
    def name(self) -> str:
        return self._name

    def profile(self, model: str) -> ModelProfile:
        return self._profiles(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        """One call, and one more for each thing that the model refuses."""
        while True:
            dialect = self._dialects.get(request.model, Dialect())
            schema = request.output
            by_tool = schema is not None and not dialect.schema
            outcome = await self._call(as_tool_call(request) if by_tool else request, dialect, on_delta)
            if isinstance(outcome, Answer):
                return from_tool_call(outcome, schema) if by_tool and schema is not None else outcome
            self._dialects[request.model] = outcome

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def _call(self, request: Request, dialect: Dialect, on_delta: OnDelta | None) -> Answer | Dialect:
        names = ToolNames.of(request.tools, RULES)
        assembly = Assembly(
            place=self._endpoint.place,
            model=request.model,
            call_prefix=f"toolu_{len(request.messages)}",
            names=names,
            on_delta=on_delta,
        )
        limit = self._profiles(request.model).max_output_tokens

        def refused(status: int, body: bytes) -> Dialect | None:
            if status not in {400, 422}:
                return None
            limited = dialect.limited(decode_error(body).message)
            if limited is not None:
                return limited
            field = refused_field(body, dialect.sends(request))
            return None if field is None else dialect.without(field, request)

        return await streamed_answer(
            self._endpoint,
            PATHS[self._form],
            encode_request(request, dialect, names, output_limit=limit, form=self._form),
            model=request.model,
            assembler=MessageAssembler(assembly),
            parser=AwsEventParser() if self._form == "bedrock" else SseParser(),
            on_refused=refused,
            json_lines=self._form == "bedrock",
        )


def headers(key: str | None) -> dict[str, str]:
    """What the vendor's own form wants beside the body."""
    fixed = {"content-type": "application/json", "anthropic-version": VERSION}
    return fixed if key is None else {**fixed, "x-api-key": key}
