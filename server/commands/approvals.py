"""Approvals asked on the terminal: a command, a change of a protected path, the plan."""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import anyio

from orchestration import events as ev
from orchestration.commands import DecidePlan, ResolveApproval
from orchestration.engine import EngineFront
from orchestration.errors import UsageError
from orchestration.graph_model import TaskSpec
from orchestration.run import RunState
from server.commands.plan_file import read_plan, written_plan
from server.terminal.following import last_lines
from server.terminal.inert import inert_lines
from server.terminal.lines import BLANK, Line, line, wrapped
from server.terminal.questions import ask, read_line
from server.terminal.terminal import Terminal

_BY = "terminal"
_ANSWERS = {"o": "once", "r": "for this run", "n": "no"}
_DECISIONS: dict[str, Literal["once", "run"]] = {"o": "once", "r": "run"}


def asker(
    engine: EngineFront, terminal: Terminal
) -> Callable[[ev.ApprovalRequested, RunState], Awaitable[None]]:
    """The end of input is a no: whoever cannot answer has not agreed."""

    async def answer(request: ev.ApprovalRequested, state: RunState) -> None:
        if request.kind == "plan":
            await _decide_plan(engine, terminal, state)
            return
        what = "run a command" if request.kind == "command" else "change what is protected"
        whose = f"Task {request.task_id}" if request.task_id else "The run"
        terminal.say()
        terminal.say((f"{whose} wants to {what}:", "bold yellow"))
        terminal.say("  ", (request.subject, "bold"))
        terminal.lines([line("  ", (text, "dim")) for text in last_lines(request.detail)])
        chosen = await ask(terminal, ("Allow it?",), _ANSWERS)
        decision: Literal["once", "run", "reject"] = _DECISIONS.get(chosen or "", "reject")
        await engine.submit(
            ResolveApproval(run_id=state.run_id, approval_id=request.approval_id, decision=decision, by=_BY)
        )

    return answer


def plan_lines(tasks: tuple[TaskSpec, ...], columns: int) -> list[Line]:
    """Everything that would be done: who agrees must have seen it whole."""
    lines: list[Line] = []
    for number, task in enumerate(tasks, 1):
        after = f"  after {', '.join(task.depends_on)}" if task.depends_on else ""
        told = [line(f"{number:3} ", (task.id, "bold"), f"  {task.title}", (f"  {task.role}{after}", "dim"))]
        told += [line("      ", (text, "dim")) for text in inert_lines(task.instructions)]
        if task.tests:
            told.append(line("      ", (f"tests: {', '.join(task.tests)}", "dim")))
        for one in told:
            lines += wrapped(one, columns, indent=6)
    return lines


async def _decide_plan(engine: EngineFront, terminal: Terminal, state: RunState) -> None:
    tasks = state.proposed_plan
    terminal.lines([BLANK, line(("The plan", "bold")), *plan_lines(tasks, terminal.columns)])
    plan: tuple[TaskSpec, ...] | None = None
    while True:
        chosen = await ask(terminal, ("Carry it out?",), {"y": "yes", "n": "no", "e": "edit"})
        if chosen != "e":
            break
        edited = await _edited(terminal, plan or tasks)
        if edited is not None:
            plan = edited
            terminal.lines([BLANK, line(("The plan, edited", "bold")), *plan_lines(plan, terminal.columns)])
    reply = await engine.submit(DecidePlan(run_id=state.run_id, accept=chosen == "y", plan=plan))
    if reply.error:
        terminal.remark("antiphon: ", reply.error)


async def _edited(terminal: Terminal, tasks: tuple[TaskSpec, ...]) -> tuple[TaskSpec, ...] | None:
    """The plan as the user left it in a file; None when it is no valid plan, which is said."""
    with tempfile.TemporaryDirectory(prefix="antiphon-plan-") as folder:
        file = Path(folder, "plan.yaml")
        await anyio.Path(file).write_text(written_plan(tasks), encoding="utf-8")
        terminal.say(
            "The plan is in ", (str(file), "bold"), ". Edit and save it there, then press Enter here."
        )
        if await read_line(terminal) is None:
            return None
        try:
            return read_plan(file).tasks
        except UsageError as error:
            for text in str(error).splitlines():
                terminal.say((text, "red"))
            return None
