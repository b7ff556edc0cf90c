"""The adapter of an endpoint, loaded and built in a worker thread when the first call needs it.

Its modules cost 5 to 30 ms to import, which an event loop with other work does not have. Nothing is known of any API.
"""

from collections.abc import Callable

import anyio

from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.loading import load
from providers.messages import Answer, Request


class LateAdapter:
    """A ModelProvider. `build` is called once; `profiles` is what is known of models until then."""

    def __init__(
        self, name: str, build: Callable[[], ModelProvider], profiles: Callable[[str], ModelProfile]
    ) -> None:
        self._name = name
        self._build = build
        self._profiles = profiles
        self._adapter: ModelProvider | None = None
        self._building = anyio.Lock()

    @property
    def name(self) -> str:
        return self._name

    def profile(self, model: str) -> ModelProfile:
        return self._profiles(model) if self._adapter is None else self._adapter.profile(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        adapter = self._adapter
        if adapter is None:
            async with self._building:
                if self._adapter is None:
                    self._adapter = await load(self._build)
            adapter = self._adapter
        return await adapter.complete(request, on_delta=on_delta)

    async def aclose(self) -> None:
        if self._adapter is not None:
            await self._adapter.aclose()
