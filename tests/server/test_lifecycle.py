"""How the server begins and ends: exit codes, end of input, a dead client, a held-open input."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from server.watchdog import started
from tests.server.conftest import Script, Serve, plan, work
from tests.server.lsp_client import LspClient

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def client(serve: Serve, workspace: Path) -> LspClient:
    started = serve()
    started.initialize(workspace)
    return started


def test_shutdown_then_exit(client: LspClient) -> None:
    client.close(expect=0)


def test_exit_without_shutdown(client: LspClient) -> None:
    client.notify("exit")
    assert client.wait_exit() == 1


def test_exit_before_initialize(serve: Serve) -> None:
    client = serve()
    client.notify("exit")
    assert client.wait_exit() == 1


@pytest.mark.parametrize(("shut_down", "code"), [(True, 0), (False, 1)])
def test_end_of_input(client: LspClient, shut_down: bool, code: int) -> None:
    if shut_down:
        client.request("shutdown")
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert client.wait_exit() == code


def test_end_of_input_before_initialize(serve: Serve) -> None:
    client = serve()
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert client.wait_exit() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it_in_order(client: LspClient, number: int) -> None:
    client.command("run.list")
    client.process.send_signal(number)
    assert client.wait_exit() == 128 + number
    client.check()


def test_a_dead_client_ends_it_although_the_input_is_held_open(serve: Serve, workspace: Path) -> None:
    editor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    client = serve()
    client.initialize(workspace, process_id=editor.pid)
    client.command("run.list")
    editor.kill()
    editor.wait()
    assert editor.stdin is not None
    editor.stdin.close()
    assert client.wait_exit(30) == 1


def test_a_client_that_cannot_be_seen_is_not_watched(serve: Serve, workspace: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    client = serve()
    client.initialize(workspace, process_id=gone.pid)
    client.command("run.list")
    client.close()


def test_a_client_that_closes_its_end_of_the_output(client: LspClient) -> None:
    assert client.process.stdout is not None
    client.command("run.list")
    os.close(os.dup(client.process.stdout.fileno()))
    client.process.stdin.close()  # type: ignore[union-attr]  # a pipe, as asked for
    assert client.wait_exit() == 1


def test_nothing_but_the_protocol_reaches_standard_output(serve: Serve, workspace: Path) -> None:
    code = (
        "import sys\n"
        "from server.stdio import main_stdio\n"
        "def compose():\n"
        "    import os, subprocess\n"
        "    print('a stray print', flush=True)\n"
        "    os.write(1, b'straight to the descriptor')\n"
        "    subprocess.run(['echo', 'from a child'], check=True)\n"
        "    sys.stdin.read()\n"
        "    from server.app import Served\n"
        "    return Served()\n"
        "sys.exit(main_stdio(compose))\n"
    )
    client = serve(command=(sys.executable, "-I", "-c", code))
    client.initialize(workspace)
    client.command("run.list")
    client.close()
    for text in (b"a stray print", b"straight to the descriptor", b"from a child"):
        assert text in client.errors


def gone(pid: int) -> bool:
    """Ended, whether or not whoever inherited it has taken note."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path("/proc/self/stat").exists() and started(pid) is None


def _exit(client: LspClient) -> None:
    client.notify("exit")


def _orderly(client: LspClient) -> None:
    client.request("shutdown")
    client.notify("exit")


def _end_of_input(client: LspClient) -> None:
    assert client.process.stdin is not None
    client.process.stdin.close()


def _terminate(client: LspClient) -> None:
    client.process.terminate()


@pytest.mark.parametrize("end", [_exit, _orderly, _end_of_input, _terminate])
def test_no_child_outlives_the_server(
    serve: Serve, workspace: Path, tmp_path: Path, script: Script, end: Callable[[LspClient], None]
) -> None:
    file = tmp_path / "pid"
    command = f"sh -c 'echo $$ > {file}.new && mv {file}.new {file} && exec sleep 600'"
    settings = script(
        [plan({"id": "one"}), work("one", ("run_command", {"command": command, "timeout_s": 600}))]
    )
    client = serve()
    client.initialize(workspace, options={"settings": settings, "trusted": True})
    client.on("window/showMessageRequest", lambda _: {"title": "Allow once"})
    client.command("run.start", {"goal": "sleep"})
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, client.errors.decode()
        time.sleep(0.02)  # what a child of the server writes can only be looked at
    child = int(file.read_text())
    assert not gone(child)
    assert client.request("antiphon/health")["children"]
    end(client)
    client.wait_exit()
    assert gone(child)
