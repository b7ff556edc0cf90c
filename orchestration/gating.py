"""Puts trees through the gates and records what they said. Which gates there are is not known here.

Whether processes may be started is found out when a gate has one to start, not before: a person is not
asked about a change that needs none.
"""

from dataclasses import dataclass, replace

from orchestration import events as ev
from orchestration.engine_ports import EnginePorts
from orchestration.graph_model import TaskSpec
from orchestration.live_run import LiveRun
from orchestration.quality.gates import GateContext, GateReport
from orchestration.quality.learned import decode
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


class Gating:
    """The gates of one run. Remembers what a person answered, task by task."""

    def __init__(self, ports: EnginePorts, live: LiveRun) -> None:
        self._ports = ports
        self._live = live
        self._settings = _settings(ports, live)
        self._answers: dict[str | None, bool] = {}

    async def recall(self) -> None:
        """What gates of this run found out in a process that is gone."""
        for digest in self._live.state.learned:
            learned = decode(await self._live.blob(digest))
            self._ports.baseline.take(self._live.state.run_id, learned)

    async def judge(
        self, spec: TaskSpec | None, *, attempt: int, start: str, tree: str, changed: tuple[str, ...]
    ) -> Verdict:
        """Runs every gate in order until one blocks. `spec` None: the final merged tree."""
        ports = self._ports
        task_id = None if spec is None else spec.id
        context = self._context(spec, attempt=attempt, start=start, tree=tree, changed=changed)
        events: list[ev.Event] = []
        unverified: list[str] = []
        for gate in ports.gates if spec is not None else ports.final_gates:
            report = await gate.check(context)
            learned = await self._live.put_blob(report.learned) if report.learned else ""
            events.append(
                ev.GateFinished(
                    gate=report.gate,
                    outcome=report.outcome,
                    detail=report.detail,
                    task_id=task_id,
                    attempt=attempt,
                    seconds=round(report.seconds, 3),
                    tree=ports.objects.tree_of(tree) if spec is None else "",
                    learned=learned,
                )
            )
            events.extend(ev.FindingReported(finding=finding, task_id=task_id) for finding in report.findings)
            if report.outcome == "not_run":
                unverified.append(f"{report.gate}: {report.detail}")
            if report.outcome in {"blocked", "ask"}:
                return Verdict(tuple(events), report, tuple(unverified))
        return Verdict(tuple(events), None, tuple(unverified))

    def _context(
        self, spec: TaskSpec | None, *, attempt: int, start: str, tree: str, changed: tuple[str, ...]
    ) -> GateContext:
        ports, live = self._ports, self._live
        task_id = None if spec is None else spec.id

        async def why_not() -> str:
            return await self._why_no_process(task_id)

        async def approve(subject: str, detail: str) -> bool:
            return await live.ask("protected_change", subject, task_id=task_id, detail=detail)

        return GateContext(
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
            attempt=attempt,
            why_not=why_not,
            approve=approve,
            settings=self._settings,
            baseline=ports.baseline,
            run=live.state.run_id,
            merged=() if spec is not None else _merged(live),
            environ=ports.environ,
        )

    async def _why_no_process(self, task_id: str | None) -> str:
        """Why the workspace's own programs may not be started; empty when they may. With approval `ask` a
        person is asked once for each task, or once for the whole run if they say so.
        """
        options = self._live.state.options
        assert options is not None
        if not self._ports.trusted():
            return "the workspace is not trusted (antiphon trust, or --trust for one command)"
        if options.approval == "never":
            return "approval is `never`"
        if options.approval == "auto":
            return ""
        if not self._live.interactive:
            return "approval is `ask` and nobody can be asked here (use --approval auto)"
        if task_id not in self._answers:
            self._answers[task_id] = await self._live.ask("command", _TESTS_SUBJECT, task_id=task_id)
        return "" if self._answers[task_id] else "running the tests was not allowed"


def _merged(live: LiveRun) -> tuple[TaskSpec, ...]:
    return tuple(task.spec for task in live.state.tasks.values() if task.status == "merged")


def _settings(ports: EnginePorts, live: LiveRun) -> QualitySettings:
    """The workspace's settings, with the commands that this run was started with."""
    options = live.state.options
    if options is None:
        return ports.quality
    return replace(
        ports.quality,
        test_command=options.test_command or ports.quality.test_command,
        setup_command=options.setup_command or ports.quality.setup_command,
    )
