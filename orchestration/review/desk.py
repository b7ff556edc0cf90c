"""Deciding hunks: the effects around the pure rules of `standing.py`.

A decision is durable before a file or a buffer changes (`decision_recorded`, with the contents before and
after), and its outcome is recorded once it is known (`decision_applied`). An open document is changed
through the editor, a closed one by an atomic write that compares with what was read. What the user's
file holds at that moment always wins over what was proposed.
"""

from collections.abc import Iterable
from typing import assert_never

from orchestration import commands as cm
from orchestration import events as ev
from orchestration.checkpoints.taking import CheckpointTaker
from orchestration.commands import Reply
from orchestration.engine_ports import EnginePorts
from orchestration.errors import ConflictError, NotFoundError, UsageError
from orchestration.live_run import LiveRun
from orchestration.review.change_set import ChangeSet, FileChange
from orchestration.review.contents import Contents
from orchestration.review.decided import FAILED, decided_ids, decision_to_undo, taken_back, text_of
from orchestration.review.fixing import fixed_text
from orchestration.review.hunks import Hunk, sha256
from orchestration.review.placing import place
from orchestration.review.standing import FileWrite, Standing, Versions, stand, writes_for
from orchestration.review.view import ChangesView, FileView, HunkView, PlacedFinding
from orchestration.run import RunState
from orchestration.run_states import RunStates


class ReviewDesk:
    """One for an engine. Change sets are kept decoded while they are asked for."""

    def __init__(self, ports: EnginePorts, states: RunStates, checkpoints: CheckpointTaker) -> None:
        self._ports = ports
        self._checkpoints = checkpoints
        self._states = states
        self._contents = Contents(ports)
        self._kept: dict[str, ChangeSet] = {}

    # --- looking ---------------------------------------------------------------------------------

    async def view(self, state: RunState) -> ChangesView:
        if state.changes is None:
            return ChangesView(run_id=state.run_id, base=state.base)
        change_set = await self._change_set(state)
        accepted, rejected = decided_ids(state, change_set)
        files = []
        for change in change_set.files:
            standing = stand(change, await self._versions(state, change), accepted, rejected)
            files.append(self._file_view(standing, state))
        return ChangesView(
            run_id=state.run_id,
            base=state.changes.base,
            snapshot=state.changes.snapshot,
            files=tuple(files),
            left_out=state.changes.left_out,
        )

    async def findings(self, state: RunState) -> tuple[PlacedFinding, ...]:
        open_findings = [item for key, item in state.findings.items() if key not in state.dismissed]
        if not open_findings:
            return ()
        view = await self.view(state)
        placed = []
        for finding in open_findings:
            now = await self._contents.now(finding.path)
            hunks = [hunk for hunk in view.hunks() if hunk.path == finding.path]
            found = place(finding, text_of(now), hunks, task_id=state.finding_tasks.get(finding.id, ""))
            if found is not None:
                placed.append(found)
        return tuple(placed)

    # --- commands --------------------------------------------------------------------------------

    async def holder_elsewhere(self, command: cm.Command) -> str | None:
        """The server that has a file open which `command` is about, when it is not this one: nobody
        writes beneath a dirty buffer.
        """
        if not isinstance(command, cm.DecideHunks | cm.UndoDecision | cm.FixFinding):
            return None
        state = await self._states.read(command.run_id)
        for path in await self._paths_of(command, state):
            holder = await self._ports.journal.document_holder(path)
            if holder is not None and holder[0] != self._ports.server_id:
                return holder[0]
        return None

    async def carry_out(
        self, live: LiveRun, command: cm.DecideHunks | cm.UndoDecision | cm.FixFinding | cm.DismissFinding
    ) -> Reply:
        """Raises AntiphonError; conflicts in single files are in the reply's `files`."""
        await self._settle(live)
        if isinstance(command, cm.DecideHunks):
            return await self._decide(live, command)
        if isinstance(command, cm.UndoDecision):
            return await self._undo(live, command)
        if isinstance(command, cm.FixFinding):
            return await self._fix(live, command)
        if isinstance(command, cm.DismissFinding):
            if command.finding_id not in live.state.findings:
                raise NotFoundError(f"{command.run_id} has no finding {command.finding_id}")
            await live.record(ev.FindingDismissed(finding_id=command.finding_id, reason=command.reason))
            return Reply(run_id=command.run_id)
        assert_never(command)

    async def _decide(self, live: LiveRun, command: cm.DecideHunks) -> Reply:
        state = live.state
        if state.changes is None:
            raise UsageError(f"{state.run_id} has no changes to decide")
        change_set = await self._change_set(state)
        wanted = self._wanted(change_set, command)
        accepted, rejected = decided_ids(state, change_set)
        decided = {"accept": accepted, "reject": rejected}[command.decision]
        # Decided anew is a hunk only by its own id: a file, a task or all means what is still open there.
        closed = decided if command.hunk_ids else accepted | rejected
        open_ids = {hunk.id for hunk in wanted if hunk.id not in closed}
        if command.decision == "reject":
            return await self._reject(live, command, open_ids, accepted)
        saved = await self._checkpoints.snapshot() if open_ids else None
        writes: list[FileWrite] = []
        taken: list[str] = []
        results: list[ev.FileResult] = []
        for change in change_set.files:
            ids = {hunk.id for hunk in change.hunks} & open_ids
            if not ids:
                continue
            if command.all and (reason := self._ports.guard.protected(change.path)):
                results.append(_conflict(change.path, f"protected ({reason}): accept it by --file or --hunk"))
                continue
            versions = await self._versions(state, change)
            standing = stand(change, versions, accepted, ())
            fit = {hunk.id for hunk in standing.hunks if hunk.id in ids and hunk.state != "conflict"}
            results.extend(
                _conflict(change.path, f"hunk {hunk.id}: {standing.details[hunk.id]}")
                for hunk in standing.hunks
                if hunk.id in ids - fit
            )
            if fit:
                writes.extend(writes_for(standing, versions, fit))
                taken.extend(hunk.id for hunk in change.hunks if hunk.id in fit)
        decision_id = ""
        checkpoint_id = ""
        if taken and saved is not None:
            decision_id = self._ports.ids.new("decision")
            checkpoint = await self._checkpoints.event(live, saved, "accept", decision_id, writes)
            checkpoint_id = checkpoint.checkpoint_id
            await live.record(
                checkpoint,
                ev.DecisionRecorded(
                    decision_id=decision_id,
                    decision="accept",
                    hunk_ids=tuple(taken),
                    files=await self._intents(live, writes),
                    by=command.by,
                ),
            )
            done = await self._contents.write_all(writes, "accept")
            await live.record(ev.DecisionApplied(decision_id=decision_id, files=done))
            results.extend(done)
        return _reply(state.run_id, decision_id, results, checkpoint_id)

    async def _reject(
        self, live: LiveRun, command: cm.DecideHunks, open_ids: set[str], accepted: frozenset[str]
    ) -> Reply:
        if taken := sorted(open_ids & accepted):
            if not command.all:
                raise UsageError(f"hunk {taken[0]} is accepted; undo that decision first (antiphon undo)")
            open_ids = open_ids - accepted
        if not open_ids:
            return Reply(run_id=live.state.run_id)
        decision_id = self._ports.ids.new("decision")
        await live.record(
            ev.DecisionRecorded(
                decision_id=decision_id, decision="reject", hunk_ids=tuple(sorted(open_ids)), by=command.by
            ),
            ev.DecisionApplied(decision_id=decision_id),
        )
        return Reply(run_id=live.state.run_id, decision_id=decision_id)

    async def _undo(self, live: LiveRun, command: cm.UndoDecision) -> Reply:
        decision = decision_to_undo(live.state, command.decision_id)
        saved = await self._checkpoints.snapshot()
        writes: list[FileWrite] = []
        conflicts: list[ev.FileResult] = []
        failed = {result.path for result in decision.results if result.outcome in FAILED}
        for intent in decision.files:
            if intent.path in failed:
                continue
            now = await self._contents.now(intent.path)
            before = await live.blob(intent.before) if intent.before else None
            after = await live.blob(intent.after) if intent.after else None
            try:
                writes.append(FileWrite(intent.path, now, taken_back(before, after, now), intent.old_mode))
            except ConflictError as error:
                conflicts.append(_conflict(intent.path, str(error)))
        if conflicts:
            return _reply(live.state.run_id, "", conflicts)
        undo_id = self._ports.ids.new("undo")
        checkpoint = await self._checkpoints.event(live, saved, "undo", undo_id, writes)
        await live.record(
            checkpoint,
            ev.UndoRecorded(
                undo_id=undo_id,
                decision_id=decision.decision_id,
                files=await self._intents(live, writes),
                by=command.by,
            ),
        )
        done = await self._contents.write_all(writes, "undo")
        await live.record(ev.DecisionApplied(decision_id=undo_id, files=done))
        return _reply(live.state.run_id, decision.decision_id, done, checkpoint.checkpoint_id)

    async def _fix(self, live: LiveRun, command: cm.FixFinding) -> Reply:
        """Applies a finding's own fix to the file as it is. Recorded as a decision without hunks."""
        finding = live.state.findings.get(command.finding_id)
        if finding is None or finding.fix is None:
            raise NotFoundError(f"{command.run_id} has no finding {command.finding_id} with a fix")
        state = live.state
        saved = await self._checkpoints.snapshot()
        now = await self._contents.now(finding.path)
        judged = None if state.changes is None else self._read(state.changes.snapshot, finding.path)
        if now is None:
            raise ConflictError(f"{finding.path} is not there; accept the hunk that creates it first")
        write = FileWrite(finding.path, now, fixed_text(finding, judged, now))
        decision_id = self._ports.ids.new("decision")
        checkpoint = await self._checkpoints.event(live, saved, "fix", decision_id, [write])
        await live.record(
            checkpoint,
            ev.DecisionRecorded(
                decision_id=decision_id,
                decision="accept",
                hunk_ids=(),
                files=await self._intents(live, [write]),
                by=command.by,
            ),
        )
        done = await self._contents.write_all([write], f"fix {finding.rule}")
        applied = ev.DecisionApplied(decision_id=decision_id, files=done)
        if any(result.outcome in FAILED for result in done):
            await live.record(applied)
        else:
            await live.record(applied, ev.FindingDismissed(finding_id=finding.id, reason="fixed"))
        return _reply(state.run_id, decision_id, done, checkpoint.checkpoint_id)

    async def _settle(self, live: LiveRun) -> None:
        """Decisions whose outcome a crash left unknown: what the files hold says whether they happened."""
        open_ids = [item for item in live.state.decisions.values() if not item.applied]
        for decision in open_ids:
            results = []
            for intent in decision.files:
                now = await self._contents.now(intent.path)
                happened = ("" if now is None else sha256(now)) == intent.after
                results.append(
                    ev.FileResult(path=intent.path, outcome="written")
                    if happened
                    else _conflict(intent.path, "interrupted before it was written; decide again")
                )
            await live.record(ev.DecisionApplied(decision_id=decision.decision_id, files=tuple(results)))

    async def _versions(self, state: RunState, change: FileChange) -> Versions:
        assert state.changes is not None
        now = await self._contents.now(change.path)
        return Versions(
            base=self._read(state.changes.base, change.base_path),
            proposed=self._read(state.changes.snapshot, change.path),
            now=now,
            old_now=now if change.old_path is None else await self._contents.now(change.old_path),
        )

    def _read(self, snapshot: str, path: str) -> bytes | None:
        return self._ports.objects.read(snapshot, path)

    async def _intents(self, live: LiveRun, writes: Iterable[FileWrite]) -> tuple[ev.FileIntent, ...]:
        return tuple(
            [
                ev.FileIntent(
                    path=write.path,
                    before="" if write.before is None else await live.put_blob(write.before),
                    after="" if write.after is None else await live.put_blob(write.after),
                    mode=write.mode,
                    old_mode=write.old_mode,
                )
                for write in writes
            ]
        )

    async def _change_set(self, state: RunState) -> ChangeSet:
        assert state.changes is not None
        digest = state.changes.change_set
        if digest not in self._kept:
            if len(self._kept) > 4:
                self._kept.clear()
            body = await self._ports.journal.read_blob(state.run_id, digest)
            self._kept[digest] = ChangeSet.decode(body)
        return self._kept[digest]

    # --- selecting and showing -------------------------------------------------------------------

    def _wanted(self, change_set: ChangeSet, command: cm.DecideHunks) -> tuple[Hunk, ...]:
        chosen = sum(
            (bool(command.hunk_ids), command.path is not None, command.task_id is not None, command.all)
        )
        if chosen != 1:
            raise UsageError("say which hunks: some by id, a file, a task, or all")
        return change_set.select(hunk_ids=command.hunk_ids, path=command.path, task_id=command.task_id)

    async def _paths_of(
        self, command: cm.DecideHunks | cm.UndoDecision | cm.FixFinding, state: RunState
    ) -> tuple[str, ...]:
        if isinstance(command, cm.FixFinding):
            finding = state.findings.get(command.finding_id)
            return () if finding is None else (finding.path,)
        if isinstance(command, cm.UndoDecision):
            return tuple(intent.path for intent in decision_to_undo(state, command.decision_id).files)
        if state.changes is None or command.decision == "reject":
            return ()
        hunks = self._wanted(await self._change_set(state), command)
        return tuple(dict.fromkeys(hunk.path for hunk in hunks))

    def _file_view(self, standing: Standing, state: RunState) -> FileView:
        change = standing.change
        findings: dict[str, list[str]] = {}
        for finding in state.findings.values():
            if finding.path == change.path:
                for hunk in standing.hunks:
                    if finding.evidence and finding.evidence.strip() in hunk.new:
                        findings.setdefault(hunk.id, []).append(finding.id)
        protected = self._ports.guard.protected(change.path) or ""
        return FileView(
            path=change.path,
            kind=change.kind,
            old_path=change.old_path or "",
            added=sum(hunk.new_lines for hunk in change.hunks),
            removed=sum(hunk.old_lines for hunk in change.hunks),
            hunks=tuple(
                HunkView(
                    hunk_id=hunk.id,
                    path=change.path,
                    state=hunk.state,
                    start_line=hunk.old_start,
                    old_lines=hunk.old_lines,
                    new_lines=hunk.new_lines,
                    old_text=original.old,
                    new_text=original.new,
                    base_hash=hunk.base_hash,
                    kind=hunk.kind,
                    task_ids=hunk.task_ids,
                    finding_ids=tuple(findings.get(hunk.id, ())),
                    reason=hunk.reason,
                    detail=standing.details.get(hunk.id, ""),
                    protected=protected,
                )
                for hunk, original in zip(standing.hunks, change.hunks, strict=True)
            ),
        )


def _conflict(path: str, detail: str) -> ev.FileResult:
    return ev.FileResult(path=path, outcome="conflict", detail=detail)


def _reply(run_id: str, decision_id: str, results: Iterable[ev.FileResult], checkpoint_id: str = "") -> Reply:
    files = tuple(results)
    failed = [result for result in files if result.outcome in FAILED]
    return Reply(
        run_id=run_id,
        decision_id=decision_id,
        files=files,
        checkpoint_id=checkpoint_id,
        error="; ".join(f"{result.path}: {result.detail}" for result in failed[:5]),
        error_kind="ConflictError" if failed else "",
        exit_code=1 if failed else 0,
    )
