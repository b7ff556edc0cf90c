"""`antiphon changes`: what a run proposes, against the files as they are now."""

import argparse
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, run_argument, workspace_options

if TYPE_CHECKING:
    from orchestration.engine import EngineFront

EXAMPLES = """  antiphon changes latest
  antiphon changes latest --stat
  antiphon changes latest --file src/parse.py --numbers
  antiphon changes latest --json | jq -r '.files[].hunks[].hunkId'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    run_argument(parser)
    parser.add_argument("--stat", action="store_true", help="one line a file")
    parser.add_argument(
        "--numbers", action="store_true", help="number each hunk's lines, for `accept --lines`"
    )
    parser.add_argument(
        "--file", metavar="PATH", action="append", default=[], help="only this file; may be repeated"
    )
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    import msgspec

    from server.commands.engine import with_engine
    from server.commands.lookup import chosen_hunks, find_run
    from server.terminal.changes import diff, stat

    args, terminal = invocation.args, invocation.terminal

    async def use(engine: "EngineFront") -> int:
        run = await find_run(engine, args.run)
        view = await engine.changes(run.run_id)
        if args.file:
            chosen_hunks(view, files=args.file, hunks=())
            names = {path.removeprefix("./") for path in args.file}
            files = tuple(file for file in view.files if file.path in names)
            view = msgspec.structs.replace(view, files=files)
        terminal.emit(msgspec.to_builtins(view))
        terminal.lines(stat(view) if args.stat else diff(view, numbers=args.numbers))
        return 0

    return with_engine(invocation, use)
