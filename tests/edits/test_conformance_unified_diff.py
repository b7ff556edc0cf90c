from typing import Any

import pytest

from orchestration.edits.parse.unified_diff import parse_unified_diff
from tests.edits.published import Files, cases, run


@pytest.mark.parametrize("case", cases("unified_diff"))
def test_published_diff(case: dict[str, Any]) -> None:
    files: Files = {} if case["before"] is None else {case["path"]: case["before"].encode()}
    outcome, left = run(parse_unified_diff, case["diff"], files)
    assert outcome is not None
    if "refuse" in case:
        assert not outcome.applied
        assert {report.refusal for report in outcome.reports if report.refusal} == {case["refuse"]}
        assert left == files
        return
    assert outcome.applied, outcome.explain()
    expected = case["expected"]
    path = case.get("new_path", case["path"])
    assert left == ({} if expected is None else {path: expected.encode()})
