"""ruff, if the workspace or PATH has one. Its configuration is the workspace's.

ruff counts lines and columns from 1, columns in code points; ends are exclusive.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestration.quality.analyzers.contract import Analysis, evidence_of
from orchestration.quality.finding import Finding, Fix, FixEdit, Severity
from orchestration.quality.findings import base_hash
from orchestration.quality.processes import Processes
from orchestration.quality.runners.contract import Bench
from orchestration.quality.settings import QualitySettings
from orchestration.quality.tree_view import suffix_of

_ERRORS = ("E9", "F63", "F7", "F82", "PLE")
"""Rules whose findings are faults at run time, whoever reads the code."""
_AT_ONCE = 5_000
"""Paths of one call: no system takes a command line of any length."""


class Ruff:
    name = "ruff"

    def concerns(self, path: str) -> bool:
        return suffix_of(path) in {".py", ".pyi"}

    def is_installed(self, root: Path, settings: QualitySettings, processes: Processes) -> bool:
        return _find((root,), settings, processes) is not None

    async def analyze(self, bench: Bench, paths: Sequence[str]) -> Analysis:
        program = await bench.executor.run(
            _find, (bench.checkout, bench.root), bench.settings, bench.processes
        )
        if program is None:
            return Analysis(note="ruff is not installed")
        whole = Analysis()
        for at in range(0, len(paths), _AT_ONCE):
            part = await self._analyze(bench, program, paths[at : at + _AT_ONCE])
            whole = Analysis((*whole.findings, *part.findings), whole.note or part.note)
        return whole

    async def _analyze(self, bench: Bench, program: str, paths: Sequence[str]) -> Analysis:
        report = bench.new_file("ruff.json")
        done = await bench.processes.run(
            (
                program, "check", "--output-format=json", f"--output-file={report}", "--exit-zero", "--no-fix",
                "--no-cache", "--force-exclude", "--quiet", "--", *paths,
            ),
            cwd=bench.checkout,
            env=bench.env,
            timeout_s=bench.settings.timeout_s,
            purpose="analyze with ruff",
        )  # fmt: skip
        if done.failure or done.timed_out or done.exit_code != 0:
            said = done.failure or done.output.strip()[-200:] or "it did not end in time"
            return Analysis(note=f"ruff did not work: {' '.join(said.split())}")
        return await bench.executor.run(_read, report, bench)


def _find(bases: Sequence[Path], settings: QualitySettings, processes: Processes) -> str | None:
    wanted = settings.ruff
    if wanted:
        return wanted if os.access(wanted, os.X_OK) else processes.find(wanted)
    for base in bases:
        for name in (".venv", "venv", "env"):
            candidate = base / name / "bin" / "ruff"
            if os.access(candidate, os.X_OK):
                return str(candidate)
    return processes.find("ruff")


def _read(report: Path, bench: Bench) -> Analysis:
    try:
        found = json.loads(report.read_text("utf-8"))
        by_path = [(os.path.relpath(str(item["filename"]), bench.checkout), item) for item in found]
        findings = [
            _finding(item, path, data)
            for path, item in by_path
            if (data := bench.view.data(path)) is not None
        ]
    except (OSError, ValueError, LookupError, TypeError) as error:
        return Analysis(note=f"ruff's report cannot be read: {type(error).__name__}: {error}")
    return Analysis(tuple(findings))


def _finding(item: dict[str, Any], path: str, data: bytes) -> Finding:
    rule = str(item.get("code") or "invalid-syntax")
    start, end = _place(item["location"]), _place(item["end_location"])
    severity: Severity = "error" if rule == "invalid-syntax" or rule.startswith(_ERRORS) else "warning"
    return Finding(
        id="",
        tool="ruff",
        rule=rule,
        severity=severity,
        path=path,
        start_line=start[0],
        start_column=start[1],
        end_line=end[0],
        end_column=end[1],
        message=str(item["message"]),
        evidence=evidence_of(data.decode("utf-8", "replace"), start[0], end[0]),
        base_hash=base_hash(data),
        url=str(item.get("url") or ""),
        fix=_fix(item.get("fix"), rule),
    )


def _place(location: dict[str, int]) -> tuple[int, int]:
    return max(location["row"] - 1, 0), max(location["column"] - 1, 0)


def _fix(fix: dict[str, Any] | None, rule: str) -> Fix | None:
    """Safe ones only: an unsafe fix may change what the code does."""
    if fix is None or fix.get("applicability") != "safe":
        return None
    edits = []
    for edit in fix["edits"]:
        start, end = _place(edit["location"]), _place(edit["end_location"])
        edits.append(FixEdit(*start, *end, str(edit["content"])))
    return Fix(str(fix.get("message") or f"Fix {rule}"), tuple(edits))
