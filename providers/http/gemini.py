"""Google Gemini: the vendor's API by key, and its form on Vertex by bearer token.

One call = one POST, streamed. An optional field that a model refuses is left out from then on, for that model.
Retries of faults are not made here.
"""

from collections.abc import Callable
from typing import Literal

from providers.base import ModelProfile, OnDelta
from providers.http.assembly import Assembly
from providers.http.conversation import ToolNames
from providers.http.endpoint import Endpoint
from providers.http.gemini_stream import ContentAssembler
from providers.http.gemini_wire import OWN_ID, RULES, encode_request, optional_fields
from providers.http.sse import SseParser
from providers.http.streamed_call import refused_field, streamed_answer
from providers.messages import Answer, Request
from providers.structured import as_tool_call, from_tool_call

Form = Literal["vendor", "vertex"]
PATHS: dict[Form, str] = {
    "vendor": "/v1beta/models/{model}:streamGenerateContent?alt=sse",
    "vertex": "/publishers/google/models/{model}:streamGenerateContent?alt=sse",
}
_NAMES = {  # as the API's messages name them
    "temperature": ("temperature",),
    "thinkingConfig": ("thinkingConfig", "thinking_config", "thinkingLevel", "thinking_level", "hinking"),
    "responseJsonSchema": ("responseJsonSchema", "response_json_schema", "response mime type"),
    "toolConfig": ("toolConfig", "tool_config", "unction calling config"),
    "maxOutputTokens": ("maxOutputTokens", "max_output_tokens"),
}


class Gemini:
    """`profiles` gives what is known of a model, by its name within this provider."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        profiles: Callable[[str], ModelProfile],
        name: str = "google",
        form: Form = "vendor",
    ) -> None:
        self._endpoint = endpoint
        self._profiles = profiles
        self._name = name
        self._form: Form = form
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
            # A schema beside tools is refused by most models: then the schema is a tool too.
            by_tool = schema is not None and ("responseJsonSchema" in left_out or bool(request.tools))
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
            call_prefix=f"{OWN_ID}_{len(request.messages)}",
            names=names,
            on_delta=on_delta,
        )

        def refused(status: int, body: bytes) -> frozenset[str] | None:
            if status != 400:
                return None
            for field in optional_fields(request, left_out):
                if refused_field(body, _NAMES[field]) is not None:
                    return left_out | {field}
            return None

        return await streamed_answer(
            self._endpoint,
            PATHS[self._form],
            encode_request(request, left_out, names, call_ids=self._form == "vendor"),
            model=request.model,
            assembler=ContentAssembler(assembly),
            parser=SseParser(),
            on_refused=refused,
        )
