"""`antiphon restore`: makes the workspace, or some files of it, as a checkpoint has them."""

import argparse
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, workspace_options

if TYPE_CHECKING:
    from orchestration.commands import Reply
    from orchestration.engine import EngineFront

EXAMPLES = """  antiphon restore latest.0 --dry-run
  antiphon restore latest.0
  antiphon restore run-20260301-1015.2 --file src/parse.py --file tests
  antiphon restore latest

What is replaced becomes a checkpoint first, so another restore takes this one
back. Ignored files and those that checkpoints leave out are not touched.
Exit code 1: a file changed at that very moment and was left as it is.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="RUN.NUMBER, where RUN may be the beginning of an id or `latest`; or `latest`, the newest one",
    )
    parser.add_argument(
        "--file",
        metavar="PATH",
        action="append",
        default=[],
        help="only this file or folder; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    from server.commands.engine import with_engine
    from server.commands.lookup import find_checkpoint

    args = invocation.args

    async def use(engine: "EngineFront") -> int:
        run_id, checkpoint_id = await find_checkpoint(engine, args.checkpoint)
        paths = tuple(path.removeprefix("./").rstrip("/") for path in args.file)
        if args.dry_run:
            return await _shown(invocation, engine, checkpoint_id, paths)
        return await _restored(invocation, engine, run_id, checkpoint_id, paths)

    return with_engine(invocation, use)


async def _shown(
    invocation: Invocation, engine: "EngineFront", checkpoint_id: str, paths: tuple[str, ...]
) -> int:
    import msgspec

    from server.terminal.checkpoints import difference

    found = await engine.checkpoint_diff(checkpoint_id, paths)
    invocation.terminal.emit({"type": "dry_run", **msgspec.to_builtins(found)})
    invocation.terminal.lines(difference(found))
    return 0


async def _restored(
    invocation: Invocation, engine: "EngineFront", run_id: str, checkpoint_id: str, paths: tuple[str, ...]
) -> int:
    from orchestration.commands import RestoreCheckpoint
    from server.commands.carrying_out import workspace_option
    from server.commands.deciding import BY
    from server.commands.engine import refused
    from server.terminal.checkpoints import outcome
    from server.terminal.restoring import with_progress

    terminal = invocation.terminal
    command = RestoreCheckpoint(run_id=run_id, checkpoint_id=checkpoint_id, paths=paths, by=BY)
    reply = await with_progress(terminal, engine, command)
    if reply.error and not reply.checkpoint_id:
        return refused(reply, terminal)
    code = 1 if reply.error else 0
    terminal.emit({"type": "restore", **_json(reply, checkpoint_id), "exitCode": code})
    terminal.lines(outcome(reply, checkpoint_id, workspace_option(invocation)))
    return code


def _json(reply: "Reply", checkpoint_id: str) -> dict[str, object]:
    return {
        "runId": reply.run_id,
        "checkpointId": checkpoint_id,
        "savedAs": reply.checkpoint_id or None,
        "files": [
            {"path": file.path, "outcome": file.outcome, "detail": file.detail} for file in reply.files
        ],
        "left": [{"path": item.path, "reason": item.reason} for item in reply.left],
        **({"error": reply.error, "kind": reply.error_kind} if reply.error else {}),
    }
