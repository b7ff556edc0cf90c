"""`antiphon dead-letters`: what failed for good in a run: every attempt with its reason, and what it cost."""

import argparse
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, run_argument, workspace_options

if TYPE_CHECKING:
    from orchestration.engine import EngineFront
    from orchestration.run import TaskState

EXAMPLES = """  antiphon dead-letters latest
  antiphon dead-letters latest --json | jq '.deadLetters[].attempts[].reason'
  antiphon retry latest parse-numbers --note "see docs/grammar.md"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    run_argument(parser)
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    from server.commands.engine import with_engine
    from server.commands.lookup import find_run
    from server.terminal.following import usage_json

    terminal = invocation.terminal

    async def use(engine: "EngineFront") -> int:
        run = await find_run(engine, invocation.args.run)
        state = await engine.state(run.run_id)
        dead = [task for task in state.tasks.values() if task.status == "dead"]
        skipped = [task for task in state.tasks.values() if task.status == "skipped"]
        terminal.emit(
            {
                "runId": state.run_id,
                "deadLetters": [_json(task) | {"usage": usage_json(task.usage)} for task in dead],
                "skipped": [{"id": task.spec.id, "reason": task.reason} for task in skipped],
            }
        )
        if not dead:
            terminal.say(f"{state.run_id} has no dead letter")
            return 0
        for task in dead:
            _say(invocation, task)
        for task in skipped:
            terminal.say((f"  skipped  {task.spec.id}: {task.reason}", "dim"))
        terminal.say()
        terminal.say(f"antiphon retry {state.run_id} tries them again; --note and --model change the odds")
        return 0

    return with_engine(invocation, use)


def _say(invocation: Invocation, task: "TaskState") -> None:
    from server.terminal.figures import usd

    terminal = invocation.terminal
    terminal.say((f"{task.spec.id}  {task.spec.title}", "bold"), (f"  {usd(task.usage.cost_usd)}", "dim"))
    for failure in task.failures:
        terminal.say((f"  attempt {failure.attempt}  ", "dim"), (f"{failure.kind}: ", "red"), failure.reason)


def _json(task: "TaskState") -> dict[str, object]:
    return {
        "id": task.spec.id,
        "title": task.spec.title,
        "reason": task.reason,
        "model": task.model,
        "attempts": [
            {"attempt": one.attempt, "kind": one.kind, "reason": one.reason, "feedback": one.feedback}
            for one in task.failures
        ],
    }
