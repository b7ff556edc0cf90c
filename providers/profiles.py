"""What the user's configuration says of models (window, output limit, prices), and the cost of a usage.

No price table is bundled and nothing is fetched: a model that is not configured has an unknown profile, and
unknown prices give an unknown cost (None), never zero.
"""

from collections.abc import Mapping

import msgspec

from providers.base import ModelProfile, Prices
from providers.errors import ProviderConfigurationError
from providers.usage import Usage

UNKNOWN_PROFILE = ModelProfile()
_MILLION = 1_000_000


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table `[models."PROVIDER/NAME"]` of the configuration. Prices in USD per million tokens."""

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None


def profile_from_settings(model_id: str, settings: Mapping[str, object]) -> ModelProfile:
    """Raises ProviderConfigurationError, naming the key, for an unknown key, a wrong type, a negative number,
    or one of `input` and `output` without the other.
    """
    where = f'models."{model_id}"'
    unknown = [key for key in settings if key not in ModelSettings.__struct_fields__]
    if unknown:
        raise ProviderConfigurationError(_unknown_key(where, unknown[0]))
    try:
        known = msgspec.convert(dict(settings), ModelSettings)
    except msgspec.ValidationError as error:
        raise ProviderConfigurationError(f"{where}: {error}") from error
    for key in ModelSettings.__struct_fields__:
        value = getattr(known, key)
        if value is not None and not 0 <= value < float("inf"):
            raise ProviderConfigurationError(f"{where}: {key} = {value} must be a number from 0 up")
    prices = None
    if known.input is not None and known.output is not None:
        prices = Prices(known.input, known.output, known.cached_input)
    elif known.input is not None or known.output is not None or known.cached_input is not None:
        raise ProviderConfigurationError(f"{where}: prices need both `input` and `output` (USD per million)")
    return ModelProfile(known.context_window, known.max_output_tokens, prices)


def profiles_from_settings(models: Mapping[str, Mapping[str, object]]) -> dict[str, ModelProfile]:
    """The `models` table of the configuration, by full model id. Raises as `profile_from_settings`."""
    return {model_id: profile_from_settings(model_id, table) for model_id, table in models.items()}


def cost(usage: Usage, prices: Prices | None) -> float | None:
    """USD of one call. None when the prices, the input or the output tokens are unknown.

    Cached tokens that the provider did not report are charged as fresh ones: an upper bound.
    """
    if prices is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    cached_price = prices.input if prices.cached_input is None else prices.cached_input
    fresh = (usage.input_tokens - cached) * prices.input
    return (fresh + cached * cached_price + usage.output_tokens * prices.output) / _MILLION


def priced(usage: Usage, prices: Prices | None) -> Usage:
    """The usage of one call with its cost set. Price each call, never a sum: tiers and caches differ."""
    return msgspec.structs.replace(usage, cost_usd=cost(usage, prices))


def _unknown_key(where: str, key: str) -> str:
    import difflib  # only on the way to an error

    known = ModelSettings.__struct_fields__
    near = difflib.get_close_matches(key, known, n=1)
    mend = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"{where}: unknown key {key!r}; {mend}"
