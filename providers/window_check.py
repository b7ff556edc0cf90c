"""Near the window of a model whose tokenizer is public, a request is counted exactly before it is sent.

Everything else is estimated (`calibration.py`). Counting happens in a process of its own (`exact_tokens.py`), so only
where it can matter: from `NEAR` of the window on. A request whose texts alone exceed the window is refused here, with
the counts, instead of being sent for nothing.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence

import msgspec

from providers import errors
from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.calibration import Calibration
from providers.exact_tokens import NEAR, encoding_of
from providers.messages import Answer, Request, Text, ToolCall, ToolResult

logger = logging.getLogger(__name__)
Count = Callable[[str, Sequence[str]], Awaitable[int]]


class WindowCheckedProvider:
    """A ModelProvider of a vendor with public tokenizers. `prefix` makes full ids of its models."""

    def __init__(self, inner: ModelProvider, calibration: Calibration, prefix: str, count: Count) -> None:
        self._inner = inner
        self._calibration = calibration
        self._prefix = prefix
        self._count = count

    @property
    def name(self) -> str:
        return self._inner.name

    def profile(self, model: str) -> ModelProfile:
        return self._inner.profile(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        """Raises ContextOverflowError, without a call, for what cannot fit."""
        window = self._inner.profile(request.model).context_window
        encoding = encoding_of(request.model)
        if window is not None and encoding is not None and self._is_near(request, window):
            await self._check(request, encoding, window)
        return await self._inner.complete(request, on_delta=on_delta)

    def _is_near(self, request: Request, window: int) -> bool:
        return self._calibration.estimate(f"{self._prefix}/{request.model}", request).tokens >= NEAR * window

    async def _check(self, request: Request, encoding: str, window: int) -> None:
        try:
            tokens = await self._count(encoding, list(_texts(request)))
        except errors.ProviderError as error:
            logger.warning("%s; the estimate must do", error)
            return
        if tokens > window:
            raise errors.ContextOverflowError(
                f"the conversation has {tokens} tokens, more than the {window} of {self._prefix}/{request.model}; "
                "nothing was sent",
                requested=tokens,
                limit=window,
            )

    async def aclose(self) -> None:
        await self._inner.aclose()


def _texts(request: Request) -> Iterator[str]:
    """What the model reads; the framing around it is left out, so the count is never too high."""
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, Text | ToolResult):
                yield part.text
            elif isinstance(part, ToolCall):
                yield part.name
                yield part.arguments
    for tool in request.tools:
        yield tool.name
        yield tool.description
        yield msgspec.json.encode(tool.parameters).decode()
