"""Which decision is the one to undo; the text of a file, where it has one. Pure."""

from orchestration.edits.text import BinaryContentError, FileText
from orchestration.errors import NotFoundError, UsageError
from orchestration.run import DecisionState, RunState


def decision_to_undo(state: RunState, decision_id: str | None) -> DecisionState:
    """`decision_id` None: the latest of which anything is left to undo. Raises NotFoundError, UsageError."""
    if decision_id is not None:
        known = state.decisions.get(decision_id)
        if known is None:
            raise NotFoundError(f"{state.run_id} has no decision {decision_id}")
        if known.undone:
            raise UsageError(f"decision {decision_id} is undone already")
        if not known.stands:
            raise UsageError(f"decision {decision_id} was taken back in the editor already")
        return known
    for decision in reversed(list(state.decisions.values())):
        if decision.stands:
            return decision
    raise UsageError(f"{state.run_id} has no decision to undo")


def text_of(data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        return FileText.decode(data).text
    except BinaryContentError:
        return None
