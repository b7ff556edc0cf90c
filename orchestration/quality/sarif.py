"""Findings as SARIF 2.1.0 (OASIS Standard, 27 March 2020), one run per tool. Pure."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from orchestration.quality.finding import Finding

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVEL = {"error": "error", "warning": "warning", "info": "note"}


def to_sarif(findings: Iterable[Finding]) -> dict[str, Any]:
    """A log file as plain JSON values. SARIF counts lines and columns from 1; columns are code points."""
    by_tool: dict[str, list[Finding]] = {}
    for finding in findings:
        by_tool.setdefault(finding.tool, []).append(finding)
    runs = [_run(tool, by_tool[tool]) for tool in sorted(by_tool)]
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": runs}


def _run(tool: str, findings: list[Finding]) -> dict[str, Any]:
    rules: dict[str, dict[str, Any]] = {}
    for finding in findings:
        rule = rules.setdefault(finding.rule, {"id": finding.rule})
        if finding.url:
            rule["helpUri"] = finding.url
    order = sorted(rules)
    return {
        "tool": {"driver": {"name": tool, "rules": [rules[rule] for rule in order]}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"WORKSPACE": {"description": {"text": "The root of the workspace."}}},
        "results": [_result(finding, order.index(finding.rule)) for finding in findings],
    }


def _result(finding: Finding, rule_index: int) -> dict[str, Any]:
    region: dict[str, Any] = _region(
        finding.start_line, finding.start_column, finding.end_line, finding.end_column
    )
    if finding.evidence:
        region["snippet"] = {"text": finding.evidence}
    artifact = {"uri": quote(finding.path), "uriBaseId": "WORKSPACE"}
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": _LEVEL[finding.severity],
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        "partialFingerprints": {"antiphon/v1": finding.id},
    }
    if finding.fix is not None:
        replacements = [
            {
                "deletedRegion": _region(edit.start_line, edit.start_column, edit.end_line, edit.end_column),
                "insertedContent": {"text": edit.text},
            }
            for edit in finding.fix.edits
        ]
        result["fixes"] = [
            {
                "description": {"text": finding.fix.title},
                "artifactChanges": [{"artifactLocation": artifact, "replacements": replacements}],
            }
        ]
    return result


def _region(start_line: int, start_column: int, end_line: int, end_column: int) -> dict[str, int]:
    return {
        "startLine": start_line + 1,
        "startColumn": start_column + 1,
        "endLine": end_line + 1,
        "endColumn": end_column + 1,
    }
