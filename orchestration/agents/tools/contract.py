"""What a tool is, and what it may act on.

A tool gets validated arguments and a `Workbench`; it returns text for the model and never raises for a
mistake of the model: `ToolMistakeError` and the refusals of guard and edits become error text that names
the mend. Effects outside the tree in memory (commands, delegation, questions to a person) are callables
of the workbench, so that no tool can start a process or a task by itself.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestration.errors import AntiphonError
from orchestration.ports import Executor
from orchestration.redaction import WITHHELD
from orchestration.workspace.path_guard import PathGuard
from orchestration.workspace.task_tree import TaskTree
from providers.messages import ToolCall, ToolSpec


class ToolMistakeError(Exception):
    """Raised by a tool when the call cannot be carried out as written; the text goes to the model."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """`subject` is a short word for people (a path, a command). `finished` ends the task."""

    text: str
    is_error: bool = False
    subject: str = ""
    finished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    text: str
    is_error: bool


RunCommand = Callable[[str, float | None], Awaitable[CommandResult]]
Delegate = Callable[[str, str, str], Awaitable[ToolOutcome]]
AskPerson = Callable[[str, str], Awaitable[bool]]
SubmitPlan = Callable[[Any], Awaitable[ToolOutcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """One task's working surface. `left_out` maps paths that are not part of the snapshot to the reason:
    they are known and unwritable. `ask(subject, detail)` asks a person about a protected path and is
    false where nobody can be asked.
    """

    tree: TaskTree
    guard: PathGuard
    left_out: Mapping[str, str]
    executor: Executor
    run_command: RunCommand
    delegate: Delegate
    ask: AskPerson
    submit_plan: SubmitPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """`effectful`: its intent is journaled before it runs, since it acts outside the tree in memory.
    `edits`: it may change the task's files.
    """

    spec: ToolSpec
    arguments: type[msgspec.Struct]
    call: Callable[[Workbench, Any], Awaitable[ToolOutcome]]
    subject: Callable[[Any], str]
    effectful: bool = False
    edits: bool = False


@dataclass(frozen=True, slots=True)
class ParsedCall:
    """A call ready to run, or the reason why it cannot."""

    call: ToolCall
    tool: Tool | None = None
    arguments: Any = None
    error: str = ""

    @property
    def subject(self) -> str:
        return "" if self.tool is None else self.tool.subject(self.arguments)


def parse_call(call: ToolCall, offered: Mapping[str, Tool]) -> ParsedCall:
    """Checks name and arguments of a call against what was offered."""
    tool = offered.get(call.name)
    if tool is None:
        names = ", ".join(sorted(offered))
        return ParsedCall(call, error=f"There is no tool {call.name!r} here. The tools are: {names}.")
    try:
        values = json.loads(call.arguments or "{}")
    except ValueError as error:
        return ParsedCall(
            call,
            error=f"The arguments of {call.name} are not valid JSON ({error}). Send the call again, whole; "
            "if it was cut off, make it smaller.",
        )
    if _half_a_character(call.arguments, values):
        return ParsedCall(
            call,
            error=f"The arguments of {call.name} hold half of a character (an escape from \\ud800 to \\udfff without "
            "its other half), which no file can hold. Send the call again with the whole character.",
        )
    if tool.edits and WITHHELD in call.arguments:
        return ParsedCall(
            call,
            error=f"The arguments of {call.name} hold {WITHHELD}, which stands for a secret that you are not shown. It "
            "is never written. Change only lines around it, with edit_file, and leave that one as it is.",
        )
    try:
        arguments = msgspec.convert(values, tool.arguments, strict=False)
    except msgspec.ValidationError as error:
        wanted = json.dumps(tool.spec.parameters.get("properties", {}))
        return ParsedCall(
            call, error=f"The arguments of {call.name} are not right: {error}. Its parameters: {wanted}"
        )
    return ParsedCall(call, tool, arguments)


def _half_a_character(written: str, values: object) -> bool:
    """A lone surrogate. JSON can spell it and Python can hold it, but neither the journal nor a file can."""
    if "\\ud" not in written.lower():
        return False
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


async def run_call(parsed: ParsedCall, bench: Workbench) -> ToolOutcome:
    """Runs a parsed call; mistakes and refusals become error text."""
    if parsed.tool is None:
        return ToolOutcome(parsed.error, is_error=True)
    try:
        return await parsed.tool.call(bench, parsed.arguments)
    except (ToolMistakeError, AntiphonError) as error:
        return ToolOutcome(str(error), is_error=True, subject=parsed.subject)


def parameters(required: tuple[str, ...], **properties: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema of an object with these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
