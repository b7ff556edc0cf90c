"""How the events of checkpoints change the state of a run. A part of `fold.py`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from orchestration import events as ev
from orchestration.run import CheckpointState, RestoreState, RunState


def start_of_run(state: RunState, event: ev.SnapshotTaken, time: float) -> None:
    """The base of a run is its first checkpoint, in journals of older versions too."""
    name = f"{state.run_id}.0"
    state.checkpoints[name] = CheckpointState(name, event.snapshot, "run", "", event.files, time)


def next_checkpoint(state: RunState) -> str:
    """The id that the next checkpoint of the run gets."""
    return f"{state.run_id}.{len(state.checkpoints)}"


def _taken(state: RunState, event: ev.CheckpointTaken, time: float) -> None:
    state.checkpoints[event.checkpoint_id] = CheckpointState(
        event.checkpoint_id, event.snapshot, event.before, event.subject, event.files, time, event.outside
    )


def _restore(state: RunState, event: ev.RestoreRecorded, time: float) -> None:
    state.restores[event.restore_id] = RestoreState(event, time)


def _restored(state: RunState, event: ev.RestoreFinished, _time: float) -> None:
    if known := state.restores.get(event.restore_id):
        state.restores[event.restore_id] = replace(known, finished=event)


CHECKPOINT_STEPS: dict[type, Callable[[RunState, Any, float], None]] = {
    ev.CheckpointTaken: _taken,
    ev.RestoreRecorded: _restore,
    ev.RestoreFinished: _restored,
}
