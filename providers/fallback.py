"""A chain of models: when one cannot answer, the next is asked.

The user names the chain; nothing else ever changes the model of a call. The next one is asked after what another
model or account may mend, not after a refusal or a malformed request.
"""

from collections.abc import Sequence

import msgspec

from providers import errors
from providers.base import ModelProfile, ModelProvider, OnDelta, Prices
from providers.messages import Answer, Request, TextDelta
from providers.tokens import estimate_request

_STAYS = (errors.RefusalError, errors.InvalidRequestError, errors.ProviderConfigurationError)


class FallbackProvider:
    """A ModelProvider over several, each with the name of its model there. The model of a request is not used."""

    def __init__(self, chain: Sequence[tuple[ModelProvider, str]]) -> None:
        assert chain
        self._chain = tuple(chain)

    @property
    def name(self) -> str:
        return self._chain[0][0].name

    def profile(self, model: str) -> ModelProfile:  # noqa: ARG002 - the chain is fixed
        """What holds for each of them: the smallest window and limit, the highest prices; these are unknown where one's
        are, since any of them may answer.
        """
        profiles = [provider.profile(name) for provider, name in self._chain]
        windows = [profile.context_window for profile in profiles]
        limits = [profile.max_output_tokens for profile in profiles]
        return msgspec.structs.replace(
            profiles[0],
            context_window=_smallest(windows),
            max_output_tokens=_smallest(limits),
            prices=_highest([profile.prices for profile in profiles]),
        )

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        """The first answer that is to be had. Raises the last model's error, with those of the others as notes."""
        failed: list[str] = []
        discarded = 0
        for place, (provider, model) in enumerate(self._chain):
            if discarded and on_delta is not None:
                on_delta(TextDelta("", restart=True))
            try:
                answer = await provider.complete(
                    msgspec.structs.replace(request, model=model), on_delta=on_delta
                )
            except errors.ProviderError as error:
                failed.append(f"{provider.name}/{model}: {error}")
                if isinstance(error, _STAYS) or not self._may_follow(request, error, place):
                    for other in failed[:-1]:
                        error.add_note(f"before it failed {other}")
                    raise
                discarded += error.answer_begun
            else:
                if discarded:
                    count = answer.discarded_attempts + discarded
                    answer = msgspec.structs.replace(answer, discarded_attempts=count)
                return answer
        raise AssertionError("the last model of the chain answers or raises")

    async def aclose(self) -> None:
        """The providers belong to the registry."""

    def _may_follow(self, request: Request, error: errors.ProviderError, place: int) -> bool:
        """Whether the next one may be asked. After an overflow only one whose window is larger, or not known."""
        if place + 1 >= len(self._chain):
            return False
        if not isinstance(error, errors.ContextOverflowError):
            return True
        provider, model = self._chain[place + 1]
        window = provider.profile(model).context_window
        return window is None or window > max(error.limit or 0, estimate_request(request))


def _smallest(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None


def _highest(prices: Sequence[Prices | None]) -> Prices | None:
    known = [each for each in prices if each is not None]
    if len(known) < len(prices):
        return None
    cached = [each.input if each.cached_input is None else each.cached_input for each in known]
    return Prices(max(each.input for each in known), max(each.output for each in known), max(cached))
