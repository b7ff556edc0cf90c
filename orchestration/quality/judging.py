"""Judges a tree by its tests: own tests first, then others that the change may affect.

What fails runs once more before it counts; what still fails is compared with the start, which is run
only then. Protected changes, plans and people are the tests gate's business (`tests_gate.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from orchestration.events import GateOutcome
from orchestration.quality.baseline import FileResults, Results
from orchestration.quality.dependencies import missing_dependency
from orchestration.quality.feedback import LIMIT, counted, failures, named, trimmed
from orchestration.quality.gates import GateContext, GateReport
from orchestration.quality.learned import ByOutcome, Learned, by_outcome, passes
from orchestration.quality.protection import Protected
from orchestration.quality.runners.command import WHOLE
from orchestration.quality.runners.contract import Case, CaseOutcome, Runner, Target, is_below
from orchestration.quality.runners.report import HUNG
from orchestration.quality.selection import Selection
from orchestration.quality.session import Session, SessionResult, open_session
from orchestration.quality.tree_view import TreeView

NAME = "tests"
_MOST_AGAIN = 200
"""Failures beyond which nobody can speak of unsteady tests."""
_MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be judged by what. `languages`: all detected runners, also where a command replaces them."""

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


class Verdict(Exception):  # noqa: N818 - not an error: it carries a report up
    def __init__(self, report: GateReport) -> None:
        super().__init__(report.detail)
        self.report = report


class Check:
    """One judgement of one tree: `run` in its checkout, then `judge` when that is given back, since the
    start may need a checkout, too. `seen`: the last result of each test; `whole`: the files all of whose
    tests have one.
    """

    def __init__(self, context: GateContext, plan: Plan) -> None:
        self._context = context
        self._plan = plan
        self.seen: dict[str, Case] = {}
        self.whole: list[str] = []
        self._own_passed = 0
        self._others: dict[str, Case] = {}
        self._no_result: tuple[SessionResult, list[str]] | None = None
        self._notes: list[str] = []
        self._late: set[str] = set()
        self._before_known: dict[str, dict[str, ByOutcome]] = {}
        self._unsteady = 0

    async def run(self, session: Session) -> None:
        """Raises a Verdict when the task's own tests fail."""
        selection = self._plan.selection
        if selection.own:
            await self._run_own(session, selection.own)
        if selection.affected and self._no_result is None:
            result = await self._run(session, [Target(path) for path in selection.affected], limited=True)
            self._others.update(result.cases)
            if result.problems and (self._plan.whole or not result.slow):
                self._no_result = (result, list(selection.affected))
            elif result.problems:
                self._notes.append(result.problems[0])
        runs = same_runs(self._context, self._context.start)
        old = self._context.baseline.known_failures(runs, self._others, self._context.run)
        await self._again(session, self._others, old)

    async def _run_own(self, session: Session, own: Sequence[Target]) -> None:
        command = bool(self._context.settings.test_command)
        result = await self._run(session, own if command else [Target(target.path) for target in own])
        mine: dict[str, Case] = {}
        for case in result.cases.values():
            (mine if any(target.holds(case.id) for target in own) else self._others)[case.id] = case
        if not result.problems:
            mine.update(_not_found(own, result))
        await self._again(session, mine)
        self.seen.update(mine)
        failed = [case for case in mine.values() if case.outcome == "failed"]
        if failed:
            raise self._own_failed(failed, len(mine))
        if result.problems:
            self._no_result = (result, [target.path for target in own])
            return
        self._own_passed = sum(case.outcome == "passed" for case in mine.values())
        if not self._own_passed:
            files = named([target.path for target in own])
            why = (
                f"all {counted(len(mine), 'own test')} are skipped"
                if mine
                else f"no test was found in {files}"
            )
            raise Verdict(report("not_run", why))

    async def _run(
        self, session: Session, targets: Sequence[Target], *, limited: bool = False
    ) -> SessionResult:
        """Runs them; on the final tree, only those that did not pass in an equal tree before."""
        known = self._known(targets) if self._context.spec is None else {}
        left = [target for target in targets if target.path not in known]
        result = await session.run(left, self._context.settings.timeout_s if limited else None)
        for path, outcomes in known.items():
            result.cases.update((case_id, Case(case_id, outcome)) for case_id, outcome in outcomes.items())
            self.whole.append(path)
        if known:
            self._notes.append(f"{counted(len(known), 'file')} known from an equal tree")
        if not result.problems:
            self.whole += [target.path for target in left if not target.nodes]
        return result

    def _known(self, targets: Iterable[Target]) -> dict[str, Mapping[str, CaseOutcome]]:
        """The results of whole files in an equal tree, where none of their tests failed."""
        runs = same_runs(self._context, self._context.tree)
        found = {}
        for target in targets:
            outcomes = self._context.baseline.known(runs, target.path, self._context.run)
            if outcomes and not target.nodes and "failed" not in outcomes.values():
                found[target.path] = outcomes
        return found

    def _own_failed(self, failed: Sequence[Case], count: int) -> Verdict:
        lacking = [missing_dependency(self._plan.after, case) for case in failed]
        if all(lacking):
            why = f"{lacking[0]} is declared by the project, and not installed for its tests"
            return Verdict(report("not_run", why))
        title = f"{counted(len(failed), 'test')} of {count} that must pass for this task failed."
        return self._blocked(f"{len(failed)} of {count} own tests fail: {_names(failed)}", title, failed)

    async def judge(self) -> str:
        """What was seen, in a line, when nothing is held against the tree; else raises a Verdict."""
        cases = self._others
        worse = [case for case in cases.values() if case.outcome != "passed"]
        before = await self._before_of(worse)
        self.seen.update(cases)
        broken = [case for case in worse if self._counts(case, before)]
        if broken:
            title = f"Passed before this change, and not now: {counted(len(broken), 'test')}."
            raise self._blocked(f"breaks {counted(len(broken), 'test')}: {_names(broken)}", title, broken)
        if self._no_result is not None:
            raise await self._no_end(*self._no_result)
        self._doubt(worse, before)
        return self._summary(before if isinstance(before, dict) else {})

    def _counts(self, case: Case, before: Mapping[str, CaseOutcome] | str) -> bool:
        """True when a test that does not pass now is the change's doing."""
        if _was_fine(before, case):
            return True
        final = self._context.spec is None
        passed = self._context.baseline.has_passed(self._context.run, case.id)
        return final and case.outcome == "failed" and passed

    def _doubt(self, worse: Sequence[Case], before: Mapping[str, CaseOutcome] | str) -> None:
        """Raises where it is not known whether something broke."""
        failed = [case for case in worse if case.outcome == "failed"]
        if failed and isinstance(before, str):
            why = f"{counted(len(failed), 'test')} failed, and what they did before is not known: {before}"
            raise Verdict(report("not_run", why))
        late = [case for case in failed if case.path in self._late and case.id not in before]
        if late:
            why = f"{counted(len(late), 'test')} failed, and the time did not suffice to see what they did before"
            raise Verdict(report("not_run", f"{why}: {_names(late)}"))
        if failed and self._plan.whole:
            raise Verdict(report("not_run", "the test command fails on the base, too"))

    async def _no_end(self, result: SessionResult, paths: Sequence[str]) -> Verdict:
        """What to make of a run without results: where the start ran well, the change broke it."""
        problem = result.problems[0]
        if not result.said or not await self._start_runs_well(paths):
            return Verdict(report("not_run", problem))
        title = f"The tests ran before this change; now they do not come to their end: {problem}"
        return Verdict(report("blocked", problem, trimmed(f"{title}\n\n{result.said[0]}", LIMIT)))

    async def _start_runs_well(self, paths: Sequence[str]) -> bool:
        """True when the same tests came to their end at the start, in good time."""
        context, plan = self._context, self._plan
        known = [path for path in paths if path in plan.before or plan.whole]
        if not known:
            return False
        limit = context.settings.timeout_s
        async with open_session(context, context.start, plan.before, plan.runners) as session:
            began = context.clock.monotonic()
            result = await session.run([Target(path) for path in known], limit, alone=True)
            taken = context.clock.monotonic() - began
        return bool(result.cases) and not result.problems and taken < limit / 2

    def learned(self, *, passed: bool) -> Learned:
        """What a resumed run needs not find out again; of the judged tree only where it `passed`."""
        results = dict(self._before_known)
        if not passed:
            return Learned(results=results)
        counts, whole = same_runs(self._context, self._context.tree), frozenset(self.whole)
        files: dict[str, dict[str, CaseOutcome]] = {path: {} for path in self.whole}
        for case in self.seen.values():
            if case.path in whole:
                files[case.path][case.id] = case.outcome
        results[counts] = {
            **results.get(counts, {}),
            **{path: by_outcome(path, its) for path, its in files.items()},
        }
        others = (case for case in self.seen.values() if case.path not in whole)
        return Learned(results=results, counts=counts, passed=passes(others))

    def _summary(self, before: Mapping[str, CaseOutcome]) -> str:
        outcomes = [case.outcome for case in self._others.values()]
        failed = [case for case in self._others.values() if case.outcome == "failed"]
        old = sum("failed" in {before.get(case.id), before.get(case.path)} for case in failed)
        parts = [f"{counted(self._own_passed, 'own test')} passed"] if self._own_passed else []
        if passed := outcomes.count("passed"):
            parts.append(f"{counted(passed, 'other test')} passed")
        if old:
            parts.append(f"{old} failed before, too")
        if unknown := len(failed) - old:
            parts.append(f"{unknown} failed that had no result before")
        if self._unsteady:
            parts.append(f"{self._unsteady} passed only when run once more")
        return "; ".join([*parts, *self._notes]) or "no test had a result"

    async def _before_of(self, worse: Sequence[Case]) -> Mapping[str, CaseOutcome] | str:
        """What tests that do not pass now did before. Where they are only skipped, the run's base is asked, whose
        tests run once for all tasks, and not this task's start: a skip fails nothing, it only must not hide
        what passed once.
        """
        context, plan = self._context, self._plan
        paths = tuple(dict.fromkeys(case.path for case in worse))
        has_passed = context.baseline.has_passed
        if any(case.outcome == "failed" or has_passed(context.run, case.id) for case in worse):
            return await self._before(paths, context.start, plan.before)
        view = await context.executor.run(TreeView, context.store, context.base) if paths else plan.before
        return await self._before(paths, context.base, view)

    async def _before(
        self, paths: Sequence[str], tree: str, view: TreeView
    ) -> Mapping[str, CaseOutcome] | str:
        """What tests did in an earlier tree, as far as the time allows; or why that is not known."""
        context, plan = self._context, self._plan
        known = [path for path in paths if path in view or plan.whole]
        if not known:
            return {}
        problems: list[str] = []

        async def run(files: Sequence[str]) -> Results:
            async with open_session(context, tree, view, plan.runners) as session:
                targets = [Target(path) for path in files]
                result = await session.run(targets, context.settings.baseline_s, alone=True)
            if not result.slow:
                problems.extend(result.problems)
            found: dict[str, dict[str, CaseOutcome]] = {}
            if not result.problems:
                found = {path: {} for path in files}
            for case in result.cases.values():
                found.setdefault(case.path, {})[case.id] = case.outcome
            return {path: FileResults(its, not result.problems) for path, its in found.items()}

        runs = same_runs(context, tree)
        results = await context.baseline.of(runs, known, run, context.run)
        self._before_known[runs] = {
            path: by_outcome(path, its.outcomes) for path, its in results.items() if its.whole
        }
        outcomes = {case_id: outcome for its in results.values() for case_id, outcome in its.outcomes.items()}
        left = [path for path in known if not any(is_below(case_id, path) for case_id in outcomes)]
        self._late.update(path for path in known if path not in results or not results[path].whole)
        return problems[0] if problems and left else outcomes

    async def _again(
        self, session: Session, cases: dict[str, Case], old: frozenset[str] = frozenset()
    ) -> None:
        """Runs once more what failed and is not an `old` failure, and keeps the better result."""
        failed = [
            case
            for case in cases.values()
            if case.outcome == "failed" and case.id not in old and not case.output.startswith(HUNG)
        ]
        if not failed or len(failed) > _MOST_AGAIN:
            return
        targets: dict[str, list[str]] = {}
        for case in failed:
            targets.setdefault(case.path, []).append(case.id.partition("::")[2])
        again = await session.run(
            [Target(path, () if "" in nodes else tuple(nodes)) for path, nodes in targets.items()], alone=True
        )
        for case in failed:
            second = again.cases.get(case.id)
            if second is not None and second.outcome == "passed":
                cases[case.id] = second
                self._unsteady += 1
            elif second is None and "::" not in case.id and not again.problems:
                cases.pop(case.id)  # the file could be loaded this time: its tests speak for it
                cases.update((i, c) for i, c in again.cases.items() if c.path == case.path)

    def _blocked(self, detail: str, title: str, cases: Sequence[Case]) -> Verdict:
        text = failures(title, cases)
        if self._plan.protected:
            text = trimmed(f"{text}\n\n{protected_note(self._plan.protected)}", LIMIT + 800)
        failed = () if self._plan.whole else tuple(case.id for case in cases[:_MOST_NAMED])
        return Verdict(report("blocked", detail, text, failed))


def same_runs(context: GateContext, tree: str) -> str:
    """Equal for runs that must have equal results: the same files, run in the same way."""
    settings = context.settings
    way = (settings.test_command, settings.setup_command, settings.interpreter)
    return f"{context.store.tree_of(tree)}/{sha256(repr(way).encode()).hexdigest()[:16]}"


def _not_found(own: Sequence[Target], result: SessionResult) -> dict[str, Case]:
    """Failures for tests that were asked for and that the run knows nothing of."""
    found = {}
    for wanted in (node for target in own for node in target.ids):
        loaded = result.cases.get(wanted.split("::", 1)[0])
        is_broken = loaded is not None and loaded.outcome == "failed"  # and reported as such
        if not is_broken and not any(is_below(case_id, wanted) for case_id in result.cases):
            found[wanted] = Case(wanted, "failed", "No such test was found, or it holds none.")
    return found


def _was_fine(before: Mapping[str, CaseOutcome] | str, case: Case) -> bool:
    """True when a test passed before; a file that cannot be loaded now counts for its tests."""
    if isinstance(before, str):
        return False
    if before.get(case.id) == "passed":
        return True
    return "::" not in case.id and any(
        outcome == "passed" and case_id.startswith(f"{case.id}::") for case_id, outcome in before.items()
    )


def protected_note(changes: Sequence[Protected]) -> str:
    lines = "\n".join(f"- {change}" for change in changes)
    return (
        "Existing tests and the configuration of tests judge in their former version, and a person has not "
        f"approved that you changed them. Give these files their former content:\n{lines}"
    )


def report(outcome: GateOutcome, detail: str, feedback: str = "", failed: tuple[str, ...] = ()) -> GateReport:
    line = " ".join(detail.split())
    return GateReport(gate=NAME, outcome=outcome, detail=line, feedback=feedback, failed=failed)


def _names(cases: Sequence[Case]) -> str:
    return named([case.id for case in cases])
