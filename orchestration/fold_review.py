"""How the events of the review change the state of a run: proposals, decisions, undos. A part of `fold.py`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from orchestration import events as ev
from orchestration.run import DecisionState, RunState, UndoState


def _changes(state: RunState, event: ev.ChangesProposed, _time: float) -> None:
    state.changes = event


def _decision(state: RunState, event: ev.DecisionRecorded, time: float) -> None:
    state.decisions[event.decision_id] = DecisionState(
        event.decision_id,
        event.decision,
        event.hunk_ids,
        event.files,
        time=time,
        by=event.by,
        parts=event.parts,
    )


def _decision_applied(state: RunState, event: ev.DecisionApplied, _time: float) -> None:
    if decision := state.decisions.get(event.decision_id):
        state.decisions[event.decision_id] = replace(decision, results=event.files, applied=True)
        return
    undo = state.undos.get(event.decision_id)
    if undo is None:
        return
    state.undos[undo.undo_id] = replace(undo, applied=True)
    undone = state.decisions.get(undo.decision_id)
    if undone and not any(result.outcome in {"conflict", "unknown"} for result in event.files):
        back = dict.fromkeys(undone.hunk_ids, len(state.decisions)) | dict(undone.back)
        state.decisions[undone.decision_id] = replace(undone, undone=True, back=back)


def _undo(state: RunState, event: ev.UndoRecorded, _time: float) -> None:
    state.undos[event.undo_id] = UndoState(event.undo_id, event.decision_id, event.files)


def _file_noted(state: RunState, event: ev.FileNoted, _time: float) -> None:
    if decision := state.decisions.get(event.decision_id):
        others = tuple(result for result in decision.results if result.path != event.file.path)
        state.decisions[event.decision_id] = replace(decision, results=(*others, event.file))


def _hunks_seen(state: RunState, event: ev.HunksSeen, _time: float) -> None:
    for seen in event.hunks:
        for name in seen.back:
            if decision := state.decisions.get(name):
                back = {**decision.back, seen.hunk_id: len(state.decisions)}
                state.decisions[name] = replace(decision, back=back)
        for name in seen.again:
            if decision := state.decisions.get(name):
                back = {hunk: when for hunk, when in decision.back.items() if hunk != seen.hunk_id}
                state.decisions[name] = replace(decision, back=back, undone=False)


REVIEW_STEPS: dict[type, Callable[[RunState, Any, float], None]] = {
    ev.ChangesProposed: _changes,
    ev.DecisionRecorded: _decision,
    ev.DecisionApplied: _decision_applied,
    ev.UndoRecorded: _undo,
    ev.FileNoted: _file_noted,
    ev.HunksSeen: _hunks_seen,
}
