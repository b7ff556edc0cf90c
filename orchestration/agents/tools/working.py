"""The tools that act beyond files: `run_command`, `delegate`, `finish`, and the planner's `submit_plan`."""

import msgspec

from orchestration.agents.tools.contract import Tool, ToolMistakeError, ToolOutcome, Workbench, parameters
from providers.messages import ToolSpec


class RunCommand(msgspec.Struct, frozen=True):
    command: str
    timeout_s: float | None = None


class Delegate(msgspec.Struct, frozen=True):
    title: str
    instructions: str
    role: str | None = None


class Finish(msgspec.Struct, frozen=True):
    summary: str | None = None


class PlannedTask(msgspec.Struct, frozen=True):
    """A task as the planner writes it; models write null for what they leave out."""

    id: str
    title: str
    instructions: str
    role: str | None = None
    depends_on: list[str] | None = None
    paths: list[str] | None = None
    tests: list[str] | None = None


class SubmitPlan(msgspec.Struct, frozen=True):
    tasks: list[PlannedTask]


async def _run_command(bench: Workbench, wanted: RunCommand) -> ToolOutcome:
    if not wanted.command.strip():
        raise ToolMistakeError("The command is empty.")
    result = await bench.run_command(wanted.command, wanted.timeout_s)
    return ToolOutcome(result.text, is_error=result.is_error, subject=wanted.command)


async def _delegate(bench: Workbench, wanted: Delegate) -> ToolOutcome:
    if not wanted.title.strip() or not wanted.instructions.strip():
        raise ToolMistakeError("A delegated task needs a title and instructions.")
    return await bench.delegate(wanted.title, wanted.instructions, wanted.role or "coder")


async def _finish(bench: Workbench, wanted: Finish) -> ToolOutcome:
    del bench, wanted
    return ToolOutcome("", finished=True)


async def _submit_plan(bench: Workbench, wanted: SubmitPlan) -> ToolOutcome:
    if bench.submit_plan is None:
        raise ToolMistakeError("Only the planner submits a plan.")
    return await bench.submit_plan(wanted)


RUN_COMMAND = Tool(
    spec=ToolSpec(
        "run_command",
        "Run a command in a copy of your files (tests, builds, formatters). Files it changes become part "
        "of your work. Plain commands joined by && || ; | run soonest; redirects and expansions need a "
        "person's approval.",
        parameters(
            ("command",),
            command={"type": "string", "description": "The command line"},
            timeout_s={"type": "number", "description": "Time limit in seconds (default 120)"},
        ),
    ),
    arguments=RunCommand,
    call=_run_command,
    subject=lambda wanted: str(wanted.command),
    effectful=True,
    edits=True,
)
DELEGATE = Tool(
    spec=ToolSpec(
        "delegate",
        "Give a part of your task to another agent and wait for its result, which becomes part of your "
        "files. It sees only the title, the instructions and your files.",
        parameters(
            ("title", "instructions", "role"),
            title={"type": "string"},
            instructions={"type": "string", "description": "Everything that agent has to know"},
            role={"type": "string", "description": "coder, tester, reviewer or writer"},
        ),
    ),
    arguments=Delegate,
    call=_delegate,
    subject=lambda wanted: str(wanted.title),
    effectful=True,
    edits=True,
)
FINISH = Tool(
    spec=ToolSpec(
        "finish",
        "Say that the task is done. The gates then check your files.",
        parameters(
            ("summary",),
            summary={"type": "string", "description": "What you changed and why, in a few sentences"},
        ),
    ),
    arguments=Finish,
    call=_finish,
    subject=lambda _wanted: "",
)
SUBMIT_PLAN = Tool(
    spec=ToolSpec(
        "submit_plan",
        "Hand in the plan. Tasks without dependencies between them run at the same time.",
        parameters(
            ("tasks",),
            tasks={
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "description": "Short and unique, e.g. parse-dates"},
                        "title": {"type": "string"},
                        "role": {"type": "string", "description": "coder, tester, reviewer or writer"},
                        "instructions": {
                            "type": "string",
                            "description": "Everything the agent has to know; it sees nothing else",
                        },
                        "depends_on": {"type": "array", "items": {"type": "string"}},
                        "paths": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "Files it will work on",
                        },
                        "tests": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "Test files or node ids that must pass for this task",
                        },
                    },
                    "required": ["id", "title", "role", "instructions", "depends_on"],
                },
            },
        ),
    ),
    arguments=SubmitPlan,
    call=_submit_plan,
    subject=lambda wanted: f"{len(wanted.tasks)} tasks",
)
