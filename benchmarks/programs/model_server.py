"""The model server of the measurements: a process of its own that speaks the real wire and costs next to nothing.

Echo: one answer of a given size. Editor: one file written per task, in one answer. Team: plans tasks and lets each
change two functions of `module_N.py`, so that its change has two hunks. Hunks: one task that changes every function
of one large module. It prints its URL and ends with its
standard input.
"""

import argparse
import re
import sys
from collections.abc import Callable, Collection

from tests.model_server import Editor, ModelServer, wire
from tests.model_server.echo import filler
from tests.model_server.replies import Answer, Prepared, Reply, Script, ToolCall, Usage
from tests.model_server.requests import ModelRequest

FUNCTIONS = 20


def module_text(number: int, changed: Collection[int] = (), functions: int = FUNCTIONS) -> str:
    parts = [f'"""Module {number} of a made-up project."""\n']
    for name in range(functions):
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


class Hunks:
    """Plans one task, which changes each of the `functions` functions of `module_0.py`: a hunk each."""

    def __init__(self, functions: int) -> None:
        self._functions = functions

    def respond(self, request: ModelRequest, /) -> Reply:
        if "submit_plan" in request.tool_names:
            task = {
                "id": "module-0",
                "title": "Module 0",
                "role": "coder",
                "instructions": "All of the functions must count in threes.",
            }
            return Answer(calls=(ToolCall("submit_plan", {"tasks": [task]}),))
        if request.turn:
            return Answer(calls=(ToolCall("finish", {"summary": "done"}),))
        text = module_text(0, range(self._functions), self._functions)
        write = ToolCall("write_file", {"path": "module_0.py", "content": text})
        return Answer(calls=(write, ToolCall("finish", {"summary": "it counts in threes"})))


class Echo:
    """Every task ends in one call of `finish` with a text of `size` bytes; a request without that tool gets the
    text. As cheap as can be: what is sent is made once for each length of prompt, whose tokens it reports in
    steps of 100, since clients compare them with what they sent.
    """

    def __init__(self, size: int, delay_s: float) -> None:
        self._text = filler(size)
        self._delay_s = delay_s
        self._made: dict[tuple[bool, int], Prepared] = {}

    def respond(self, request: ModelRequest, /) -> Reply:
        kind = (b'"finish"' in request.raw, len(request.raw) // 400)
        if kind not in self._made:
            self._made[kind] = Prepared(self._response(finishes=kind[0], hundreds=kind[1]), self._delay_s)
        return self._made[kind]

    def _response(self, *, finishes: bool, hundreds: int) -> bytes:
        usage = Usage(prompt_tokens=100 * hundreds + 50, completion_tokens=len(self._text) // 4)
        if finishes:
            answer = Answer(
                calls=(ToolCall("finish", {"summary": self._text}, id="call_finish"),), usage=usage
            )
        else:
            answer = Answer(text=self._text, usage=usage)
        pieces = wire.events(answer, index=0, model="bench", include_usage=True, sizes=(64,))
        return wire.stream_head() + b"".join(map(wire.framed, pieces)) + wire.LAST_CHUNK


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("script", choices=("echo", "edit", "hunks", "team"))
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--size", type=int, default=1024, help="bytes of text in an answer")
    parser.add_argument("--tasks", type=int, default=0, help="what the team plans; functions to change")
    chosen = parser.parse_args()
    scripts: dict[str, Callable[[], Script]] = {
        "echo": lambda: Echo(chosen.size, chosen.delay_ms / 1000),
        "edit": lambda: Editor(size=chosen.size, delay_ms=chosen.delay_ms),
        "hunks": lambda: Hunks(chosen.tasks),
        "team": lambda: Team(chosen.tasks, chosen.delay_ms / 1000),
    }
    with ModelServer(scripts[chosen.script](), models=(), strict=False) as server:
        print(server.base_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
