"""The tests gate: the task's own tests pass, and nothing that passed before fails.

Own tests run first; then the others that the change may affect. What fails runs once more before it
counts, and what still fails is compared with the start. Existing tests and the configuration of their
runners judge in their former version: a change of them needs a person. Results that cannot be had, or
not be trusted, make the gate `not_run`, never `passed`.
"""

from collections.abc import Sequence
from dataclasses import replace

from orchestration.errors import AntiphonError
from orchestration.quality.feedback import LIMIT, counted, failures, named, trimmed
from orchestration.quality.gates import GateContext, GateReport
from orchestration.quality.judging import NAME, Check, Plan, Verdict, protected_note, report
from orchestration.quality.protection import Protected, protected_changes
from orchestration.quality.runners.command import WHOLE, CommandRunner
from orchestration.quality.runners.contract import Runner, Target, find_tests, runner_of
from orchestration.quality.selection import Selection, is_prose, select
from orchestration.quality.session import open_session
from orchestration.quality.tree_view import TreeView
from orchestration.workspace.objects import Change, Entry


class TestsGate:
    name = NAME
    __test__ = False

    def __init__(self, runners: Sequence[Runner]) -> None:
        self._runners = tuple(runners)

    async def check(self, context: GateContext) -> GateReport:
        began = context.clock.monotonic()
        try:
            found = await self._check(context)
        except (AntiphonError, OSError) as error:
            found = report("not_run", str(error))
        return replace(found, seconds=context.clock.monotonic() - began)

    async def _check(self, context: GateContext) -> GateReport:
        if not context.changed and not any(spec.tests for spec in (context.spec, *context.merged) if spec):
            return report("not_applicable", "nothing has changed")
        plan = await context.executor.run(_plan, context, self._runners)
        if plan.selection.empty and not plan.protected:
            return report("not_applicable", "no tests concern the change")
        if why_not := await context.why_not():
            return report("not_run", why_not)
        check = Check(context, plan)
        try:
            found = await self._judge_and_ask(context, plan, check)
        except Verdict as verdict:
            found = verdict.report
        learned = check.learned(passed=found.outcome == "passed")
        context.baseline.take(context.run, learned)
        return replace(found, learned=learned.encode())

    async def _judge_and_ask(self, context: GateContext, plan: Plan, check: Check) -> GateReport:
        try:
            found = await self._judge(context, plan, check)
        except Verdict as verdict:
            if verdict.report.outcome != "not_run" or not plan.protected:
                raise
            found = verdict.report
        if plan.protected:
            said = await _ask(context, plan)
            found = replace(found, detail="; ".join(filter(None, (found.detail, said))))
        return found

    async def _judge(self, context: GateContext, plan: Plan, check: Check) -> GateReport:
        _refuse_missing(plan)
        if plan.selection.empty:
            return report("passed", "no tests concern the change")
        async with open_session(context, context.tree, plan.after, plan.runners) as session:
            await check.run(session)
        return report("passed", await check.judge())


def _plan(context: GateContext, runners: tuple[Runner, ...]) -> Plan:
    before, after = TreeView(context.store, context.start), TreeView(context.store, context.tree)
    specs = context.merged if context.spec is None else (context.spec,)
    names = tuple(dict.fromkeys(name for spec in specs for name in spec.tests))
    selection = select(
        after,
        context.changed,
        names,
        tests=find_tests(after, runners),
        is_new=lambda path: path not in before,
        references=context.baseline.references,
        hints=() if context.spec is None else context.spec.paths,
        strict=context.spec is not None or not (names or context.baseline.knows_passed(context.run)),
    )
    # What tasks changed of the tests was decided at their own gates; the final tree is not asked about.
    protected: tuple[Protected, ...] = ()
    if context.spec is not None:
        tests = find_tests(before, runners)
        protected = protected_changes(before, after, context.changed, tests=tests, runners=runners)
    command = CommandRunner(context.settings.test_command)
    if not context.settings.test_command:
        return Plan(before, after, selection, protected, runners, runners)
    if not command.takes_tests:
        concerned = any(not is_prose(path) for path in context.changed)
        selection = Selection(affected=(WHOLE.path,) if concerned else ())
    return Plan(before, after, selection, protected, (command,), runners)


def _refuse_missing(plan: Plan) -> None:
    missing = plan.selection.missing
    if not missing:
        return
    paths = [name for name in missing if "/" in name or runner_of(plan.runners, name.split("::")[0])]
    if paths:
        text = "The plan names tests for this task that do not exist yet; write them so that they pass:\n"
        raise Verdict(
            report("blocked", f"{named(paths)}: named in the plan, but absent", text + "\n".join(paths))
        )
    raise Verdict(report("not_run", f"the plan names tests that cannot be found: {named(missing)}"))


async def _ask(context: GateContext, plan: Plan) -> str:
    """Asks a person about changed tests, with what their former version says of the result."""
    changes = plan.protected
    former = await _judge_by_former(context, plan)
    subject = f"change of tests: {named([change.path for change in changes])}"
    detail = "\n".join([*(str(change) for change in changes), former.splitlines()[0]])
    if await context.approve(subject, detail):
        return f"a person approved the change of {named([change.path for change in changes])}"
    text = f"{protected_note(changes)}\n\n{former}"
    raise Verdict(report("blocked", f"no approval for the {subject}", trimmed(text, LIMIT)))


async def _judge_by_former(context: GateContext, plan: Plan) -> str:
    """What the former versions of the protected files say of the result: a line, then failures."""
    changes: dict[str, Change | Entry | None] = {change.path: change.former for change in plan.protected}
    tree = context.store.write(context.tree, changes)
    view = await context.executor.run(TreeView, context.store, tree)
    tests = frozenset(await context.executor.run(find_tests, view, plan.languages))
    judges = dict.fromkeys(
        path
        for path in (*changes, *(target.path for target in plan.selection.own), *plan.selection.affected)
        if path == WHOLE.path or path in tests
    )
    if not judges:
        return "Their former version holds no tests of this change."
    async with open_session(context, tree, view, plan.runners) as session:
        result = await session.run([Target(path) for path in judges], context.settings.timeout_s)
    if result.problems:
        return f"With their former version the tests could not be run: {result.problems[0]}"
    failed = result.failed()
    if not failed:
        return f"With their former version all {counted(len(result.cases), 'test')} pass."
    return failures(f"With their former version {len(failed)} of {len(result.cases)} tests fail.", failed)
