"""`antiphon/run/read`: a run as it stands."""

from collections.abc import Iterable

from orchestration.run import Estimates, GateState, RunState, TaskState
from providers.usage import Usage
from server.host import Host
from server.protocol import (
    ApprovalEntry,
    DecisionEntry,
    GateEntry,
    RunParams,
    RunReadResult,
    TaskEntry,
    UsageEntry,
)
from server.to_lsp import uri_of
from server.workspaces import Workspace

PARAMS = RunParams


async def handle(host: Host, params: RunParams) -> RunReadResult:
    workspace = await host.workspaces.of_run(params.run_id)
    return _result(workspace, await workspace.engine.state(params.run_id))


def _result(workspace: Workspace, state: RunState) -> RunReadResult:
    return RunReadResult(
        run_id=state.run_id,
        root=uri_of(workspace.root),
        goal=state.goal,
        phase=state.phase,
        end=state.end,
        exit_code=state.exit_code,
        reasons=list(state.reasons),
        tasks=[_task(task) for task in state.tasks.values()],
        gates=_gates(state.final_gates),
        approvals=[
            ApprovalEntry(
                approval_id=item.approval_id,
                kind=item.kind,
                subject=item.subject,
                detail=item.detail,
                task_id=item.task_id,
            )
            for item in state.approvals.values()
        ],
        decisions=[
            DecisionEntry(
                decision_id=item.decision_id,
                decision=item.decision,
                hunk_ids=list(item.hunk_ids),
                applied=item.applied,
                undone=not item.stands,
                time=item.time,
            )
            for item in state.decisions.values()
        ],
        usage=usage_entry(state.usage, state.estimates),
        created=state.created,
        updated=state.updated,
        last_seq=state.last_seq,
    )


def _task(task: TaskState) -> TaskEntry:
    return TaskEntry(
        task_id=task.spec.id,
        title=task.spec.title,
        role=task.spec.role,
        depends_on=list(task.spec.depends_on),
        status=task.status,
        attempt=task.attempt,
        turn=task.turn,
        model=task.model,
        activity=task.activity,
        reason=task.reason,
        summary=task.summary,
        verified=task.verified,
        changed=list(task.changed),
        gates=_gates(task.gates),
        usage=usage_entry(task.usage),
        started=task.started,
        ended=task.ended,
    )


def _gates(gates: Iterable[GateState]) -> list[GateEntry]:
    return [GateEntry(gate=item.gate, outcome=item.outcome, detail=item.detail) for item in gates]


def usage_entry(usage: Usage, estimates: Estimates | None = None) -> UsageEntry:
    return UsageEntry(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_usd=usage.cost_usd,
        estimate_error=None if estimates is None else estimates.error,
    )
