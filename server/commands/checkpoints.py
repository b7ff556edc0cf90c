"""`antiphon checkpoints`: the states of a workspace that `antiphon restore` brings back, newest first."""

import argparse
import time
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, workspace_options

if TYPE_CHECKING:
    from orchestration.engine import EngineFront

EXAMPLES = """  antiphon checkpoints
  antiphon checkpoints latest
  antiphon checkpoints --limit 5
  antiphon checkpoints latest --json | jq -r .checkpointId

One is taken at the start of every run and before every accept, undo, fix and
restore. `antiphon restore` brings one back.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        help="only this run's: its id, the beginning of one, or `latest` (default: of all runs)",
    )
    parser.add_argument("--limit", metavar="N", type=int, default=50, help="at most so many (default 50)")
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    import msgspec

    from server.commands.engine import with_engine
    from server.commands.lookup import find_run
    from server.terminal.checkpoints import listed

    args, terminal = invocation.args, invocation.terminal

    async def use(engine: "EngineFront") -> int:
        limit = max(1, args.limit)
        if args.run is None:
            found = await engine.checkpoints(limit=limit)
        else:
            found = (await engine.checkpoints((await find_run(engine, args.run)).run_id))[:limit]
        for one in found:
            terminal.emit(msgspec.to_builtins(one))
        terminal.lines(listed(found, time.time(), terminal.columns))
        return 0

    return with_engine(invocation, use)
