"""OpenAI Responses: the vendor's API, and gateways that speak it.

One call = one POST, streamed. An optional field that a server refuses is left out from then on, for that model.
Retries of faults are not made here.
"""

from collections.abc import Callable

from providers.base import ModelProfile, OnDelta
from providers.http.assembly import Assembly
from providers.http.conversation import ToolNames
from providers.http.endpoint import Endpoint
from providers.http.responses_stream import ResponseAssembler
from providers.http.responses_wire import RULES, encode_request, optional_fields
from providers.http.sse import SseParser
from providers.http.streamed_call import refused_field, streamed_answer
from providers.messages import Answer, Request
from providers.structured import as_tool_call, from_tool_call


class OpenAIResponses:
    """`profiles` gives what is known of a model, by its name within this provider."""

    def __init__(
        self, endpoint: Endpoint, *, profiles: Callable[[str], ModelProfile], name: str = "openai-responses"
    ) -> None:
        self._endpoint = endpoint
        self._profiles = profiles
        self._name = name
        self._left_out: dict[str, frozenset[str]] = {}

    @property
    def name(self) -> str:
        return self._name

    def profile(self, model: str) -> ModelProfile:
        return self._profiles(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        """One call, and one more for each optional field that the server refuses."""
        while True:
            left_out = self._left_out.get(request.model, frozenset())
            schema = request.output
            by_tool = schema is not None and "text" in left_out
            outcome = await self._call(as_tool_call(request) if by_tool else request, left_out, on_delta)
            if isinstance(outcome, Answer):
                return from_tool_call(outcome, schema) if by_tool and schema is not None else outcome
            self._left_out[request.model] = outcome

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def _call(
        self, request: Request, left_out: frozenset[str], on_delta: OnDelta | None
    ) -> Answer | frozenset[str]:
        names = ToolNames.of(request.tools, RULES)
        assembly = Assembly(
            place=self._endpoint.place,
            model=request.model,
            call_prefix=f"call_{len(request.messages)}",
            names=names,
            on_delta=on_delta,
        )

        def refused(status: int, body: bytes) -> frozenset[str] | None:
            if status not in {400, 422}:
                return None
            field = refused_field(body, optional_fields(request, left_out))
            return None if field is None else left_out | {field}

        return await streamed_answer(
            self._endpoint,
            "/responses",
            encode_request(request, left_out, names),
            model=request.model,
            assembler=ResponseAssembler(assembly),
            parser=SseParser(),
            on_refused=refused,
        )
