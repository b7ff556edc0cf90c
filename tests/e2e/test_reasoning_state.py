"""Reasoning state through real runs, of every API: there and back, through the journal, a kill and a resume.

And what rests on the same bytes: requests that begin as the one before, calls that a kill left open.
"""

import json
import signal
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bench import until
from tests.e2e.command_line import PROGRAM, Antiphon, Finished
from tests.e2e.vendors import (
    MODELS,
    VendorServer,
    around_and_within,
    base_url,
    results_in,
    state_in,
    state_of,
    vendor_server,
)

APIS = list(MODELS)
WRITE = ("write_file", {"path": "notes.txt", "content": "one\n"})
LOOK = ("list_files", {"path": "."})
TURNS = 20
# Marks of a cache move along with the conversation, and are no part of what they mark.
MARK = b',"cache_control":{"type":"ephemeral"}'
Lab = Callable[[VendorServer], list[str | Path]]


@pytest.fixture
def antiphon(tmp_path: Path) -> Antiphon:
    return Antiphon(tmp_path / "home")


@pytest.fixture
def lab(antiphon: Antiphon, tmp_path: Path) -> Lab:
    """The command line of a run of one task against a server."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "sleeper.py").write_text("import time\ntime.sleep(600)\n")

    def words(server: VendorServer) -> list[str | Path]:
        config = antiphon.home / ".config" / "antiphon" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        address = base_url(server.api, server.origin)
        config.write_text(f'[providers.lab]\napi = "{server.api}"\nbase_url = "{address}"\napi_key = "k"\n')
        plan = tmp_path / "plan.json"
        task = {"id": "one", "title": "One", "instructions": "Look around, then write notes."}
        plan.write_text(json.dumps({"goal": "Notes", "tasks": [task]}))
        fixed = ("--trust", "--approval", "auto", "--json", "--workspace", workspace)
        return ["--plan-file", plan, "--model", f"lab/{MODELS[server.api]}", *fixed]

    return words


def begin(antiphon: Antiphon, words: list[str | Path]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [str(PROGRAM), "run", *map(str, words)],
        cwd=antiphon.home,
        env=antiphon.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


def resume(antiphon: Antiphon, folder: Path) -> Finished:
    words = ("--trust", "--approval", "auto", "--json", "--workspace", folder / "workspace")
    return antiphon("resume", "latest", *words)


def bodies(server: VendorServer) -> list[dict[str, Any]]:
    return [json.loads(body) for body in server.bodies]


@pytest.mark.parametrize("api", APIS)
def test_state_goes_back_byte_for_byte_after_a_kill_and_a_resume(
    antiphon: Antiphon, lab: Lab, tmp_path: Path, api: str
) -> None:
    with vendor_server(api, [[LOOK, WRITE], [LOOK]], held=2) as server:
        words = lab(server)
        process = begin(antiphon, words)
        server.wait_for(3)  # the third answer is being waited for
        kill(process)
        server.release.set()
        resumed = resume(antiphon, tmp_path)
        assert resumed.code == 0, resumed
        _, second, open_call, again = server.bodies[:4]
        # The call that was open is made again with the very same bytes: the state in it went through the journal.
        assert again == open_call
        assert state_in(api, json.loads(second)) == state_of(api, 0)
        assert state_in(api, json.loads(again)) == [*state_of(api, 0), *state_of(api, 1)]
        assert len(server.bodies) == 4, "no finished turn was asked for again"


@pytest.mark.parametrize("api", APIS)
def test_over_twenty_turns_each_request_begins_with_the_bytes_of_the_one_before(
    antiphon: Antiphon, lab: Lab, api: str
) -> None:
    turns = [[("write_file", {"path": f"{turn}.txt", "content": "ü\u2028\n"})] for turn in range(TURNS - 1)]
    with vendor_server(api, turns) as server:
        done = antiphon("run", *lab(server))
    assert done.code == 0, done
    assert len(server.bodies) == TURNS
    cuts = [around_and_within(api, body.replace(MARK, b"")) for body in server.bodies]
    for (around, within), (next_around, next_within) in pairwise(cuts):
        assert next_around == around, "tools, system text and settings are the same"
        assert next_within.startswith(within), "earlier messages are the same"
        assert len(next_within) > len(within)
    assert len(state_in(api, bodies(server)[-1])) == (TURNS - 1) * len(state_of(api, 0))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=["kill", "cancel"])
@pytest.mark.parametrize("api", APIS)
def test_a_call_that_a_kill_or_a_cancel_left_open_gets_a_result_that_says_so(
    antiphon: Antiphon, lab: Lab, tmp_path: Path, api: str, end: signal.Signals
) -> None:
    sleep = ("run_command", {"command": "python3 -m unittest sleeper"})
    with vendor_server(api, [[sleep, WRITE]]) as server:
        process = begin(antiphon, lab(server))
        until(process.stdout, "tool_started", tool="run_command")
        process.send_signal(end)
        process.communicate(timeout=60)
        resumed = resume(antiphon, tmp_path)
        assert resumed.code == 0, resumed
        assert len(server.bodies) == 2, "the first answer is not paid for again"
        interrupted, written = results_in(api, bodies(server)[1])
    assert "was interrupted when the program stopped" in interrupted
    assert "interrupted" not in written
    assert state_in(api, bodies(server)[1]) == state_of(api, 0)
