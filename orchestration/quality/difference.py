"""Findings over a difference: what `antiphon review` shows, and what the final tree is looked at for.

Analyzers see whole files and report on changed lines, unless the settings say otherwise; syntax errors
are findings, too. Nothing here blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.errors import AntiphonError
from orchestration.quality.analyzers import standard_analyzers
from orchestration.quality.analyzers.contract import Analyzer
from orchestration.quality.feedback import counted
from orchestration.quality.finding import Finding
from orchestration.quality.findings import identify, on_changed_lines
from orchestration.quality.gates import GateContext, GateReport
from orchestration.quality.processes import Processes
from orchestration.quality.reviewer import Reviewer
from orchestration.quality.session import open_bench
from orchestration.quality.syntax import SyntaxGate
from orchestration.quality.tree_view import TreeView


@dataclass(frozen=True, slots=True)
class DifferenceReview:
    """`notes`: in lines for people, what could not be looked at and why."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


async def review_difference(
    context: GateContext, *, reviewer: Reviewer | None = None, analyzers: Sequence[Analyzer] | None = None
) -> DifferenceReview:
    """Over `context.start`..`context.tree`. Raises what the reviewer's `ask` raises."""
    syntax = await SyntaxGate().check(context)
    findings = list(syntax.findings)
    notes = [syntax.detail] if syntax.outcome == "not_run" else []
    if context.settings.analyzers:
        analyzed = await analyze(context, standard_analyzers() if analyzers is None else analyzers)
        findings += analyzed.findings
        notes += analyzed.notes
    if reviewer is not None:
        reviewed = await reviewer.review(context)
        findings += reviewed.findings
        if reviewed.note:
            notes.append(reviewed.note)
        if reviewed.dropped:
            notes.append(f"{counted(reviewed.dropped, 'report')} of the reviewer had no valid evidence")
    return DifferenceReview(identify(findings), tuple(notes))


async def analyze(context: GateContext, analyzers: Sequence[Analyzer]) -> DifferenceReview:
    present = [path for path in context.changed if context.store.entry(context.tree, path) is not None]
    concerned = {
        analyzer.name: paths
        for analyzer in analyzers
        if (paths := [path for path in present if analyzer.concerns(path)])
    }
    if not concerned:
        return DifferenceReview(())
    processes = Processes(context.launcher, context.environ, context.root)
    notes = []
    for analyzer in analyzers:
        if analyzer.name in concerned and not await context.executor.run(
            analyzer.is_installed, context.root, context.settings, processes
        ):
            notes.append(f"{analyzer.name} is not installed")
            del concerned[analyzer.name]
    if not concerned:
        return DifferenceReview((), tuple(notes))
    if why_not := await context.why_not():
        return DifferenceReview((), (*notes, f"{', '.join(concerned)} did not run: {why_not}"))
    view = await context.executor.run(TreeView, context.store, context.tree)
    found: list[Finding] = []
    async with open_bench(context, context.tree, view) as bench:
        for analyzer in analyzers:
            if analyzer.name in concerned:
                analysis = await analyzer.analyze(bench, concerned[analyzer.name])
                found += analysis.findings
                notes += [analysis.note] if analysis.note else []
    if context.settings.changed_lines_only:
        found = await context.executor.run(_on_changed_lines, context, found)
    return DifferenceReview(identify(found), tuple(notes))


def _on_changed_lines(context: GateContext, findings: Sequence[Finding]) -> list[Finding]:
    by_path: dict[str, list[Finding]] = {}
    for finding in findings:
        by_path.setdefault(finding.path, []).append(finding)
    kept: list[Finding] = []
    for path, members in by_path.items():
        before = context.store.read(context.start, path)
        kept += on_changed_lines(members, before, context.store.read(context.tree, path) or b"")
    return kept


class AnalysisGate:
    """Shows findings and never blocks; for the final tree, since it needs a checkout."""

    name = "analysis"

    def __init__(self, analyzers: Sequence[Analyzer]) -> None:
        self._analyzers = tuple(analyzers)

    async def check(self, context: GateContext) -> GateReport:
        began = context.clock.monotonic()
        try:
            review = await analyze(context, self._analyzers)
        except AntiphonError as error:
            review = DifferenceReview((), (str(error),))
        detail = "; ".join(
            [*([counted(len(review.findings), "finding")] if review.findings else []), *review.notes]
        )
        return GateReport(
            gate=self.name,
            outcome="passed" if review.findings or not review.notes else "not_applicable",
            detail=detail or "no findings",
            findings=review.findings,
            seconds=context.clock.monotonic() - began,
        )
