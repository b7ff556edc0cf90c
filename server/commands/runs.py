"""`antiphon runs`: the runs of a workspace, newest first."""

import argparse
import time
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, workspace_options

if TYPE_CHECKING:
    from orchestration.engine import EngineFront
    from orchestration.journal.contract import RunSummary
    from server.terminal.lines import Line

EXAMPLES = """  antiphon runs
  antiphon runs --limit 5
  antiphon runs --json | jq -r 'select(.state == "partial") | .runId'
"""
_STYLES = {
    "completed": "green",
    "partial": "yellow",
    "failed": "red",
    "cancelled": "magenta",
    "interrupted": "bold yellow",
    "running": "cyan",
    "planning": "cyan",
    "waiting": "yellow",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", metavar="N", type=int, default=200, help="at most so many (default 200)")
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    from server.commands.engine import with_engine

    terminal = invocation.terminal

    async def use(engine: "EngineFront") -> int:
        runs = await engine.runs(max(1, invocation.args.limit))
        for run in runs:
            terminal.emit(run_json(run))
        if not runs:
            terminal.say('no runs yet; antiphon run "GOAL" starts one')
        terminal.lines(_line(run, time.time(), terminal.columns) for run in runs)
        return 0

    return with_engine(invocation, use)


def run_json(run: "RunSummary") -> dict[str, object]:
    return {
        "runId": run.run_id,
        "state": run.state,
        "goal": run.goal,
        "created": run.created,
        "updated": run.updated,
        "tasksTotal": run.tasks_total,
        "tasksDone": run.tasks_done,
        "tokens": run.tokens,
        "costUsd": run.cost_usd,
        "openHunks": run.open_hunks,
        "ownerPid": run.owner_pid,
    }


def _line(run: "RunSummary", now: float, columns: int) -> "Line":
    from server.terminal import figures
    from server.terminal.lines import cells, clipped, line, plain

    goal = " ".join(run.goal.split())
    hunks = f", {figures.several(run.open_hunks, 'open hunk')}" if run.open_hunks else ""
    head = line(
        (run.run_id, "bold"),
        "  ",
        (f"{run.state:<11}", _STYLES.get(run.state, "")),
        f"  {run.tasks_done}/{run.tasks_total} tasks{hunks}",
        (f"  {figures.duration(now - run.created)} ago  ", "dim"),
    )
    return (*head, *line(clipped(goal, max(12, columns - cells(plain(head))))))
