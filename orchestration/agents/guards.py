"""Notices an agent that goes round in circles. Pure: it sees calls and results, and gives a verdict.

Patterns: the same call with the same result again and again; two calls taking turns; turns in a row in
which nothing succeeds.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["fine", "warn", "stuck"]
REPEATS_WARN = 3
REPEATS_STUCK = 5
PAIRS_WARN = 3
PAIRS_STUCK = 5
FAILING_WARN = 5
FAILING_STUCK = 10


@dataclass(frozen=True, slots=True)
class Observation:
    """One turn: what was called, and what came of it."""

    calls: tuple[tuple[str, str], ...]
    results: tuple[str, ...]
    any_success: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    reason: str = ""


class LoopGuard:
    def __init__(self) -> None:
        self._recent: deque[Observation] = deque(maxlen=2 * PAIRS_STUCK)
        self._failing = 0

    def observe(self, seen: Observation) -> Judgement:
        """The verdict after this turn. `warn` is given once as each pattern reaches its first mark."""
        self._recent.append(seen)
        self._failing = 0 if seen.any_success else self._failing + 1
        same = _run_length(list(self._recent), 1)
        alternating = _run_length(list(self._recent), 2)
        pairs = alternating // 2
        if same >= REPEATS_STUCK:
            return Judgement("stuck", f"the same call was made {same} times with the same result")
        if pairs >= PAIRS_STUCK:
            return Judgement("stuck", f"the same two calls took turns {pairs} times")
        if self._failing >= FAILING_STUCK:
            return Judgement("stuck", f"nothing succeeded in {self._failing} turns")
        if same == REPEATS_WARN:
            return Judgement("warn", f"You made the same call {same} times and got the same result.")
        if alternating == 2 * PAIRS_WARN and self._recent[-1] != self._recent[-2]:
            return Judgement("warn", "You are alternating between the same two calls.")
        if self._failing == FAILING_WARN:
            return Judgement("warn", f"None of your calls succeeded in the last {self._failing} turns.")
        return Judgement("fine")


def _run_length(turns: Sequence[Observation], period: int) -> int:
    """How many turns at the end repeat with this period."""
    length = min(period, len(turns))
    while length < len(turns) and turns[-1 - length] == turns[-1 - length + period]:
        length += 1
    return length
