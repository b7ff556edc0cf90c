"""What a run has spent against what it may spend. One owner: the run; pure arithmetic.

Tokens that a provider did not report are estimated from the text, so that a limit holds all the same;
the usage shown to people stays unknown. A cost that is unknown cannot be limited: `max_cost` is refused
before the start for a model without prices.
"""

from collections.abc import Iterable

from orchestration.errors import BudgetExhaustedError
from orchestration.events import Budget
from providers.messages import Answer, Message, Text, ToolCall, ToolResult
from providers.usage import Usage

CHARACTERS_PER_TOKEN = 4


class Spending:
    def __init__(self, limits: Budget, used: Usage) -> None:
        self.limits = limits
        self._tokens = float(used.total_tokens or 0)
        self._usd = used.cost_usd or 0.0

    def add(self, answer: Answer, sent: Iterable[Message]) -> None:
        """What one call cost. Counts that were not reported are estimated: the provider's estimate of the request where
        it made one, else by the characters of `sent`.
        """
        given, taken = answer.usage.input_tokens, answer.usage.output_tokens
        if given is None:
            given = answer.estimated_input
        if given is None:
            given = sum(map(_characters, sent)) // CHARACTERS_PER_TOKEN
        if taken is None:
            taken = _characters(answer.message) // CHARACTERS_PER_TOKEN
        self._tokens += given + taken
        self._usd += answer.usage.cost_usd or 0.0

    def add_reported(self, usage: Usage) -> None:
        """What an external agent says it has spent; what it does not say cannot be limited."""
        self._tokens += usage.total_tokens or 0
        self._usd += usage.cost_usd or 0.0

    @property
    def usd_left(self) -> float | None:
        """None: no limit."""
        return None if self.limits.usd is None else max(0.0, self.limits.usd - self._usd)

    def check(self) -> None:
        """Raises BudgetExhaustedError once a limit is reached: no further call may start."""
        if self.limits.tokens is not None and self._tokens >= self.limits.tokens:
            raise SpentError("tokens", self.limits.tokens, self._tokens)
        if self.limits.usd is not None and self._usd >= self.limits.usd:
            raise SpentError("USD", self.limits.usd, self._usd)


class SpentError(BudgetExhaustedError):
    """Raised when `used` of `what` has reached `limit`."""

    def __init__(self, what: str, limit: float, used: float) -> None:
        super().__init__(f"the budget of {limit:g} {what} is used up ({used:g} spent)")
        self.what, self.limit, self.used = what, float(limit), float(used)


def _characters(message: Message) -> int:
    size = 0
    for part in message.parts:
        if isinstance(part, Text | ToolResult):
            size += len(part.text)
        elif isinstance(part, ToolCall):
            size += len(part.arguments) + len(part.name)
    return size
