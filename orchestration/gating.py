"""Puts a tree through the gates and records what they said. Which gates there are is not known here."""

from dataclasses import dataclass

from orchestration import events as ev
from orchestration.engine_ports import EnginePorts
from orchestration.graph_model import TaskSpec
from orchestration.live_run import LiveRun
from orchestration.quality.gates import GateContext, GateReport
from orchestration.quality.settings import QualitySettings

_TESTS_SUBJECT = "the workspace's own tests and analyzers, in copies of it"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`events` are not yet recorded. `blocked` is the first report that blocks; `unverified` names the
    gates that could not run, with their reasons.
    """

    events: tuple[ev.Event, ...]
    blocked: GateReport | None
    unverified: tuple[str, ...]


async def pass_gates(
    ports: EnginePorts,
    live: LiveRun,
    *,
    spec: TaskSpec | None,
    attempt: int,
    start: str,
    tree: str,
    changed: tuple[str, ...],
) -> Verdict:
    """Runs every gate in order until one blocks. `spec` None: the final merged tree."""
    task_id = None if spec is None else spec.id
    may_matter = bool(changed) or (spec is not None and bool(spec.tests))
    context = GateContext(
        store=ports.objects,
        checkouts=ports.checkouts,
        launcher=ports.launcher,
        executor=ports.executor,
        clock=ports.clock,
        root=ports.root,
        base=live.state.base,
        start=start,
        tree=tree,
        changed=changed,
        spec=spec,
        cannot_run=await why_no_process(ports, live, task_id) if may_matter else "",
        approve=lambda subject, detail: live.ask("protected_change", subject, task_id=task_id, detail=detail),
        settings=_settings(ports, live),
        baseline=ports.baseline,
        merged=() if spec is not None else _merged(live),
        environ=ports.environ,
    )
    events: list[ev.Event] = []
    unverified: list[str] = []
    for gate in ports.gates if spec is not None else ports.final_gates:
        report = await gate.check(context)
        events.append(
            ev.GateFinished(
                gate=report.gate,
                outcome=report.outcome,
                detail=report.detail,
                task_id=task_id,
                attempt=attempt,
                seconds=round(report.seconds, 3),
            )
        )
        events.extend(ev.FindingReported(finding=finding, task_id=task_id) for finding in report.findings)
        if report.outcome == "not_run":
            unverified.append(f"{report.gate}: {report.detail}")
        if report.outcome in {"blocked", "ask"}:
            return Verdict(tuple(events), report, tuple(unverified))
    return Verdict(tuple(events), None, tuple(unverified))


async def why_no_process(ports: EnginePorts, live: LiveRun, task_id: str | None) -> str:
    """Why the workspace's own programs may not be started; empty when they may. With approval `ask` a
    person is asked once, for the whole run if they say so.
    """
    options = live.state.options
    assert options is not None
    if not ports.trusted():
        return "the workspace is not trusted (antiphon trust, or --trust for one command)"
    if options.approval == "never":
        return "approval is `never`"
    if options.approval == "auto":
        return ""
    if not live.interactive:
        return "approval is `ask` and nobody can be asked here (use --approval auto)"
    allowed = await live.ask("command", _TESTS_SUBJECT, task_id=task_id)
    return "" if allowed else "running the tests was not allowed"


def _merged(live: LiveRun) -> tuple[TaskSpec, ...]:
    return tuple(task.spec for task in live.state.tasks.values() if task.status == "merged")


def _settings(ports: EnginePorts, live: LiveRun) -> QualitySettings:
    """The workspace's settings, with the commands that this run was started with."""
    options = live.state.options
    if options is None or not (options.test_command or options.setup_command):
        return ports.quality
    base = ports.quality
    return QualitySettings(
        test_command=options.test_command or base.test_command,
        setup_command=options.setup_command or base.setup_command,
        interpreter=base.interpreter,
        timeout_s=base.timeout_s,
        baseline_s=base.baseline_s,
        analyzers=base.analyzers,
        changed_lines_only=base.changed_lines_only,
    )
