"""The window that a server on this machine serves: asked for once per model, before its first call.

A local server serves what it was started with, not what the model could take, and some cut what is longer without a
word. Only OpenAI-compatible servers on loopback are asked; Ollama's own API has its own way.
"""

import importlib
from functools import partial

import anyio
import msgspec

from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.http.endpoint import Endpoint
from providers.loading import load
from providers.messages import Answer, Request
from providers.truncation import check_not_truncated

ASK_LIMIT_S = 2.0


class WindowReadingProvider:
    """A ModelProvider that knows its server's window and notices a prompt that was cut."""

    def __init__(self, inner: ModelProvider, endpoint: Endpoint) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self._windows: dict[str, int | None] = {}
        self._asking = anyio.Lock()

    @property
    def name(self) -> str:
        return self._inner.name

    def profile(self, model: str) -> ModelProfile:
        """The user's word, with the served window once it was asked for."""
        known = self._inner.profile(model)
        if known.context_window is None and self._windows.get(model) is not None:
            return msgspec.structs.replace(known, context_window=self._windows[model])
        return known

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        """Raises PromptTruncatedError when the server read far less than it was sent."""
        window = await self.window(request.model) or self._inner.profile(request.model).context_window
        answer = await self._inner.complete(request, on_delta=on_delta)
        check_not_truncated(request, answer.usage, window=window, place=self._endpoint.place)
        return answer

    async def window(self, model: str) -> int | None:
        """In tokens; None when the server does not say within `ASK_LIMIT_S`. Never raises for it."""
        if model not in self._windows:
            async with self._asking:
                if model not in self._windows:
                    listing = await load(partial(importlib.import_module, "providers.http.listing"))
                    found = None
                    with anyio.move_on_after(ASK_LIMIT_S):
                        found = await listing.served_window(self._endpoint, model)
                    self._windows[model] = found
        return self._windows[model]

    async def aclose(self) -> None:
        await self._inner.aclose()
