"""A run that this process owns: the one writer of its journal, its state, and who listens to it.

`record` makes events durable, folds them into the state, then publishes them: in that order, so that
nothing is shown that a crash could take back. Deltas are published only. Approvals wait here, since
their answer arrives as a command from anywhere.
"""

from collections import deque
from collections.abc import AsyncIterator

import anyio

from orchestration import events as ev
from orchestration.fold import apply
from orchestration.graph_model import TaskSpec
from orchestration.journal.contract import Journal, RunJournal, RunSummary
from orchestration.journal.contract import RunState as SummaryState
from orchestration.ports import Clock, Ids
from orchestration.redaction import Redaction
from orchestration.run import ENDED, RunState

RECENT_RECORDS = 2_000
RECENT_DELTAS = 256
SUMMARY_SECONDS = 0.2
STOPPED_SECONDS = 2.0
_SUMMARISED = (
    ev.RunCreated,
    ev.PlanAccepted,
    ev.ApprovalRequested,
    ev.ApprovalResolved,
    ev.ChangesProposed,
    ev.DecisionApplied,
    ev.RestoreFinished,
    ev.HunksSeen,
    ev.RunFinished,
)


class LiveRun:
    """`interactive`: somebody can answer approvals."""

    def __init__(
        self,
        writer: RunJournal,
        state: RunState,
        *,
        clock: Clock,
        ids: Ids,
        interactive: bool,
        redaction: Redaction | None = None,
    ) -> None:
        self.state = state
        self.interactive = interactive
        self._redaction = redaction or Redaction()
        self._writer = writer
        self._clock = clock
        self._ids = ids
        self._recent: list[ev.Record] = []
        self._deltas: deque[ev.Delta] = deque(maxlen=RECENT_DELTAS)
        self._delta_count = 0
        self._changed: anyio.Event | None = None  # there while somebody waits for it
        self._released = anyio.Event()
        self._early: dict[int, ev.Record] = {}
        self._answers: dict[str, tuple[anyio.Event, list[str]]] = {}
        self._summarised = 0.0
        self.closed = False
        self.edited_plan: tuple[TaskSpec, ...] | None = None

    # --- writing ---------------------------------------------------------------------------------

    async def record(self, *events: ev.Event) -> None:
        """Durable, folded and published when it returns. Not interrupted by cancellation: an event
        that may have reached the disk must reach the state too.
        """
        if not events:
            return
        before = self._clock.monotonic()
        with anyio.CancelScope(shield=True):
            records = await self._writer.append(*map(self._redaction.event, events))
            if self._clock.monotonic() - before > STOPPED_SECONDS:
                # This process may have been stopped (a laptop's lid) and the run adopted meanwhile: what was
                # recorded is asked for once more before its effect leaves. Raises FencedError.
                await self._writer.append()
        self.take(*records)
        if self._summary_is_due(events):
            with anyio.CancelScope(shield=True):
                await self._writer.summarise(summary(self.state))

    def _summary_is_due(self, events: tuple[ev.Event, ...]) -> bool:
        """At each step of the run; for its tasks only now and then, since it counts them all."""
        now = self._clock.monotonic()
        if now - self._summarised < SUMMARY_SECONDS and not any(
            isinstance(event, _SUMMARISED) for event in events
        ):
            return False
        self._summarised = now
        return True

    def take(self, *records: ev.Record) -> None:
        """Folds durable records, in the order of their numbers whatever order they arrive in."""
        for record in records:
            self._early[record.seq] = record
        while (following := self._early.pop(self.state.last_seq + 1, None)) is not None:
            apply(self.state, following)
            self._recent.append(following)
        if len(self._recent) > 2 * RECENT_RECORDS:
            del self._recent[:-RECENT_RECORDS]
        self._notify()

    async def put_blob(self, data: bytes) -> str:
        with anyio.CancelScope(shield=True):
            digest = await self._writer.put_blob(data)
        return digest  # noqa: RET504 - mypy takes a cancel scope to swallow exceptions

    async def blob(self, digest: str) -> bytes:
        return await self._writer.blob(digest)

    def delta(self, task_id: str, text: str, *, restart: bool = False) -> None:
        self._publish(ev.Delta(task_id=task_id, text=text, seq=self.state.last_seq, restart=restart))

    def waiting(self, task_id: str, seconds: float, reason: str) -> None:
        """A call of the task waits for a limit; published only, as a delta without a text."""
        until = self._clock.now() + seconds
        self._publish(ev.Delta(task_id=task_id, text="", seq=self.state.last_seq, until=until, reason=reason))

    def _publish(self, delta: ev.Delta) -> None:
        self._delta_count += 1
        self._deltas.append(delta)
        self._notify()

    async def close(self) -> None:
        """Gives the run up; those who listen are told so by the end of `listen`."""
        self.closed = True
        self._notify()
        try:
            with anyio.CancelScope(shield=True):
                await self._writer.close()
        finally:
            self._released.set()

    # --- listening -------------------------------------------------------------------------------

    async def listen(self, journal: Journal, after: int) -> AsyncIterator[ev.Record | ev.Delta]:
        """What follows `after`; a listener that falls behind what is kept here reads the journal.
        Ends when the run is given up.
        """
        seen, seen_deltas = after, self._delta_count
        while True:
            while seen < self.state.last_seq:
                if self._recent and self._recent[0].seq <= seen + 1:
                    batch = self._recent[seen + 1 - self._recent[0].seq :]
                else:
                    batch = list(await journal.read(self.state.run_id, after=seen, limit=500))
                for record in batch:
                    seen = record.seq
                    yield record
            fresh = min(self._delta_count - seen_deltas, len(self._deltas))
            seen_deltas = self._delta_count
            for delta in list(self._deltas)[len(self._deltas) - fresh :] if fresh else ():
                yield delta
            if self.closed and seen >= self.state.last_seq:
                return
            if seen >= self.state.last_seq and seen_deltas == self._delta_count and not self.closed:
                if self._changed is None:
                    self._changed = anyio.Event()
                await self._changed.wait()

    async def until_closed(self) -> None:
        """Waits until the run was given up, its journal released."""
        await self._released.wait()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    # --- asking a person -------------------------------------------------------------------------

    async def ask(self, kind: str, subject: str, *, task_id: str | None = None, detail: str = "") -> bool:
        """Whether a person allows `subject`. False at once where nobody can be asked; true at once
        where the same was allowed for the whole run.
        """
        if f"{kind}:{subject}" in self.state.granted:
            return True
        options = self.state.options
        if not self.interactive or (
            options is not None and options.approval == "never" and kind == "command"
        ):
            return False
        approval_id = self._ids.new("approval")
        answered, box = self._answers.setdefault(approval_id, (anyio.Event(), []))
        await self.record(
            ev.ApprovalRequested(
                approval_id=approval_id,
                kind=kind,  # type: ignore[arg-type]  # callers pass the literals of the event
                subject=subject,
                task_id=task_id,
                detail=detail,
            )
        )
        try:
            if f"{kind}:{subject}" in self.state.granted:
                await self.answer(approval_id, "run", by="")  # while the question was being recorded
            await answered.wait()
        finally:
            self._answers.pop(approval_id, None)
        return box[0] != "reject"

    async def answer(self, approval_id: str, decision: str, by: str) -> bool:
        """Gives a person's answer; false when it was answered before or is unknown: the first wins. `run`
        answers what other tasks ask in the same words too.
        """
        waiting = self._answers.get(approval_id)
        if waiting is None or waiting[1]:
            return False
        asked = self.state.approvals[approval_id]
        following: str | None = approval_id
        while following is not None:
            answered, box = self._answers[following]
            box.append(decision)
            try:
                await self.record(
                    ev.ApprovalResolved(approval_id=following, decision=decision, by=by)  # type: ignore[arg-type]
                )
            except BaseException:
                box.clear()  # the disk refused it: it can be given again
                raise
            answered.set()
            # Looked for anew each time: more may have been asked while this answer was being recorded.
            following = self._asked_alike(asked) if decision == "run" else None
        return True

    def _asked_alike(self, asked: ev.ApprovalRequested) -> str | None:
        """A question in the same words that waits for its answer."""
        for approval_id, request in self.state.approvals.items():
            if (request.kind, request.subject) == (asked.kind, asked.subject):
                waiting = self._answers.get(approval_id)
                if waiting is not None and not waiting[1]:
                    return approval_id
        return None


def summary(state: RunState) -> RunSummary:
    """The run's row in the list of runs."""
    counts = state.counts()
    phase: SummaryState = "running"
    if state.end is not None:
        phase = state.end
    elif state.approvals:
        phase = "waiting"
    elif state.phase == "planning":
        phase = "planning"
    return RunSummary(
        run_id=state.run_id,
        workspace=state.workspace,
        goal=state.goal,
        state=phase,
        created=state.created,
        updated=state.updated,
        tasks_total=len(state.tasks),
        tasks_done=sum(count for status, count in counts.items() if status in ENDED),
        cost_usd=state.usage.cost_usd,
        tokens=state.usage.total_tokens,
        open_hunks=_open_hunks(state),
        owner_pid=None if state.end is not None else state.owner_pid,
    )


def _open_hunks(state: RunState) -> int:
    """Hunks that wait for a decision."""
    if state.changes is None:
        return 0
    closed: set[str] = set()
    for decision in state.decisions.values():
        if decision.applied and not decision.undone:
            rest = {part.hunk_id for part in decision.parts if part.rest}
            closed.update(set(decision.hunk_ids) - rest - decision.back.keys())
    return state.changes.hunks - len(closed)
