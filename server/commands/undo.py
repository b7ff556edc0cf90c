"""`antiphon undo`: takes a decision back, also after later edits; a conflict leaves the file as it is."""

import argparse
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, run_argument, workspace_options

if TYPE_CHECKING:
    from orchestration.engine import EngineFront

EXAMPLES = """  antiphon undo latest
  antiphon undo latest --decision decision-91b2c4d5e6f7

Without --decision the latest decision that is not undone yet;
`antiphon show RUN` lists them.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    run_argument(parser)
    parser.add_argument("--decision", metavar="ID", help="this decision instead of the latest")
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    from orchestration.commands import UndoDecision
    from server.commands.deciding import BY, told
    from server.commands.engine import with_engine
    from server.commands.lookup import find_run

    async def use(engine: "EngineFront") -> int:
        run = await find_run(engine, invocation.args.run)
        reply = await engine.submit(
            UndoDecision(run_id=run.run_id, decision_id=invocation.args.decision, by=BY)
        )
        return told(invocation, run.run_id, reply, "undo")

    return with_engine(invocation, use)
