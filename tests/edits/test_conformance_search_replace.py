from typing import Any

import pytest

from orchestration.edits.parse.search_replace import parse_search_replace
from tests.edits.published import Files, cases, run


@pytest.mark.parametrize("case", cases("search_replace"))
def test_published_block(case: dict[str, Any]) -> None:
    files: Files = {} if case["before"] is None else {case["path"]: case["before"].encode()}
    outcome, left = run(parse_search_replace, case["block"], files)
    if "refuse" in case:
        refusal = "malformed" if outcome is None else outcome.reports[0].refusal
        assert refusal == case["refuse"]
        assert left == files
        return
    assert outcome is not None
    assert outcome.applied, outcome.explain()
    assert left == {case["path"]: case["expected"].encode()}
    (report,) = outcome.reports
    assert report.tier == case["tier"]
    assert report.line == case.get("line", 1)
    assert bool(outcome.files) == (case["before"] != case["expected"])
