import json
from pathlib import Path
from typing import Any

import pytest

from orchestration.edits.parse.apply_patch import parse_apply_patch
from tests.edits.published import ROOT, Files, absent, run

SCENARIOS = ROOT / "apply_patch"


def scenarios() -> list[Any]:
    if not SCENARIOS.exists():
        return [absent("apply_patch")]
    return [pytest.param(folder, id=folder.name) for folder in sorted(SCENARIOS.iterdir()) if folder.is_dir()]


def files_of(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("folder", scenarios())
def test_published_scenario(folder: Path) -> None:
    overrides = json.loads((SCENARIOS / "overrides.json").read_text("utf-8"))
    files = files_of(folder / "input")
    refused = overrides.get(folder.name, {}).get("outcome") == "refuse"
    expected = files if refused else files_of(folder / "expected")
    outcome, left = run(parse_apply_patch, (folder / "patch.txt").read_text("utf-8"), files)
    assert left == expected
    if refused:
        assert outcome is not None
        assert not outcome.applied
