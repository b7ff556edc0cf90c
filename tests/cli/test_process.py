"""What a user meets before any run: help, usage, bad input. Each test is a process of the installed program."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from server.commands import COMMANDS
from server.handshake import VERSION
from tests.e2e.command_line import PROGRAM, Antiphon

HEAVY = frozenset(
    {"rich", "anyio", "msgspec", "pygit2", "apsw", "httpx2", "yaml", "pydantic", "pygls", "asyncio"}
)


def test_the_overview_lists_every_command(antiphon: Antiphon) -> None:
    shown = antiphon("--help")
    assert shown.code == 0
    assert all(f"\n  {name} " in shown.out for name in COMMANDS)
    nothing = antiphon()
    assert (nothing.code, nothing.out) == (2, shown.out)


def test_the_version(antiphon: Antiphon) -> None:
    assert antiphon("--version").out == f"antiphon {VERSION}\n"
    assert version("antiphon") == VERSION


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_examples(antiphon: Antiphon, command: str) -> None:
    antiphon.variables["COLUMNS"] = "80"
    shown = antiphon(command, "--help")
    assert shown.code == 0, shown
    assert f"usage: antiphon {command}" in shown.out
    assert f"examples:\n  antiphon {command}" in shown.out
    assert max(map(len, shown.out.splitlines())) < 80


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"], ["nonsense"]])
def test_what_needs_no_engine_imports_none(words: list[str]) -> None:
    code = f"import sys; from server.cli import main; main({words!r}); print('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stderr.split()) == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "unknown command 'rnu'; did you mean `run`?"),
        (["\x1b[2Jx"], "unknown command '\\\\e[2Jx'"),
        (["run", "goal", "--moddel", "x"], "unrecognized arguments: --moddel x"),
        (["run", "goal", "--approval", "yes"], "invalid choice: 'yes'"),
        (["show"], "the following arguments are required: RUN"),
        (["accept", "latest"], "say what to accept: --all, or --file PATH and --hunk ID"),
        (["accept", "latest", "--all", "--hunk", "x"], "say what to accept"),
        (["reject", "latest"], "say what to reject"),
        (["run"], "a goal is missing"),
        (["run", "  "], "the goal is empty"),
        (["run", "goal", "--workspace", "no/such"], "does not exist; create it or correct --workspace"),
        (["runs", "--workspace", "a-file"], "is a file; give the folder that holds it"),
        (["run", "--plan-file", "none.yaml"], "does not exist; correct --plan-file"),
        (["run", "--plan-file", "cycle.yaml"], "in a circle: a -> b -> a"),
        (["run", "goal", "--model", "gpt"], "--model must be PROVIDER/NAME"),
        (["run", "goal", "--model", "opnai/gpt"], "unknown provider 'opnai'"),
        (["run", "goal", "--model", "openai/gpt"], "OPENAI_API_KEY"),
        (["run", "goal", "--model", "scripted/x"], "needs a script and none is configured"),
        (["run", "goal", "--max-parallel", "0"], "--max-parallel must be a whole number from 1 up, not 0"),
        (["run", "goal", "--max-cost", "free"], "--max-cost must be a number above 0, not free"),
        (["run", "goal", "--max-tokens", "-5"], "--max-tokens must be a whole number"),
        (["run", "goal", "--plan", "confirm", "--model", "openai/x"], "--plan confirm needs a terminal"),
        (["runs"], ""),
        (["show", "latest"], "this workspace has no runs yet"),
        (["resume", "latest"], "this workspace has no runs yet"),
    ],
)
def test_usage_names_the_thing_and_the_mend(antiphon: Antiphon, words: list[str], message: str) -> None:
    antiphon.home.mkdir(exist_ok=True)
    (antiphon.home / "a-file").write_text("")
    (antiphon.home / "cycle.yaml").write_text(
        "- {id: a, title: A, instructions: x, depends_on: [b]}\n- {id: b, title: B, instructions: x, depends_on: [a]}\n"
    )
    folder = antiphon.home / "folder"
    folder.mkdir()
    if "--workspace" not in words and words[0] in COMMANDS:
        words = [*words, "--workspace", "folder"]
    done = antiphon(*words)
    assert done.code == (2 if message else 0), done
    assert message in done.errors
    assert "Traceback" not in done.errors


def test_a_price_that_is_not_known_names_max_tokens(antiphon: Antiphon, workspace: Path) -> None:
    antiphon.variables["OPENAI_API_KEY"] = "k"
    done = antiphon("run", "x", "--workspace", workspace, "--model", "openai/m", "--max-cost", "1")
    assert done.code == 2
    assert "the price of openai/m is not known" in done.errors
    assert "--max-tokens" in done.errors


@pytest.mark.parametrize("command", ["runs", "run"])
def test_a_typo_in_the_configuration(
    antiphon: Antiphon, workspace: Path, configure: Callable[[str], Path], command: str
) -> None:
    file = configure("max_paralel = 3\n")
    done = antiphon(command, *(["goal"] if command == "run" else []), "--workspace", workspace, "--json")
    assert done.code == 2
    assert f"{file}, line 1: unknown key `max_paralel`; did you mean `max_parallel`?" in done.errors
    assert done.last["type"] == "error"
    assert done.last["kind"] == "ConfigurationError"
    assert done.last["exitCode"] == 2


def test_a_workspace_cannot_raise_rights(antiphon: Antiphon, workspace: Path) -> None:
    (workspace / ".antiphon").mkdir()
    (workspace / ".antiphon" / "config.toml").write_text(
        'approval = "auto"\n[providers.openai]\nbase_url = "http://127.0.0.1:9"\n'
    )
    done = antiphon("runs", "--workspace", workspace)
    assert done.code == 0
    assert "approval = auto is ignored; a workspace may only lower it" in done.errors
    assert "providers.openai.base_url is ignored" in done.errors


def test_without_a_model_the_ways_to_one(antiphon: Antiphon, workspace: Path) -> None:
    done = antiphon("run", "goal", "--workspace", workspace)
    assert done.code == 2
    for way in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTIPHON_MODEL", "antiphon demo"):
        assert way in done.errors


def test_a_workspace_that_cannot_be_written(antiphon: Antiphon, workspace: Path) -> None:
    words = ("run", "goal", "--workspace", str(workspace), "--model", "openai/m")
    if os.getuid() != 0:
        workspace.chmod(0o555)
        done = antiphon(*words)
        workspace.chmod(0o755)
        code, errors = done.code, done.errors
    else:
        # Modes do not stop root, a read-only mount does.
        shell = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
        inside = ["unshare", "-m", "sh", "-c", shell, "sh", str(workspace), str(PROGRAM), *words]
        ran = subprocess.run(
            inside, env=antiphon.environment(), capture_output=True, text=True, check=False, cwd=antiphon.home
        )
        if "unshare" in ran.stderr or "mount:" in ran.stderr:
            pytest.skip("mount namespaces are not allowed here")
        code, errors = ran.returncode, ran.stderr
    assert code == 2
    assert "is read-only, so accepted changes could not be written" in errors


@pytest.mark.parametrize("stated", [None, "git version 2.30.1"])
def test_git_that_is_missing_or_old(
    antiphon: Antiphon, workspace: Path, tmp_path: Path, stated: str | None
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "readlink"):
        (tools / name).symlink_to(f"/bin/{name}")
    if stated is not None:
        (tools / "git").write_text(f"#!/bin/sh\necho '{stated}'\n")
        (tools / "git").chmod(0o755)
    antiphon.variables["PATH"] = str(tools)
    done = antiphon("runs", "--workspace", workspace)
    assert done.code == 2, done
    assert "git 2.38 or later" in done.errors


def test_data_inside_the_workspace_is_refused(antiphon: Antiphon, workspace: Path) -> None:
    antiphon.variables["ANTIPHON_DATA_DIR"] = str(workspace / "data")
    done = antiphon("runs", "--workspace", workspace)
    assert done.code == 2
    assert "lies inside the workspace" in done.errors


def test_a_stranger_s_packages_change_nothing(antiphon: Antiphon, workspace: Path) -> None:
    for name in ("server", "orchestration", "providers", "argparse"):
        (workspace / name).mkdir()
        (workspace / name / "__init__.py").write_text("raise SystemExit('a stranger ran')\n")
    antiphon.variables["PYTHONPATH"] = str(workspace)
    done = antiphon("runs", "--workspace", workspace, cwd=workspace)
    assert done.code == 0, done
    assert "stranger" not in done.out + done.errors


def test_a_reader_that_goes_away_is_no_error(antiphon: Antiphon) -> None:
    command = f"'{PROGRAM}' doctor | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], env=antiphon.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1}
    assert done.stderr == ""


def test_closed_streams_are_no_crash(antiphon: Antiphon, workspace: Path) -> None:
    command = f"'{PROGRAM}' runs --workspace '{workspace}' <&- >&- 2>&-"
    done = subprocess.run(["bash", "-c", command], env=antiphon.environment(), check=False)
    assert done.returncode == 0
