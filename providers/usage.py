"""Tokens and money. What a provider did not report is unknown (None), never zero."""

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one or more calls, cost in USD. None means unknown.

    `input_tokens` includes the cached ones; `output_tokens` includes reasoning. `cache_write_tokens` of the input
    were written to a cache, as far as reported (some vendors charge more for them).
    """

    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cached_tokens: int | None = 0
    reasoning_tokens: int | None = 0
    cost_usd: float | None = 0.0
    cache_write_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Sums what is known; an unknown summand makes its sum unknown."""
        return Usage(
            _sum_int(self.input_tokens, other.input_tokens),
            _sum_int(self.output_tokens, other.output_tokens),
            _sum_int(self.cached_tokens, other.cached_tokens),
            _sum_int(self.reasoning_tokens, other.reasoning_tokens),
            None if self.cost_usd is None or other.cost_usd is None else self.cost_usd + other.cost_usd,
            self.cache_write_tokens + other.cache_write_tokens,
        )

    @property
    def total_tokens(self) -> int | None:
        return _sum_int(self.input_tokens, self.output_tokens)


ZERO = Usage()
UNKNOWN = Usage(None, None, None, None, None)


def _sum_int(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b
