"""`antiphon cancel`: ends a run, or one task of it, whichever process runs it."""

import argparse
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, run_argument, workspace_options

if TYPE_CHECKING:
    from orchestration.engine import EngineFront

EXAMPLES = """  antiphon cancel latest
  antiphon cancel latest --task parse-numbers
"""
_ENDED = frozenset({"completed", "partial", "failed", "cancelled"})


def configure(parser: argparse.ArgumentParser) -> None:
    run_argument(parser)
    parser.add_argument("--task", metavar="ID", help="only this task; the run goes on")
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    from orchestration.commands import CancelRun
    from server.commands.deciding import BY
    from server.commands.engine import refused, with_engine
    from server.commands.lookup import find_run

    task, terminal = invocation.args.task, invocation.terminal

    async def use(engine: "EngineFront") -> int:
        run = await find_run(engine, invocation.args.run)
        if run.state in _ENDED:
            terminal.say(f"{run.run_id} has ended already ({run.state})")
            terminal.emit({"runId": run.run_id, "state": run.state, "cancelled": False})
            return 0
        reply = await engine.submit(CancelRun(run_id=run.run_id, task_id=task, by=BY))
        if reply.error:
            return refused(reply, terminal)
        what = f"task {task} of {run.run_id}" if task else run.run_id
        terminal.say(f"{what} is being cancelled; `antiphon resume {run.run_id}` goes on later")
        terminal.emit({"runId": run.run_id, "cancelled": True})
        return 0

    return with_engine(invocation, use)
