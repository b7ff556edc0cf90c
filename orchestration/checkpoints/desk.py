"""Listing, comparing and restoring checkpoints.

A restore takes a checkpoint first, so that nothing it replaces is lost; then its intent is durable, then files
and buffers change, then its outcome is durable. One that a crash cut off is found out by the next command on
its run and recorded as it stands; the same restore again does the rest, since a restore is the difference
between what is there and what is wanted.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from orchestration import commands as cm
from orchestration import events as ev
from orchestration.checkpoints.carrying import Carrier
from orchestration.checkpoints.comparing import compared
from orchestration.checkpoints.planning import Planner, Wanted
from orchestration.checkpoints.steps import Moment, RestorePlan, selected
from orchestration.checkpoints.taking import CheckpointTaker, outside_of
from orchestration.checkpoints.view import CheckpointDiff, CheckpointView
from orchestration.commands import Reply
from orchestration.engine_ports import EnginePorts
from orchestration.errors import NotFoundError, PathRefusedError, UsageError
from orchestration.live_run import LiveRun
from orchestration.review.history import FAILED
from orchestration.run import CheckpointState, RestoreState, RunState
from orchestration.run_states import RunStates
from orchestration.workspace.snapshotter import BaseSnapshot

RESTORING = "restore"
"""The name under which progress of a restore is published, as if it were a task's text."""


class CheckpointDesk:
    """One for an engine. Commands are carried out one at a time; that is the caller's to see to."""

    def __init__(self, ports: EnginePorts, states: RunStates) -> None:
        self._ports = ports
        self._states = states
        self._taker = CheckpointTaker(ports)
        self._planner = Planner(ports)

    # --- looking ---------------------------------------------------------------------------------

    async def of_run(self, state: RunState) -> tuple[CheckpointView, ...]:
        """Newest first."""
        owned = any(item.finished is None for item in state.restores.values()) and (
            await self._ports.journal.owner(state.run_id) is not None
        )
        views = [
            self._view(state, checkpoint, gone=await self._gone(checkpoint), owned=owned)
            for checkpoint in reversed(state.checkpoints.values())
        ]
        return tuple(views)

    async def newest(self, limit: int) -> tuple[CheckpointView, ...]:
        """Of all runs, newest first. Runs whose last event is older than all of them are not read."""
        found: list[CheckpointView] = []
        runs = sorted(await self._ports.journal.runs(1_000_000), key=lambda run: -run.updated)
        for run in runs:
            if len(found) >= limit and run.updated < found[limit - 1].time:
                break
            found.extend(await self.of_run(await self._states.read(run.run_id)))
            found.sort(key=lambda view: -view.time)
        return tuple(found[:limit])

    async def diff(self, state: RunState, checkpoint_id: str, paths: Sequence[str]) -> CheckpointDiff:
        """What restoring would do. Raises NotFoundError for an unknown checkpoint or path."""
        checkpoint = await self._checkpoint(state, checkpoint_id)
        base = await self._taker.snapshot()
        made = await self._plan(state, base, checkpoint, self._normal(paths))
        outside = await self._moment(state, checkpoint)
        return await self._ports.executor.run(
            compared, self._ports.objects, made, checkpoint_id, state.run_id, tuple(outside.left_out)
        )

    # --- restoring -------------------------------------------------------------------------------

    async def holder_elsewhere(self, command: cm.RestoreCheckpoint) -> str | None:
        """Another server that has one of the files open: its buffers count, so it restores."""
        paths = self._normal(command.paths)
        holders = Counter(
            server
            for path, server in (await self._ports.journal.open_documents()).items()
            if selected(path, paths)
        )
        if not holders or self._ports.server_id in holders:
            return None
        return holders.most_common(1)[0][0]

    async def restore(self, live: LiveRun, command: cm.RestoreCheckpoint) -> Reply:
        """Raises AntiphonError when nothing was changed; what failed in single files is in the reply."""
        state = live.state
        checkpoint = await self._checkpoint(state, command.checkpoint_id)
        paths = self._normal(command.paths)
        base = await self._taker.snapshot()
        made = await self._plan(state, base, checkpoint, paths)
        if made.empty:
            return Reply(run_id=state.run_id, left=made.left)
        restore_id = self._ports.ids.new("restore")
        saved = await self._taker.event(live, base, "restore", restore_id)
        await live.record(
            saved,
            ev.RestoreRecorded(
                restore_id=restore_id,
                checkpoint_id=checkpoint.checkpoint_id,
                saved=saved.checkpoint_id,
                paths=paths,
                by=command.by,
            ),
        )
        total = len(made.steps)
        carrier = Carrier(self._ports, lambda done: live.delta(RESTORING, f"{done} of {total} files"))
        results = await carrier.carry_out(made, await self._open_elsewhere())
        await live.record(_finished(restore_id, results))
        return _reply(state.run_id, saved.checkpoint_id, results, made)

    async def settle(self, live: LiveRun) -> None:
        """Restores that a crash cut off: what the files hold says how far they came."""
        state = live.state
        for restore in [item for item in state.restores.values() if item.finished is None]:
            results = await self._found(state, restore)
            await live.record(_finished(restore.intent.restore_id, results, interrupted=True))

    async def _found(self, state: RunState, restore: RestoreState) -> list[ev.FileResult]:
        wanted = state.checkpoints.get(restore.intent.checkpoint_id)
        saved = state.checkpoints.get(restore.intent.saved)
        if wanted is None or saved is None or await self._gone(wanted) or await self._gone(saved):
            return []
        now = await self._moment(state, saved)
        then = await self._moment(state, wanted)
        return await self._ports.executor.run(
            self._planner.found,
            Wanted(saved.snapshot, now),
            Wanted(wanted.snapshot, then),
            restore.intent.paths,
        )

    # --- what both need --------------------------------------------------------------------------

    async def _plan(
        self, state: RunState, base: BaseSnapshot, checkpoint: CheckpointState, paths: tuple[str, ...]
    ) -> RestorePlan:
        now = Wanted(base.snapshot, Moment(base.left_out, base.folders))
        then = Wanted(checkpoint.snapshot, await self._moment(state, checkpoint))
        return await self._ports.executor.run(self._planner.plan, now, then, paths)

    async def _moment(self, state: RunState, checkpoint: CheckpointState) -> Moment:
        if not checkpoint.outside:
            return Moment(state.left_out, state.folders)
        outside = await outside_of(self._ports, state.run_id, checkpoint.outside)
        return Moment(outside.left_out, outside.folders)

    async def _checkpoint(self, state: RunState, checkpoint_id: str) -> CheckpointState:
        """Raises NotFoundError for one that never was or is gone."""
        found = state.checkpoints.get(checkpoint_id)
        if found is None:
            raise NotFoundError(
                f"{state.run_id} has no checkpoint {checkpoint_id}; `antiphon checkpoints {state.run_id}` "
                "lists them"
            )
        if await self._gone(found):
            raise NotFoundError(
                f"the contents of checkpoint {checkpoint_id} were removed by `antiphon gc`; "
                "checkpoints.keep_days in the configuration says how long they are kept"
            )
        return found

    async def _gone(self, checkpoint: CheckpointState) -> bool:
        try:
            await self._ports.executor.run(self._ports.objects.tree_of, checkpoint.snapshot)
        except NotFoundError:
            return True
        return False

    async def _open_elsewhere(self) -> frozenset[str]:
        held: Mapping[str, str] = await self._ports.journal.open_documents()
        return frozenset(path for path, server in held.items() if server != self._ports.server_id)

    def _normal(self, paths: Collection[str]) -> tuple[str, ...]:
        """Raises PathRefusedError for what is outside, UsageError for the workspace itself."""
        found = dict.fromkeys(self._inside(path) for path in paths)
        if "" in found:
            raise UsageError("the whole workspace is restored when no path is given")
        return tuple(found)

    def _inside(self, path: str) -> str:
        """As the guard, but for names that it wants written otherwise and that users may have all the same."""
        if "\\" not in path:
            return self._ports.guard.inside(path)
        parts = [part for part in path.split("/") if part not in {"", "."}]
        if path.startswith("/") or ".." in parts:
            raise PathRefusedError(f"{path!r} may lead outside the workspace; give it relative, without '..'")
        return "/".join(parts)

    def _view(
        self, state: RunState, checkpoint: CheckpointState, *, gone: bool, owned: bool
    ) -> CheckpointView:
        """`owned`: a process works on the run, so a restore without an end is one that goes on."""
        decision = state.decisions.get(checkpoint.subject)
        undo = state.undos.get(checkpoint.subject)
        undone = None if undo is None else state.decisions.get(undo.decision_id)
        restore = state.restores.get(checkpoint.subject)
        about = decision or undone
        paths = tuple(intent.path for intent in about.files) if about else ()
        finished = restore.finished if restore else None
        return CheckpointView(
            checkpoint_id=checkpoint.checkpoint_id,
            run_id=state.run_id,
            time=checkpoint.time,
            before=checkpoint.before,
            files=checkpoint.files,
            subject=checkpoint.subject,
            goal=state.goal if checkpoint.before == "run" else "",
            hunks=len(about.hunk_ids) if about else 0,
            paths=restore.intent.paths if restore else paths,
            restores=restore.intent.checkpoint_id if restore else "",
            interrupted=restore is not None and (finished.interrupted if finished else not owned),
            failed=tuple(file for file in finished.files if file.outcome in FAILED) if finished else (),
            gone=gone,
        )


def run_of(checkpoint_id: str) -> str:
    """The run that a checkpoint belongs to. Raises NotFoundError for what is no checkpoint's id."""
    run_id, dot, number = checkpoint_id.rpartition(".")
    if not (run_id and dot and number.isdecimal()):
        raise NotFoundError(
            f"{checkpoint_id!r} is no checkpoint; one is called RUN.NUMBER, `antiphon checkpoints` lists them"
        )
    return run_id


def _finished(
    restore_id: str, results: Sequence[ev.FileResult], *, interrupted: bool = False
) -> ev.RestoreFinished:
    told = tuple(result for result in results if result.outcome != "written")
    return ev.RestoreFinished(
        restore_id=restore_id, written=len(results) - len(told), files=told, interrupted=interrupted
    )


def _reply(run_id: str, saved: str, results: Sequence[ev.FileResult], made: RestorePlan) -> Reply:
    failed = [result for result in results if result.outcome in FAILED]
    done = [*results, *(ev.FileResult(path=f"{path}/", outcome="written") for path in made.make)]
    return Reply(
        run_id=run_id,
        checkpoint_id=saved,
        files=tuple(sorted(done, key=lambda result: result.path)),
        left=made.left,
        error="; ".join(f"{result.path}: {result.detail}" for result in failed[:5]),
        error_kind="ConflictError" if failed else "",
        exit_code=1 if failed else 0,
    )
