import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import Antiphon

RUFF = Path(sys.executable).with_name("ruff")


def git(workspace: Path, *words: str) -> None:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *words], cwd=workspace, check=True, capture_output=True)


@pytest.fixture
def repository(antiphon: Antiphon, workspace: Path, tmp_path: Path) -> Path:
    """A commit, and ruff in a folder of PATH that is not Antiphon's own."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ruff").symlink_to(RUFF)
    antiphon.variables["PATH"] = f"{tools}:{antiphon.environment()['PATH']}"
    git(workspace, "init", "-q", "-b", "main")
    git(workspace, "add", "-A")
    git(workspace, "commit", "-qm", "start")
    return workspace


def rules(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["path"], event["rule"]) for event in events if event["type"] == "finding"]


def test_nothing_changed_is_clean(antiphon: Antiphon, repository: Path) -> None:
    done = antiphon("review", "--workspace", repository, "--trust", "--json")
    assert done.code == 0, done
    assert (done.last["type"], done.last["files"], done.last["findings"]) == ("review_finished", 0, 0)


def test_findings_on_changed_lines_are_a_one(antiphon: Antiphon, repository: Path) -> None:
    (repository / "old.py").write_text("import sys\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "old")
    (repository / "old.py").write_text("import sys\nx = undefined\n")
    (repository / "new file.py").write_text("def broken(:\n")
    index = (repository / ".git" / "index").read_bytes()
    done = antiphon("review", "--workspace", repository, "--trust", "--json")
    assert done.code == 1, done
    found = rules(done.events)
    assert ("old.py", "F821") in found
    assert ("old.py", "F401") not in found, "the line was there before"
    assert any(path == "new file.py" for path, _ in found)
    assert (repository / ".git" / "index").read_bytes() == index
    plain = antiphon("review", "--workspace", repository, "--trust")
    assert "old.py:2:5  error ruff F821" in plain.out
    earlier = antiphon("review", "--workspace", repository, "--trust", "--json", "--base", "HEAD~1")
    assert ("old.py", "F401") in rules(earlier.events), "against the commit before, the whole file is new"


def test_line_endings_of_a_checkout_are_no_change(antiphon: Antiphon, repository: Path) -> None:
    file = repository / "calc.py"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    done = antiphon("review", "--workspace", repository, "--trust", "--json")
    assert (done.code, done.last["files"]) == (0, 0)


def test_a_folder_of_a_repository_and_one_without(
    antiphon: Antiphon, repository: Path, tmp_path: Path
) -> None:
    inner = repository / "inner"
    inner.mkdir()
    (inner / "a.py").write_text("x = 1\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "inner")
    (inner / "a.py").write_text("x = (\n")
    (repository / "calc.py").write_text("also broken(\n")
    done = antiphon("review", "--workspace", inner, "--json")
    assert {path for path, _ in rules(done.events)} == {"a.py"}
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "b.py").write_text("y = )\n")
    whole = antiphon("review", "--workspace", bare, "--json")
    assert (whole.code, whole.last["base"], whole.last["findings"]) == (1, "", 1)
    assert antiphon("review", "--workspace", bare, "--base", "HEAD").code == 2


@pytest.mark.parametrize("name", ["nope", "--help-me", "HEAD:calc.py", "main^{tree}"])
def test_a_revision_that_is_none(antiphon: Antiphon, repository: Path, name: str) -> None:
    done = antiphon("review", "--workspace", repository, f"--base={name}")
    assert done.code == 2
    assert "is no commit of the repository" in done.errors


def test_without_trust_no_analyzer_runs(antiphon: Antiphon, repository: Path) -> None:
    (repository / "calc.py").write_text("x = undefined\n")
    done = antiphon("review", "--workspace", repository)
    assert done.code == 0
    assert "ruff did not run: the workspace is not trusted" in done.errors


def test_the_reviewing_role_must_give_evidence(antiphon: Antiphon, repository: Path, tmp_path: Path) -> None:
    (repository / "calc.py").write_text("def add(a, b):\n    return b - a\n")
    findings = [
        {"path": "calc.py", "line": 2, "rule": "wrong-sign", "severity": "error", "message": "It subtracts.",
         "evidence": "return b - a"},
        {"path": "calc.py", "line": 1, "rule": "made-up", "message": "?", "evidence": "not in the file"},
    ]  # fmt: skip
    script = tmp_path / "reviewer.yaml"
    rule = {"match": {"role": "reviewer"}, "answer": {"text": json.dumps({"findings": findings})}}
    script.write_text(json.dumps([rule]))
    antiphon.variables["ANTIPHON_PROVIDERS_SCRIPTED_SCRIPTS"] = str(script)
    words = ("review", "--workspace", repository, "--json", "--model", "scripted/reviewer")
    done = antiphon(*words)
    assert done.code == 1, done
    assert rules(done.events) == [("calc.py", "wrong-sign")]
    assert "1 report of the reviewer had no valid evidence" in done.errors
    assert antiphon(*words, "--no-model").code == 0
    script.write_text(json.dumps([{"fault": {"kind": "authentication"}}]))
    refused = antiphon(*words)
    assert refused.code == 1
    assert "the reviewing role could not be asked" in refused.errors
