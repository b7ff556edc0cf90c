"""What taking a decision back makes of a file as it is now, whatever was decided or typed since. Pure.

The file without the decision is what base and the other decisions make, plus the user's own edits: a
three-way merge over the lines of the decision's hunks. Where the user changed those, it is a conflict.
"""

from orchestration.edits.text import BinaryContentError, FileText
from orchestration.errors import ConflictError
from orchestration.review.hunks import Hunk
from orchestration.review.in_effect import expected_text
from orchestration.review.parts import held_text
from orchestration.review.rebase import line_edits, take_back, take_out
from orchestration.review.standing import FileWrite, Stand, Standing, Versions

_GONE = "the file was created, deleted or replaced since; restore it by hand"


def undo_writes(standing: Standing, versions: Versions, decision_id: str) -> tuple[FileWrite, ...]:
    """Path by path; nothing where the decision is not in effect (any more). Raises ConflictError."""
    change = standing.change
    touched = [stand for stand in standing.stands if stand.shows(decision_id)]
    if not touched:
        return ()
    now = versions.now if change.old_path is None or standing.renamed else versions.old_now
    kinds = {stand.history.hunk.kind: stand for stand in touched}
    mode = change.old_mode if "mode" in kinds else None
    if "create" in kinds:
        return (_uncreated(kinds["create"], versions, decision_id),)
    if "delete" in kinds:
        if now is not None:
            raise ConflictError(_GONE)
        return (FileWrite(standing.path, None, versions.base, change.old_mode),)
    if now is None:
        raise ConflictError(_GONE)
    if "whole" in kinds:
        if now != versions.proposed:
            raise ConflictError("the file was changed since it was replaced; restore it by hand")
        after = versions.base
    else:
        after = _lines_taken_out(standing, versions.base, now, decision_id)
    if "rename" in kinds:
        assert change.old_path is not None
        if versions.old_now is not None:
            raise ConflictError(f"{change.old_path} exists again, so the file cannot be renamed back")
        return (
            FileWrite(change.old_path, None, after, mode if mode is not None else change.old_mode),
            FileWrite(change.path, now, None),
        )
    return (FileWrite(standing.path, now, after, mode),)


def taken_back(before: bytes | None, after: bytes | None, now: bytes | None) -> bytes | None:
    """The content with a change (before → after) taken out of `now`. Raises ConflictError."""
    if now == after:
        return before
    if now is None or after is None or before is None:
        raise ConflictError(_GONE)
    old, new, current = _decoded(before), _decoded(after), _decoded(now)
    return current.with_text(take_back(old.text, new.text, current.text)).encode()


def _uncreated(stand: Stand, versions: Versions, decision_id: str) -> FileWrite:
    hunk = stand.history.hunk
    before = stand.history.without(decision_id, stand.variant).taken()
    now = versions.now
    if now is None:
        raise ConflictError(_GONE)
    if before.state in {"open", "rejected"}:
        whole = stand.taken.state == "accepted"
        if now != versions.proposed if whole else _decoded(now).text != stand.held:
            raise ConflictError("the file was changed since it was created; delete it by hand")
        return FileWrite(hunk.path, now, None)
    current = _decoded(now)
    edits = line_edits(stand.held, held_text(hunk, before))
    return FileWrite(hunk.path, now, current.with_text(take_out(edits, stand.held, current.text)).encode())


def _lines_taken_out(standing: Standing, base: bytes | None, now: bytes, decision_id: str) -> bytes:
    hunks: list[Hunk] = []
    held: dict[str, str] = {}
    without: dict[str, str] = {}
    for stand in standing.stands:
        hunk = stand.history.hunk
        if hunk.kind != "lines":
            continue
        hunks.append(hunk)
        held[hunk.id] = stand.held
        if stand.shows(decision_id):
            without[hunk.id] = stand.history.without(decision_id, stand.variant).held()
    if not without:
        return now
    current = _decoded(now)
    expected = expected_text(_decoded(base or b"").lines, hunks, held)
    edits = [
        edit
        for hunk in sorted(hunks, key=lambda hunk: hunk.old_start)
        if hunk.id in without
        for edit in line_edits(held[hunk.id], without[hunk.id], at=expected.places[hunk.id][0])
    ]
    return current.with_text(take_out(edits, expected.text, current.text)).encode()


def _decoded(data: bytes) -> FileText:
    try:
        return FileText.decode(data)
    except BinaryContentError as error:
        raise ConflictError(str(error)) from None
