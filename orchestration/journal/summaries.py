"""The little that the journal reads out of events: a row for a run that its owner has not summarised."""

from collections.abc import Callable, Sequence

import msgspec

from orchestration.events import Event, Record, RunCreated, RunFinished
from orchestration.journal.contract import LIVE_STATES, RunSummary


def first_summary(run_id: str, events: Sequence[Event], time: float, pid: int | None) -> RunSummary:
    """The row of a run of which nothing but its first events is known."""
    created = next((event for event in events if isinstance(event, RunCreated)), None)
    return RunSummary(
        run_id=run_id,
        workspace=created.workspace if created else "",
        goal=created.goal if created else "",
        state="planning",
        created=time,
        updated=time,
        owner_pid=pid,
    )


def recovered_summary(run_id: str, first: Sequence[Record], last: Record | None) -> RunSummary:
    """The row of a run that the index has lost, from the ends of its events."""
    summary = first_summary(run_id, [record.event for record in first], first[0].time if first else 0.0, None)
    return ended_summary(summary, last) if last is not None else summary


def ended_summary(summary: RunSummary, last: Record) -> RunSummary:
    """The row brought up to the run's last event, as far as that says how it ended."""
    if not isinstance(last.event, RunFinished):
        return msgspec.structs.replace(summary, updated=last.time)
    counts, usage = last.event.tasks, last.event.usage
    return msgspec.structs.replace(
        summary,
        updated=last.time,
        state=last.event.state,
        tasks_total=sum(counts.values()),
        tasks_done=counts.get("merged", 0),
        cost_usd=usage.cost_usd,
        tokens=usage.total_tokens,
        owner_pid=None,
    )


def with_owner(summary: RunSummary, live_owner: Callable[[str], int | None]) -> RunSummary:
    """The row as listed: a run in a live state that nobody owns is interrupted."""
    if summary.state not in LIVE_STATES or live_owner(summary.run_id) is not None:
        return summary
    return msgspec.structs.replace(summary, state="interrupted", owner_pid=None)
