"""What the simulated model answers, and the graph it is given: pure functions of a seed.

An answer depends on who asks (task, attempt, turn) and on nothing else, so that a call made again after a crash gets
the same answer, and an oracle can say which files a merged task must have made.
"""

import json
from dataclasses import dataclass
from random import Random

from orchestration.graph_model import TaskSpec
from providers.messages import Answer, RequestLabels, StopReason, ToolCall, assistant
from providers.usage import Usage

SHARED = "shared.txt"
COMMON = "the line that everybody wants"
PRICE = 0.000_001


def chance(*parts: object) -> Random:
    return Random(":".join(map(str, parts)))


@dataclass(frozen=True, slots=True)
class Fate:
    """How a task goes: from which attempt on it is right (0: never), its turns, what else it does."""

    right_at: int
    turns: int
    delegates: bool
    quarrels: bool
    commands: bool
    in_words: bool


class Mind:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        draw = chance(seed, "graph")
        names = [f"t{number}" for number in range(1, draw.randint(2, 7) + 1)]
        self.plan = tuple(
            TaskSpec(
                id=name,
                title=f"Do {name}",
                instructions=f"Please do {name}.",
                depends_on=tuple(earlier for earlier in names[:place] if draw.random() < 0.3),
            )
            for place, name in enumerate(names)
        )
        slots = [line for name in names for line in (f"slot {name}", "--", "==", "--")]
        self.files = {
            SHARED: "\n".join(["head", *slots, COMMON, "tail", ""]).encode(),
            "other.txt": b"never touched\n",
        }

    def fate(self, task: str) -> Fate:
        draw = chance(self.seed, "fate", task)
        return Fate(
            right_at=draw.choices([1, 2, 3, 0], [14, 4, 1, 1])[0],
            turns=draw.randint(1, 3),
            delegates=draw.random() < 0.12 and "." not in task,
            quarrels=draw.random() < 0.3 and "." not in task,
            commands=draw.random() < 0.3,
            in_words=draw.random() < 0.1,
        )

    def own_file(self, task: str) -> tuple[str, bytes]:
        """What a merged task has made."""
        lines = chance(self.seed, "text", task).randint(1, 5)
        return f"work/{task}.txt", "".join(f"{task} line {number}\n" for number in range(lines)).encode()

    def answer(self, labels: RequestLabels) -> Answer:
        calls = self._calls(labels)
        draw = chance(self.seed, "usage", labels.task_id, labels.attempt, labels.turn)
        tokens = draw.randint(10, 500), draw.randint(1, 100)
        stop: StopReason = "tool_calls" if calls else "end"
        usage = Usage(tokens[0], tokens[1], 0, 0, sum(tokens) * PRICE)
        text = f"{labels.task_id} turn {labels.turn}"
        numbered = [
            ToolCall(f"call-{labels.turn}-{place}", name, json.dumps(arguments))
            for place, (name, arguments) in enumerate(calls)
        ]
        return Answer(assistant(text, *numbered), stop, usage, model="simulated")

    def _calls(self, labels: RequestLabels) -> list[tuple[str, dict[str, object]]]:
        task, fate = labels.task_id, self.fate(labels.task_id)
        draw = chance(self.seed, "turn", task, labels.attempt, labels.turn)
        right = fate.right_at and labels.attempt >= fate.right_at
        if labels.turn < fate.turns:
            return [self._step(task, fate, labels.turn, draw)]
        if labels.turn > fate.turns:  # an earlier call of the last turn failed: finish all the same
            return [("finish", {"summary": f"{task} ends"})]
        path, text = self.own_file(task)
        calls: list[tuple[str, dict[str, object]]] = [
            ("write_file", {"path": path, "content": text.decode()})
        ]
        if task.startswith("merge-"):
            calls = [("write_file", {"path": SHARED, "content": f"head\n{COMMON}\ntail\n"})]
        elif "." not in task and draw.random() < 0.5:
            edit = {"search": f"slot {task}\n", "replace": f"slot {task}: done\n"}
            calls.append(("edit_file", {"path": SHARED, "edits": [edit]}))
        if fate.quarrels:
            edit = {"search": COMMON, "replace": f"{COMMON}, {task} most of all"}
            calls.append(("edit_file", {"path": SHARED, "edits": [edit]}))
        if not right:
            calls.append(("write_file", {"path": f"work/{task}.py", "content": "def broken(:\n"}))
        if fate.in_words:
            return calls if labels.turn == 0 else [*calls, ("finish", {"summary": f"{task} is done"})]
        return [*calls, ("finish", {"summary": f"{task} is done"})]

    @staticmethod
    def _step(task: str, fate: Fate, turn: int, draw: Random) -> tuple[str, dict[str, object]]:
        if fate.delegates and turn == 1:
            return "delegate", {"title": f"Help {task}", "instructions": "Please help.", "role": "coder"}
        if fate.commands and draw.random() < 0.6:
            return "run_command", {"command": f"touch {task}-{turn}"}
        steps: list[tuple[str, dict[str, object]]] = [
            ("read_file", {"path": SHARED}),
            ("list_files", {}),
            ("search", {"pattern": "slot"}),
            ("read_file", {"path": "is/not/there.txt"}),
            ("no_such_tool", {"path": SHARED}),
            ("write_file", {"path": f"work/{task}.draft", "content": f"draft {turn}\n"}),
        ]
        return draw.choice(steps)
