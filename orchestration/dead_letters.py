"""Dead letters tried again: which they are, and what was skipped because of them and comes back. Pure."""

import difflib

from orchestration import events as ev
from orchestration.commands import Retry
from orchestration.errors import NotFoundError, UsageError
from orchestration.run import RunState


def retried_tasks(state: RunState, retry: Retry | None) -> tuple[ev.TaskRetried, ...]:
    """The events that bring the asked dead letters back, and every skipped task that then has nothing dead before
    it. Raises NotFoundError for an unknown task, UsageError for one that is no dead letter, or when there is none.
    """
    if retry is None:
        return ()
    dead = [name for name, task in state.tasks.items() if task.status == "dead"]
    for name in retry.task_ids:
        if name not in state.tasks:
            near = difflib.get_close_matches(name, list(state.tasks), n=1)
            mend = (
                f"did you mean {near[0]!r}?" if near else f"its dead letters are {', '.join(dead) or 'none'}"
            )
            raise NotFoundError(f"{state.run_id} has no task {name!r}; {mend}")
        if name not in dead:
            raise UsageError(
                f"{name} is {state.tasks[name].status}, not a dead letter; there is nothing to retry"
            )
    chosen = tuple(dict.fromkeys(retry.task_ids or dead))
    if not chosen:
        raise UsageError(f"{state.run_id} has no dead letter to retry")
    events = [
        ev.TaskRetried(task_id=name, note=retry.note, model=retry.model, by=retry.by) for name in chosen
    ]
    events += [ev.TaskRetried(task_id=name, by=retry.by) for name in _freed(state, set(chosen))]
    return tuple(events)


def _freed(state: RunState, back: set[str]) -> list[str]:
    """Skipped tasks whose every need is, or may become, merged; in the order of the run."""
    freed: list[str] = []
    found = True
    while found:
        found = False
        for name, task in state.tasks.items():
            if task.status != "skipped" or name in back:
                continue
            needs = (*task.spec.depends_on, *state.joins.get(name, ()))
            if all(need in back or state.tasks[need].status in {"merged", "pending"} for need in needs):
                back.add(name)
                freed.append(name)
                found = True
    return freed
