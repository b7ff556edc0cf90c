"""Making findings: stable ids, one of each, and only where the change is.

The model itself is `finding.py`. Pure functions; nothing here reads a store or starts a process.
"""

import hashlib
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

import msgspec

from orchestration.quality.finding import Finding

_LARGEST_MIDDLE = 4_000_000
"""Lines before times lines after beyond which a comparison is not worth its time: all count as changed."""


def base_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def finding_id(tool: str, rule: str, path: str, evidence: str, ordinal: int) -> str:
    """20 hex digits. White space around and between the words of the evidence does not count, so that a
    finding keeps its id when its line moves or is indented.
    """
    parts = (tool, rule, path, " ".join(evidence.split()), str(ordinal))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:20]


def identify(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """In order of place, with ids; `ordinal` counts equals from the top of the file. Findings that
    agree in tool, rule, place and message are one.
    """
    ordered = sorted(findings, key=_place)
    seen: set[tuple[object, ...]] = set()
    counts: dict[tuple[str, str, str, str], int] = {}
    result = []
    for finding in ordered:
        if (same := (*_place(finding), finding.message)) in seen:
            continue
        seen.add(same)
        kin = (finding.tool, finding.rule, finding.path, " ".join(finding.evidence.split()))
        ordinal = counts.get(kin, 0)
        counts[kin] = ordinal + 1
        result.append(msgspec.structs.replace(finding, id=finding_id(*kin, ordinal)))
    return tuple(result)


def _place(finding: Finding) -> tuple[str, int, int, int, int, str, str]:
    return (
        finding.path,
        finding.start_line,
        finding.start_column,
        finding.end_line,
        finding.end_column,
        finding.tool,
        finding.rule,
    )


def changed_lines(before: bytes | None, after: bytes) -> frozenset[int]:
    """The lines of `after`, counted from 0, that are not in `before` at their place. A deletion marks no
    line. `before` None: every line is new.
    """
    new = after.splitlines()
    if before is None:
        return frozenset(range(len(new)))
    old = before.splitlines()
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    if not old_middle or not new_middle or len(old_middle) * len(new_middle) > _LARGEST_MIDDLE:
        return frozenset(range(start, start + len(new_middle)))
    changed: set[int] = set()
    matcher = SequenceMatcher(None, old_middle, new_middle, autojunk=False)
    for tag, _, _, first, last in matcher.get_opcodes():
        if tag != "equal":
            changed.update(range(start + first, start + last))
    return frozenset(changed)


def _common(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    shorter = min(len(one), len(other))
    return next((index for index in range(shorter) if one[index] != other[index]), shorter)


def on_changed_lines(findings: Iterable[Finding], before: bytes | None, after: bytes) -> tuple[Finding, ...]:
    """Those that touch a line of the change."""
    lines = changed_lines(before, after)
    return tuple(
        finding
        for finding in findings
        if any(line in lines for line in range(finding.start_line, finding.end_line + 1))
    )
