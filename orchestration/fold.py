"""How each event changes the state of a run. Pure; one small function per kind of event. Those of the review
are in `fold_review.py`, those of checkpoints in `fold_checkpoints.py`.

An event that names an unknown task is ignored rather than raised: a fold must never make a readable
journal unreadable.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from orchestration import events as ev
from orchestration.fold_checkpoints import CHECKPOINT_STEPS, start_of_run
from orchestration.fold_review import REVIEW_STEPS
from orchestration.graph_model import REVIEW_OF
from orchestration.run import Estimates, GateState, RunState, TaskState, Transcript
from providers.messages import ToolResult, tool_results
from providers.usage import Usage


def apply(state: RunState, record: ev.Record) -> None:
    """Takes `record` into `state`. Records come in the order of their sequence numbers."""
    step = _STEPS.get(type(record.event))
    if step is not None:
        step(state, record.event, record.time)
    state.last_seq = record.seq
    state.updated = record.time


def fold(run_id: str, records: Iterable[ev.Record]) -> RunState:
    state = RunState(run_id)
    for record in records:
        apply(state, record)
    return state


def transcript(records: Iterable[ev.Record], task_id: str) -> Transcript | None:
    """The conversation of the latest attempt of `task_id`, or None when no turn was started."""
    current: Transcript | None = None
    for record in records:
        event = record.event
        if getattr(event, "task_id", None) != task_id:
            continue
        if isinstance(event, ev.TurnStarted):
            if current is None or event.attempt != current.attempt:
                current = Transcript(event.attempt)
            _close_turn(current)
            current.system = event.system or current.system
            current.messages.extend(event.messages)
            current.open_turn = event.turn
        elif current is None:
            continue
        elif isinstance(event, ev.TurnCompleted) and event.attempt == current.attempt:
            current.messages.append(event.message)
            current.open_turn = 0
        elif isinstance(event, ev.ToolFinished) and event.attempt == current.attempt:
            current.results.append(ToolResult(event.call_id, event.text, event.is_error))
            current.tree = event.tree or current.tree
    return current


def _close_turn(current: Transcript) -> None:
    if current.results:
        current.messages.append(tool_results(*current.results))
        current.results = []


# --- the run -------------------------------------------------------------------------------------


def _run_created(state: RunState, event: ev.RunCreated, time: float) -> None:
    state.goal, state.workspace, state.options = event.goal, event.workspace, event.options
    state.version, state.context, state.given_plan = event.version, event.context, event.plan
    state.created = time


def _run_owned(state: RunState, event: ev.RunOwned, _time: float) -> None:
    state.epoch, state.owner_pid = event.epoch, event.pid
    if event.options is not None and event.options != state.options:
        state.options, state.final_gates = event.options, ()
    if event.resumed:
        state.end, state.cancelled, state.exhausted, state.reasons = None, False, None, ()
        if state.phase == "finished":
            state.phase = "running"
        state.approvals = {}
        for task in list(state.tasks.values()):
            if task.status in {"running", "waiting", "cancelled"}:
                _put(state, replace(task, status="pending", activity=""))


def _definitions(state: RunState, event: ev.DefinitionsPinned, _time: float) -> None:
    state.roles, state.tools, state.prompts = event.roles, event.tools, event.prompts


def _snapshot(state: RunState, event: ev.SnapshotTaken, time: float) -> None:
    state.base, state.left_out, state.dirty = event.snapshot, event.left_out, event.dirty
    state.folders = event.folders
    start_of_run(state, event, time)


def _plan_proposed(state: RunState, event: ev.PlanProposed, _time: float) -> None:
    state.proposed_plan = event.tasks


def _plan_accepted(state: RunState, event: ev.PlanAccepted, _time: float) -> None:
    state.phase = "running"
    state.tasks = {spec.id: TaskState(spec) for spec in event.tasks}


def _exhausted(state: RunState, event: ev.BudgetExhausted, _time: float) -> None:
    state.exhausted = event


def _cancel(state: RunState, event: ev.CancelRequested, _time: float) -> None:
    if event.task_id is None:
        state.cancelled = True


def _finished(state: RunState, event: ev.RunFinished, _time: float) -> None:
    state.phase, state.end = "finished", event.state
    state.exit_code, state.reasons, state.usage = event.exit_code, event.reasons, event.usage
    state.approvals = {}


# --- tasks ---------------------------------------------------------------------------------------


def _put(state: RunState, task: TaskState) -> None:
    state.tasks[task.spec.id] = task


def _task_added(state: RunState, event: ev.TaskAdded, _time: float) -> None:
    spec = event.task
    state.tasks[spec.id] = TaskState(spec)
    if spec.kind == "conflict":
        parent = spec.parent or ""
        state.joins[parent] = (*state.joins.get(parent, ()), spec.id)


def _task_started(state: RunState, event: ev.TaskStarted, time: float) -> None:
    if task := state.tasks.get(event.task_id):
        _put(
            state,
            replace(
                task,
                status="running",
                attempt=event.attempt,
                turn=0,
                model=event.model,
                start_snapshot=event.snapshot,
                gates=(),
                activity="",
                started=task.started or time,
            ),
        )


def _task_status(status: Any) -> Callable[[RunState, Any, float], None]:
    def step(state: RunState, event: Any, _time: float) -> None:
        if task := state.tasks.get(event.task_id):
            _put(state, replace(task, status=status))

    return step


def _attempt_failed(state: RunState, event: ev.AttemptFailed, _time: float) -> None:
    if task := state.tasks.get(event.task_id):
        _put(state, replace(task, failures=(*task.failures, event), activity=""))
        # What was found in a result that is thrown away is nowhere any more.
        gone = [key for key, task_id in state.finding_tasks.items() if task_id == event.task_id]
        for key in gone:
            del state.findings[key], state.finding_tasks[key]


def _task_merged(state: RunState, event: ev.TaskMerged, time: float) -> None:
    if task := state.tasks.get(event.task_id):
        _put(
            state,
            replace(
                task,
                status="merged",
                snapshot=event.snapshot,
                changed=event.changed,
                verified=event.verified,
                summary=event.summary,
                activity="",
                ended=time,
            ),
        )


def _task_dead(state: RunState, event: ev.TaskDead, time: float) -> None:
    if task := state.tasks.get(event.task_id):
        _put(state, replace(task, status="dead", reason=event.reason, activity="", ended=time))


def _task_retried(state: RunState, event: ev.TaskRetried, _time: float) -> None:
    if task := state.tasks.get(event.task_id):
        spec = task.spec if event.model is None else replace(task.spec, model=event.model)
        _put(
            state,
            replace(
                task,
                spec=spec,
                status="pending",
                reason="",
                note=event.note,
                spent_attempts=task.attempt,
                ended=0.0,
            ),
        )


def _task_skipped(state: RunState, event: ev.TaskSkipped, time: float) -> None:
    if task := state.tasks.get(event.task_id):
        _put(state, replace(task, status="skipped", reason=event.reason, ended=time))


def _task_cancelled(state: RunState, event: ev.TaskCancelled, time: float) -> None:
    if task := state.tasks.get(event.task_id):
        _put(state, replace(task, status="cancelled", activity="", ended=time))


def _turn_started(state: RunState, event: ev.TurnStarted, _time: float) -> None:
    if task := state.tasks.get(event.task_id):
        _put(state, replace(task, turn=event.turn, activity="thinking"))
    elif task := state.tasks.get(event.task_id.removeprefix(REVIEW_OF)):
        _put(state, replace(task, activity="being reviewed"))


def _turn_completed(state: RunState, event: ev.TurnCompleted, _time: float) -> None:
    state.usage = state.usage + event.usage
    state.usage_incomplete = state.usage_incomplete or event.discarded_attempts > 0
    reported = event.usage.input_tokens
    if event.estimated_input is not None and reported:
        state.estimates += Estimates(1, abs(event.estimated_input - reported) / reported)
    if task := state.tasks.get(event.task_id.removeprefix(REVIEW_OF)):
        _put(state, replace(task, usage=task.usage + event.usage, activity=""))


def _tool_started(state: RunState, event: ev.ToolStarted, _time: float) -> None:
    if task := state.tasks.get(event.task_id):
        _put(state, replace(task, activity=f"{event.tool} {event.subject}".strip()))


def _tool_finished(state: RunState, event: ev.ToolFinished, _time: float) -> None:
    if task := state.tasks.get(event.task_id):
        _put(state, replace(task, activity=f"{event.tool} {event.subject}".strip()))


def _agent_started(state: RunState, event: ev.AgentStarted, _time: float) -> None:
    if task := state.tasks.get(event.task_id):
        _put(state, replace(task, activity=f"{event.agent} at work"))


def _agent_usage(state: RunState, event: ev.AgentUsage, _time: float) -> None:
    _spend(state, event.task_id, event.usage)


def _agent_finished(state: RunState, event: ev.AgentFinished, _time: float) -> None:
    state.usage_incomplete = state.usage_incomplete or event.usage_incomplete
    _spend(state, event.task_id, event.usage)
    if task := state.tasks.get(event.task_id):
        _put(state, replace(task, activity=""))


def _spend(state: RunState, task_id: str, usage: Usage) -> None:
    state.usage = state.usage + usage
    if task := state.tasks.get(task_id):
        _put(state, replace(task, usage=task.usage + usage))


# --- people, gates, findings ---------------------------------------------------------------


def _approval_requested(state: RunState, event: ev.ApprovalRequested, _time: float) -> None:
    state.approvals[event.approval_id] = event
    if event.kind == "plan":
        state.phase = "confirming"


def _approval_resolved(state: RunState, event: ev.ApprovalResolved, _time: float) -> None:
    request = state.approvals.pop(event.approval_id, None)
    if request is not None and event.decision == "run":
        state.granted = state.granted | {f"{request.kind}:{request.subject}"}


def _gate_finished(state: RunState, event: ev.GateFinished, _time: float) -> None:
    gate = GateState(event.gate, event.outcome, event.detail, event.tree)
    if event.learned:
        state.learned[event.learned] = None
    if event.task_id is None:
        kept = tuple(
            known for known in state.final_gates if known.gate != gate.gate and known.tree == gate.tree
        )
        if any(known.tree != gate.tree for known in state.final_gates):
            for finding_id in [key for key in state.findings if key not in state.finding_tasks]:
                del state.findings[finding_id]
        state.final_gates = (*kept, gate)
    elif task := state.tasks.get(event.task_id):
        _put(state, replace(task, gates=(*task.gates, gate)))


def _finding(state: RunState, event: ev.FindingReported, _time: float) -> None:
    state.findings[event.finding.id] = event.finding
    if event.task_id is not None:
        state.finding_tasks[event.finding.id] = event.task_id


def _finding_dismissed(state: RunState, event: ev.FindingDismissed, _time: float) -> None:
    state.dismissed = state.dismissed | {event.finding_id}


_STEPS: dict[type, Callable[[RunState, Any, float], None]] = {
    ev.RunCreated: _run_created,
    ev.RunOwned: _run_owned,
    ev.DefinitionsPinned: _definitions,
    ev.SnapshotTaken: _snapshot,
    ev.PlanProposed: _plan_proposed,
    ev.PlanAccepted: _plan_accepted,
    ev.BudgetExhausted: _exhausted,
    ev.CancelRequested: _cancel,
    ev.RunFinished: _finished,
    ev.TaskAdded: _task_added,
    ev.TaskStarted: _task_started,
    ev.TaskWaiting: _task_status("waiting"),
    ev.TaskResumed: _task_status("running"),
    ev.AttemptFailed: _attempt_failed,
    ev.TaskMerged: _task_merged,
    ev.TaskDead: _task_dead,
    ev.TaskRetried: _task_retried,
    ev.TaskSkipped: _task_skipped,
    ev.TaskCancelled: _task_cancelled,
    ev.TurnStarted: _turn_started,
    ev.TurnCompleted: _turn_completed,
    ev.ToolStarted: _tool_started,
    ev.ToolFinished: _tool_finished,
    ev.AgentStarted: _agent_started,
    ev.AgentUsage: _agent_usage,
    ev.AgentFinished: _agent_finished,
    ev.ApprovalRequested: _approval_requested,
    ev.ApprovalResolved: _approval_resolved,
    ev.GateFinished: _gate_finished,
    ev.FindingReported: _finding,
    ev.FindingDismissed: _finding_dismissed,
    **REVIEW_STEPS,
    **CHECKPOINT_STEPS,
}
