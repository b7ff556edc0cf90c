import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestration.edits.model import FileResult
from orchestration.errors import ConflictError
from orchestration.workspace.files import WorkspaceFiles
from orchestration.workspace.path_guard import PathGuard
from server.commands.apply_edits import write
from tests.e2e.command_line import PROGRAM, Antiphon

BLOCK = """I mend it:

calc.py
```python
<<<<<<< SEARCH
    return a - b
=======
    return a + b
>>>>>>> REPLACE
```
"""
PATCH = """*** Begin Patch
*** Add File: new/notes.md
+Addition adds.
*** Update File: run.sh
*** Move to: bin/run.sh
@@
-echo a
+echo b
*** Delete File: old.txt
*** End Patch
"""


class Edits:
    def __init__(self, antiphon: Antiphon, root: Path) -> None:
        self.antiphon = antiphon
        self.root = root

    def __call__(self, text: str | bytes, *words: str) -> tuple[int, dict[str, Any], str]:
        done = subprocess.run(
            [PROGRAM, "apply-edits", "--root", self.root, "--json", *words],
            input=text if isinstance(text, bytes) else text.encode(),
            env=self.antiphon.environment(),
            capture_output=True,
            check=False,
        )
        lines = done.stdout.decode().splitlines()
        return done.returncode, json.loads(lines[-1]) if lines else {}, done.stderr.decode()


@pytest.fixture
def edits(antiphon: Antiphon, workspace: Path) -> Edits:
    return Edits(antiphon, workspace)


def test_a_block_is_applied_and_told(edits: Edits) -> None:
    code, told, _ = edits(BLOCK)
    assert (code, told["applied"], told["exitCode"]) == (0, True, 0)
    assert told["edits"] == [{"path": "calc.py", "tier": "exact", "line": 2}]
    assert told["files"] == [{"path": "calc.py", "change": "changed"}]
    assert (edits.root / "calc.py").read_text() == "def add(a, b):\n    return a + b\n"


def test_a_dry_run_writes_nothing(edits: Edits) -> None:
    before = (edits.root / "calc.py").read_bytes()
    code, told, _ = edits(BLOCK, "--dry-run")
    assert (code, told["applied"], told["dryRun"]) == (0, True, True)
    assert (edits.root / "calc.py").read_bytes() == before


def test_a_patch_adds_moves_and_deletes(edits: Edits) -> None:
    script = edits.root / "run.sh"
    script.write_text("echo a\n")
    script.chmod(0o755)
    (edits.root / "old.txt").write_text("x\n")
    code, told, errors = edits(PATCH, "--format", "apply_patch")
    assert code == 0, (told, errors)
    assert (edits.root / "new" / "notes.md").read_text() == "Addition adds.\n"
    moved = edits.root / "bin" / "run.sh"
    assert (moved.read_text(), moved.stat().st_mode & 0o111) == ("echo b\n", 0o111)
    assert not script.exists()
    assert not (edits.root / "old.txt").exists()


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("no edits here", "malformed"),
        (BLOCK.replace("a - b", "a / b"), "absent"),
        (BLOCK.replace("calc.py", "../outside.py"), "path"),
        (BLOCK.replace("calc.py", "/etc/passwd"), "path"),
        (BLOCK.replace("calc.py", ".git/config"), "path"),
        (BLOCK.replace("calc.py", "AGENTS.md"), "path"),
        (BLOCK.replace("calc.py", "none.py"), "no_file"),
        (BLOCK.replace("calc.py", "link.py"), "path"),
        (BLOCK.replace("calc.py", "inner.py"), "not_a_file"),
        (BLOCK.replace("calc.py", "folder"), "not_a_file"),
        (BLOCK.replace("calc.py", "fifo"), "not_a_file"),
    ],
)
def test_a_refusal_is_a_one_with_its_reason_and_changes_nothing(
    edits: Edits, tmp_path: Path, text: str, refusal: str
) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("    return a - b\n")
    (edits.root / "link.py").symlink_to(outside)
    (edits.root / "inner.py").symlink_to("calc.py")
    (edits.root / "folder").mkdir()
    (edits.root / "AGENTS.md").write_text("    return a - b\n")
    os.mkfifo(edits.root / "fifo")
    before = (edits.root / "calc.py").read_bytes()
    code, told, _ = edits(text)
    assert (code, told["applied"]) == (1, False)
    assert told["edits"][0]["refusal"] == refusal
    assert told["edits"][0]["reason"]
    assert (edits.root / "calc.py").read_bytes() == before
    assert outside.read_text() == "    return a - b\n"


def test_a_protected_file_by_the_user_s_own_word(edits: Edits) -> None:
    guide = edits.root / "AGENTS.md"
    guide.write_text("    return a - b\n")
    block = BLOCK.replace("calc.py", "AGENTS.md")
    code, told, _ = edits(block)
    assert (code, told["edits"][0]["refusal"]) == (1, "path")
    assert "--allow-protected" in told["edits"][0]["reason"]
    assert edits(block, "--allow-protected")[0] == 0
    assert guide.read_text() == "    return a + b\n"
    assert edits(BLOCK.replace("calc.py", ".git/config"), "--allow-protected")[0] == 1


def test_input_that_is_no_text(edits: Edits) -> None:
    code, told, errors = edits(b"\xff\xfe")
    assert (code, told["kind"]) == (2, "UsageError")
    assert "is not UTF-8 (byte 0)" in errors


def test_a_write_that_fails_takes_back_the_ones_before(workspace: Path) -> None:
    files = WorkspaceFiles(workspace, PathGuard(workspace))
    (workspace / "b.txt").write_text("changed by somebody\n")
    results = [
        FileResult(path="a/new.txt", before=None, after=b"new\n"),
        FileResult(path="calc.py", before=(workspace / "calc.py").read_bytes(), after=b"other\n"),
        FileResult(path="b.txt", before=b"as it was\n", after=b"b\n"),
    ]
    before = (workspace / "calc.py").read_bytes()
    with pytest.raises(ConflictError, match=r"b\.txt was changed meanwhile"):
        write(files, workspace, results)
    assert (workspace / "calc.py").read_bytes() == before
    assert not (workspace / "a" / "new.txt").exists()
    assert (workspace / "b.txt").read_text() == "changed by somebody\n"
