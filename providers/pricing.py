"""Puts a price on each answer: the user's own prices first, then a public table for the vendor that was called.

Each call is priced by itself, never a sum: tiers and caches differ. Prices or usage that are not known leave the
cost unknown.
"""

from collections.abc import Awaitable, Callable

import msgspec

from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.messages import Answer, Request
from providers.profiles import priced
from providers.usage import Usage

Price = Callable[[str, Usage], Awaitable[Usage]]


def profile_pricing(profiles: Callable[[str], ModelProfile]) -> Price:
    """Prices by what the profile of the model says."""

    async def price(model: str, usage: Usage) -> Usage:
        return priced(usage, profiles(model).prices)

    return price


class PricedProvider:
    """A ModelProvider whose answers carry their cost. `price` gets the model asked for and the usage of one call."""

    def __init__(self, inner: ModelProvider, price: Price) -> None:
        self._inner = inner
        self._price = price

    @property
    def name(self) -> str:
        return self._inner.name

    def profile(self, model: str) -> ModelProfile:
        return self._inner.profile(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        answer = await self._inner.complete(request, on_delta=on_delta)
        if answer.usage.cost_usd is not None:
            return answer
        return msgspec.structs.replace(answer, usage=await self._price(request.model, answer.usage))

    async def aclose(self) -> None:
        await self._inner.aclose()
