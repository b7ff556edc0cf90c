"""What a run shows of a provider that makes it wait, that cuts its prompts, and of how well prompts were estimated."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from server.methods import EVENT
from tests.cli.terminals import AtTerminal
from tests.e2e.command_line import Antiphon
from tests.model_server import Answer, ModelServer, Plain, Reply, ToolCall
from tests.model_server.replies import Usage
from tests.model_server.requests import ModelRequest
from tests.server.lsp_client import CAPABILITIES, LspClient

DELAY_S = 6  # the shortest wait that is shown is 5 s
LONG = "Write the word 'one' into one.txt, as carefully as you can. " * 100


class Waiting:
    """Refuses the first call of everything for a while, then writes a file. `reported`: tokens of every prompt."""

    def __init__(self, *, delay_s: int = 0, reported: int | None = None) -> None:
        self._delay = delay_s
        self._reported = reported
        self._lock = threading.Lock()
        self._refused = False

    def respond(self, request: ModelRequest, /) -> Reply:
        with self._lock:
            refuse, self._refused = self._delay > 0 and not self._refused, True
        if refuse:
            return Plain(429, b'{"error":{"message":"slow down"}}', headers={"Retry-After": str(self._delay)})
        usage = None if self._reported is None else Usage(self._reported, 10)
        if request.turn == 0:
            call = ToolCall("write_file", {"path": "one.txt", "content": "one\n"})
            return Answer(calls=(call,), usage=usage)
        return Answer(calls=(ToolCall("finish", {"summary": "Done."}),), usage=usage)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = tmp_path / "plan.json"
    task = {"id": "one", "title": "One", "instructions": LONG}
    file.write_text(json.dumps({"goal": "Write one", "tasks": [task]}))
    return file


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def set_up(antiphon: Antiphon, server: ModelServer) -> None:
    antiphon.variables |= {"OPENAI_BASE_URL": server.base_url, "ANTIPHON_MODEL": "openai/test-model"}


def test_a_wait_is_told_with_its_end(
    antiphon: Antiphon, servers: ExitStack, workspace: Path, plan: Path
) -> None:
    set_up(antiphon, servers.enter_context(ModelServer(Waiting(delay_s=DELAY_S))))
    done = antiphon("run", "--plan-file", plan, "--workspace", workspace, "--trust")
    assert done.code == 0, done
    assert re.search(
        r"^one waits [56]\.\ds for a rate limit, until \d\d:\d\d:\d\d$", done.out, re.MULTILINE
    ), done


def test_a_wait_is_counted_down_on_a_screen(
    antiphon: Antiphon, servers: ExitStack, workspace: Path, plan: Path
) -> None:
    set_up(antiphon, servers.enter_context(ModelServer(Waiting(delay_s=DELAY_S))))
    with AtTerminal(
        antiphon, "run", "--plan-file", plan, "--workspace", workspace, "--trust", columns=140
    ) as at:
        at.until("for a rate limit")
        at.until("waits 2.")
        assert at.end() == 0, at.text


def test_a_wait_is_in_the_progress_of_an_editor(servers: ExitStack, workspace: Path, tmp_path: Path) -> None:
    server = servers.enter_context(ModelServer(Waiting(delay_s=DELAY_S)))
    client = LspClient(tmp_path / "home", variables={"OPENAI_BASE_URL": server.base_url})
    servers.callback(client.kill)
    client.initialize(
        workspace,
        options={"settings": {"model": "openai/test-model"}},
        capabilities=CAPABILITIES | {"experimental": {"antiphon": True}},
    )
    run_id = client.request("antiphon/run/start", {"goal": "write"})["runId"]
    client.request("antiphon/run/subscribe", {"runId": run_id})
    told = client.wait_for(EVENT, lambda event: event.get("until") is not None)
    assert (told["type"], told["taskId"], told["reason"]) == ("delta", "plan", "a rate limit")
    pattern = re.compile(r"planning waits until \d\d:\d\d:\d\d for a rate limit")
    client.wait_for("$/progress", lambda p: pattern.fullmatch(p["value"].get("message", "")) is not None)
    # Its end is shown too, though nothing of the run happens then.
    client.wait_for("$/progress", lambda p: p["value"].get("message") == "planning")
    client.request("antiphon/run/cancel", {"runId": run_id})
    client.close()


def test_a_prompt_that_was_cut_silently_is_said(
    antiphon: Antiphon, servers: ExitStack, workspace: Path, plan: Path
) -> None:
    set_up(antiphon, servers.enter_context(ModelServer(Waiting(reported=150))))
    config = antiphon.home / ".config" / "antiphon" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[models."openai/test-model"]\ncontext_window = 1200\n')
    done = antiphon("run", "--plan-file", plan, "--workspace", workspace, "--trust")
    assert done.code == 1, done
    assert "one turn 1 failed: silently truncated: " in done.out
    assert "it cut the conversation silently" in done.out


def test_the_error_of_estimates_is_shown_in_the_usage(
    antiphon: Antiphon, servers: ExitStack, workspace: Path, plan: Path
) -> None:
    server = servers.enter_context(ModelServer(Waiting(reported=2000)))
    set_up(antiphon, server)
    done = antiphon("run", "--plan-file", plan, "--workspace", workspace, "--trust", "--json")
    assert done.code == 0, done
    error = done.last["usage"]["estimate_error"]
    assert 0 < error < 1
    shown = antiphon("show", "latest", "--workspace", workspace)
    assert f"estimates of input tokens were off by {error:.0%} on average (2 calls)" in shown.out
    (listed,) = antiphon("show", "latest", "--workspace", workspace, "--json").events
    assert listed["usage"]["estimate_error"] == error


def test_an_editor_is_warned_of_a_cut_prompt_and_reads_the_error_of_estimates(
    servers: ExitStack, workspace: Path, tmp_path: Path
) -> None:
    class Planner(Waiting):
        def respond(self, request: ModelRequest, /) -> Reply:
            if "submit_plan" in request.tool_names:
                task = {"id": "one", "title": "One", "instructions": LONG, "role": "coder"}
                return Answer(calls=(ToolCall("submit_plan", {"tasks": [task]}),), usage=Usage(900, 10))
            return super().respond(request)

    server = servers.enter_context(ModelServer(Planner(reported=150)))
    client = LspClient(tmp_path / "home", variables={"OPENAI_BASE_URL": server.base_url})
    servers.callback(client.kill)
    config = tmp_path / "home" / ".config" / "antiphon" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[models."openai/test-model"]\ncontext_window = 1500\n')
    client.initialize(workspace, options={"settings": {"model": "openai/test-model"}})
    run_id = client.request("antiphon/run/start", {"goal": "write"})["runId"]
    warned = client.wait_for(
        "window/showMessage", lambda shown: shown["type"] == 2 and "silently truncated" in shown["message"]
    )
    assert "it cut the conversation silently" in warned["message"]
    client.request("antiphon/run/subscribe", {"runId": run_id})
    client.wait_for(EVENT, lambda event: event["type"] == "run_finished")
    usage = client.request("antiphon/usage/read", {"runId": run_id})
    assert 0 < usage["total"]["estimateError"] < 2
    client.close()
