"""A model server whose model plans tasks and edits one module in each: what a language server is measured with.

`module_N.py` of the workspace gets two of its functions changed by task N, so that its change has two hunks.
Prints its URL, ends with its standard input.
"""

import argparse
import re
import sys

from tests.model_server import ModelServer
from tests.model_server.replies import Answer, Reply, ToolCall
from tests.model_server.requests import ModelRequest

FUNCTIONS = 20


def module_text(number: int, changed: tuple[int, ...] = ()) -> str:
    parts = [f'"""Module {number} of a made-up project."""\n']
    for name in range(FUNCTIONS):
        factor = 3 if name in changed else 2
        parts.append(
            f"\n\ndef step_{name}(value: int) -> int:\n    total = value * {factor}\n    return total\n"
        )
    return "".join(parts)


class Team:
    """Plans `tasks` tasks, every tenth depending on the ten before it, and lets each rewrite its module."""

    def __init__(self, tasks: int, delay_s: float) -> None:
        self._tasks = tasks
        self._delay_s = delay_s

    def respond(self, request: ModelRequest, /) -> Reply:
        if "submit_plan" in request.tool_names:
            return Answer(calls=(ToolCall("submit_plan", {"tasks": self._plan()}),))
        found = re.fullmatch(r"Module (\d+)", request.title)
        if found is None or request.turn:
            return Answer(calls=(ToolCall("finish", {"summary": "done"}),), delay_s=self._delay_s)
        number = int(found.group(1))
        write = ToolCall(
            "write_file", {"path": f"module_{number}.py", "content": module_text(number, (3, 15))}
        )
        finish = ToolCall("finish", {"summary": f"module {number} counts in threes"})
        return Answer(calls=(write, finish), delay_s=self._delay_s)

    def _plan(self) -> list[dict[str, object]]:
        return [
            {
                "id": f"module-{number}",
                "title": f"Module {number}",
                "role": "coder",
                "instructions": "Two of the functions must count in threes.",
                "depends_on": [f"module-{number - 10}"] if number >= 10 else [],
            }
            for number in range(self._tasks)
        ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", type=int)
    parser.add_argument("delay_ms", type=float)
    chosen = parser.parse_args()
    with ModelServer(Team(chosen.tasks, chosen.delay_ms / 1000), models=(), strict=False) as server:
        print(server.base_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
