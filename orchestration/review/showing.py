"""The change set of a run as people see it: from how its hunks stand to `view.py`. Pure."""

from typing import Literal

from orchestration import events as ev
from orchestration.review.history import FAILED
from orchestration.review.hunks import Hunk
from orchestration.review.parts import Rest
from orchestration.review.standing import Stand, Standing, Versions
from orchestration.review.view import FileView, HunkView
from orchestration.run import RunState

Reached = Literal["", "sent", "seen", "saved"]


def file_view(standing: Standing, versions: Versions, state: RunState, *, protected: str) -> FileView:
    change = standing.change
    links = _finding_links(standing, state)
    return FileView(
        path=change.path,
        kind=change.kind,
        old_path=change.old_path or "",
        added=sum(hunk.new_lines for hunk in change.hunks),
        removed=sum(hunk.old_lines for hunk in change.hunks),
        hunks=tuple(
            _hunk_view(stand, standing, versions, state, tuple(links.get(stand.hunk.id, ())), protected)
            for stand in standing.stands
        ),
        news=bool(news_of(standing, versions, state)),
    )


def _hunk_view(
    stand: Stand,
    standing: Standing,
    versions: Versions,
    state: RunState,
    finding_ids: tuple[str, ...],
    protected: str,
) -> HunkView:
    hunk, proposed, rest = stand.hunk, stand.history.hunk, stand.rest
    if hunk.state == "rejected":
        rest = Rest(0, proposed.old, proposed.new)
    elif hunk.state == "accepted":
        rest = Rest(0, proposed.old, stand.held)
    why = _failure(proposed, standing, state) if hunk.state == "proposed" else ""
    return HunkView(
        hunk_id=hunk.id,
        path=standing.change.path,
        state=hunk.state,
        start_line=hunk.old_start,
        old_lines=hunk.old_lines,
        new_lines=hunk.new_lines,
        old_text=rest.old,
        new_text=rest.new,
        base_hash=hunk.base_hash,
        kind=hunk.kind,
        task_ids=hunk.task_ids,
        finding_ids=finding_ids,
        reason=hunk.reason,
        detail=stand.detail or why,
        protected=protected,
        old_numbers=rest.old_numbers or (),
        new_numbers=rest.new_numbers or (),
        proposed_old_lines=proposed.old_lines,
        reached=_reached(stand, standing, versions, state) if hunk.state == "accepted" else "",
    )


def _reached(stand: Stand, standing: Standing, versions: Versions, state: RunState) -> Reached:
    if versions.saved:
        return "saved"
    decision = state.decisions.get(stand.history.latest(stand.variant))
    for result in () if decision is None else decision.results:
        if result.path == standing.path and result.outcome == "sent":
            return "sent"
    return "seen"


def _failure(hunk: Hunk, standing: Standing, state: RunState) -> str:
    """Why the last decision on a hunk that is still proposed did not happen."""
    paths = {standing.change.path, standing.change.old_path}
    for decision in reversed(state.decisions.values()):
        if hunk.id in decision.hunk_ids:
            if decision.undone or hunk.id in decision.back:
                return ""
            failed = (one for one in decision.results if one.path in paths and one.outcome in FAILED)
            return next((f"not accepted: {one.detail}" for one in failed), "")
    return ""


def news_of(
    standing: Standing, versions: Versions, state: RunState
) -> tuple[ev.HunksSeen | ev.FileNoted, ...]:
    """What the file shows and the journal does not know yet: hunks that were taken back in the editor or came
    back, edits that are on the disk now, and such whose outcome was unknown and that the text holds.
    """
    shown = (stand.history.seen(stand.variant) for stand in standing.stands)
    seen = tuple(hunk for hunk in shown if hunk is not None)
    news: list[ev.HunksSeen | ev.FileNoted] = []
    if seen:
        news.append(ev.HunksSeen(path=standing.change.path, hunks=seen))
    in_effect = frozenset[str]().union(*(stand.history.variants[stand.variant] for stand in standing.stands))
    for decision in state.decisions.values():
        if decision.decision_id not in in_effect or not decision.applied:
            continue
        for result in decision.results:
            if result.path == standing.path and result.outcome in {"sent", "seen", "unknown"}:
                outcome: ev.FileOutcome = "saved" if versions.saved else "seen"
                if outcome != result.outcome:
                    file = ev.FileResult(path=result.path, outcome=outcome)
                    news.append(ev.FileNoted(decision_id=decision.decision_id, file=file))
    return tuple(news)


def _finding_links(standing: Standing, state: RunState) -> dict[str, list[str]]:
    """The findings that speak of a hunk's new lines, by the hunk's id."""
    change = standing.change
    links: dict[str, list[str]] = {}
    for finding in state.findings.values():
        if finding.path != change.path:
            continue
        for hunk in change.hunks:
            if hunk.kind not in {"lines", "create", "whole"}:
                continue
            if finding.base_hash == change.new_hash:
                first, last = finding.start_line, max(finding.end_line, finding.start_line)
                there = first < hunk.new_start + hunk.new_lines and hunk.new_start <= last
            else:
                evidence = finding.evidence.strip()
                there = bool(evidence) and evidence in hunk.new
            if there:
                links.setdefault(hunk.id, []).append(finding.id)
    return links
