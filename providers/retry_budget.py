"""How many repeated calls a run may make, over all its tasks and providers, so that no storm can arise.

A bucket per run: it begins with `reserve` repetitions, each first call adds `per_call`, and each second
`per_second`, up to the reserve. A repeated call takes one. Who finds it empty after a rate limit waits for the next;
after any other fault the fault is the answer.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

RUNS_KEPT = 256


@dataclass(frozen=True, slots=True)
class BudgetRule:
    reserve: float = 30.0
    per_call: float = 0.2
    per_second: float = 1.0


class RetryBudget:
    """The bucket of one run. Times in seconds of `monotonic`."""

    def __init__(self, rule: BudgetRule, monotonic: Callable[[], float]) -> None:
        self._rule = rule
        self._monotonic = monotonic
        self._level = rule.reserve
        self._at = monotonic()
        self.taken = 0

    def called(self) -> None:
        """A first call is made."""
        self._fill()
        self._level = min(max(self._rule.reserve, self._level), self._level + self._rule.per_call)

    def take(self) -> float:
        """Takes one, be it one that is not there yet; returns the seconds until it is."""
        self._fill()
        self._level -= 1.0
        self.taken += 1
        return 0.0 if self._level >= 0 else -self._level / self._rule.per_second

    def give_back(self) -> None:
        """What was taken is not used."""
        self._level += 1.0
        self.taken -= 1

    def _fill(self) -> None:
        now = self._monotonic()
        more = (now - self._at) * self._rule.per_second
        self._level = min(max(self._rule.reserve, self._level), self._level + more)
        self._at = now


class RetryBudgets:
    """One budget per run; those of the oldest runs are forgotten."""

    def __init__(self, monotonic: Callable[[], float], rule: BudgetRule | None = None) -> None:
        self._monotonic = monotonic
        self._rule = BudgetRule() if rule is None else rule
        self._runs: OrderedDict[str, RetryBudget] = OrderedDict()

    def of(self, run: str) -> RetryBudget:
        budget = self._runs.get(run)
        if budget is None:
            budget = self._runs[run] = RetryBudget(self._rule, self._monotonic)
            if len(self._runs) > RUNS_KEPT:
                self._runs.popitem(last=False)
        else:
            self._runs.move_to_end(run)
        return budget
