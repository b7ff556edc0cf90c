"""`antiphon gc`: removes old finished runs of a workspace, contents of old checkpoints, and the snapshots that
nothing needs any more.

Runs under way are never touched, and neither are objects younger than a day, which a run that starts
just now may be about to name.
"""

import argparse
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from server.commands.invocation import Invocation, workspace_options

if TYPE_CHECKING:
    from orchestration.events import Record
    from orchestration.journal.contract import Journal, RunSummary
    from server.settings import CheckpointSettings

EXAMPLES = """  antiphon gc --dry-run
  antiphon gc --older-than 7 --keep 5
  antiphon gc --older-than 0 --keep 0

A run that is removed takes its checkpoints along. Of runs that stay,
checkpoints go as the configuration says: checkpoints.keep_days and
checkpoints.keep.
"""
_FINISHED = frozenset({"completed", "partial", "failed", "cancelled"})
_DAY_S = 86_400.0
_DAYS = 30.0
_PAGE = 10_000


class Named(NamedTuple):
    """What the events of a run name: objects that it needs, and its checkpoints with their times."""

    objects: set[str]
    checkpoints: list[tuple[float, str]]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than",
        metavar="DAYS",
        type=float,
        help="finished runs in which nothing happened for so long (default 30, or checkpoints.keep_days when "
        "that is more)",
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
    retention = settings.checkpoints
    days = max(_DAYS, retention.keep_days) if args.older_than is None else args.older_than

    async def main() -> int:
        async with open_stores(root, settings=settings, environ=invocation.environ) as stores:
            before = await anyio.to_thread.run_sync(occupied, stores.home)
            runs = await stores.journal.runs(1_000_000)
            now = time.time()
            old = expired(runs, now, older_than_s=days * _DAY_S, keep=args.keep, interrupted=args.interrupted)
            gone = list(old) if args.dry_run else await _remove(stores.journal, old)
            objects: set[str] = set()
            checkpoints: list[tuple[float, str]] = []
            for run in runs:
                if run not in gone:
                    named = await _named(stores.journal, run.run_id)
                    objects |= named.objects
                    checkpoints += named.checkpoints
            kept = kept_checkpoints(checkpoints, now, retention)
            if not args.dry_run:
                await stores.collect({*objects, *kept}, older_than_s=_DAY_S)
            after = await anyio.to_thread.run_sync(occupied, stores.home)
        terminal.emit(
            {
                "dryRun": args.dry_run,
                "runs": [run.run_id for run in gone],
                "runsLeft": len(runs) - len(gone),
                "checkpointsLeft": len(kept),
                "checkpointsOld": len(checkpoints) - len(kept),
                "bytesBefore": before,
                "bytesAfter": after,
            }
        )
        for run in gone:
            terminal.say((run.run_id, "bold"), f"  {run.state}  ", " ".join(run.goal.split())[:60])
        verb = "would be removed" if args.dry_run else "removed"
        terminal.say(
            f"{figures.several(len(gone), 'run')} {verb}, {len(runs) - len(gone)} left; "
            f"{figures.several(len(kept), 'checkpoint')} kept; {figures.size(after)} in use"
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


def kept_checkpoints(
    found: Iterable[tuple[float, str]], now: float, retention: "CheckpointSettings"
) -> list[str]:
    """The snapshots of the checkpoints (time, snapshot) that stay: young ones, and the newest of all."""
    newest_first = sorted(found, reverse=True)
    return [
        snapshot
        for number, (taken, snapshot) in enumerate(newest_first)
        if number < retention.keep or now - taken < retention.keep_days * _DAY_S
    ]


def named_objects(records: Iterable["Record"]) -> Named:
    from orchestration.events import CheckpointTaken

    named = Named(set(), [])
    for record in records:
        if isinstance(record.event, CheckpointTaken):
            named.checkpoints.append((record.time, record.event.snapshot))
            continue
        for field in ("snapshot", "tree", "base"):
            value = getattr(record.event, field, "")
            if isinstance(value, str) and value:
                named.objects.add(value)
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


async def _named(journal: "Journal", run_id: str) -> Named:
    named = Named(set(), [])
    after = 0
    while records := await journal.read(run_id, after, _PAGE):
        found = named_objects(records)
        named.objects.update(found.objects)
        named.checkpoints.extend(found.checkpoints)
        after = records[-1].seq
    return named
