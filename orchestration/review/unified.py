"""Two texts as a unified diff, for readers that show one text only. Pure."""

from collections.abc import Sequence

from orchestration.edits.text import ending_of
from orchestration.review.cleanup import diff_lines

_CONTEXT = 3


def unified(before: Sequence[str], after: Sequence[str], old_path: str, new_path: str) -> str:
    """Of two files' lines (with endings), with three lines of context; without a difference only the heading."""
    blocks = diff_lines(before, after)
    rows = [f"--- {old_path}\n", f"+++ {new_path}\n"]
    at = 0
    while at < len(blocks):
        end = at + 1
        while end < len(blocks) and blocks[end].old_start - blocks[end - 1].old_end <= 2 * _CONTEXT:
            end += 1
        group = blocks[at:end]
        first = max(group[0].old_start - _CONTEXT, 0)
        lead = group[0].old_start - first
        last = min(group[-1].old_end + _CONTEXT, len(before))
        trail = last - group[-1].old_end
        new_first, new_last = group[0].new_start - lead, group[-1].new_end + trail
        rows.append(f"@@ {_range('-', first, last)} {_range('+', new_first, new_last)} @@\n")
        place = first
        for block in group:
            rows += _marked(" ", before[place : block.old_start])
            rows += _marked("-", before[block.old_start : block.old_end])
            rows += _marked("+", after[block.new_start : block.new_end])
            place = block.old_end
        rows += _marked(" ", before[place:last])
        at = end
    return "".join(rows)


def _range(sign: str, first: int, last: int) -> str:
    """An empty range is named by the line before it, as diff does."""
    return f"{sign}{first + 1 if last > first else first},{last - first}"


def _marked(sign: str, lines: Sequence[str]) -> list[str]:
    return [
        f"{sign}{line}" if ending_of(line) else f"{sign}{line}\n\\ No newline at end of file\n"
        for line in lines
    ]
