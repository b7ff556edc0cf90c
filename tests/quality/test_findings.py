"""Findings: stable ids, changed lines, ruff's columns, SARIF, a reviewer that must prove what it says."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.agents.roles import packaged_prompts
from orchestration.quality.analyzers import standard_analyzers
from orchestration.quality.difference import AnalysisGate, review_difference
from orchestration.quality.finding import Finding
from orchestration.quality.findings import changed_lines, identify, on_changed_lines
from orchestration.quality.gates import GateContext
from orchestration.quality.reviewer import PROMPT, Reviewer, ReviewGate, findings_of
from orchestration.quality.sarif import to_sarif
from providers.errors import ConnectionFailedError
from tests.quality.setting import Setting

RUFF = str(Path(sys.executable).with_name("ruff"))
has_ruff = pytest.mark.skipif(
    shutil.which(RUFF) is None, reason="ruff is not installed beside the tests' Python"
)


def finding(line: int, evidence: str = "import os", **other: object) -> Finding:
    made = Finding(
        id="",
        tool="ruff",
        rule="F401",
        severity="warning",
        path="a.py",
        start_line=line,
        start_column=7,
        end_line=line,
        end_column=9,
        message="unused",
        evidence=evidence,
    )
    return msgspec.structs.replace(made, **other)


def test_ids_stay_when_lines_move_and_tell_equals_apart() -> None:
    before = identify([finding(1), finding(5), finding(9, "import re")])
    after = identify([finding(21, "    import os"), finding(30), finding(40, "import re")])
    assert [item.id for item in before] == [item.id for item in after]
    assert len({item.id for item in before}) == 3


def test_one_of_each() -> None:
    assert len(identify([finding(1), finding(1), finding(1, message="other")])) == 2
    assert identify(identify([finding(3), finding(1)])) == identify([finding(1), finding(3)])


def test_changed_lines() -> None:
    assert changed_lines(None, b"a\nb\n") == {0, 1}
    assert changed_lines(b"a\nb\nc\n", b"a\nB\nc\nd\n") == {1, 3}
    assert changed_lines(b"a\nb\nc\n", b"a\nc\n") == frozenset()
    assert changed_lines(b"a\r\nb\r\n", b"a\r\nb\r\n") == frozenset()
    kept = on_changed_lines([finding(0), finding(1), finding(0, end_line=1)], b"a\nb\n", b"a\nB\n")
    assert [(item.start_line, item.end_line) for item in kept] == [(1, 1), (0, 1)]


LINES = st.lists(st.sampled_from([b"a", b"b", b"c", b""]), max_size=12)


@given(LINES, LINES)
def test_lines_that_are_not_marked_are_in_the_former_version(old: list[bytes], new: list[bytes]) -> None:
    before, after = (b"".join(line + b"\n" for line in lines) for lines in (old, new))
    marked = changed_lines(before, after)
    rest = iter(old)
    assert all(line in rest for index, line in enumerate(new) if index not in marked)


@pytest.mark.anyio
@has_ruff
async def test_ruffs_columns_are_code_points(setting: Setting) -> None:
    """The golden case: an emoji is one column to ruff and to us, two units in UTF-16, four bytes."""
    setting.settings = replace(setting.settings, ruff=RUFF)
    text = 'x = "😀é"; import os\n'
    await setting.start({"ruff.toml": 'lint.select = ["F401", "E702"]\n', "a.py": "\n"})
    review = await review_difference(setting.context({"a.py": text}))
    assert review.notes == ()
    by_rule = {item.rule: item for item in review.findings}
    unused = by_rule["F401"]
    assert (unused.start_line, unused.start_column, unused.end_line, unused.end_column) == (0, 17, 0, 19)
    assert text[unused.start_column : unused.end_column] == "os"
    assert unused.fix is not None
    (edit,) = unused.fix.edits
    assert text[: edit.start_column] + edit.text + text[edit.end_column :] == 'x = "😀é"; \n'
    assert unused.evidence == 'x = "😀é"; import os'
    assert unused.url.startswith("https://docs.astral.sh/ruff/")
    assert by_rule["E702"].fix is None


@pytest.mark.anyio
@has_ruff
async def test_findings_are_those_of_the_changed_lines(setting: Setting) -> None:
    setting.settings = replace(setting.settings, ruff=RUFF)
    await setting.start({"ruff.toml": 'lint.select = ["F401"]\n', "a b.py": "import os\n\nx = 1\n"})
    edit: dict[str, str | bytes | None] = {"a b.py": "import os\nimport re\nx = 1\n", "n.md": "x"}
    (found,) = (await review_difference(setting.context(edit))).findings
    assert (found.path, found.start_line, found.severity) == ("a b.py", 1, "warning")
    setting.settings = replace(setting.settings, changed_lines_only=False)
    assert len((await review_difference(setting.context(edit))).findings) == 2
    report = await AnalysisGate(standard_analyzers()).check(setting.context(edit, final=True))
    assert (report.outcome, report.detail, len(report.findings)) == ("passed", "2 findings", 2)


@pytest.mark.anyio
async def test_what_cannot_be_analyzed_is_said(setting: Setting) -> None:
    await setting.start({"a.py": ""})
    setting.environ = {"PATH": "/nowhere"}
    review = await review_difference(setting.context({"a.py": "import os\n"}))
    assert review.notes == ("ruff is not installed",)
    setting.cannot_run = "the workspace is not trusted"
    review = await review_difference(setting.context({"a.py": "import (\n"}))
    assert review.notes == ("ruff is not installed",), "nobody is asked for what is not there"
    setting.settings = replace(setting.settings, ruff=sys.executable)
    review = await review_difference(setting.context({"a.py": "import (\n"}))
    assert review.notes == ("ruff did not run: the workspace is not trusted",)
    assert [item.rule for item in review.findings] == ["syntax-error"]


def test_sarif() -> None:
    (item,) = identify([finding(4, url="https://example.org/F401")])
    log = to_sarif([item])
    (run,) = log["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    (result,) = run["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert (region["startLine"], region["startColumn"], region["endColumn"]) == (5, 8, 10)
    assert result["partialFingerprints"] == {"antiphon/v1": item.id}
    assert result["level"] == "warning"
    assert run["tool"]["driver"]["rules"] == [{"id": "F401", "helpUri": "https://example.org/F401"}]
    assert log["version"] == "2.1.0"


ANSWER = """Here is what I found:
```json
{"findings": [
  {"path": "a.py", "line": 2, "severity": "error", "rule": "Off by one", "message": "misses the last", "evidence": "for i in range(n - 1):"},
  {"path": "a.py", "line": 9, "severity": "error", "rule": "x", "message": "m", "evidence": "this line does not exist"},
  {"path": "other.py", "line": 1, "severity": "error", "rule": "x", "message": "m", "evidence": "def"},
  {"path": "a.py", "line": 1, "severity": "fatal", "rule": "", "message": "m", "evidence": ""},
  "nonsense"
]}
```"""
CODE = "def total(n):\n    for i in range(n - 1):\n        yield i\n"


def test_a_reviewers_finding_must_quote_the_file() -> None:
    found, dropped = findings_of(ANSWER, {"a.py": CODE.encode()})
    assert dropped == 4
    (item,) = found
    assert (item.rule, item.start_line, item.start_column, item.end_column) == ("off-by-one", 1, 4, 26)
    assert findings_of("no findings, sorry", {"a.py": b""}) == ([], 0)
    assert findings_of('{"findings": 3} {', {"a.py": b""}) == ([], 0)


def test_of_equal_lines_the_nearest_is_meant() -> None:
    code = b"x = 1\ny\r\ny\r\nx = 1\n"
    answer = json.dumps({"findings": [{"path": "a", "line": 4, "message": "m", "evidence": "x = 1"}]})
    ((item,), _) = findings_of(answer, {"a": code})
    assert (item.start_line, item.severity, item.rule) == (3, "warning", "defect")


UNREAD = "not reviewed, since large or binary: b.bin"


@pytest.mark.anyio
async def test_the_review_gate(setting: Setting) -> None:
    await setting.start({"a.py": "def total(n):\n    pass\n", "b.bin": b"\0"})
    asked = []

    async def ask(prompt: str, context: GateContext) -> str:
        del context
        asked.append(prompt)
        return ANSWER

    context = setting.context({"a.py": CODE, "b.bin": b"\0\1"})
    report = await ReviewGate(Reviewer(ask, packaged_prompts()[PROMPT])).check(context)
    assert report.outcome == "blocked"
    assert report.detail == "1 finding; 4 reports without evidence dropped; " + UNREAD
    assert "a.py:2: off-by-one: misses the last" in report.feedback
    (prompt,) = asked
    assert "+    for i in range(n - 1):" in prompt
    assert "# The task\n\nT\n\nI\n" in prompt
    review = await review_difference(
        context, reviewer=Reviewer(ask, packaged_prompts()[PROMPT]), analyzers=()
    )
    assert UNREAD in review.notes
    assert [item.tool for item in review.findings] == ["review"]

    async def refuse(prompt: str, context: GateContext) -> str:
        raise ConnectionFailedError("no server at localhost")

    report = await ReviewGate(Reviewer(refuse, packaged_prompts()[PROMPT])).check(context)
    assert (report.outcome, report.detail) == (
        "not_run",
        "the reviewer could not be asked: no server at localhost",
    )
