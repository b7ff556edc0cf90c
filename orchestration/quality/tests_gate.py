"""The tests gate: the task's own tests pass, and nothing that passed before fails.

Own tests run first; then the others that the change may affect. What fails runs once more before it
counts, and what still fails is compared with the start. Existing tests and the configuration of their
runners judge in their former version: a change of them needs a person. Results that cannot be had, or
not be trusted, make the gate `not_run`, never `passed`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestration.errors import AntiphonError
from orchestration.events import GateOutcome
from orchestration.quality.baseline import Results
from orchestration.quality.feedback import LIMIT, counted, failures, named, trimmed
from orchestration.quality.gates import GateContext, GateReport
from orchestration.quality.protection import Protected, protected_changes
from orchestration.quality.runners.command import WHOLE, CommandRunner
from orchestration.quality.runners.contract import (
    Case,
    CaseOutcome,
    Runner,
    Target,
    find_tests,
    is_below,
    runner_of,
)
from orchestration.quality.runners.report import HUNG
from orchestration.quality.selection import Selection, is_prose, select
from orchestration.quality.session import Session, SessionResult, open_session
from orchestration.quality.tree_view import TreeView
from orchestration.workspace.objects import Change, Entry

NAME = "tests"
_MOST_AGAIN = 200
"""Failures beyond which nobody can speak of unsteady tests."""


@dataclass(frozen=True, slots=True)
class _Plan:
    before: TreeView
    after: TreeView
    selection: Selection
    protected: tuple[Protected, ...]
    runners: tuple[Runner, ...]
    languages: tuple[Runner, ...]

    @property
    def whole(self) -> bool:
        """One command decides over everything at once."""
        return WHOLE.path in self.selection.affected


class _Verdict(Exception):  # noqa: N818 - not an error: it carries a report up
    def __init__(self, report: GateReport) -> None:
        super().__init__(report.detail)
        self.report = report


class TestsGate:
    name = NAME
    __test__ = False

    def __init__(self, runners: Sequence[Runner]) -> None:
        self._runners = tuple(runners)

    async def check(self, context: GateContext) -> GateReport:
        began = context.clock.monotonic()
        try:
            report = await self._check(context)
        except _Verdict as verdict:
            report = verdict.report
        except AntiphonError as error:
            report = _report("not_run", str(error))
        return replace(report, seconds=context.clock.monotonic() - began)

    async def _check(self, context: GateContext) -> GateReport:
        plan = await context.executor.run(_plan, context, self._runners)
        if plan.selection.empty and not plan.protected:
            return _report("not_applicable", "no tests concern the change")
        if context.cannot_run:
            return _report("not_run", context.cannot_run)
        try:
            report = await self._judge(context, plan)
        except _Verdict as verdict:
            if verdict.report.outcome != "not_run" or not plan.protected:
                raise
            report = verdict.report
        if plan.protected:
            said = await _ask(context, plan)
            report = replace(report, detail="; ".join(filter(None, (report.detail, said))))
        return report

    async def _judge(self, context: GateContext, plan: _Plan) -> GateReport:
        _refuse_missing(plan)
        if plan.selection.empty:
            return _report("passed", "no tests concern the change")
        async with open_session(context, context.tree, plan.after, plan.runners) as session:
            check = _Check(context, plan, session)
            summary = await check.own_tests()
            summary += await check.affected_tests()
        context.baseline.remember_passed(check.seen.values())
        return _report("passed", summary)


def _plan(context: GateContext, runners: tuple[Runner, ...]) -> _Plan:
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
        strict=context.spec is not None or not (names or context.baseline.knows_passed),
    )
    # What tasks changed of the tests was decided at their own gates; the final tree is not asked about.
    protected: tuple[Protected, ...] = ()
    if context.spec is not None:
        tests = find_tests(before, runners)
        protected = protected_changes(before, after, context.changed, tests=tests, runners=runners)
    command = CommandRunner(context.settings.test_command)
    if not context.settings.test_command:
        return _Plan(before, after, selection, protected, runners, runners)
    if not command.takes_tests:
        concerned = any(not is_prose(path) for path in context.changed)
        selection = Selection(affected=(WHOLE.path,) if concerned else ())
    return _Plan(before, after, selection, protected, (command,), runners)


def _refuse_missing(plan: _Plan) -> None:
    missing = plan.selection.missing
    if not missing:
        return
    paths = [name for name in missing if "/" in name or runner_of(plan.runners, name.split("::")[0])]
    if paths:
        text = "The plan names tests for this task that do not exist yet; write them so that they pass:\n"
        raise _Verdict(
            _report("blocked", f"{named(paths)}: named in the plan, but absent", text + "\n".join(paths))
        )
    raise _Verdict(_report("not_run", f"the plan names tests that cannot be found: {named(missing)}"))


class _Check:
    """One judgement of one tree. `seen`: the last result of each test."""

    def __init__(self, context: GateContext, plan: _Plan, session: Session) -> None:
        self._context = context
        self._plan = plan
        self._session = session
        self.seen: dict[str, Case] = {}
        self._extra: dict[str, Case] = {}
        self._notes: list[str] = []

    async def own_tests(self) -> str:
        own = self._plan.selection.own
        if not own:
            return ""
        command = bool(self._context.settings.test_command)
        result = await self._session.run(own if command else [Target(target.path) for target in own])
        mine: dict[str, Case] = {}
        for case in result.cases.values():
            (mine if any(target.holds(case.id) for target in own) else self._extra)[case.id] = case
        if not result.problems:
            for wanted in (node for target in own for node in target.ids):
                if not any(is_below(case_id, wanted) for case_id in result.cases) and not _is_broken(
                    result, wanted
                ):
                    mine[wanted] = Case(wanted, "failed", "No such test was found, or it holds none.")
        flaky = await self._again(mine)
        self.seen.update(mine)
        failed = [case for case in mine.values() if case.outcome == "failed"]
        if failed:
            title = f"{counted(len(failed), 'test')} of {len(mine)} that must pass for this task failed."
            raise self._blocked(
                f"{len(failed)} of {len(mine)} own tests fail: {_names(failed)}", title, failed
            )
        if result.problems:
            raise _Verdict(_report("not_run", result.problems[0]))
        if not any(case.outcome == "passed" for case in mine.values()):
            raise _Verdict(_report("not_run", f"all {counted(len(mine), 'own test')} are skipped"))
        return f"{counted(sum(case.outcome == 'passed' for case in mine.values()), 'own test')} passed{flaky}"

    async def affected_tests(self) -> str:
        paths = self._plan.selection.affected
        result = SessionResult()
        if paths:
            targets = tuple(Target(path) for path in paths)
            result = await self._session.run(targets, self._context.settings.timeout_s)
        cases = {**self._extra, **result.cases}
        worse = {case_id: case for case_id, case in cases.items() if case.outcome != "passed"}
        before = await self._before(tuple(dict.fromkeys(case.path for case in worse.values())))
        suspects = {case_id: case for case_id, case in worse.items() if self._counts(case, before)}
        flaky = await self._again(suspects)
        self.seen.update(cases)
        self.seen.update(suspects)
        broken = [
            case for case in suspects.values() if case.outcome != "passed" and self._counts(case, before)
        ]
        if broken:
            title = f"Passed before this change, and not now: {counted(len(broken), 'test')}."
            raise self._blocked(f"breaks {counted(len(broken), 'test')}: {_names(broken)}", title, broken)
        self._doubt(result, worse, before)
        if result.slow:
            self._notes.append(result.problems[0])
        return self._affected_summary(cases, flaky)

    def _counts(self, case: Case, before: Mapping[str, CaseOutcome] | str) -> bool:
        """True when a test that does not pass now is the change's doing."""
        if _was_fine(before, case):
            return True
        final = self._context.spec is None
        return final and case.outcome == "failed" and self._context.baseline.has_passed(case.id)

    def _doubt(
        self, result: SessionResult, worse: Mapping[str, Case], before: Mapping[str, CaseOutcome] | str
    ) -> None:
        """Raises where it is not known whether something broke."""
        failed = [case for case in worse.values() if case.outcome == "failed"]
        if result.problems and not result.slow:
            raise _Verdict(_report("not_run", result.problems[0]))
        if failed and isinstance(before, str):
            why = f"{counted(len(failed), 'test')} failed, and what they did before is not known: {before}"
            raise _Verdict(_report("not_run", why))
        if self._plan.whole and (failed or result.problems):
            why = result.problems[0] if result.problems else "the test command fails on the base, too"
            raise _Verdict(_report("not_run", why))

    def _affected_summary(self, cases: Mapping[str, Case], flaky: str) -> str:
        passed = sum(case.outcome == "passed" for case in cases.values())
        failed = sum(case.outcome == "failed" for case in cases.values())
        parts = [f"{counted(passed, 'other test')} passed{flaky}"] if passed else []
        if failed:
            parts.append(f"{failed} failed before, too")
        parts += self._notes
        if self._plan.selection.own:
            return "".join(f"; {part}" for part in parts)
        return "; ".join(parts) or "no test had a result"

    async def _before(self, paths: Sequence[str]) -> Mapping[str, CaseOutcome] | str:
        """What tests did at the start, as far as the time allows; or why that is not known."""
        context, plan = self._context, self._plan
        known = [path for path in paths if path in plan.before or plan.whole]
        if not known:
            return {}
        problems: list[str] = []

        async def run(files: Sequence[str]) -> Results:
            async with open_session(context, context.start, plan.before, plan.runners) as session:
                result = await session.run([Target(path) for path in files], context.settings.baseline_s)
            if not result.slow:
                problems.extend(result.problems)
            found: dict[str, dict[str, CaseOutcome]] = {}
            if not result.problems:
                found = {path: {} for path in files}
            for case in result.cases.values():
                found.setdefault(case.path, {})[case.id] = case.outcome
            return found

        tree = context.store.tree_of(context.start)
        outcomes = await context.baseline.of(tree, known, run)
        left = [path for path in known if not any(is_below(case_id, path) for case_id in outcomes)]
        if left and not problems:
            self._notes.append(f"{counted(len(left), 'file')} had no result before within the time")
        return problems[0] if problems and left else outcomes

    async def _again(self, cases: dict[str, Case]) -> str:
        """Runs what failed once more and keeps the better result; in words, how many were not steady."""
        failed = [
            case for case in cases.values() if case.outcome == "failed" and not case.output.startswith(HUNG)
        ]
        if not failed or len(failed) > _MOST_AGAIN:
            return ""
        targets: dict[str, list[str]] = {}
        for case in failed:
            targets.setdefault(case.path, []).append(case.id.partition("::")[2])
        again = await self._session.run(
            [Target(path, () if "" in nodes else tuple(nodes)) for path, nodes in targets.items()]
        )
        steady = 0
        for case in failed:
            second = again.cases.get(case.id)
            if second is not None and second.outcome == "passed":
                cases[case.id] = second
                steady += 1
            elif second is None and "::" not in case.id and not again.problems:
                cases.pop(case.id)  # the file could be loaded this time: its tests speak for it
                cases.update((i, c) for i, c in again.cases.items() if c.path == case.path)
        return f" ({steady} only when run once more)" if steady else ""

    def _blocked(self, detail: str, title: str, cases: Sequence[Case]) -> _Verdict:
        text = failures(title, cases)
        if self._plan.protected:
            text = trimmed(f"{text}\n\n{_protected_note(self._plan.protected)}", LIMIT + 800)
        return _Verdict(_report("blocked", detail, text))


def _is_broken(result: SessionResult, wanted: str) -> bool:
    """True when the file of a test could not be loaded: that is reported already."""
    path = wanted.split("::", 1)[0]
    return path in result.cases and result.cases[path].outcome == "failed"


def _was_fine(before: Mapping[str, CaseOutcome] | str, case: Case) -> bool:
    """True when a test passed before; a file that cannot be loaded now counts for its tests."""
    if isinstance(before, str):
        return False
    if before.get(case.id) == "passed":
        return True
    return "::" not in case.id and any(
        outcome == "passed" and case_id.startswith(f"{case.id}::") for case_id, outcome in before.items()
    )


async def _ask(context: GateContext, plan: _Plan) -> str:
    """Asks a person about changed tests, with what their former version says of the result."""
    changes = plan.protected
    former = await _judge_by_former(context, plan)
    subject = f"change of tests: {named([change.path for change in changes])}"
    detail = "\n".join([*(str(change) for change in changes), former.splitlines()[0]])
    if await context.approve(subject, detail):
        return f"a person approved the change of {named([change.path for change in changes])}"
    text = f"{_protected_note(changes)}\n\n{former}"
    raise _Verdict(_report("blocked", f"no approval for the {subject}", trimmed(text, LIMIT)))


def _protected_note(changes: Sequence[Protected]) -> str:
    lines = "\n".join(f"- {change}" for change in changes)
    return (
        "Existing tests and the configuration of tests judge in their former version, and a person has not "
        f"approved that you changed them. Give these files their former content:\n{lines}"
    )


async def _judge_by_former(context: GateContext, plan: _Plan) -> str:
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


def _names(cases: Sequence[Case]) -> str:
    return named([case.id for case in cases])


def _report(outcome: GateOutcome, detail: str, feedback: str = "") -> GateReport:
    return GateReport(gate=NAME, outcome=outcome, detail=" ".join(detail.split()), feedback=feedback)
