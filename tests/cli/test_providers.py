"""Providers as a user sets them up: the installed program against real servers on loopback, no key of anyone's."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.test_runs import EDIT, NOTES, PLAN
from tests.e2e.command_line import Antiphon, Finished
from tests.model_server import Answer, ModelServer, Plain, Reply, ToolCall
from tests.model_server.requests import ModelRequest
from tests.providers import aimock

KEY = "sk-from-a-command-0123456789"
Configure = Callable[[str], Path]


class Worker:
    """A model that carries out the plan of `test_runs`: each task's edit, then the end."""

    def respond(self, request: ModelRequest, /) -> Reply:
        edit = EDIT if request.title == "Mend add" else NOTES
        if request.turn == 0:
            return Answer(calls=(ToolCall(str(edit["name"]), edit["arguments"]),))  # type: ignore[arg-type]  # JSON
        return Answer(calls=(ToolCall("finish", {"summary": "Done."}),))


class Broken:
    """A server that is always busy."""

    def respond(self, request: ModelRequest, /) -> Reply:
        return Plain(503, b'{"error":{"message":"busy"}}')


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"goal": "Mend the calculator", "tasks": PLAN}))
    return file


@pytest.fixture
def serve() -> Iterator[Callable[..., ModelServer]]:
    with ExitStack() as stack:

        def start(script: Worker | Broken | None = None, **options: object) -> ModelServer:
            return stack.enter_context(ModelServer(script or Worker(), **options))  # type: ignore[arg-type]  # passed on

        yield start


@pytest.fixture
def run(antiphon: Antiphon, workspace: Path, plan: Path) -> Callable[..., Finished]:
    def go(*words: str | Path) -> Finished:
        return antiphon(
            "run", "--plan-file", plan, "--workspace", workspace, "--approval", "auto", "--json", *words
        )

    return go


def key_command(folder: Path) -> tuple[str, Path]:
    """A command that prints the key and notes where it was started, and the note."""
    script, note = folder / "key.py", folder / "note"
    script.write_text(
        f"import os, pathlib\npathlib.Path({str(note)!r}).open('a').write(os.getcwd() + '\\n')\nprint({KEY!r})\n"
    )
    return json.dumps([sys.executable, str(script)]), note


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_provider_of_ones_own_with_a_key_command(
    antiphon: Antiphon,
    configure: Configure,
    run: Callable[..., Finished],
    serve: Callable[..., ModelServer],
    workspace: Path,
    tmp_path: Path,
) -> None:
    server = serve(api_key=KEY)
    command, note = key_command(tmp_path)
    configure(
        f"""
        model = "work/test-model"
        [providers.work]
        api = "openai"
        base_url = "{server.base_url}"
        key_command = {command}
        headers = {{ "X-Team" = "parsers" }}
        query = {{ "api-version" = "1" }}
        [models."work/test-model"]
        input = 1.0
        output = 2.0
        [log]
        level = "debug"
        """
    )
    done = run("--trust")
    assert done.code == 0, done
    requests = server.records.completions()
    assert {request.headers["x-team"] for request in requests} == {"parsers"}
    # Once for all tasks, in the user's data folder, never in the workspace.
    data = antiphon.home / ".local" / "share" / "antiphon"
    assert note.read_text().splitlines() == [os.path.realpath(data)]
    assert done.last["usage"]["cost_usd"] > 0
    shown = antiphon("show", "latest", "--workspace", workspace, "--json")
    kept = everything_below(data) + done.out.encode() + done.errors.encode() + shown.out.encode()
    assert KEY.encode() not in kept


def test_a_chain_goes_on_where_the_first_model_cannot(
    configure: Configure, run: Callable[..., Finished], serve: Callable[..., ModelServer]
) -> None:
    busy, well = serve(Broken()), serve()
    configure(
        f"""
        models = ["busy/test-model", "well/test-model"]
        [providers]
        max_attempts = 2
        [providers.busy]
        api = "openai"
        base_url = "{busy.base_url}"
        [providers.well]
        api = "openai"
        base_url = "{well.base_url}"
        """
    )
    done = run("--trust")
    assert done.code == 0, done
    assert busy.records.completions()
    assert len(well.records.completions()) == 4


def test_a_run_is_recorded_and_replayed_without_any_server(
    configure: Configure,
    run: Callable[..., Finished],
    serve: Callable[..., ModelServer],
    antiphon: Antiphon,
    workspace: Path,
    tmp_path: Path,
) -> None:
    server = serve(api_key=KEY)
    recording = tmp_path / "run.jsonl"
    antiphon.variables |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": KEY}
    recorded = run("--trust", "--model", "openai/test-model", "--record", recording)
    assert recorded.code == 0, recorded
    assert len(recording.read_bytes().splitlines()) == 4
    assert KEY.encode() not in recording.read_bytes()
    calls = len(server.records.all())
    server.stop()
    del antiphon.variables["OPENAI_API_KEY"], antiphon.variables["OPENAI_BASE_URL"]

    replayed = run("--trust", "--model", "openai/test-model", "--replay", recording, "--accept", "all")
    assert replayed.code == 0, replayed
    # Tasks run side by side, so the mean of the estimates' errors is summed in another order.
    error = pytest.approx(recorded.last["usage"]["estimate_error"])
    assert replayed.last["usage"] == recorded.last["usage"] | {"estimate_error": error}
    assert len(server.records.all()) == calls
    assert "a + b" in (workspace / "calc.py").read_text()

    other = run("--trust", "--model", "openai/test-model", "--replay", recording)
    assert other.code == 1, other
    assert "the run went another way than when it was recorded" in other.out


def test_answers_are_kept_and_given_again_at_no_cost(
    configure: Configure, run: Callable[..., Finished], serve: Callable[..., ModelServer], plan: Path
) -> None:
    """Two tasks in the same words at temperature 0 are answered once; each does its work all the same."""
    server = serve()
    words = {"title": "Write notes", "instructions": "Write NOTES.md."}
    tasks = [{"id": "one", **words}, {"id": "two", **words}]
    plan.write_text(json.dumps({"goal": "Twice", "tasks": tasks}))
    configure(
        f"""
        model = "work/test-model"
        max_parallel = 1
        [providers]
        temperature = 0
        cache_mb = 10
        [providers.work]
        api = "openai"
        base_url = "{server.base_url}"
        """
    )
    done = run("--trust")
    assert done.code == 0, done
    assert done.last["tasks"] == {"merged": 2}
    asked = server.records.completions()
    assert len(asked) == 2
    assert {request.body["temperature"] for request in asked} == {0}
    spent = [event["usage"] for event in done.events if event["type"] == "turn_completed"]
    assert ["input_tokens" in usage for usage in spent] == [True, True, False, False]


def test_a_recording_that_cannot_be_written_is_said_before_any_call(
    run: Callable[..., Finished], serve: Callable[..., ModelServer], antiphon: Antiphon, tmp_path: Path
) -> None:
    server = serve()
    antiphon.variables["OPENAI_BASE_URL"] = server.base_url
    done = run("--trust", "--model", "openai/test-model", "--record", tmp_path / "no" / "such" / "file")
    assert done.code == 2, done
    assert "cannot be written" in done.last["message"]
    assert server.records.completions() == []


# --- an address of a workspace ---------------------------------------------------------------------------


def test_an_address_of_the_workspace_is_used_only_as_the_user_approved_it(
    run: Callable[..., Finished], serve: Callable[..., ModelServer], antiphon: Antiphon, workspace: Path
) -> None:
    users, theirs = serve(), serve()
    antiphon.variables |= {
        "ANTIPHON_PROVIDERS_MAX_ATTEMPTS": "1",
        "ANTIPHON_MODEL": "openai/test-model",
        "OPENAI_API_KEY": KEY,
    }
    file = workspace / ".antiphon" / "config.toml"
    file.parent.mkdir()
    file.write_text(
        f'[providers.openai]\nbase_url = "{theirs.base_url}"\nkey_command = "touch {workspace}/started"\n'
    )
    antiphon.variables["ANTIPHON_PROVIDERS_OPENAI_BASE_URL"] = users.base_url
    untrusted = run()
    assert "base_url is ignored until you trust this workspace" in untrusted.errors
    assert users.records.completions()
    del antiphon.variables["ANTIPHON_PROVIDERS_OPENAI_BASE_URL"]

    trusting = antiphon("trust", "--workspace", workspace, "--json")
    assert trusting.last["addresses"] == {"openai": theirs.base_url}
    plain = antiphon("trust", "--workspace", workspace, "--show")
    assert f"calls of openai, with its key, go to {theirs.base_url}" in plain.out
    assert run().code == 0
    assert len(theirs.records.completions()) == 4

    file.write_text(file.read_text() + "# changed\n")
    asked = len(theirs.records.all())
    changed = antiphon("doctor", "--workspace", workspace, "--json")
    (found,) = (check for check in changed.last["checks"] if check["name"] == "provider openai")
    assert "api.openai.com" in found["detail"]
    assert len(theirs.records.all()) == asked
    assert not (workspace / "started").exists()


# --- what can be used ------------------------------------------------------------------------------------


def test_models_lists_what_servers_have_with_windows_and_prices(
    antiphon: Antiphon, configure: Configure, serve: Callable[..., ModelServer], tmp_path: Path
) -> None:
    server = serve(models=("small", "text-embedding-3-large", "large"))
    scripts = tmp_path / "demo.yaml"
    scripts.write_text("- {answer: {text: hi}}")
    configure(
        f"""
        [providers.work]
        api = "openai"
        base_url = "{server.base_url}"
        [providers.gone]
        api = "ollama"
        base_url = "http://127.0.0.1:9"
        [providers.scripted]
        scripts = "{scripts}"
        [models."work/large"]
        input = 1.5
        output = 6
        context_window = 128_000
        [models."work/unlisted"]
        context_window = 4096
        [models."openai/gpt-5"]
        context_window = 1
        """
    )
    listed = antiphon("models")
    assert listed.code == 0, listed
    assert [row.split() for row in listed.out.splitlines()] == [
        ["scripted/demo", "?", "?", "?"],
        ["work/large", "128000", "1.5", "6"],
        ["work/small", "?", "?", "?"],
        ["work/unlisted", "4096", "?", "?"],
    ]
    assert listed.errors.startswith("gone is left out: http://127.0.0.1:9 cannot be reached")
    assert len(listed.errors.splitlines()) == 1

    events = antiphon("models", "work", "--json")
    assert events.errors == ""
    large, small, unlisted = events.events
    assert large == {
        "id": "work/large",
        "contextWindow": 128_000,
        "maxOutputTokens": None,
        "inputUsd": 1.5,
        "cachedInputUsd": None,
        "outputUsd": 6.0,
        "abilities": None,
        "source": "server",
    }
    assert (small["source"], unlisted["source"]) == ("server", "settings")
    unknown = antiphon("models", "wrok")
    assert (unknown.code, unknown.out) == (2, "")
    assert "unknown provider 'wrok'; known are openai" in unknown.errors


def test_installed_coding_agents_are_models_too(
    antiphon: Antiphon, configure: Configure, tmp_path: Path
) -> None:
    program = tmp_path / "my-agent"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    described = 'argv = ["{prompt}"]\noutput = "text"\n'
    configure(
        f'[agents.mine]\nprogram = "{program}"\n{described}[agents.gone]\nprogram = "/no/such"\n{described}'
    )
    antiphon.variables["OLLAMA_HOST"] = "127.0.0.1:9"
    listed = antiphon("models", "mine", "--json")
    assert listed.code == 0, listed
    assert [(event["id"], event["source"]) for event in listed.events] == [("mine", "agent")]
    assert antiphon("models", "gone").code == 1


def test_without_any_provider_models_says_where_to_look(antiphon: Antiphon) -> None:
    antiphon.variables["OLLAMA_HOST"] = "127.0.0.1:9"
    none = antiphon("models")
    assert (none.code, none.out) == (1, "")
    assert "no model can be used; `antiphon doctor`" in none.errors


def test_doctor_names_what_was_found_where_and_asks_on_request(
    antiphon: Antiphon, configure: Configure, serve: Callable[..., ModelServer], tmp_path: Path
) -> None:
    server = serve(api_key=KEY)
    command, note = key_command(tmp_path)
    file = configure(
        f"""
        model = "opnai/gpt"
        [providers.work]
        api = "openai"
        base_url = "{server.base_url}"
        key_command = {command}
        [providers.kept]
        api = "anthropic"
        base_url = "https://gateway.example.com"
        keyring = true
        [providers.wrong]
        api = "openai"
        base_url = "http://user:{KEY}@host/v1"
        """
    )
    antiphon.variables |= {"ANTHROPIC_API_KEY": KEY, "OLLAMA_HOST": "127.0.0.1:9"}
    told = antiphon("doctor", "--json")
    checks = {check["name"]: check for check in told.last["checks"]}
    assert told.code == 1
    assert checks["model"]["state"] == "problem"
    assert "unknown provider 'opnai'" in checks["model"]["mend"]
    assert checks["provider anthropic"]["detail"] == (
        "https://api.anthropic.com · base URL from the vendor's own, key from ANTHROPIC_API_KEY"
    )
    assert "set GEMINI_API_KEY" in checks["provider google"]["mend"]
    assert checks["provider work"]["state"] == "ok"
    assert f"base URL from providers.work.base_url ({file})" in checks["provider work"]["detail"]
    assert "key from the command" in checks["provider work"]["detail"]
    assert not note.exists(), "a command that may ask for a password is not run by a look around"
    assert "key from the OS keyring" in checks["provider kept"]["detail"]
    assert "the OS keyring cannot be asked: no keyring service" in checks["provider kept"]["mend"]
    assert "a user or password does not belong in it" in checks["provider wrong"]["mend"]
    assert KEY not in told.out + told.errors
    assert server.records.all() == []

    online = antiphon("doctor", "--online", "--json")
    checks = {check["name"]: check for check in online.last["checks"]}
    assert ", 1 model" in checks["provider work"]["detail"]
    assert checks["provider ollama"]["state"] == "problem"
    assert "cannot be reached" in checks["provider ollama"]["mend"]
    assert KEY not in online.out + online.errors
    assert [request.path for request in server.records.all()] == ["/v1/models"]


def test_models_and_doctor_against_a_server_of_other_hands(
    antiphon: Antiphon, configure: Configure, tmp_path: Path
) -> None:
    fixtures = [{"match": {"userMessage": "hi", "model": "gpt-test"}, "response": {"content": "hi"}}]
    with aimock.running(fixtures, tmp_path) as mock:
        tables = [
            f'[providers.{name}]\napi = "{api}"\nbase_url = "{mock.origin}{path}"'
            for name, api, path in (("a", "openai", "/v1"), ("b", "ollama", ""), ("c", "google", ""))
        ]
        configure("\n".join(tables))
        listed = antiphon("models", "--json")
        online = antiphon("doctor", "--online", "--json")
    assert listed.code == 0, listed
    assert "a/gpt-test" in {event["id"] for event in listed.events}, listed
    checks = {check["name"]: check for check in online.last["checks"]}
    assert "answered in" in checks["provider a"]["detail"], online
