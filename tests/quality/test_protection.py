"""Existing tests and their configuration judge in their former version."""

import pytest

from orchestration.quality.protection import protected_changes
from orchestration.quality.runners import standard_runners
from orchestration.quality.runners.contract import find_tests
from orchestration.quality.tree_view import TreeView
from orchestration.workspace.memory_objects import MemoryObjects
from orchestration.workspace.objects import Change, Entry
from orchestration.workspace.tree_codec import EMPTY_TREE
from tests.quality.setting import Setting

STUB = "def greet():\n    return 'Hello'\n"
TESTS = "from greet import greet\n\ndef test_greet():\n    assert greet() == 'Hello'\n"
NEW = "def greet():\n    return 'Hi'\n"
NEW_TESTS = TESTS.replace("'Hello'", "'Hi'")


@pytest.mark.anyio
async def test_a_weakened_test_does_not_pass_without_a_person(setting: Setting) -> None:
    await setting.start({"greet.py": STUB, "test_greet.py": TESTS})
    report = await setting.change({"greet.py": NEW, "test_greet.py": "def test_greet():\n    pass\n"})
    assert report.outcome == "blocked"
    assert "- test_greet.py (existing test changed)" in report.feedback
    assert "assert 'Hi' == 'Hello'" in report.feedback
    ((subject, detail),) = setting.asked
    assert subject == "change of tests: test_greet.py"
    assert detail.splitlines() == [
        "test_greet.py (existing test changed)",
        "With their former version 1 of 1 tests fail.",
    ]


@pytest.mark.anyio
async def test_with_approval_the_new_version_judges(setting: Setting) -> None:
    await setting.start({"greet.py": STUB, "test_greet.py": TESTS})
    setting.answer = True
    report = await setting.change({"greet.py": NEW, "test_greet.py": NEW_TESTS})
    assert report.outcome == "passed", report.feedback
    assert report.detail == "1 own test passed; a person approved the change of test_greet.py"


@pytest.mark.anyio
async def test_a_person_is_not_asked_about_what_fails_anyway(setting: Setting) -> None:
    await setting.start({"greet.py": STUB, "test_greet.py": TESTS})
    report = await setting.change({"greet.py": "def greet():\n    return 'Ho'\n", "test_greet.py": NEW_TESTS})
    assert report.outcome == "blocked"
    assert not setting.asked
    assert "Give these files their former content" in report.feedback


@pytest.mark.anyio
async def test_a_deleted_test_and_a_new_configuration_over_existing_tests(setting: Setting) -> None:
    await setting.start(
        {"greet.py": STUB, "test_greet.py": TESTS, "tests/test_more.py": "def test_m():\n    pass\n"}
    )
    report = await setting.change({"greet.py": NEW, "test_greet.py": None})
    assert report.outcome == "blocked"
    assert "test_greet.py (existing test deleted)" in report.feedback
    hide = "def pytest_collection_modifyitems(items):\n    items.clear()\n"
    report = await setting.change({"greet.py": NEW, "conftest.py": hide})
    assert report.outcome == "blocked"


def kinds(before: dict[str, str], edit: dict[str, str | None]) -> list[str]:
    store = MemoryObjects()
    start = store.write(EMPTY_TREE, {path: Change(text.encode()) for path, text in before.items()})
    changes: dict[str, Change | Entry | None] = {
        path: None if text is None else Change(text.encode()) for path, text in edit.items()
    }
    tree = store.write(start, changes)
    old, new, runners = TreeView(store, start), TreeView(store, tree), standard_runners()
    found = protected_changes(old, new, list(edit), tests=find_tests(old, runners), runners=runners)
    return [str(change) for change in found]


def test_only_the_part_of_a_configuration_that_concerns_tests_counts() -> None:
    toml = "[project]\nname = 'a'\n[tool.pytest.ini_options]\naddopts = '-q'\n"
    before = {
        "pyproject.toml": toml,
        "test_a.py": "",
        "package.json": '{"scripts": {"test": "x", "build": "y"}}',
    }
    assert kinds(before, {"pyproject.toml": toml.replace("'a'", "'b'")}) == []
    assert kinds(before, {"pyproject.toml": toml.replace("-q", "-k no")}) == [
        "pyproject.toml (test configuration changed)"
    ]
    assert kinds(before, {"package.json": '{"scripts": {"test": "x", "build": "z"}}'}) == []
    assert kinds(before, {"package.json": '{"scripts": {"test": "true"}}'}) == [
        "package.json (test configuration changed)"
    ]
    assert kinds(before, {"pyproject.toml": None}) == ["pyproject.toml (test configuration deleted)"]


def test_a_configuration_of_a_new_project_is_free() -> None:
    assert kinds({"a/test_a.py": ""}, {"b/conftest.py": "x = 1", "b/test_b.py": ""}) == []
    assert kinds({"a/test_a.py": ""}, {"a/conftest.py": "x = 1"}) == [
        "a/conftest.py (test configuration new)"
    ]
    assert kinds({"a/test_a.py": ""}, {"pytest.ini": "[pytest]"}) == ["pytest.ini (test configuration new)"]
    assert kinds({"a/test_a.py": ""}, {"a/pytest.py": ""}) == ["a/pytest.py (test configuration new)"]


def test_what_tests_compare_with_is_material() -> None:
    before = {"tests/test_a.py": "", "tests/expected.json": "1", "src/test/tool.c": ""}
    assert kinds(before, {"tests/expected.json": "2"}) == ["tests/expected.json (test material changed)"]
    assert kinds(before, {"src/test/tool.c": "x"}) == []
    assert kinds(before, {"tests/more.json": "2"}) == []
