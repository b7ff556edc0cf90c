"""The published edits of real models and diffs, and files in memory to apply them to.

The cases stand beside the repository (`../shared/conformance`); a test that needs an absent set is
skipped by the set's name.
"""

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestration.edits.apply import apply_edits
from orchestration.edits.model import FileContent, FileEdit, Outcome
from orchestration.edits.parse.malformed import MalformedEditError

ROOT = Path(__file__).parents[3] / "shared" / "conformance"
Files = dict[str, bytes]
Parse = Callable[[str], list[FileEdit]]


def cases(name: str) -> list[Any]:
    """The set's cases as parameters; one skipped parameter when the set is not there."""
    path = ROOT / name / "cases.jsonl.gz"
    if not path.exists():
        return [absent(name)]
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        return [pytest.param(case, id=case["id"]) for case in map(json.loads, lines)]


def absent(name: str) -> Any:
    return pytest.param(None, marks=pytest.mark.skip(reason=f"published cases `{name}` are not there"))


def reader(
    files: Mapping[str, bytes], folders: frozenset[str] = frozenset()
) -> Callable[[str], FileContent | None]:
    def read(path: str) -> FileContent | None:
        if path in files:
            return FileContent(files[path])
        inside = any(name.startswith(path + "/") for name in files)
        return FileContent(kind="directory") if path in folders or inside else None

    return read


def after(files: Files, outcome: Outcome) -> Files:
    """The files as the outcome leaves them."""
    result = dict(files)
    for file in outcome.files:
        if file.moved_from is not None:
            assert result.pop(file.moved_from) == file.before
        else:
            assert result.pop(file.path, None) == file.before
        if file.after is not None:
            result[file.path] = file.after
    return result


def run(parse: Parse, text: str, files: Files) -> tuple[Outcome | None, Files]:
    """The outcome (None: malformed) and the files afterwards."""
    try:
        edits = parse(text)
    except MalformedEditError:
        return None, files
    outcome = apply_edits(edits, reader(files))
    return outcome, after(files, outcome)
