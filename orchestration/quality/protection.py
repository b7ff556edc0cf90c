"""Existing tests and the configuration of their runners judge in their former version.

This module says which of a change's paths are such files and what their former version is. Pure, over
two views; asking a person and running are the tests gate's business.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.quality.runners.contract import Runner
from orchestration.quality.tree_view import TreeView, folder_of, is_within, name_of
from orchestration.workspace.objects import Entry

_MATERIAL = re.compile(r"(^|/)(tests|test|__tests__|testdata|__snapshots__)/")
_SHADOWING = frozenset({"sitecustomize.py", "usercustomize.py", "pytest.py", "unittest.py"})


@dataclass(frozen=True, slots=True)
class Protected:
    """A path whose change needs a person. `former`: what it was; None: it did not exist."""

    path: str
    kind: str
    former: Entry | None

    def __str__(self) -> str:
        return f"{self.path} ({self.kind})"


def protected_changes(
    before: TreeView,
    after: TreeView,
    changed: Sequence[str],
    *,
    tests: Sequence[str],
    runners: Sequence[Runner],
) -> tuple[Protected, ...]:
    """`tests`: the test files of `before`."""
    known = frozenset(tests)
    folders_of_tests = {folder_of(test) for test in tests}
    found = []
    for path in sorted(changed):
        former = before.entry(path)
        what = "deleted" if path not in after else "changed" if former is not None else "new"
        if former is not None and path in known:
            found.append(Protected(path, f"existing test {what}", former))
        elif former is not None and _MATERIAL.search(path) and _has_tests(path, folders_of_tests):
            found.append(Protected(path, f"test material {what}", former))
        elif _decides(before, after, path, runners) and any(
            is_within(test, folder_of(path)) for test in tests
        ):
            found.append(Protected(path, f"test configuration {what}", former))
    return tuple(found)


def _has_tests(path: str, folders: set[str]) -> bool:
    """True when the test folder that holds `path` holds tests: a source folder may be called `test`."""
    match = _MATERIAL.search(path)
    assert match is not None
    holder = path[: match.end()].rstrip("/")
    return any(is_within(folder, holder) for folder in folders)


def _decides(before: TreeView, after: TreeView, path: str, runners: Sequence[Runner]) -> bool:
    """True when how tests run differs between the two versions of a file."""
    if name_of(path) in _SHADOWING:
        return True
    old, new = before.data(path), after.data(path)
    return any(
        runner.is_configuration(path)
        and (runner.configuration(path, old or b"") if old is not None else b"")
        != (runner.configuration(path, new or b"") if new is not None else b"")
        for runner in runners
    )
