"""Makes the final tree of a run into its change set, and journals it."""

from orchestration import events as ev
from orchestration.engine_ports import EnginePorts
from orchestration.live_run import LiveRun
from orchestration.review.change_set import ChangeSet, propose
from orchestration.review.drafting import FileVersions
from orchestration.workspace.objects import LINK, Entry, ObjectStore


async def propose_changes(ports: EnginePorts, live: LiveRun, snapshot: str) -> None:
    """Records the difference from the run's base to `snapshot`; nothing when it was recorded before."""
    state = live.state
    if state.changes is not None and state.changes.snapshot == snapshot:
        return
    by_path: dict[str, list[str]] = {}
    for task in state.tasks.values():
        for path in task.changed if task.status == "merged" else ():
            by_path.setdefault(path, []).append(task.spec.id)
    change_set, left_out = await ports.executor.run(_change_set, ports.objects, state.base, snapshot, by_path)
    await live.record(
        ev.ChangesProposed(
            base=state.base,
            snapshot=snapshot,
            change_set=await live.put_blob(change_set.encode()),
            files=len(change_set.files),
            hunks=sum(1 for _ in change_set.hunks),
            added=change_set.added,
            removed=change_set.removed,
            left_out=left_out,
        )
    )


def _change_set(
    objects: ObjectStore, base: str, snapshot: str, by_path: dict[str, list[str]]
) -> tuple[ChangeSet, tuple[ev.LeftOut, ...]]:
    versions: list[FileVersions] = []
    left_out: list[ev.LeftOut] = []
    for path, before, after in objects.diff(base, snapshot):
        if any(entry is not None and entry.mode == LINK for entry in (before, after)):
            left_out.append(ev.LeftOut(path, _by_hand(objects, after)))
            continue
        versions.append(
            FileVersions(
                path,
                None if before is None else objects.blob(before.oid),
                None if after is None else objects.blob(after.oid),
                None if before is None else before.mode & 0o777,
                None if after is None else after.mode & 0o777,
            )
        )
    tasks = {path: tuple(names) for path, names in by_path.items()}
    return propose(versions, tasks=tasks), tuple(left_out)


def _by_hand(objects: ObjectStore, after: Entry | None) -> str:
    if after is None:
        what = "an agent deleted this symbolic link"
    elif after.mode == LINK:
        what = f"an agent made this a symbolic link to {objects.blob(after.oid).decode(errors='replace')}"
    else:
        what = "an agent replaced this symbolic link by a file"
    return f"{what}; links are not decided by hunks, do it by hand"
