"""What a blocked gate tells the model: which tests failed and what they said, within a bounded size. Pure."""

from collections.abc import Sequence

from orchestration.quality.runners.contract import Case

LIMIT = 6_000
"""Characters of a whole feedback."""
_SHOWN = 12
_NAMED = 40


def trimmed(text: str, limit: int) -> str:
    """The head and the tail of a text; assertions stand at the end of most outputs, so the tail is longer."""
    text = text.strip()
    if len(text) <= limit:
        return text
    head = limit // 3
    return f"{text[:head].rstrip()}\n[... {len(text) - limit} characters left out ...]\n{text[head - limit :].lstrip()}"


def failures(title: str, cases: Sequence[Case]) -> str:
    """`title`, then each failed test with its output; many are named without it."""
    shown = cases[:_SHOWN]
    room = max(300, (LIMIT - len(title) - 100 * len(cases[:_NAMED])) // max(1, len(shown)))
    parts = [title]
    parts += [f"FAILED {case.id}\n{trimmed(case.output, room)}".rstrip() for case in shown]
    rest = cases[_SHOWN:_NAMED]
    if rest:
        parts.append("Also failed:\n" + "\n".join(case.id for case in rest))
    if len(cases) > _NAMED:
        parts.append(f"... and {len(cases) - _NAMED} more.")
    return trimmed("\n\n".join(parts), LIMIT)


def named(ids: Sequence[str], most: int = 3) -> str:
    """The first few of a list, for one line."""
    shown = ", ".join(ids[:most])
    return f"{shown} and {len(ids) - most} more" if len(ids) > most else shown


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
