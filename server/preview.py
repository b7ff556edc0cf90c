"""A proposed file before and after, from the text as it is now and the hunks where they stand in it. Pure.

The whole file: *after* is what accepting every open hunk would give; a conflict is not among them. One hunk:
a conflict shows both, the user's lines before and the proposed ones after; an accepted hunk shows what it
replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.edits.text import split_lines
from orchestration.review.view import HunkView
from server.anchors import Anchor

_WHOLE_FILE = frozenset({"create", "delete", "whole"})


@dataclass(frozen=True, slots=True)
class Preview:
    """Lines with their endings."""

    before: Sequence[str]
    after: Sequence[str]


def preview(hunks: Sequence[Anchor[HunkView]], lines: Sequence[str], hunk_id: str = "") -> Preview:
    """`lines`: the file as it is now (none: it is not there); `hunks`: all of the file."""
    if hunk_id:
        return _of_one([anchor for anchor in hunks if anchor.subject.hunk_id == hunk_id], lines)
    shown = [anchor for anchor in hunks if anchor.subject.state == "proposed"]
    for anchor in shown:
        if anchor.subject.kind in _WHOLE_FILE:
            return _of_one([anchor], lines)
    return Preview(lines, _replaced(lines, [anchor for anchor in shown if _fits(anchor, lines)]))


def _of_one(hunks: Sequence[Anchor[HunkView]], lines: Sequence[str]) -> Preview:
    if not hunks:
        return Preview(lines, lines)
    [anchor] = hunks
    hunk = anchor.subject
    if hunk.kind in {"rename", "mode"}:
        return Preview(lines, lines)
    accepted = hunk.state == "accepted"
    if hunk.kind in _WHOLE_FILE:
        other = split_lines(hunk.old_text if accepted else hunk.new_text)
        return Preview(other, lines) if accepted else Preview(lines, other)
    if not accepted:
        return Preview(lines, _replaced(lines, hunks))
    return Preview(_replaced(lines, hunks, taken_back=True) if _fits(anchor, lines) else lines, lines)


def _fits(anchor: Anchor[HunkView], lines: Sequence[str]) -> bool:
    """Whether the lines there are still those the hunk speaks of."""
    hunk = anchor.subject
    there = "".join(lines[anchor.line : anchor.line + anchor.span])
    return hunk.kind == "lines" and there == (hunk.new_text if hunk.state == "accepted" else hunk.old_text)


def _replaced(
    lines: Sequence[str], hunks: Sequence[Anchor[HunkView]], *, taken_back: bool = False
) -> Sequence[str]:
    result: list[str] = []
    at = 0
    for anchor in sorted(hunks, key=lambda anchor: (anchor.line, anchor.span)):
        result += lines[at : anchor.line]
        result += split_lines(anchor.subject.old_text if taken_back else anchor.subject.new_text)
        at = anchor.line + anchor.span
    return result + list(lines[at:])
