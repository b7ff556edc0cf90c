"""A run as it goes, for a reader without a screen: one line per change of state, or one JSON line per event."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from orchestration import events as ev
from orchestration.events import Record
from orchestration.run import Estimates, RunState
from providers.usage import Usage
from server.terminal import figures
from server.terminal.inert import inert_lines
from server.terminal.lines import Line, line
from server.terminal.words import clock, wait_words
from server.waits import Wait

_LAST_LINES = 12
SILENTLY_TRUNCATED = "PromptTruncatedError"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def event_json(run_id: str, record: Record) -> str:
    """`{"runId", "seq", "time", "type", …}`: the journaled event with its place."""
    head = msgspec.json.encode({"runId": run_id, "seq": record.seq, "time": record.time})
    return (head[:-1] + b"," + ev.encode(record.event)[1:]).decode()


def finished_json(record: Record, state: RunState, extra: Mapping[str, object]) -> dict[str, object]:
    """The last line of `run --json`: the event, everything in it spelled out, and what a script asks next."""
    event = record.event
    assert isinstance(event, ev.RunFinished)
    changes = state.changes
    return {
        "type": "run_finished",
        "runId": state.run_id,
        "seq": record.seq,
        "time": record.time,
        "state": event.state,
        "exitCode": event.exit_code,
        "tasks": event.tasks,
        "usage": usage_json(event.usage, state.estimates),
        "usageIncomplete": state.usage_incomplete,
        "reasons": list(event.reasons),
        "seconds": event.seconds,
        "changes": {
            "files": changes.files if changes else 0,
            "hunks": changes.hunks if changes else 0,
            "added": changes.added if changes else 0,
            "removed": changes.removed if changes else 0,
        },
        **extra,
    }


def usage_json(usage: Usage, estimates: Estimates | None = None) -> dict[str, object]:
    """Everything spelled out; null is unknown. `estimate_error`, of a whole run: how far the estimates of input tokens
    were off on average.
    """
    known: dict[str, object] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_usd": usage.cost_usd,
    }
    return known if estimates is None else known | {"estimate_error": estimates.error}


def event_lines(record: Record, state: RunState) -> list[Line]:
    """What a person without a live screen should read; empty for events that change nothing they care for."""
    told = _TOLD.get(type(record.event))
    return [] if told is None else told(record.event, state)


def wait_line(task_id: str, wait: Wait, now: float) -> Line:
    """A task's call waits for a limit; once, since nothing of it is journaled."""
    return line(
        _task(task_id), (f" {wait_words(wait, now)}", "yellow"), (f", until {clock(wait.until)}", "dim")
    )


def last_lines(text: str, count: int = _LAST_LINES) -> list[str]:
    """The end of an output, where a test runner says what failed: inert, without blank lines and colours."""
    kept = [shown for shown in inert_lines(_COLOURS.sub("", text)) if shown.strip()]
    return kept[-count:]


def _task(task_id: str, style: str = "bold") -> tuple[str, str]:
    return task_id, style


def _created(event: ev.RunCreated, state: RunState) -> list[Line]:
    goal = event.goal.strip().splitlines()[0] if event.goal.strip() else ""
    return [line(("run ", "bold"), state.run_id, f": {goal}" if goal else "")]


def _owned(event: ev.RunOwned, state: RunState) -> list[Line]:
    return [line(f"resumed {state.run_id}")] if event.resumed else []


def _snapshot(event: ev.SnapshotTaken, _state: RunState) -> list[Line]:
    left = f", {figures.several(len(event.left_out), 'path')} left out" if event.left_out else ""
    return [line(f"snapshot of {figures.several(event.files, 'file')}{left}")]


def _refused(event: ev.PlanRefused, _state: RunState) -> list[Line]:
    return [line((f"plan {event.attempt} refused: ", "yellow"), "; ".join(event.reasons))]


def _accepted(event: ev.PlanAccepted, _state: RunState) -> list[Line]:
    return [line(f"plan of {figures.several(len(event.tasks), 'task')}")]


def _added(event: ev.TaskAdded, _state: RunState) -> list[Line]:
    return [line(_task(event.task.id), f" added ({event.task.kind}): {event.task.title}")]


def _started(event: ev.TaskStarted, state: RunState) -> list[Line]:
    task = state.tasks.get(event.task_id)
    title = f": {task.spec.title}" if task else ""
    attempt = f" again, attempt {event.attempt}" if event.attempt > 1 else ""
    return [line(_task(event.task_id), f" started{attempt} ({event.role}, {event.model}){title}")]


def _failed(event: ev.AttemptFailed, _state: RunState) -> list[Line]:
    first = event.reason.strip().splitlines()[0] if event.reason.strip() else event.kind
    return [
        line(
            _task(event.task_id), (f" attempt {event.attempt} failed", "yellow"), f" ({event.kind}): {first}"
        )
    ]


def _merged(event: ev.TaskMerged, _state: RunState) -> list[Line]:
    word = ("merged", "green") if event.verified else ("merged, unverified", "yellow")
    return [line(_task(event.task_id), " ", word, f", {figures.several(len(event.changed), 'file')} changed")]


def _dead(event: ev.TaskDead, _state: RunState) -> list[Line]:
    first = event.reason.strip().splitlines()[0] if event.reason.strip() else ""
    return [
        line(
            _task(event.task_id),
            (" dead letter", "bold red"),
            f" after {figures.several(event.attempts, 'attempt')}: {first}",
        )
    ]


def _skipped(event: ev.TaskSkipped, _state: RunState) -> list[Line]:
    return [line(_task(event.task_id), (" skipped: ", "dim"), event.reason)]


def _cancelled(event: ev.TaskCancelled, _state: RunState) -> list[Line]:
    return [line(_task(event.task_id), (" cancelled", "magenta"))]


def _gate(event: ev.GateFinished, _state: RunState) -> list[Line]:
    if event.outcome in {"passed", "not_applicable"} and event.task_id is not None:
        return []
    whose = _task(event.task_id) if event.task_id else _task("merged result")
    return [line(whose, f" gate {event.gate}: {event.outcome.replace('_', ' ')}", f"  {event.detail}")]


def _approval(event: ev.ApprovalRequested, _state: RunState) -> list[Line]:
    return [line(("approval wanted ", "yellow"), f"({event.kind.replace('_', ' ')}): {event.subject}")]


def _resolved(event: ev.ApprovalResolved, _state: RunState) -> list[Line]:
    return [line(f"approval: {event.decision}")]


def _exhausted(event: ev.BudgetExhausted, _state: RunState) -> list[Line]:
    return [line(("budget used up: ", "red"), f"{event.what} {event.used:g} of {event.limit:g}")]


def _cancel(event: ev.CancelRequested, _state: RunState) -> list[Line]:
    return [line(("cancelling", "magenta"), f" {event.task_id}" if event.task_id else "")]


def _turn_failed(event: ev.TurnFailed, _state: RunState) -> list[Line]:
    what = "silently truncated" if event.error == SILENTLY_TRUNCATED else event.error
    return [line(_task(event.task_id), (f" turn {event.turn} failed: ", "yellow"), f"{what}: {event.detail}")]


def _agent_finished(event: ev.AgentFinished, _state: RunState) -> list[Line]:
    """What it was kept from; how it ended is told by what follows."""
    return [line(_task(event.task_id), f" {event.detail}")] if event.ok and event.detail else []


_TOLD: dict[type, Callable[[Any, RunState], list[Line]]] = {
    ev.RunCreated: _created,
    ev.RunOwned: _owned,
    ev.SnapshotTaken: _snapshot,
    ev.PlanRefused: _refused,
    ev.PlanAccepted: _accepted,
    ev.TaskAdded: _added,
    ev.TaskStarted: _started,
    ev.AttemptFailed: _failed,
    ev.TaskMerged: _merged,
    ev.TaskDead: _dead,
    ev.TaskSkipped: _skipped,
    ev.TaskCancelled: _cancelled,
    ev.GateFinished: _gate,
    ev.ApprovalRequested: _approval,
    ev.ApprovalResolved: _resolved,
    ev.BudgetExhausted: _exhausted,
    ev.CancelRequested: _cancel,
    ev.TurnFailed: _turn_failed,
    ev.AgentFinished: _agent_finished,
}
