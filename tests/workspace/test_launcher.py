"""Real processes: limits, the end of whole groups, and what happens when the owner is killed."""
# ruff: noqa: ASYNC220, ASYNC240 - a test may block its own loop for a moment

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from orchestration.edge import SystemClock
from orchestration.errors import ProcessError
from orchestration.workspace.environment import child_environment, clean_path, find_program
from orchestration.workspace.launcher import Command
from orchestration.workspace.local_launcher import LocalLauncher, LocalProcess
from orchestration.workspace.process_identity import carriers, is_alive, start_time
from orchestration.workspace.process_ledger import end_leftovers
from orchestration.workspace.process_output import BoundedOutput
from providers.base import ProcessPort
from tests.workspace.waiting import eventually

pytestmark = pytest.mark.anyio
SH = "/bin/sh"
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def sh(script: str, cwd: Path, **more: object) -> Command:
    return Command((SH, "-c", script), cwd, **more)  # type: ignore[arg-type] # the fields of Command


async def gone(pid: int, started: str) -> None:
    await eventually(lambda: not is_alive(pid, started))


async def test_output_is_interleaved_and_the_exit_code_kept(launcher: LocalLauncher, tmp_path: Path) -> None:
    done = await launcher.run(sh("echo out; echo err >&2; pwd; exit 3", tmp_path))
    assert (done.exit_code, done.output, done.errors) == (3, f"out\nerr\n{tmp_path}\n".encode(), b"")
    assert not done.timed_out
    apart = await launcher.run(sh("echo out; echo err >&2", tmp_path, separate=True))
    assert (apart.output, apart.errors) == (b"out\n", b"err\n")


async def test_input_is_fed_and_is_empty_by_default(launcher: LocalLauncher, tmp_path: Path) -> None:
    data = os.urandom(1_000_000)
    done = await launcher.run(Command(("cat",), tmp_path, stdin=data, max_output=2_000_000))
    assert done.output == data
    assert (await launcher.run(Command(("cat",), tmp_path))).output == b""
    assert (await launcher.run(Command(("true",), tmp_path, stdin=data))).exit_code == 0


async def test_long_output_keeps_its_ends_and_says_what_is_missing(
    launcher: LocalLauncher, tmp_path: Path
) -> None:
    done = await launcher.run(
        sh("echo begin; head -c 3000000 /dev/zero; echo end", tmp_path, max_output=1000)
    )
    assert done.cut == 3_000_010 - 1000
    assert done.output.startswith(b"begin\n")
    assert done.output.endswith(b"end\n")
    assert b"2999010 bytes of output cut here" in done.output


async def test_a_time_limit_ends_the_group(launcher: LocalLauncher, tmp_path: Path) -> None:
    done = await launcher.run(sh("sleep 600 & echo $!; sleep 600", tmp_path, timeout_s=0.2))
    assert done.timed_out
    assert done.exit_code == -signal.SIGTERM
    assert done.seconds < 5
    assert start_time(int(done.output)) == ""


async def test_what_ignores_the_polite_signal_is_killed(launcher: LocalLauncher, tmp_path: Path) -> None:
    done = await launcher.run(sh("trap '' TERM; echo $$; while :; do sleep 1; done", tmp_path, timeout_s=0.2))
    assert done.exit_code == -signal.SIGKILL
    assert start_time(int(done.output)) == ""


@linux
async def test_what_a_command_leaves_behind_is_ended(launcher: LocalLauncher, tmp_path: Path) -> None:
    in_group = await launcher.run(sh("sleep 600 & echo $!", tmp_path))
    assert in_group.exit_code == 0
    assert start_time(int(in_group.output)) == ""
    daemon = await launcher.run(
        sh("setsid sleep 600 >/dev/null 2>&1 & sleep 0.2; pgrep -n -x sleep", tmp_path)
    )
    assert start_time(int(daemon.output)) == ""


async def test_cancelling_ends_the_group(launcher: LocalLauncher, tmp_path: Path) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(launcher.run, sh("echo $$ > new; mv new pid; sleep 600", tmp_path))
        await eventually((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        assert [live.pid for live in launcher.live()] == [pid]
        group.cancel_scope.cancel()
    assert start_time(pid) == ""
    assert launcher.live() == ()


async def test_a_missing_program_and_a_missing_folder_are_named(
    launcher: LocalLauncher, tmp_path: Path
) -> None:
    with pytest.raises(ProcessError, match=r"cannot run no-such-tool.*on PATH"):
        await launcher.run(Command(("no-such-tool",), tmp_path))
    with pytest.raises(ProcessError, match=r"folder .*none is missing"):
        await launcher.run(Command(("true",), tmp_path / "none"))


async def test_a_started_process_talks_both_ways(launcher: LocalLauncher, tmp_path: Path) -> None:
    process = await launcher.start(("cat",), cwd=tmp_path, env={}, stdin=True)
    assert isinstance(process, LocalProcess)
    await process.send(b"hello\n")
    async for chunk in process.stdout():
        assert chunk == b"hello\n"
        break
    await process.kill()
    assert await process.wait() == -signal.SIGTERM
    assert launcher.live() == ()
    with pytest.raises(BrokenPipeError):
        await process.send(b"more")


async def test_a_started_process_that_ends_by_itself(launcher: LocalLauncher, tmp_path: Path) -> None:
    process = await launcher.start((SH, "-c", "echo out; echo why >&2; exit 4"), cwd=tmp_path, env={})
    assert isinstance(process, LocalProcess)
    assert await process.wait() == 4
    assert [chunk async for chunk in process.stdout()] == [b"out\n"]
    assert process.errors() == b"why\n"
    await process.kill()


async def test_closing_ends_what_was_started(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path, "test-close", clock=SystemClock(), grace_s=0.3)
    process = await launcher.start(("sleep", "600"), cwd=tmp_path, env={})
    assert isinstance(process, LocalProcess)
    assert len(list(tmp_path.glob("*.json"))) == 1
    await launcher.aclose()
    assert start_time(process.pid) == ""
    assert list(tmp_path.glob("*.json")) == []
    await process.kill()


_OWNER = """
import anyio, os, sys
from pathlib import Path
from orchestration.edge import SystemClock
from orchestration.workspace.launcher import Command
from orchestration.workspace.local_launcher import LocalLauncher

async def main():
    launcher = LocalLauncher(Path(sys.argv[1]), sys.argv[2], clock=SystemClock())
    if len(sys.argv) > 3:
        launcher._guardian.add = lambda pid: None  # as if it were dead, too
    print("ready", flush=True)
    await launcher.run(Command(("/bin/sh", "-c", sys.argv[3] if len(sys.argv) > 4 else
        "trap '' TERM; setsid sleep 600 & echo $$ > pid.new; mv pid.new pid; sleep 600; sleep 600"), Path(sys.argv[1])))

anyio.run(main)
"""


async def _owner_killed(folder: Path, token: str, *more: str) -> tuple[int, str]:
    """Starts an owner with a stubborn child, kills it with -9; gives the child's pid and start time."""
    with subprocess.Popen(
        (sys.executable, "-c", textwrap.dedent(_OWNER), str(folder), token, *more)
    ) as owner:
        await eventually((folder / "pid").exists)
        pid = int((folder / "pid").read_text())
        started = start_time(pid)
        assert started
        owner.kill()
    return pid, started


@linux
async def test_killing_the_owner_ends_its_children(tmp_path: Path) -> None:
    token = f"kill-{os.getpid()}"
    pid, started = await _owner_killed(tmp_path, token)
    await gone(pid, started)
    await eventually(lambda: not carriers(token))


@linux
async def test_the_next_start_ends_what_a_killed_owner_left(tmp_path: Path) -> None:
    token = f"left-{os.getpid()}"
    pid, started = await _owner_killed(tmp_path, token, "no guardian")
    assert is_alive(pid, started)
    assert end_leftovers(tmp_path) >= 2
    await gone(pid, started)
    assert carriers(token) == []
    assert list(tmp_path.glob("*.json")) == []
    assert end_leftovers(tmp_path) == 0


async def test_leftovers_of_a_live_owner_are_left_alone(launcher: LocalLauncher, tmp_path: Path) -> None:
    process = await launcher.start(("sleep", "600"), cwd=tmp_path, env={})
    assert isinstance(process, LocalProcess)
    assert end_leftovers(tmp_path / "ledger") == 0
    assert start_time(process.pid) != ""
    await process.kill()


class _Recording:
    """A sandbox that shows what it was told."""

    tier = "recording"

    def __init__(self) -> None:
        self.writable: list[Path] = []

    def wrap(self, argv: Sequence[str], *, cwd: Path) -> Sequence[str]:
        self.writable.append(cwd)
        return ("env", "SANDBOXED=1", *argv)


async def test_incident_19_only_the_given_folder_is_a_writable_root(tmp_path: Path) -> None:
    sandbox = _Recording()
    launcher = LocalLauncher(tmp_path / "ledger", "sandbox", clock=SystemClock(), sandbox=sandbox)
    port: ProcessPort = launcher  # what agent adapters are given
    done = await launcher.run(sh("cd /; echo $SANDBOXED; pwd", tmp_path))
    process = await port.start(("true",), cwd=tmp_path, env={})
    assert await process.wait() == 0
    await process.kill()
    own = await launcher.run(Command(("env",), tmp_path, own_tool=True, brief=True))
    await launcher.aclose()
    assert done.output == b"1\n/\n"
    assert launcher.tier == "recording"
    assert sandbox.writable == [tmp_path, tmp_path]
    assert b"SANDBOXED" not in own.output


async def test_children_inherit_no_descriptor(launcher: LocalLauncher, tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        done = await launcher.run(sh("ls /proc/self/fd 2>/dev/null || ls /dev/fd", tmp_path))
        assert str(lock.fileno()) not in done.output.decode().split()[3:]
        assert len(done.output.split()) <= 4


async def test_the_environment_is_an_allow_list(tmp_path: Path) -> None:
    launcher = LocalLauncher(
        tmp_path / "l",
        "env",
        clock=SystemClock(),
        inherited={
            "PATH": f"bin:.::/usr/bin:{tmp_path}/node_modules/.bin:/bin", "HOME": "/home/me", "LC_ALL": "C.UTF-8",
            "OPENAI_API_KEY": "k", "LD_PRELOAD": "x.so", "GITHUB_TOKEN": "t", "PYTHONPATH": "evil", "GIT_DIR": "g",
            "AWS_SECRET_ACCESS_KEY": "s", "BASH_ENV": "e", "NODE_OPTIONS": "--require x",
        },
        forbidden=[tmp_path],
    )  # fmt: skip
    done = await launcher.run(Command(("env",), tmp_path, env={"CI": "1"}))
    await launcher.aclose()
    seen = dict(line.split("=", 1) for line in done.output.decode().splitlines())
    assert seen.pop("ANTIPHON_RUN").startswith("env.")
    assert seen == {"PATH": "/usr/bin:/bin", "HOME": "/home/me", "LC_ALL": "C.UTF-8", "CI": "1"}


def test_incident_16_a_planted_program_is_not_found(tmp_path: Path) -> None:
    planted = tmp_path / "git"
    planted.write_text("#!/bin/sh\n")
    planted.chmod(0o755)
    assert find_program("git", f".:{tmp_path}:/usr/bin", forbidden=[tmp_path]) == "/usr/bin/git"
    assert find_program("git", f"{tmp_path}:/usr/bin") == str(planted)
    tmp_path.chmod(0o777)
    assert find_program("git", f"{tmp_path}:/usr/bin") == "/usr/bin/git"
    assert find_program("no-such-tool", "/usr/bin") is None
    assert clean_path("", ()) == "/usr/local/bin:/usr/bin:/bin"
    assert "X" not in child_environment({"X": "1"}, {})


@pytest.mark.parametrize(
    "pieces", [[b"a" * 7], [b"a"] * 7, [b"abc", b"defgh"], [b"x" * 100, b"y"], [b"0123456789"]]
)
def test_bounded_output_keeps_head_and_tail(pieces: list[bytes]) -> None:
    kept = BoundedOutput(8)
    for piece in pieces:
        kept.add(piece)
    whole = b"".join(pieces)
    if len(whole) <= 8:
        assert (kept.value(), kept.cut) == (whole, 0)
    else:
        assert kept.cut == len(whole) - 8
        assert (
            kept.value() == whole[:4] + b"\n[... %d bytes of output cut here ...]\n" % kept.cut + whole[-4:]
        )


async def test_standard_error_can_be_read_beside_the_output(launcher: LocalLauncher, tmp_path: Path) -> None:
    script = "head -c 300000 /dev/zero >&2; echo out; echo err >&2"
    process = await launcher.start([SH, "-c", script], cwd=tmp_path, env={}, stderr=True)
    read: dict[str, bytes] = {"out": b"", "err": b""}

    async def drain(name: str) -> None:
        async for piece in process.stdout() if name == "out" else process.stderr():
            read[name] += piece

    async with anyio.create_task_group() as group:
        for name in read:
            group.start_soon(drain, name)
    assert await process.wait() == 0
    assert process.errors() == b""
    await process.kill()
    assert (read["out"], read["err"]) == (b"out\n", b"\0" * 300_000 + b"err\n")


async def test_standard_error_is_kept_where_nobody_reads_it(launcher: LocalLauncher, tmp_path: Path) -> None:
    process = await launcher.start([SH, "-c", "echo err >&2"], cwd=tmp_path, env={})
    await process.wait()
    assert [piece async for piece in process.stderr()] == []
    assert process.errors() == b"err\n"
    await process.kill()
