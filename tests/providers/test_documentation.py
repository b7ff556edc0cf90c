"""The table of docs/providers.md: every test that it names is there, and covers each API that the row says something of."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "providers.md"
PLACES = ("tests/providers", "tests/e2e", "tests/cli")
APIS = ("openai", "openai-responses", "anthropic", "google", "ollama")
# How a test's own words name an API where its parameters do not.
WORDS = {
    "openai": ("test_openai_", "chat(", '"openai/'),
    "openai-responses": ("responses",),
    "anthropic": ("anthropic", "bedrock", "vertex"),
    "google": ("gemini", "google"),
    "ollama": ("ollama",),
}
NOTHING = ("", "the API has none", "the vendor does it")


def rows() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("| ability |"))
    found = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def named(row: list[str]) -> list[tuple[str, str]]:
    return [(file, test) for file, test in re.findall(r"`(test_\w+)::(test_\w+)`", row[-1])]


def file_of(name: str) -> Path:
    (found,) = [path for place in PLACES if (path := ROOT / place / f"{name}.py").exists()]
    return found


@cache
def collected() -> dict[tuple[str, str], list[str]]:
    """The ids of parameters by file and test, as pytest collects them."""
    files = sorted({str(file_of(file)) for row in rows() for file, _ in named(row)})
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[tuple[str, str], list[str]] = {}
    for file, test, parameters in re.findall(r"/(\w+)\.py::(\w+)(\[.*)?$", done.stdout, re.MULTILINE):
        found.setdefault((file, test), []).append(parameters)
    return found


def source(file: str, test: str) -> str:
    text = file_of(file).read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == test:
            return ast.get_source_segment(text, node) or ""
    raise AssertionError(f"{file} has no {test}")


def covers(file: str, test: str, api: str) -> bool:
    exact = re.compile(rf"(?<![\w-]){api}(?![\w-]*responses)(?![a-z])")
    parameters = [each for each in collected()[file, test] if each]
    if any(exact.search(each) for each in parameters):
        return True
    words = f"{file} {source(file, test)}".lower()
    return any(word in words for word in (*WORDS[api], *(["apis"] if not parameters else [])))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_each_cell_is_held_by_the_tests_of_its_row(row: list[str]) -> None:
    assert named(row), "a row names its tests"
    for file, test in named(row):
        assert (file, test) in collected(), f"{file}::{test} is not there"
    for api, cell in zip(APIS, row[1:6], strict=True):
        if cell not in NOTHING:
            assert any(covers(file, test, api) for file, test in named(row)), f"nothing covers {api}: {cell}"


def test_the_table_has_every_api() -> None:
    head = next(
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ability |")
    )
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["ability", *APIS, "tests"]
