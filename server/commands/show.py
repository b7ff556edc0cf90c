"""`antiphon show`: a run's tasks with their attempts, gates and costs."""

import argparse
import time
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, run_argument, workspace_options

if TYPE_CHECKING:
    from orchestration.engine import EngineFront
    from orchestration.run import GateState, RunState, TaskState

EXAMPLES = """  antiphon show latest
  antiphon show latest --task parse-numbers
  antiphon show run-20260301-101500-4f2a1c --json | jq .tasks
"""


def configure(parser: argparse.ArgumentParser) -> None:
    run_argument(parser)
    parser.add_argument(
        "--task", metavar="ID", help="only this task, with its instructions and whole feedback"
    )
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    from server.commands.engine import with_engine
    from server.commands.lookup import find_run
    from server.terminal.run_page import run_page, task_page

    terminal = invocation.terminal

    async def use(engine: "EngineFront") -> int:
        run = await find_run(engine, invocation.args.run)
        state = await engine.state(run.run_id)
        if invocation.args.task is not None:
            task = _task(state, invocation.args.task)
            terminal.emit(task_json(task))
            terminal.lines(task_page(task, columns=terminal.columns, unicode=terminal.unicode))
            return 0
        terminal.emit(state_json(state, run.state))
        terminal.lines(
            run_page(state, run.state, time.time(), columns=terminal.columns, unicode=terminal.unicode)
        )
        return 0

    return with_engine(invocation, use)


def _task(state: "RunState", given: str) -> "TaskState":
    """Raises NotFoundError naming the near one."""
    import difflib

    from orchestration.errors import NotFoundError

    if given in state.tasks:
        return state.tasks[given]
    near = difflib.get_close_matches(given, list(state.tasks), n=1)
    mend = f"did you mean {near[0]!r}?" if near else f"`antiphon show {state.run_id}` lists them"
    raise NotFoundError(f"the run has no task {given!r}; {mend}")


def state_json(state: "RunState", word: str) -> dict[str, object]:
    """`word`: the state in the list of runs, which knows of dead owners."""
    from server.terminal.following import usage_json

    return {
        "runId": state.run_id,
        "state": word,
        "goal": state.goal,
        "workspace": state.workspace,
        "exitCode": state.exit_code if state.end is not None else None,
        "reasons": list(state.reasons),
        "model": state.options.model if state.options else None,
        "created": state.created,
        "updated": state.updated,
        "usage": usage_json(state.usage, state.estimates),
        "taskCounts": state.counts(),
        "tasks": [task_json(task) for task in state.tasks.values()],
        "gates": [_gate_json(gate) for gate in state.final_gates],
        "leftOut": [{"path": item.path, "reason": item.reason} for item in state.left_out],
        "findings": len(state.findings),
        "changes": {"files": state.changes.files, "hunks": state.changes.hunks} if state.changes else None,
        "decisions": [
            {
                "decisionId": decision.decision_id,
                "decision": decision.decision,
                "hunks": len(decision.hunk_ids),
                "applied": decision.applied,
                "undone": not decision.stands,
            }
            for decision in state.decisions.values()
        ],
    }


def task_json(task: "TaskState") -> dict[str, object]:
    from server.terminal.following import usage_json

    return {
        "id": task.spec.id,
        "title": task.spec.title,
        "role": task.spec.role,
        "kind": task.spec.kind,
        "dependsOn": list(task.spec.depends_on),
        "parent": task.spec.parent,
        "state": task.status,
        "verified": task.verified,
        "attempt": task.attempt,
        "model": task.model,
        "reason": task.reason,
        "summary": task.summary,
        "changed": list(task.changed),
        "usage": usage_json(task.usage),
        "gates": [_gate_json(gate) for gate in task.gates],
        "failures": [
            {"attempt": one.attempt, "kind": one.kind, "reason": one.reason, "feedback": one.feedback}
            for one in task.failures
        ],
        "started": task.started or None,
        "ended": task.ended or None,
    }


def _gate_json(gate: "GateState") -> dict[str, object]:
    return {"gate": gate.gate, "outcome": gate.outcome, "detail": gate.detail}
