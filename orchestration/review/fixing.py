"""Applies a finding's own fix to the file as it is now. Pure.

The fix is expressed against the file as the run left it (`judged`); the user's edits since then are
found as a difference, and the fix is rebased over them: touching lines are a conflict, never a guess.
"""

from orchestration.edits.text import BinaryContentError, FileText
from orchestration.errors import ConflictError
from orchestration.quality.finding import Finding, FixEdit
from orchestration.review.offset_edits import TextChange, TextEdit, minimal_change


def fixed_text(finding: Finding, judged: bytes | None, now: bytes) -> bytes:
    """The new content. Raises ConflictError when the fix does not fit any more."""
    if finding.fix is None:
        raise ConflictError(f"{finding.rule} has no fix to apply")
    try:
        current = FileText.decode(now)
        seen = current if judged is None else FileText.decode(judged)
    except BinaryContentError as error:
        raise ConflictError(str(error)) from None
    fix = TextChange.of(_edit(seen, change) for change in finding.fix.edits)
    moved = fix.rebase(minimal_change(seen.text, current.text), after=True)
    if moved is None:
        raise ConflictError(
            f"{finding.path}: the lines of {finding.rule} are not (or not any more) what the fix was made "
            "for; accept the hunk that brings them first, or fix it by hand"
        )
    return FileText((moved.apply(current.text),), current.encoding, current.bom).encode()


def _edit(file: FileText, change: FixEdit) -> TextEdit:
    return TextEdit(
        _offset(file, change.start_line, change.start_column),
        _offset(file, change.end_line, change.end_column),
        change.text,
    )


def _offset(file: FileText, line: int, column: int) -> int:
    """Characters before this place."""
    before = sum(len(text) for text in file.lines[:line])
    return before + column
