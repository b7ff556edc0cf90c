"""Workspaces whose tests need what git ignores: a virtual environment with an editable install, `node_modules`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bench import Bench, edit, task
from tests.python_environments import environment_with_pytest


def git(workspace: Path, *words: str) -> None:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *words], cwd=workspace, check=True, capture_output=True)


def outcomes(run: Any) -> dict[str, str]:
    """The last word of each gate on a task."""
    return {
        event["gate"]: f"{event['outcome']} {event.get('detail', '')}"
        for event in run.events
        if event["type"] == "gate_finished" and event.get("taskId")
    }


@pytest.fixture
def editable(bench: Bench) -> Bench:
    """`src/shop` is installed editable into `.venv`, which also holds a dependency that nothing else has."""
    root = bench.workspace
    (root / ".gitignore").write_text(".venv/\nnode_modules/\n")
    (root / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1"\n')
    (root / "src" / "shop").mkdir(parents=True)
    (root / "src" / "shop" / "__init__.py").write_text(
        "from rates import VAT\n\n\ndef gross(net):\n    return net - VAT\n"
    )
    (root / "tests").mkdir()
    (root / "tests" / "test_shop.py").write_text(
        "from shop import gross\n\n\ndef test_gross():\n    assert gross(100) == 119\n"
    )
    environment_with_pytest(root / ".venv")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = root / ".venv" / "lib" / version / "site-packages"
    (packages / "rates.py").write_text("VAT = 19\n")
    (packages / "__editable__.shop-1.pth").write_text(f"{root / 'src'}\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    return bench


def test_an_editable_install_is_judged_in_the_checkout(editable: Bench) -> None:
    shop = editable.workspace / "src" / "shop" / "__init__.py"
    before = {
        path: path.read_bytes() for path in (editable.workspace / ".venv").rglob("*.p*") if path.is_file()
    }
    editable.model.turns["Wrong"] = [[edit("src/shop/__init__.py", "net - VAT", "net * VAT")]]
    wrong = editable.run(task("Wrong", tests=["tests/test_shop.py"]), more=("--max-parallel", "1"))
    assert wrong.code == 1, wrong
    assert outcomes(wrong)["tests"].startswith("blocked"), "the user's own file is not what was judged"
    editable.model.turns["Right"] = [[edit("src/shop/__init__.py", "net - VAT", "net + VAT")]]
    right = editable.run(task("Right", tests=["tests/test_shop.py"]), more=("--accept", "all"))
    assert right.code == 0, right
    assert outcomes(right)["tests"].startswith("passed")
    assert "net + VAT" in shop.read_text()
    after = {path: path.read_bytes() for path in before}
    assert after == before, "nothing is written through to the user's environment"


def test_an_editable_install_that_cannot_be_redirected_is_not_run_and_never_passed(editable: Bench) -> None:
    """A finder that answers before any path does, as some build tools install it."""
    root = editable.workspace
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = root / ".venv" / "lib" / version / "site-packages"
    (packages / "__editable__.shop-1.pth").write_text("import _shop_finder\n")
    (packages / "_shop_finder.py").write_text(
        "import importlib.util\nimport sys\n\n\n"
        "class Finder:\n    @staticmethod\n    def find_spec(name, path=None, target=None):\n"
        f"        if name == 'shop':\n            return importlib.util.spec_from_file_location(name, {str(root / 'src/shop/__init__.py')!r})\n"
        "        return None\n\n\nsys.meta_path.insert(0, Finder)\n"
    )
    editable.model.turns["Right"] = [[edit("src/shop/__init__.py", "net - VAT", "net + VAT")]]
    run = editable.run(task("Right", tests=["tests/test_shop.py"]))
    assert run.code == 1, run
    assert (
        outcomes(run)["tests"] == "not_run the import of shop leads into the workspace, not into the checkout"
    )
    assert run.last["tasks"] == {"merged": 1}
    assert "unverified" in editable("show", "latest").out


@pytest.mark.skipif(shutil.which("node") is None, reason="node is missing")
def test_node_modules_are_there(bench: Bench) -> None:
    root = bench.workspace
    (root / ".gitignore").write_text("node_modules/\n")
    (root / "package.json").write_text(
        json.dumps(
            {
                "name": "shop",
                "type": "module",
                "scripts": {"test": "node --test"},
                "dependencies": {"rates": "1"},
            }
        )
    )
    (root / "gross.js").write_text("import { vat } from 'rates';\nexport const gross = (net) => net - vat;\n")
    (root / "gross.test.js").write_text(
        "import test from 'node:test';\nimport assert from 'node:assert';\nimport { gross } from './gross.js';\n"
        "test('gross', () => assert.equal(gross(100), 119));\n"
    )
    package = root / "node_modules" / "rates"
    package.mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"name": "rates", "type": "module", "main": "index.js"}))
    (package / "index.js").write_text("export const vat = 19;\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    bench.model.turns["Right"] = [[edit("gross.js", "net - vat", "net + vat")]]
    run = bench.run(task("Right", tests=["gross.test.js"]))
    assert run.code == 0, run
    assert outcomes(run)["tests"].startswith("passed")
    paths = {file["path"] for file in bench("changes", "latest", "--json").last["files"]}
    assert paths == {"gross.js"}
