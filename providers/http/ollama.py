"""Ollama by its own API, which alone lets the caller choose the context that is served.

Without `num_ctx` the server serves a few thousand tokens and cuts what is longer, without a word. Here the model's own
window is asked for once per model, and each call gets a context that holds it, growing in steps since each change
makes the server load the model anew. Retries of faults are not made here.
"""

from collections.abc import Callable

import anyio
import msgspec

from providers import errors
from providers.base import ModelProfile, OnDelta
from providers.http.assembly import Assembly
from providers.http.conversation import ToolNames
from providers.http.endpoint import Endpoint
from providers.http.ollama_stream import LineAssembler, LineParser
from providers.http.ollama_wire import RULES, encode_request, optional_fields
from providers.http.streamed_call import refused_field, streamed_answer
from providers.messages import Answer, Request
from providers.structured import as_tool_call, from_tool_call
from providers.tokens import MARGIN, estimate_request
from providers.truncation import check_not_truncated

SMALLEST_WINDOW = 8192
ROOM_FOR_ANSWER = 4096
_SHOW_LIMIT_S = 10.0
_MAX_SHOW_BODY = 32 * 1024 * 1024  # it holds licences and templates


class _Shown(msgspec.Struct, frozen=True):
    model_info: dict[str, object] | None = None
    parameters: str | None = None


class Ollama:
    """`profiles` gives what the user says of a model, by its name within this provider."""

    def __init__(
        self, endpoint: Endpoint, *, profiles: Callable[[str], ModelProfile], name: str = "ollama"
    ) -> None:
        self._endpoint = endpoint
        self._profiles = profiles
        self._name = name
        self._left_out: dict[str, frozenset[str]] = {}
        self._windows: dict[str, int | None] = {}
        self._served: dict[str, int] = {}
        self._asking = anyio.Lock()

    @property
    def name(self) -> str:
        return self._name

    def profile(self, model: str) -> ModelProfile:
        """The user's word, with the model's own window once it was asked for."""
        known = self._profiles(model)
        if known.context_window is None and self._windows.get(model) is not None:
            return msgspec.structs.replace(known, context_window=self._windows[model])
        return known

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        """One call, and one more for each optional field that the server refuses.

        Raises PromptTruncatedError when the server read far less than it was sent.
        """
        await self.window(request.model)
        while True:
            left_out = self._left_out.get(request.model, frozenset())
            schema = request.output
            by_tool = schema is not None and "format" in left_out
            outcome = await self._call(as_tool_call(request) if by_tool else request, left_out, on_delta)
            if isinstance(outcome, Answer):
                return from_tool_call(outcome, schema) if by_tool and schema is not None else outcome
            self._left_out[request.model] = outcome

    async def window(self, model: str) -> int | None:
        """The model's own window in tokens; None when the server does not say. Asked once, never raises for it."""
        if model not in self._windows:
            async with self._asking:
                if model not in self._windows:
                    self._windows[model] = await self._ask_window(model)
        return self._windows[model]

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def _ask_window(self, model: str) -> int | None:
        try:
            with anyio.fail_after(_SHOW_LIMIT_S):
                reply = await self._endpoint.post("/api/show", msgspec.json.encode({"model": model}))
                try:
                    if reply.status != 200:
                        return None
                    shown = msgspec.json.decode(await reply.body(_MAX_SHOW_BODY), type=_Shown)
                finally:
                    await reply.aclose()
        except (errors.ProviderError, msgspec.DecodeError, UnicodeDecodeError, TimeoutError):
            return None
        for key, value in (shown.model_info or {}).items():
            if key.endswith(".context_length") and isinstance(value, int) and value > 0:
                return value
        return None

    def _serve(self, request: Request) -> int | None:
        """The context of this call: what the user configured, else a step that holds it, never a smaller one."""
        model = request.model
        configured = self._profiles(model).context_window
        if configured is not None:
            return configured
        longest = self._windows.get(model)
        if longest is None:
            return None
        needed = int(estimate_request(request) * MARGIN) + (request.max_output_tokens or ROOM_FOR_ANSWER)
        step = max(SMALLEST_WINDOW, self._served.get(model, 0))
        while step < needed:
            step *= 2
        self._served[model] = step
        return min(step, longest)

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
        window = self._serve(request)

        def refused(status: int, body: bytes) -> frozenset[str] | None:
            if status != 400:
                return None
            field = refused_field(body, _said(optional_fields(request, left_out)))
            return None if field is None else left_out | {"think" if field == "thinking" else field}

        outcome = await streamed_answer(
            self._endpoint,
            "/api/chat",
            encode_request(request, left_out, names, window=window),
            model=request.model,
            assembler=LineAssembler(assembly),
            parser=LineParser(),
            on_refused=refused,
            json_lines=True,
        )
        if isinstance(outcome, Answer):
            check_not_truncated(request, outcome.usage, window=window, place=self._endpoint.place)
        return outcome


def _said(fields: tuple[str, ...]) -> tuple[str, ...]:
    """The server speaks of thinking where the field is named `think`."""
    return (*fields, "thinking") if "think" in fields else fields
