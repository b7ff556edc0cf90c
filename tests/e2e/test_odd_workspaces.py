"""Folders as a stranger has them: full of links, with packages of our names, large, not writable, gone."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.terminals import AtTerminal
from tests.e2e.bench import MODEL, Bench, edit, task, write
from tests.e2e.command_line import PROGRAM, Finished
from tests.e2e.processes import assert_nothing_left
from tests.e2e.told_model import told_in_return
from tests.model_server import ToolCall

SECRET = "canary-of-another-folder"


def test_a_forest_of_links(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    root = bench.workspace
    (root / "src").mkdir()
    (root / "src" / "a.py").write_text("x = 1\n")
    links = {
        "self": "self", "ping": "pong", "pong": "ping", "nowhere": "none/at/all", "up": "..", "root": "/",
        "outside": str(outside), "escape": "src/../../outside/secret.txt", "code": "src", "deep": "code/a.py",
        "src/back": "..", "proc": "/proc/self/environ", "here": ".",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    for number in range(300):
        (root / f"chain_{number}").symlink_to(f"chain_{number + 1}")
    bench.model.turns["Walk"] = [
        [ToolCall("list_files", {}), ToolCall("search", {"pattern": "canary|x = "})],
        [
            ToolCall("read_file", {"path": path})
            for path in ("escape", "outside/secret.txt", "root/etc/passwd")
        ],
        [
            ToolCall("read_file", {"path": path})
            for path in ("proc", "chain_0", "here/here/here/deep", "src/back/up")
        ],
        [edit("deep", "x = 1", "x = 2"), write("outside/new.txt", "x"), write("up/new.txt", "x")],
    ]
    run = bench.run("Walk")
    assert (run.code, run.last["state"]) == (0, "completed"), run
    told = told_in_return(bench.records.of_task("Walk"))
    assert SECRET not in run.out + "".join(told)
    assert "root:x:" not in "".join(told)
    assert "src/a.py:1: x = 1" in told[1]
    assert told[7] == "x = 1\n", "links inside are followed as a checkout follows them"
    assert "changed" in told[9]
    assert all("changed" not in text for text in told[10:]), told[10:]
    accepted = bench("accept", "latest", "--all")
    assert accepted.code == 0, accepted
    assert (root / "src" / "a.py").read_text() == "x = 2\n"
    assert all((root / name).readlink() == Path(target) for name, target in links.items())
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert not (tmp_path / "new.txt").exists()


SHADOW = """import os, sys

if "server.cli" in " ".join(getattr(sys, "orig_argv", ())):
    raise SystemExit("a stranger ran inside Antiphon")
with open({marker!r}, "a") as file:
    file.write(" ".join(getattr(sys, "orig_argv", ())) + "\\n")
"""
OWN_TESTS = """import unittest

import orchestration
import providers
from server import answer


class Own(unittest.TestCase):
    def test_own(self):
        self.assertEqual(answer(), 42)
        self.assertEqual((orchestration.NAME, providers.NAME), ("mine", "mine"))
"""


def test_packages_of_our_names_and_a_hostile_python_path(bench: Bench, tmp_path: Path) -> None:
    root, marker = bench.workspace, tmp_path / "who ran"
    shadow = SHADOW.format(marker=str(marker))
    for name in ("sitecustomize", "usercustomize", "msgspec", "anyio", "httpx2"):
        (root / f"{name}.py").write_text(shadow)
    for name in ("orchestration", "providers"):
        (root / name).mkdir()
        (root / name / "__init__.py").write_text('NAME = "mine"\n')
    (root / "server").mkdir()
    (root / "server" / "__init__.py").write_text("def answer():\n    return 41\n")
    (root / "server" / "cli.py").write_text("raise SystemExit('a stranger ran')\n")
    (root / "test_own.py").write_text(OWN_TESTS)
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / "sitecustomize.py").write_text(shadow)
    user_site = bench.antiphon.home / "lib"
    user_site.mkdir(parents=True)
    variables = {
        "PYTHONPATH": f"{root}:{hostile}:.",
        "PYTHONSTARTUP": str(hostile / "sitecustomize.py"),
        "PYTHONHOME": "",
        "PYTHONUSERBASE": str(user_site),
        "PYTHONINSPECT": "",
    }
    bench.antiphon.variables.update(variables)
    bench.model.turns["Answer"] = [[edit("server/__init__.py", "41", "42")]]
    plan = bench.plan(task("Answer", tests=["test_own.py"]))
    run = bench.antiphon(*bench.words(plan), cwd=root)
    assert (run.code, run.last["state"]) == (0, "completed"), run
    gates = {event["gate"]: event["outcome"] for event in run.events if event["type"] == "gate_finished"}
    assert gates["tests"] == "passed", "the workspace's tests import its own packages"
    accepted = bench.antiphon("accept", "latest", "--all", cwd=root)
    assert accepted.code == 0, accepted
    ran = marker.read_text() if marker.exists() else ""
    assert "server.cli" not in ran
    served = bench.antiphon("serve", "--stdio", cwd=root)
    assert "stranger" not in served.errors + served.out


def test_a_large_workspace_shows_progress_and_can_be_cancelled(bench: Bench) -> None:
    for number in range(400):  # more than is read between two reports of progress
        folder = bench.workspace / f"folder_{number:03}"
        folder.mkdir()
        for place in range(80):
            (folder / f"file_{place:02}.py").write_text(f"value = {number * place}\n")
    words: list[str | Path] = [
        "run",
        "--plan-file",
        bench.plan("Look"),
        "--model",
        MODEL,
        "--workspace",
        bench.workspace,
    ]
    with AtTerminal(bench.antiphon, *words, "--trust", "--approval", "auto") as terminal:
        terminal.until("files read")
        terminal.type("\x03")
        assert terminal.end() == 130, terminal.text
    assert bench("runs", "--json").last["state"] == "cancelled"
    assert_nothing_left(bench, [])
    resumed = bench("resume", "latest", "--trust", "--approval", "auto", "--json")
    assert (resumed.code, resumed.last["state"]) == (0, "completed"), resumed
    [taken] = [event for event in resumed.events if event["type"] == "snapshot_taken"]
    assert taken["files"] == 32_000


def read_only(bench: Bench, *words: str | Path) -> Finished:
    """A command while nothing can be written beneath the workspace, not by root either."""
    shell = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    inside = ["unshare", "-m", "sh", "-c", shell, "sh", str(bench.workspace), str(PROGRAM), *map(str, words)]
    done = subprocess.run(
        [*inside, "--workspace", str(bench.workspace)],
        env=bench.antiphon.environment(),
        capture_output=True,
        text=True,
        check=False,
        cwd=bench.antiphon.home,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("mount namespaces are not allowed here")
    return Finished(done.returncode, done.stdout, done.stderr)


def test_a_workspace_that_became_read_only(bench: Bench) -> None:
    (bench.workspace / "a.txt").write_text("one\n")
    bench.model.turns["Edit"] = [[edit("a.txt", "one", "two"), write("b.txt", "b\n")]]
    assert bench.run("Edit").code == 0
    run = read_only(bench, "run", "goal", "--model", MODEL)
    assert run.code == 2, run
    assert "is read-only, so accepted changes could not be written" in run.errors
    for name in ("changes", "show"):
        shown = read_only(bench, name, "latest")
        assert shown.code == 0, shown
    refused = read_only(bench, "accept", "latest", "--all", "--json")
    assert refused.code == 1, refused
    assert {item["outcome"] for item in refused.last["files"]} == {"conflict"}
    assert all("Read-only file system" in item["detail"] for item in refused.last["files"]), refused
    assert [path.name for path in bench.workspace.iterdir()] == ["a.txt"]
    accepted = bench("accept", "latest", "--all")
    assert accepted.code == 0, "what could not be written is still open"
    assert (bench.workspace / "a.txt").read_text() == "two\n"


def test_a_workspace_that_is_gone_or_none(bench: Bench, tmp_path: Path) -> None:
    bench.model.turns["Make"] = [[write("a.txt", "one\n")]]
    assert bench.run("Make").code == 0
    bench.workspace.rmdir()
    for words in (["changes", "latest"], ["accept", "latest", "--all"], ["runs"], ["run", "x"], ["gc"]):
        gone = bench(words[0], *words[1:])
        assert gone.code == 2, gone
        assert "does not exist" in gone.errors
    bench.workspace.write_text("a file")
    for words in (["show", "latest"], ["undo", "latest"], ["review"], ["trust"], ["resume", "latest"]):
        none = bench(words[0], *words[1:])
        assert none.code == 2, none
        assert "is a file; give the folder that holds it" in none.errors
    examined = bench("doctor", "--json")
    assert examined.code == 1, examined
    assert any(
        check["name"] == "workspace" and check["state"] == "problem" for check in examined.last["checks"]
    )
    here = tmp_path / "removed"
    here.mkdir()
    shell = f'cd "$1" && rmdir "$1" && exec "{PROGRAM}" runs'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", str(here)],
        env=bench.antiphon.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done
    assert "the current folder no longer exists" in done.stderr


def test_the_folder_for_data(bench: Bench, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    table = tmp_path / "mountinfo"
    table.write_text("1 0 0:1 / / rw - nfs4 server:/home rw\n")
    for folder, message in (
        (plain, "name another folder"),
        (bench.workspace / "data", "lies inside the workspace"),
    ):
        bench.antiphon.variables["ANTIPHON_DATA_DIR"] = str(folder)
        refused = bench("runs", "--json")
        assert refused.code == 2, refused
        assert message in refused.errors
        assert "ANTIPHON_DATA_DIR" in refused.errors
    del bench.antiphon.variables["ANTIPHON_DATA_DIR"]
    # The kernel's own table of mounts, which a process is shown another version of.
    shell = 'mount --bind "$1" /proc/$$/mountinfo && shift && exec "$@"'
    for name, code in (("runs", 2), ("doctor", 1)):
        words = ["unshare", "-m", "sh", "-c", shell, "sh", str(table), str(PROGRAM), name]
        done = subprocess.run(
            [*words, "--workspace", str(bench.workspace)],
            env=bench.antiphon.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if "unshare" in done.stderr or "mount:" in done.stderr:
            pytest.skip("mount namespaces are not allowed here")
        assert done.returncode == code, done
        said = done.stdout + done.stderr
        assert "nfs4" in said
        assert "ANTIPHON_DATA_DIR" in said
    assert os.listdir(bench.workspace) == []  # noqa: PTH208 - the names are all that is asked
