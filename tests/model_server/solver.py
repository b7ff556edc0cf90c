"""A model that knows the reference solutions: right at once, wrong first, or never right, by a table.

It keeps no state. Which exercise, which turn and whether this is a retry it reads from the conversation alone,
so it also shows whether the conversation carries what it must: title, instructions and, on a retry, the
gate's output.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from tests.model_server.edit_calls import edit_calls, write_calls, write_file
from tests.model_server.exercises import Exercise, load_exercises, plan_of
from tests.model_server.replies import Answer, Reply, ToolCall
from tests.model_server.requests import ModelRequest

Outcome = Literal["right", "wrong_first", "never"]

WRONG_FIRST = ("bell-rota", "ferry-ledger", "knit-chart", "log-trim", "train-board")
NEVER = ("lending-desk", "word-tally")
OUTCOMES: Mapping[str, Outcome] = {
    **dict.fromkeys(WRONG_FIRST, "wrong_first"),
    **dict.fromkeys(NEVER, "never"),
}
EDITED = frozenset(
    (
        "flag-plugins",
        "harbour-fees",
        "mood-weather",
        "museum-labels",
        "seed-packets",
        "tide table",
        "unit-shim",
    )
)
"""Solved by edit_file, move_file and delete_file; the others by write_file."""

_FAILURE = re.compile(
    r"\bFAILED\b|\bFAIL\b|^not ok |Traceback \(most recent call last\)|\b(?:Assertion|Syntax|Import|Name)Error\b"
    r"|\b\d+ failed\b|\btests? failed\b",
    re.MULTILINE,
)


class Solver:
    """`outcomes` and `edited` go by the exercise's name; one that is missing is right at once, by write_file."""

    def __init__(
        self,
        exercises: Sequence[Exercise] | None = None,
        *,
        outcomes: Mapping[str, Outcome] = OUTCOMES,
        edited: frozenset[str] = EDITED,
        delay_s: float = 0.0,
    ) -> None:
        self.exercises = load_exercises() if exercises is None else list(exercises)
        self._by_title = {exercise.title: exercise for exercise in self.exercises}
        self._outcomes = outcomes
        self._edited = edited
        self._delay_s = delay_s
        self.unknown_titles: list[str] = []
        """Titles that are no exercise's; such a task is finished at once."""

    def respond(self, request: ModelRequest, /) -> Reply:
        if "submit_plan" in request.tool_names:
            return self._planned(request)
        exercise = self._by_title.get(request.title)
        if exercise is None:
            self.unknown_titles.append(request.title)
            return self._finish("There is nothing for me to do here.")
        turns = self._turns(exercise, request)
        if request.turn >= len(turns):
            return self._finish(f"{exercise.name}: written as the instructions say.")
        text, calls = turns[request.turn]
        return Answer(text=text, calls=tuple(calls), delay_s=self._delay_s)

    def outcome(self, exercise: Exercise) -> Outcome:
        return self._outcomes.get(exercise.name, "right")

    def _planned(self, request: ModelRequest) -> Reply:
        """The plan, again for as long as it is sent back; a rejection that repeats ends at the engine's limit."""
        call = ToolCall("submit_plan", plan_of(self.exercises))
        return Answer(text="One task per exercise.", calls=(call,), delay_s=self._delay_s)

    def _turns(self, exercise: Exercise, request: ModelRequest) -> list[tuple[str, list[ToolCall]]]:
        """What to say and call in every turn before the last."""
        turns = [("I begin with the files as they are.", self._look(exercise))]
        outcome = self.outcome(exercise)
        retried = is_retry(request.first_user_text, exercise)
        if outcome == "right" or (outcome == "wrong_first" and retried):
            make = edit_calls if exercise.name in self._edited else write_calls
            turns.extend(("", calls) for calls in make(exercise))
        else:
            turns.append(("", [self.wrong_call(exercise)]))
        return turns

    def _look(self, exercise: Exercise) -> list[ToolCall]:
        """Reads what will be changed; every third exercise lists its folder in the same answer."""
        there = [path for path in exercise.paths if exercise.stub(path) is not None]
        reads = [ToolCall("read_file", {"path": f"{exercise.name}/{path}"}) for path in there]
        if not reads or self.exercises.index(exercise) % 3 == 0:
            reads.append(ToolCall("list_files", {"path": exercise.name}))
        return reads

    def wrong_call(self, exercise: Exercise) -> ToolCall:
        """Writes another exercise's solution, in the same language where there is one, into this one's file."""
        path = exercise.main_file
        suffix = path.rpartition(".")[2]
        start = self.exercises.index(exercise)
        others = [*self.exercises[start + 1 :], *self.exercises[:start]]
        alike = [other for other in others if other.main_file.rpartition(".")[2] == suffix]
        other = (alike or others)[0]
        return write_file(exercise, path, other.solution[other.main_file])

    def _finish(self, summary: str) -> Answer:
        return Answer(calls=(ToolCall("finish", {"summary": summary}),), delay_s=self._delay_s)


def is_retry(first_user_text: str, exercise: Exercise) -> bool:
    """Whether a gate's output stands in the message beside title and instructions.

    A failing test's name or the words of a failure count; the names of test files do not, they may stand in
    the first attempt's message too.
    """
    _, found, rest = first_user_text.partition(exercise.instructions)
    if not found:
        rest = first_user_text.removeprefix(exercise.title)
    return bool(_FAILURE.search(rest)) or any(name in rest for name in exercise.test_names)
