"""Where a finding stands in a file as it is now. Pure.

A finding is located against the file as the run left it. In the user's file that text may have moved, or
may not be there yet because the hunk that brings it is still only proposed.
"""

import hashlib
import re
from collections.abc import Sequence

from orchestration.quality.finding import Finding
from orchestration.review.view import HunkView, PlacedFinding


def place(
    finding: Finding, current: str | None, hunks: Sequence[HunkView], *, task_id: str = ""
) -> PlacedFinding | None:
    """`current`: the text of buffer or file (None: no such file); `hunks`: those of that path. None when
    the finding's text is neither there nor proposed any more.
    """
    lines = [] if current is None else current.split("\n")
    if current is not None and finding.base_hash == hashlib.sha256(current.encode()).hexdigest():
        return _at(finding, finding.start_line, task_id)
    found = _nearest(lines, finding)
    if found is not None:
        return _at(finding, found, task_id)
    wanted = _first_line(finding)
    for hunk in hunks:
        if hunk.state in {"proposed", "conflict"} and _holding(hunk.new_text.split("\n"), wanted):
            last = hunk.start_line + max(hunk.old_lines - 1, 0)
            return PlacedFinding(
                finding=finding,
                start_line=hunk.start_line,
                start_column=0,
                end_line=last,
                end_column=len(lines[last]) if last < len(lines) else 0,
                exact=False,
                hunk_id=hunk.hunk_id,
                task_id=task_id,
            )
    return None


def _at(finding: Finding, line: int, task_id: str) -> PlacedFinding:
    return PlacedFinding(
        finding=finding,
        start_line=line,
        start_column=finding.start_column,
        end_line=line + finding.end_line - finding.start_line,
        end_column=finding.end_column,
        task_id=task_id,
    )


def _first_line(finding: Finding) -> str:
    return next((line.strip() for line in finding.evidence.splitlines() if line.strip()), "\0")


def _nearest(lines: Sequence[str], finding: Finding) -> int | None:
    """The line that holds the evidence's first line, nearest to where it was."""
    hits = _holding(lines, _first_line(finding))
    return min(hits, key=lambda number: abs(number - finding.start_line)) if hits else None


def _holding(lines: Sequence[str], wanted: str) -> list[int]:
    """The lines that are `wanted`, blanks around them apart; where there is none, those of which it is a part
    that begins and ends no word (`n = 1` is not in `then = 10`).
    """
    whole = [number for number, line in enumerate(lines) if line.strip() == wanted]
    if whole:
        return whole
    before = r"(?<!\w)" if wanted[0].isalnum() else ""
    after = r"(?!\w)" if wanted[-1].isalnum() else ""
    part = re.compile(before + re.escape(wanted) + after)
    return [number for number, line in enumerate(lines) if wanted in line and part.search(line)]
