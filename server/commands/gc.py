"""`antiphon gc`: removes old finished runs of a workspace, and the snapshots that no run needs any more.

Runs under way are never touched, and neither are objects younger than a day, which a run that starts
just now may be about to name.
"""

import argparse
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, workspace_options

if TYPE_CHECKING:
    from orchestration.events import Record
    from orchestration.journal.contract import Journal, RunSummary

EXAMPLES = """  antiphon gc --dry-run
  antiphon gc --older-than 7 --keep 5
  antiphon gc --older-than 0 --keep 0
"""
_FINISHED = frozenset({"completed", "partial", "failed", "cancelled"})
_DAY_S = 86_400.0
_PAGE = 10_000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than",
        metavar="DAYS",
        type=float,
        default=30.0,
        help="finished runs older than this (default 30)",
    )
    parser.add_argument(
        "--keep", metavar="N", type=int, default=20, help="but keep the newest N finished runs (default 20)"
    )
    parser.add_argument(
        "--interrupted", action="store_true", help="also runs whose process died; they could still be resumed"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    import anyio

    from server.app import open_stores
    from server.terminal import figures

    args, terminal = invocation.args, invocation.terminal
    root = invocation.workspace()
    settings, _ = invocation.settings(root)

    async def main() -> int:
        async with open_stores(root, settings=settings, environ=invocation.environ) as stores:
            before = await anyio.to_thread.run_sync(occupied, stores.home)
            runs = await stores.journal.runs(1_000_000)
            old = expired(
                runs,
                time.time(),
                older_than_s=args.older_than * _DAY_S,
                keep=args.keep,
                interrupted=args.interrupted,
            )
            gone = list(old) if args.dry_run else await _remove(stores.journal, old)
            if not args.dry_run:
                left = [run for run in runs if run not in gone]
                keep: set[str] = set()
                for run in left:
                    keep |= await _named(stores.journal, run.run_id)
                await stores.collect(keep, older_than_s=_DAY_S)
            after = await anyio.to_thread.run_sync(occupied, stores.home)
        terminal.emit(
            {
                "dryRun": args.dry_run,
                "runs": [run.run_id for run in gone],
                "runsLeft": len(runs) - len(gone),
                "bytesBefore": before,
                "bytesAfter": after,
            }
        )
        for run in gone:
            terminal.say((run.run_id, "bold"), f"  {run.state}  ", " ".join(run.goal.split())[:60])
        verb = "would be removed" if args.dry_run else "removed"
        terminal.say(
            f"{figures.several(len(gone), 'run')} {verb}, {len(runs) - len(gone)} left; "
            f"{figures.size(after)} in use"
            + ("" if args.dry_run else f", {figures.size(max(0, before - after))} freed")
        )
        return 0

    return anyio.run(main)


def expired(
    runs: Sequence["RunSummary"], now: float, *, older_than_s: float, keep: int, interrupted: bool = False
) -> list["RunSummary"]:
    """Of `runs` (newest first) those to remove: finished, not among the newest `keep`, not touched for so long."""
    states = _FINISHED | ({"interrupted"} if interrupted else frozenset())
    finished = [run for run in runs if run.state in states]
    return [run for run in finished[max(0, keep) :] if now - run.updated >= older_than_s]


def named_objects(records: Iterable["Record"]) -> set[str]:
    """Every snapshot and tree that these events name."""
    named: set[str] = set()
    for record in records:
        for field in ("snapshot", "tree", "base"):
            value = getattr(record.event, field, "")
            if isinstance(value, str) and value:
                named.add(value)
    return named


def occupied(folder: Path) -> int:
    """Bytes of the files beneath `folder`."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):  # removed meanwhile by a run under way
                total += Path(place, name).lstat().st_size
    return total


async def _remove(journal: "Journal", old: Sequence["RunSummary"]) -> list["RunSummary"]:
    from orchestration.errors import NotFoundError, RunOwnedError

    gone: list[RunSummary] = []
    for run in old:
        with suppress(RunOwnedError, NotFoundError):  # taken up again, or removed by somebody else
            await journal.delete_run(run.run_id)
            gone.append(run)
    return gone


async def _named(journal: "Journal", run_id: str) -> set[str]:
    named: set[str] = set()
    after = 0
    while records := await journal.read(run_id, after, _PAGE):
        named |= named_objects(records)
        after = records[-1].seq
    return named
