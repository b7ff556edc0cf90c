"""Token estimates corrected by what a provider reports: per model, a ratio and the error that is left.

An answer tells how many tokens its prompt had; the next estimate for that model is scaled by it. A prompt that was cut
silently, pictures and absurd counts never calibrate. Nothing is kept beyond the process.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.messages import Answer, Image, Request, ToolSpec
from providers.tokens import estimate_message, estimate_tools

WEIGHT = 0.3  # of the newest report
FIRST_ERROR = 0.4  # of an estimate that nothing was reported for yet (see `tokens.py`)
SMALLEST = 200  # estimated tokens below which framing outweighs the text
_LOWEST, _HIGHEST = 0.5, 2.5


@dataclass(frozen=True, slots=True)
class Estimated:
    """`tokens` of a request, give or take the part `error` (0.1 is ten in a hundred). `reports` it rests on."""

    tokens: int
    error: float
    reports: int


class Calibration:
    """Ratios by full model id."""

    def __init__(self) -> None:
        self._ratio: dict[str, float] = {}
        self._error: dict[str, float] = {}
        self._reports: dict[str, int] = {}
        self._tools: tuple[Sequence[ToolSpec], int] = ((), 0)  # those of the last request, and their tokens

    def estimate(self, model_id: str, request: Request) -> Estimated:
        """Input tokens of a request, calibrated."""
        return self.scaled(model_id, self._raw(request))

    def scaled(self, model_id: str, tokens: int) -> Estimated:
        ratio = self._ratio.get(model_id, 1.0)
        error = self._error.get(model_id, FIRST_ERROR)
        return Estimated(round(tokens * ratio), error, self._reports.get(model_id, 0))

    def note(self, model_id: str, request: Request, reported: int | None) -> Estimated:
        """A prompt had so many tokens, as the provider counted. Returns what it was thought to have."""
        raw = self._raw(request)
        before = self.scaled(model_id, raw)
        if reported is None or reported <= 0 or _has_image(request):
            return before
        if raw < SMALLEST or not _LOWEST <= reported / raw <= _HIGHEST:
            return before
        wrong = abs(before.tokens - reported) / reported
        if before.reports == 0:
            self._ratio[model_id] = reported / raw
            self._error[model_id] = FIRST_ERROR / 2
        else:
            self._ratio[model_id] += WEIGHT * (reported / raw - self._ratio[model_id])
            self._error[model_id] += WEIGHT * (wrong - self._error[model_id])
        self._reports[model_id] = before.reports + 1
        return before

    def _raw(self, request: Request) -> int:
        """As `estimate_request`. An agent's tools are the same, turn after turn, and dear to estimate."""
        if request.tools is not self._tools[0]:
            self._tools = (request.tools, estimate_tools(request.tools))
        return self._tools[1] + sum(map(estimate_message, request.messages))


class CalibratingProvider:
    """A ModelProvider whose answers calibrate, and say what was estimated. `prefix` makes full ids of its models."""

    def __init__(self, inner: ModelProvider, calibration: Calibration, prefix: str) -> None:
        self._inner = inner
        self._calibration = calibration
        self._prefix = prefix

    @property
    def name(self) -> str:
        return self._inner.name

    def profile(self, model: str) -> ModelProfile:
        return self._inner.profile(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        answer = await self._inner.complete(request, on_delta=on_delta)
        thought = self._calibration.note(
            f"{self._prefix}/{request.model}", request, answer.usage.input_tokens
        )
        return msgspec.structs.replace(answer, estimated_input=thought.tokens)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _has_image(request: Request) -> bool:
    return any(isinstance(part, Image) for message in request.messages for part in message.parts)
