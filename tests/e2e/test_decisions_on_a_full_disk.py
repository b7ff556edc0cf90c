"""A disk that fills up in the middle of accepting everything: each file whole, each refusal told, and with room
again the rest is decided.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.e2e.test_decisions_killed import Files, Proposed, both, check_files

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]


def small_disk(folder: Path, where: str, *free: int) -> tuple[list[dict[str, Any]], Files, Files]:
    tried = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("unshare") is None or subprocess.run(tried, check=False, capture_output=True).returncode:
        pytest.skip("no `unshare -rm` with tmpfs here: a small disk needs it")
    bench = Proposed(folder)

    async def prepare() -> tuple[Files, Files]:
        await bench.propose()
        return await both(bench)

    before, after = anyio.run(prepare)
    bench.again()
    sizes = [str(size) for size in free]
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-m", "tests.e2e.small_disk", where, folder, bench.run_id, *sizes],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), before, after


def check(said: dict[str, Any], before: Files, after: Files) -> None:
    """Whatever was refused, nothing was lost, halved or done twice."""
    check_files(_bytes(said["between"]), before, after)
    assert not [path for path in said["between"] if ".antiphon-" in path], "nothing half-written stays"
    assert said["again"][0] == 0, said["again"]
    assert _bytes(said["whole"]) == after
    assert 1 <= said["undone"] <= 2
    assert _bytes(said["back"]) == before


def _bytes(files: dict[str, str]) -> Files:
    return {path: text.encode() for path, text in files.items()}


def test_the_workspaces_disk(tmp_path: Path) -> None:
    runs, before, after = small_disk(tmp_path, "workspace", 0, 100_000)
    for said in runs:
        check(said, before, after)
        assert said["code"] == 1
        refused = {path: item for path, item in said["outcomes"].items() if item["outcome"] == "conflict"}
        assert "big.txt" in refused
        for path, item in refused.items():
            assert "No space left on device" in item["detail"] or "could not be written" in item["detail"], (
                item
            )
            assert said["between"].get(path) == before.get(path, b"").decode() or path not in before
        if said["free"]:
            assert set(refused) == {"big.txt"}, "what there is room for is written"


def test_the_disk_of_the_journal(tmp_path: Path) -> None:
    sizes = (0, 100_000, *range(320_000, 380_000, 10_000))
    runs, before, after = small_disk(tmp_path, "data", *sizes)
    for said in runs:
        check(said, before, after)
        if said["code"]:
            assert "free some space" in said["errors"].lower(), said["errors"]
    assert {said["code"] for said in runs} > {0}
