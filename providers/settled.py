"""Settings of the user's that hold for every call which does not say otherwise. Today one: the temperature."""

import msgspec

from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.messages import Answer, Request


class SettledProvider:
    """A ModelProvider whose requests carry the temperature. Put it outside the cache and the recorder, which go by it."""

    def __init__(self, inner: ModelProvider, temperature: float) -> None:
        self._inner = inner
        self._temperature = temperature

    @property
    def name(self) -> str:
        return self._inner.name

    def profile(self, model: str) -> ModelProfile:
        return self._inner.profile(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        if request.temperature is None:
            request = msgspec.structs.replace(request, temperature=self._temperature)
        return await self._inner.complete(request, on_delta=on_delta)

    async def aclose(self) -> None:
        await self._inner.aclose()
