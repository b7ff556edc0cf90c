"""Deciding hunks: the effects around the pure rules of `standing.py`.

A decision is durable before a file or a buffer changes (`decision_recorded`, with the contents before and
after), and its outcome is recorded once it is known (`decision_applied`). An open document is changed
through the editor, a closed one by an atomic write that compares with what was read. What the user's
file holds at that moment always wins over what was proposed.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import assert_never

from orchestration import commands as cm
from orchestration import events as ev
from orchestration.checkpoints.taking import CheckpointTaker
from orchestration.commands import Reply
from orchestration.engine_ports import EnginePorts
from orchestration.errors import ConflictError, NotFoundError, UsageError
from orchestration.live_run import LiveRun
from orchestration.review.change_set import ChangeSet, FileChange
from orchestration.review.choosing import Choice, choose
from orchestration.review.contents import Contents
from orchestration.review.decided import decision_to_undo, text_of
from orchestration.review.fixing import fixed_text
from orchestration.review.history import FAILED, histories
from orchestration.review.hunks import Hunk
from orchestration.review.placing import place
from orchestration.review.settling import Settling
from orchestration.review.showing import file_view, news_of
from orchestration.review.standing import FileWrite, Standing, Versions, stand, writes_for
from orchestration.review.undoing import taken_back, undo_writes
from orchestration.review.view import ChangesView, PlacedFinding
from orchestration.run import RunState
from orchestration.run_states import RunStates
from orchestration.workspace.snapshotter import BaseSnapshot


class ReviewDesk:
    """One for an engine. Change sets are kept decoded while they are asked for."""

    def __init__(self, ports: EnginePorts, states: RunStates, checkpoints: CheckpointTaker) -> None:
        self._ports = ports
        self._checkpoints = checkpoints
        self._states = states
        self._contents = Contents(ports)
        self._settling = Settling(ports, self._contents, self._standings_of)
        self._kept: dict[str, ChangeSet] = {}

    # --- looking ---------------------------------------------------------------------------------

    async def view(self, state: RunState) -> ChangesView:
        if state.changes is None:
            return ChangesView(run_id=state.run_id, base=state.base)
        change_set = await self._change_set(state)
        files = []
        async for standing, versions in self._standings(state, change_set.files):
            protected = self._ports.guard.protected(standing.change.path) or ""
            files.append(file_view(standing, versions, state, protected=protected))
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
            now = (await self._contents.look(finding.path)).now
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
        self,
        live: LiveRun,
        command: cm.DecideHunks | cm.UndoDecision | cm.NoteFiles | cm.FixFinding | cm.DismissFinding,
    ) -> Reply:
        """Raises AntiphonError; conflicts in single files are in the reply's `files`."""
        await self._settling.settle(live)
        if isinstance(command, cm.DecideHunks):
            return await self._decide(live, command)
        if isinstance(command, cm.UndoDecision):
            return await self._undo(live, command)
        if isinstance(command, cm.NoteFiles):
            return await self._note_files(live, command)
        if isinstance(command, cm.FixFinding):
            return await self._fix(live, command)
        if isinstance(command, cm.DismissFinding):
            if command.finding_id not in live.state.findings:
                raise NotFoundError(f"{command.run_id} has no finding {command.finding_id}")
            await live.record(ev.FindingDismissed(finding_id=command.finding_id, reason=command.reason))
            return Reply(run_id=command.run_id)
        assert_never(command)

    async def _decide(self, live: LiveRun, command: cm.DecideHunks) -> Reply:
        if live.state.changes is None:
            if command.all and live.state.end is not None:
                return Reply(run_id=live.state.run_id)  # a run that changed nothing leaves nothing to do
            raise UsageError(f"{live.state.run_id} has no changes to decide")
        saved = await self._checkpoints.snapshot() if command.decision == "accept" else None
        change_set = await self._change_set(live.state)
        wanted = {hunk.id for hunk in self._wanted(change_set, command)}
        touched = [change for change in change_set.files if any(hunk.id in wanted for hunk in change.hunks)]
        await self._note(live, touched)
        choices: list[Choice] = []
        results: list[ev.FileResult] = []
        writes: list[FileWrite] = []
        async for standing, versions in self._standings(live.state, touched):
            path = standing.change.path
            if command.decision == "accept" and command.all and (why := self._ports.guard.protected(path)):
                results.append(_conflict(path, f"protected ({why}): accept it by --file or --hunk"))
                continue
            chosen, refused = choose(standing, wanted, command)
            results.extend(_conflict(path, reason) for reason in refused)
            if chosen and command.decision == "accept":
                taking = {choice.hunk_id: choice.text for choice in chosen}
                writes.extend(writes_for(standing, versions, taking))
            choices.extend(chosen)
        decision_id, checkpoint_id = self._ports.ids.new("decision") if choices else "", ""
        if choices:
            recorded = ev.DecisionRecorded(
                decision_id=decision_id,
                decision=command.decision,
                hunk_ids=tuple(choice.hunk_id for choice in choices),
                files=await self._intents(live, writes),
                by=command.by,
                parts=tuple(choice.part for choice in choices if choice.part is not None),
            )
            done, checkpoint_id = await self._carry_out(live, recorded, writes, command.decision, saved)
            results.extend(done)
        return _reply(live.state.run_id, decision_id, results, checkpoint_id)

    async def _carry_out(
        self,
        live: LiveRun,
        intent: ev.DecisionRecorded | ev.UndoRecorded,
        writes: Sequence[FileWrite],
        label: str,
        saved: BaseSnapshot | None,
        *,
        before: ev.CheckpointBefore = "accept",
    ) -> tuple[tuple[ev.FileResult, ...], str]:
        """Checkpoint and intent, effect, outcome: each durable before the next. Gives the outcome by file and the
        checkpoint's id. `saved` was taken before `writes` were made of the files, so that nothing but writing lies
        between looking at a file that somebody types into and changing it.
        """
        name = intent.undo_id if isinstance(intent, ev.UndoRecorded) else intent.decision_id

        async def sent(path: str) -> None:
            await live.record(ev.FileNoted(decision_id=name, file=ev.FileResult(path=path, outcome="sent")))

        if not writes or saved is None:
            await live.record(intent, ev.DecisionApplied(decision_id=name))
            return (), ""
        checkpoint = await self._checkpoints.event(live, saved, before, name, writes)
        await live.record(checkpoint, intent)
        done = await self._contents.write_all(writes, label, sent)
        await live.record(ev.DecisionApplied(decision_id=name, files=done))
        return done, checkpoint.checkpoint_id

    async def _undo(self, live: LiveRun, command: cm.UndoDecision) -> Reply:
        if live.state.changes is not None:
            await self._note(live, (await self._change_set(live.state)).files)
        decision = decision_to_undo(live.state, command.decision_id)
        saved = await self._checkpoints.snapshot()
        writes: list[FileWrite] = []
        conflicts: list[ev.FileResult] = []
        if decision.hunk_ids:
            change_set = await self._change_set(live.state)
            ids = set(decision.hunk_ids)
            touched = [change for change in change_set.files if any(hunk.id in ids for hunk in change.hunks)]
            async for standing, versions in self._standings(live.state, touched):
                try:
                    writes.extend(undo_writes(standing, versions, decision.decision_id))
                except ConflictError as error:
                    conflicts.append(_conflict(standing.path, str(error)))
        else:
            failed = {result.path for result in decision.results if result.outcome in FAILED}
            for intent in decision.files:
                if intent.path not in failed:
                    now = (await self._contents.look(intent.path)).now
                    before = await live.blob(intent.before) if intent.before else None
                    after = await live.blob(intent.after) if intent.after else None
                    try:
                        writes.append(
                            FileWrite(intent.path, now, taken_back(before, after, now), intent.old_mode)
                        )
                    except ConflictError as error:
                        conflicts.append(_conflict(intent.path, str(error)))
        if conflicts:
            return _reply(live.state.run_id, "", conflicts)
        recorded = ev.UndoRecorded(
            undo_id=self._ports.ids.new("undo"),
            decision_id=decision.decision_id,
            files=await self._intents(live, writes),
            by=command.by,
        )
        done, checkpoint_id = await self._carry_out(live, recorded, writes, "undo", saved, before="undo")
        return _reply(live.state.run_id, decision.decision_id, done, checkpoint_id)

    async def _note(self, live: LiveRun, changes: Iterable[FileChange]) -> None:
        """Journals what the files say of their hunks before anything is decided on that ground."""
        news = [
            item
            async for standing, versions in self._standings(live.state, changes)
            for item in news_of(standing, versions, live.state)
        ]
        await live.record(*news)

    async def _note_files(self, live: LiveRun, command: cm.NoteFiles) -> Reply:
        if live.state.changes is not None:
            files = (await self._change_set(live.state)).files
            wanted = set(command.paths)
            await self._note(
                live, [file for file in files if not wanted or wanted & {file.path, file.old_path}]
            )
        return Reply(run_id=live.state.run_id)

    async def _fix(self, live: LiveRun, command: cm.FixFinding) -> Reply:
        """Applies a finding's own fix to the file as it is. Recorded as a decision without hunks."""
        finding = live.state.findings.get(command.finding_id)
        if finding is None or finding.fix is None:
            raise NotFoundError(f"{command.run_id} has no finding {command.finding_id} with a fix")
        state = live.state
        saved = await self._checkpoints.snapshot()
        now = (await self._contents.look(finding.path)).now
        judged = None if state.changes is None else self._read(state.changes.snapshot, finding.path)
        if now is None:
            raise ConflictError(f"{finding.path} is not there; accept the hunk that creates it first")
        write = FileWrite(finding.path, now, fixed_text(finding, judged, now))
        decision_id = self._ports.ids.new("decision")
        recorded = ev.DecisionRecorded(
            decision_id=decision_id,
            decision="accept",
            hunk_ids=(),
            files=await self._intents(live, [write]),
            by=command.by,
        )
        done, checkpoint_id = await self._carry_out(
            live, recorded, [write], f"fix {finding.rule}", saved, before="fix"
        )
        if not any(result.outcome in FAILED for result in done):
            await live.record(ev.FindingDismissed(finding_id=finding.id, reason="fixed"))
        return _reply(state.run_id, decision_id, done, checkpoint_id)

    async def _standings_of(
        self, state: RunState, hunk_ids: frozenset[str]
    ) -> AsyncIterator[tuple[Standing, Versions]]:
        changes = (await self._change_set(state)).files
        touched = [change for change in changes if any(hunk.id in hunk_ids for hunk in change.hunks)]
        async for found in self._standings(state, touched):
            yield found

    async def _standings(
        self, state: RunState, changes: Iterable[FileChange]
    ) -> AsyncIterator[tuple[Standing, Versions]]:
        known = histories(state, await self._change_set(state))
        for change in changes:
            versions = await self._versions(state, change)
            yield stand(change, versions, known), versions

    async def _versions(self, state: RunState, change: FileChange) -> Versions:
        assert state.changes is not None
        look = await self._contents.look(change.path)
        old = look if change.old_path is None else await self._contents.look(change.old_path)
        return Versions(
            base=self._read(state.changes.base, change.base_path),
            proposed=self._read(state.changes.snapshot, change.path),
            now=look.now,
            old_now=old.now,
            saved=look.saved and old.saved,
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
        if command.lines is not None or command.text is not None:
            if len(command.hunk_ids) != 1:
                raise UsageError("lines and an edited text are those of one hunk; name it by its id")
            if command.lines is not None and command.text is not None:
                raise UsageError("say either which lines of the hunk, or its text as edited")
            if command.text is not None and command.decision == "reject":
                raise UsageError("an edited text is accepted, it cannot be rejected")
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
