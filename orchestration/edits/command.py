"""A model's text with edits in it, in any format, applied: what `antiphon apply-edits` is a shell around.

Nothing is read but through the reader, and nothing is written: the outcome holds the bytes to write.
"""

from typing import Literal

from orchestration.edits.apply import apply_edits
from orchestration.edits.model import EditReport, FileEdit, FileResult, Outcome, Reader
from orchestration.edits.parse.apply_patch import first_envelope, parse_apply_patch
from orchestration.edits.parse.malformed import MalformedEditError
from orchestration.edits.parse.search_replace import first_block, parse_search_replace
from orchestration.edits.parse.unified_diff import first_diff, parse_unified_diff

Format = Literal["auto", "search_replace", "unified_diff", "apply_patch"]
FORMATS: tuple[Format, ...] = ("auto", "search_replace", "unified_diff", "apply_patch")

# Characters of one text; more is a mistake, and would block its caller for seconds.
MAX_TEXT = 32_000_000

_PARSERS = {
    "search_replace": parse_search_replace,
    "unified_diff": parse_unified_diff,
    "apply_patch": parse_apply_patch,
}


def apply_edits_text(text: str, format: Format, read: Reader) -> Outcome:  # noqa: A002 — the name of the option
    """Parses `text` and applies all its edits, or none. Text that is no valid edit is an outcome too: one
    report with the refusal "malformed".
    """
    try:
        edits = parse_edits(text, format)
    except MalformedEditError as error:
        where = f"{error.path}: " if error.path else ""
        return Outcome(reports=(EditReport(path=error.path, refusal="malformed", reason=f"{where}{error}"),))
    return apply_edits(edits, read)


def parse_edits(text: str, format: Format = "auto") -> list[FileEdit]:  # noqa: A002 — the name of the option
    """The edits in the text. `auto` takes the format whose first marker comes first: what looks like another
    one after it is content. Raises MalformedEditError.
    """
    if len(text) > MAX_TEXT:
        raise MalformedEditError(
            f"the text has {len(text):,} characters, more than {MAX_TEXT:,}; send the edits in several parts"
        )
    if format != "auto":
        return _PARSERS[format](text)
    lines = text.split("\n")
    found = [
        (at, name)
        for name, at in (
            ("search_replace", first_block(lines)),
            ("apply_patch", first_envelope(lines)),
            ("unified_diff", first_diff(lines)),
        )
        if at is not None
    ]
    if not found:
        raise MalformedEditError(
            "no edit in the text: give SEARCH/REPLACE blocks, a unified diff, or a `*** Begin Patch` envelope"
        )
    return _PARSERS[min(found)[1]](text)


def outcome_json(outcome: Outcome) -> dict[str, object]:
    """The outcome as the command line prints it: per edit the path, the tier and line where it applied, or
    the refusal and its reason; per file what became of it.
    """
    return {
        "applied": outcome.applied,
        "edits": [_report_json(report) for report in outcome.reports],
        "files": [_file_json(file) for file in outcome.files],
    }


def _report_json(report: EditReport) -> dict[str, object]:
    where: dict[str, object] = {"path": report.path, "tier": report.tier}
    if report.line:
        where["line"] = report.line
    if report.refusal is not None:
        where |= {"refusal": report.refusal, "reason": report.reason}
    return where


def _file_json(file: FileResult) -> dict[str, object]:
    what: dict[str, object] = {"path": file.path, "change": file.change}
    if file.moved_from is not None:
        what["movedFrom"] = file.moved_from
    if file.mode is not None:
        what["mode"] = f"{file.mode:o}"
    return what
