"""What earlier decisions mean: which hunks are accepted, which decision is the one to undo. Pure."""

from orchestration.edits.text import BinaryContentError, FileText
from orchestration.errors import ConflictError, NotFoundError, UsageError
from orchestration.review.change_set import ChangeSet
from orchestration.review.rebase import take_back
from orchestration.run import DecisionState, RunState

FAILED = frozenset({"conflict", "unknown"})


def decided_ids(state: RunState, change_set: ChangeSet) -> tuple[frozenset[str], frozenset[str]]:
    """The ids of accepted and of rejected hunks: the last decision on a hunk that happened and was not
    undone. A decision that failed in a file did not happen for that file's hunks.
    """
    where = {hunk.id: hunk.path for hunk in change_set.hunks}
    accepted: dict[str, bool] = {}
    for decision in state.decisions.values():
        if decision.undone or not decision.applied:
            continue
        failed = {result.path for result in decision.results if result.outcome in FAILED}
        for hunk_id in decision.hunk_ids:
            if where.get(hunk_id) not in failed:
                accepted[hunk_id] = decision.decision == "accept"
    return (
        frozenset(hunk_id for hunk_id, yes in accepted.items() if yes),
        frozenset(hunk_id for hunk_id, yes in accepted.items() if not yes),
    )


def decision_to_undo(state: RunState, decision_id: str | None) -> DecisionState:
    if decision_id is not None:
        known = state.decisions.get(decision_id)
        if known is None:
            raise NotFoundError(f"{state.run_id} has no decision {decision_id}")
        if known.undone:
            raise UsageError(f"decision {decision_id} is undone already")
        return known
    for decision in reversed(list(state.decisions.values())):
        if not decision.undone:
            return decision
    raise UsageError(f"{state.run_id} has no decision to undo")


def taken_back(before: bytes | None, after: bytes | None, now: bytes | None) -> bytes | None:
    """The content with a decision (before → after) taken out of `now`. Raises ConflictError."""
    if now == after:
        return before
    if now is None or after is None or before is None:
        raise ConflictError("the file was created, deleted or replaced since; restore it by hand")
    try:
        old, new, current = FileText.decode(before), FileText.decode(after), FileText.decode(now)
    except BinaryContentError as error:
        raise ConflictError(str(error)) from None
    text = take_back(old.text, new.text, current.text)
    return FileText((text,), current.encoding, current.bom).encode()


def text_of(data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        return FileText.decode(data).text
    except BinaryContentError:
        return None
