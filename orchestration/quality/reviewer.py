"""The reviewing role as a gate: a model reads the difference and must prove what it reports.

A finding counts only when its evidence stands exactly so in the new version of a changed file; the rest
is dropped and counted. How the model is asked is the caller's: `ask` takes a question and gives its answer;
the question's text is the prompt `review`, packaged and pinned with all others (`agents/roles.py`).
"""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import Any

from orchestration.agents.roles import filled
from orchestration.errors import AntiphonError, BudgetExhaustedError
from orchestration.quality.feedback import LIMIT, counted, trimmed
from orchestration.quality.finding import Finding, Severity
from orchestration.quality.findings import base_hash, identify
from orchestration.quality.gates import GateContext, GateReport
from providers.errors import ProviderError

NAME = "review"
Ask = Callable[[str, GateContext], Awaitable[str]]
"""Takes a question about the change of a context and gives the answer's text."""
PROMPT = "review"
"""The name of the prompt; its fields are `task` and `difference`."""
_ROOM = 60_000
"""Characters of differences in one question; more files are asked about in more questions."""
_LARGEST_FILE = 200_000
_AGAIN = (
    "\n\n(You have answered this before, and not with the JSON object that is asked for. Answer with that "
    "object and nothing else.)"
)


class UnreadableReviewError(AntiphonError):
    """Raised when a reviewer's answer is no list of findings, twice."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """`dropped` counts reports without valid evidence; `note` says what was not looked at."""

    findings: tuple[Finding, ...] = ()
    dropped: int = 0
    note: str = ""


class Reviewer:
    def __init__(self, ask: Ask, prompt: str) -> None:
        self._ask = ask
        self._prompt = prompt

    async def review(self, context: GateContext) -> Reviewed:
        """Raises what `ask` raises, and UnreadableReviewError."""
        differences, note = await context.executor.run(_differences, context)
        task = f"{context.spec.title}\n\n{context.spec.instructions}" if context.spec else "(not known)"
        found: list[Finding] = []
        dropped = 0
        for part in _parts(differences):
            question = filled(self._prompt, task=task, difference="\n".join(part.values()))
            files = {path: context.store.read(context.tree, path) or b"" for path in part}
            answer = await self._ask(question, context)
            if (items := _items(answer)) is None:
                items = _items(await self._ask(question + _AGAIN, context))
            if items is None:
                raise UnreadableReviewError("its answer is not the list of findings that was asked for")
            findings, lost = findings_in(items, files)
            found += findings
            dropped += lost
        return Reviewed(identify(found), dropped, note)


class ReviewGate:
    """Blocks on errors; warnings are shown. A model that cannot be asked makes it `not_run`, a used-up
    budget ends the run.
    """

    name = NAME

    def __init__(self, reviewer: Reviewer) -> None:
        self._reviewer = reviewer

    async def check(self, context: GateContext) -> GateReport:
        began = context.clock.monotonic()
        report = await self._check(context)
        return replace(report, seconds=context.clock.monotonic() - began)

    async def _check(self, context: GateContext) -> GateReport:
        try:
            reviewed = await self._reviewer.review(context)
        except BudgetExhaustedError:
            raise  # the end of the run, not of this gate alone
        except (AntiphonError, ProviderError) as error:
            return GateReport(
                gate=NAME, outcome="not_run", detail=f"the reviewer could not be asked: {error}"
            )
        errors = [finding for finding in reviewed.findings if finding.severity == "error"]
        dropped = (
            f"; {counted(reviewed.dropped, 'report')} without evidence dropped" if reviewed.dropped else ""
        )
        left = f"; {reviewed.note}" if reviewed.note else ""
        detail = f"{counted(len(reviewed.findings), 'finding')}{dropped}{left}"
        if not errors:
            return GateReport(gate=NAME, outcome="passed", detail=detail, findings=reviewed.findings)
        lines = [
            f"{finding.path}:{finding.start_line + 1}: {finding.rule}: {finding.message}\n    {finding.evidence}"
            for finding in errors
        ]
        feedback = trimmed("\n".join(["A reviewer found defects in this change:", *lines]), LIMIT)
        return GateReport(
            gate=NAME, outcome="blocked", detail=detail, feedback=feedback, findings=reviewed.findings
        )


def findings_of(answer: str, files: dict[str, bytes]) -> tuple[list[Finding], int]:
    """The findings of a model's answer whose evidence is in the files, and how many others there were.
    An answer that is no JSON has none.
    """
    return findings_in(_items(answer) or (), files)


def findings_in(items: Sequence[Any], files: dict[str, bytes]) -> tuple[list[Finding], int]:
    found: list[Finding] = []
    dropped = 0
    for item in items:
        finding = _finding(item, files)
        if finding is None:
            dropped += 1
        else:
            found.append(finding)
    return found, dropped


def _items(answer: str) -> Sequence[Any] | None:
    """What the answer lists; None when it holds no such object."""
    start = answer.find("{")
    while start >= 0:
        try:
            value, _ = json.JSONDecoder().raw_decode(answer, start)
        except RecursionError:
            return None
        except ValueError:
            start = answer.find("{", start + 1)
            continue
        if isinstance(value, dict) and isinstance(value.get("findings"), list):
            return list(value["findings"])
        start = answer.find("{", start + 1)
    return None


def _finding(item: Any, files: dict[str, bytes]) -> Finding | None:
    if not isinstance(item, dict):
        return None
    path, evidence = str(item.get("path", "")), str(item.get("evidence", "")).strip("\r\n")
    data = files.get(path)
    if data is None or not evidence.strip():
        return None
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    wanted = item.get("line")
    place = _nearest(text, evidence.replace("\r\n", "\n"), wanted if isinstance(wanted, int) else 1)
    if place is None:
        return None
    start, end = place
    said = str(item.get("severity"))
    severity: Severity = said if said in {"error", "info"} else "warning"  # type: ignore[assignment]
    return Finding(
        id="",
        tool="review",
        rule=re.sub(r"[^a-z0-9-]+", "-", str(item.get("rule") or "defect").lower()).strip("-")[:40]
        or "defect",
        severity=severity,
        path=path,
        start_line=text.count("\n", 0, start),
        start_column=start - (text.rfind("\n", 0, start) + 1),
        end_line=text.count("\n", 0, end),
        end_column=end - (text.rfind("\n", 0, end) + 1),
        message=_plain(str(item.get("message", "")).strip()[:1000]),
        evidence=evidence,
        base_hash=base_hash(data),
    )


def _plain(text: str) -> str:
    """Without halves of characters, which JSON can spell and a journal cannot hold."""
    return text.encode("utf-8", "replace").decode()


def _nearest(text: str, evidence: str, line: int) -> tuple[int, int] | None:
    """Where the evidence stands, in characters; of several places the one nearest to the line (from 1)."""
    best: tuple[int, int] | None = None
    number, counted_to = 1, 0
    at = text.find(evidence)
    while at >= 0:
        number += text.count("\n", counted_to, at)
        counted_to = at
        distance = abs(number - line)
        if best is None or distance < best[0]:
            best = (distance, at)
        at = text.find(evidence, at + 1)
    return None if best is None else (best[1], best[1] + len(evidence))


def _differences(context: GateContext) -> tuple[dict[str, str], str]:
    """By path, as unified differences; in words, what was left out."""
    found: dict[str, str] = {}
    left_out = []
    for path in context.changed:
        before = context.store.read(context.start, path)
        after = context.store.read(context.tree, path)
        if any(data is not None and (len(data) > _LARGEST_FILE or b"\0" in data) for data in (before, after)):
            left_out.append(path)
            continue
        old, new = ((data or b"").decode("utf-8", "replace").splitlines() for data in (before, after))
        lines = unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="", n=8)
        found[path] = "\n".join(lines)
    cut = [path for path, text in found.items() if len(text) > _ROOM]
    notes = [f"not reviewed, since large or binary: {', '.join(left_out)}"] if left_out else []
    notes += [f"reviewed in part, since the change is large: {', '.join(cut)}"] if cut else []
    return {path: text for path, text in found.items() if text}, "; ".join(notes)


def _parts(differences: dict[str, str]) -> list[dict[str, str]]:
    parts: list[dict[str, str]] = []
    size = _ROOM
    for path, text in differences.items():
        if size + len(text) > _ROOM:
            parts.append({})
            size = 0
        parts[-1][path] = text[:_ROOM]
        size += len(text)
    return parts
