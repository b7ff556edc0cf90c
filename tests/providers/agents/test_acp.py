"""An ACP agent as a real process, well behaved: what it is told, what is made of its words, how it is asked."""

import json
import os
import re
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from orchestration.workspace.process_identity import is_alive, start_time
from providers import errors
from providers.agents.acp_description import load_acp
from providers.base import AgentEvent
from providers.usage import UNKNOWN, Usage
from tests.providers.agents.stage import Heard, Stage
from tests.workspace.waiting import eventually

pytestmark = pytest.mark.anyio


async def test_a_task_is_done_in_its_folder_and_reported(stage: Stage, heard: Heard) -> None:
    result = await stage.run(heard)
    assert (stage.folder / "made.txt").read_text() == "made\n"
    assert (result.ok, result.summary, result.session, result.denied) == (True, "I am done.", "s-1", ())
    assert result.usage == UNKNOWN
    assert heard.text() == "I begin. I am done."
    assert heard.text("thought") == "I think."
    assert [(e.tool, e.call_id) for e in heard.events if e.kind == "tool"] == [("edit", "edit")]
    assert [(e.is_error, e.edits) for e in heard.events if e.kind == "tool_result"] == [(False, True)]
    assert heard.kinds()[0] == "session"
    assert heard.asked == []


async def test_it_is_told_who_we_are_and_that_no_file_and_no_terminal_is_offered(
    stage: Stage, heard: Heard
) -> None:
    await stage.run(heard)
    said = stage.noted("initialize")
    assert said["protocolVersion"] == 1
    assert said["clientInfo"]["name"] == "antiphon"
    assert said["clientInfo"]["version"] == "1.2.3"
    offered = said["clientCapabilities"]
    assert not offered["terminal"]
    assert not any(offered["fs"].values())
    assert not offered.get("elicitation")
    assert stage.noted("new")["cwd"] == str(stage.folder)
    assert stage.noted("new")["mcpServers"] == []
    assert stage.noted("prompt") == "Do it."


async def test_it_gets_its_own_variables_and_no_others(
    stage: Stage, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "of the server's own environment")
    environment = {"AGENT_KEY": "k", "OTHER_API_KEY": "secret", "HTTPS_PROXY": "http://127.0.0.1:1"}
    provider = stage.provider({}, users=environment, environment=("AGENT_*", "HTTPS_PROXY"))
    task = stage.task(environment={"PYTHONPATH": "/of/the/checkout"})
    await provider.run(task, on_event=heard.on_event, ask=heard.ask)
    given = stage.noted("environment")
    assert (given["AGENT_KEY"], given["HTTPS_PROXY"]) == ("k", "http://127.0.0.1:1")
    assert (given["PYTHONPATH"], given["TMPDIR"]) == ("/of/the/checkout", str(stage.scratch))
    assert "OTHER_API_KEY" not in given


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        (
            {
                "inputTokens": 10,
                "outputTokens": 5,
                "cachedReadTokens": 100,
                "cachedWriteTokens": 7,
                "totalTokens": 122,
            },
            Usage(117, 5, 100, None, None, 7),
        ),
        (
            {"inputTokens": 110, "outputTokens": 5, "cachedReadTokens": 100, "totalTokens": 115},
            Usage(110, 5, 100, None, None),
        ),
        (
            {"inputTokens": 10, "outputTokens": 5, "thoughtTokens": 3, "totalTokens": 18},
            Usage(10, 8, None, 3, None),
        ),
        (
            {"inputTokens": 10, "outputTokens": 5, "thoughtTokens": 3, "totalTokens": 15},
            Usage(10, 5, None, 3, None),
        ),
        ({"inputTokens": None, "outputTokens": -4, "totalTokens": "many"}, UNKNOWN),
        (None, UNKNOWN),
    ],
)
async def test_usage_is_what_the_agent_reports_and_else_unknown(
    stage: Stage, heard: Heard, reported: Any, usage: Usage
) -> None:
    result = await stage.run(heard, usage=reported)
    assert result.usage == usage


async def test_costs_are_told_as_they_grow(stage: Stage, heard: Heard) -> None:
    result = await stage.run(
        heard, costs=[0.25, 0.25, 0.75], null_usage=True, usage={"inputTokens": 3, "outputTokens": 4}
    )
    assert [event.usage.cost_usd for event in heard.events if event.kind == "usage"] == [0.25, 0.5]
    assert result.usage == Usage(3, 4, None, None, 0.75)


async def test_costs_without_tokens_leave_the_tokens_unknown(stage: Stage, heard: Heard) -> None:
    result = await stage.run(heard, costs=[0.25])
    told = [event.usage for event in heard.events if event.kind == "usage"]
    assert sum(told[1:], told[0]) == Usage(None, None, None, None, 0.25)
    assert result.usage == Usage(None, None, None, None, 0.25)


async def test_a_permission_is_a_question_and_the_answer_is_chosen_by_kind(
    stage: Stage, heard: Heard
) -> None:
    result = await stage.run(heard, command="make all")
    assert [(q.kind, q.subject, q.paths) for q in heard.asked] == [("command", "make all", ())]
    assert stage.noted("result") == {"outcome": {"outcome": "selected", "optionId": "o"}}
    assert result.ok
    assert result.denied == ()


async def test_a_denied_permission_is_rejected_once_and_kept(stage: Stage, heard: Heard) -> None:
    heard.answer = False
    result = await stage.run(heard, command="rm -rf /")
    assert stage.noted("result") == {"outcome": {"outcome": "selected", "optionId": "r"}}
    assert result.ok
    assert result.denied == ("rm -rf /",)
    assert "not allowed: rm -rf /" in heard.text("remark")


async def test_an_agent_that_cancels_after_a_rejection_says_why(stage: Stage, heard: Heard) -> None:
    heard.answer = False
    result = await stage.run(heard, command="curl x", cancels_when_denied=True)
    assert not result.ok
    assert "cancelled its turn, after it was not allowed: curl x" in result.summary


@pytest.mark.parametrize(
    ("options", "answer", "outcome"),
    [
        ([("x", "reject_always")], False, {"outcome": "selected", "optionId": "x"}),
        ([("x", "allow_always"), ("y", "reject_once")], True, {"outcome": "selected", "optionId": "y"}),
        (
            [("allow_once", "reject_once"), ("reject", "allow_once")],
            True,
            {"outcome": "selected", "optionId": "reject"},
        ),
        ([("x", "allow_sometimes")], True, {"outcome": "cancelled"}),
        ([], False, {"outcome": "cancelled"}),
    ],
)
async def test_what_is_chosen_from_odd_options(
    stage: Stage, options: list[tuple[str, str]], answer: bool, outcome: dict[str, str]
) -> None:
    offered = [{"optionId": identity, "name": "?", "kind": kind} for identity, kind in options]
    await stage.run(Heard(answer), command="ls", options=offered)
    assert stage.noted("result") == {"outcome": outcome}


async def test_an_edit_is_asked_with_its_absolute_path(stage: Stage, heard: Heard) -> None:
    await stage.run(heard, asks_for_edits=True)
    assert [(q.kind, q.paths) for q in heard.asked] == [("edit", (str(stage.folder / "made.txt"),))]


async def test_a_session_mode_of_ours_is_set(stage: Stage, heard: Heard) -> None:
    modes = {
        "currentModeId": "yolo",
        "availableModes": [{"id": "read-only", "name": "r"}, {"id": "workspace-write", "name": "w"}],
    }
    provider = stage.provider({"session": {"modes": modes}}, modes=("workspace-write", "read-only"))
    await provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask)
    assert stage.noted("params") == {"sessionId": "s-1", "modeId": "workspace-write"}


async def test_a_mode_that_the_agent_refuses_to_set_ends_the_task(stage: Stage, heard: Heard) -> None:
    modes = {"currentModeId": "yolo", "availableModes": [{"id": "ask", "name": "a"}]}
    script = {"session": {"modes": modes}, "refuses": {"session/set_mode": {"code": -32603, "message": "No"}}}
    with pytest.raises(errors.BadResponseError, match="session/set_mode"):
        await stage.provider(script, modes=("ask",)).run(stage.task(), on_event=heard.on_event, ask=heard.ask)
    assert not (stage.folder / "made.txt").exists()


def model_option(*values: str) -> dict[str, Any]:
    options = [{"value": value, "name": value} for value in values]
    return {
        "id": "m",
        "name": "Model",
        "category": "model",
        "type": "select",
        "currentValue": "a",
        "options": options,
    }


async def test_a_model_is_chosen_by_configuration_option(stage: Stage, heard: Heard) -> None:
    await stage.run(heard, stage.task(model="big"), session={"configOptions": [model_option("a", "big")]})
    assert stage.noted("params") == {"sessionId": "s-1", "configId": "m", "value": "big"}


async def test_an_unknown_model_names_those_that_there_are(stage: Stage, heard: Heard) -> None:
    with pytest.raises(errors.ModelNotFoundError, match="no model 'big': it has a, small"):
        await stage.run(
            heard, stage.task(model="big"), session={"configOptions": [model_option("a", "small")]}
        )


@pytest.mark.parametrize("abilities", [{"loadSession": True}, {"sessionCapabilities": {"resume": {}}}])
async def test_a_session_is_gone_on_with_and_its_past_is_not_told_again(
    stage: Stage, heard: Heard, abilities: dict[str, Any]
) -> None:
    result = await stage.run(heard, stage.task(session="s-1"), abilities=abilities, costs=[2.0])
    assert stage.noted("resumed")["sessionId"] == "s-1"
    assert "old" not in heard.text()
    assert result.usage.cost_usd == 0.5


async def test_a_session_is_loaded_where_resuming_is_offered_but_not_known(
    stage: Stage, heard: Heard
) -> None:
    refusal = {"code": -32601, "message": "Method not found"}
    result = await stage.run(
        heard,
        stage.task(session="s-1"),
        abilities={"loadSession": True, "sessionCapabilities": {"resume": {}}},
        refuses={"session/resume": refusal},
    )
    assert result.ok
    assert stage.noted("resumed")["sessionId"] == "s-1"


async def test_options_of_ours_are_set_where_they_are_offered(stage: Stage, heard: Heard) -> None:
    values = [{"value": value, "name": value} for value in ("on", "off")]
    option = {"id": "allow_all", "name": "Allow", "type": "select", "currentValue": "on", "options": values}
    provider = stage.provider(
        {"session": {"configOptions": [option]}}, options={"allow_all": "off", "other": "x"}
    )
    await provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask)
    assert stage.noted("params") == {"sessionId": "s-1", "configId": "allow_all", "value": "off"}


async def test_usage_that_only_the_meta_of_an_answer_holds(stage: Stage, heard: Heard) -> None:
    counts = {"quota": {"token_count": {"input_tokens": 120, "output_tokens": 9}}}
    result = await stage.run(heard, answers={"session/prompt": {"stopReason": "end_turn", "_meta": counts}})
    assert result.usage == Usage(120, 9, None, None, None)


async def test_a_session_that_the_agent_has_lost(stage: Stage, heard: Heard) -> None:
    with pytest.raises(errors.SessionLostError, match="keeps none"):
        await stage.run(heard, stage.task(session="s-1"))
    refusal = {"code": -32002, "message": "Resource not found"}
    with pytest.raises(errors.SessionLostError, match="not found"):
        await stage.run(
            heard,
            stage.task(session="s-1"),
            abilities={"loadSession": True},
            refuses={"session/load": refusal},
        )


async def test_a_session_is_closed_by_an_agent_that_can(stage: Stage, heard: Heard) -> None:
    await stage.run(heard, abilities={"sessionCapabilities": {"close": {}}})
    assert stage.noted("method") == "session/close"


async def test_cancelling_is_told_to_the_agent_and_ends_its_group(stage: Stage, heard: Heard) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: stage.run(heard, waits=True, forks=True))
        await eventually(lambda: any("waiting" in note for note in stage.notes()))
        group.cancel_scope.cancel()
    assert stage.noted("cancelled")
    children = [(pid, start_time(pid)) for pid in stage.noted("children")]
    assert not any(started and is_alive(pid, started) for pid, started in children)


async def test_cancelling_answers_open_questions_with_cancelled(stage: Stage) -> None:
    asked = anyio.Event()

    async def never(request: Any) -> bool:
        asked.set()
        await anyio.sleep_forever()
        return True

    async def ignore(event: AgentEvent) -> None:
        pass

    async with anyio.create_task_group() as group:
        provider = stage.provider({"command": "ls"})
        group.start_soon(lambda: provider.run(stage.task(), on_event=ignore, ask=never))
        await asked.wait()
        group.cancel_scope.cancel()
    assert stage.noted("result") == {"outcome": {"outcome": "cancelled"}}


async def test_what_a_listener_raises_ends_the_agent_and_passes_through(stage: Stage, heard: Heard) -> None:
    class SpentError(Exception):
        pass

    async def spent(event: AgentEvent) -> None:
        if event.kind == "tool":
            raise SpentError("the budget is used up")

    with pytest.raises(SpentError, match="used up"):
        await stage.provider({"waits": True}).run(stage.task(), on_event=spent, ask=heard.ask)
    assert stage.launcher.live() == ()


async def test_what_a_question_raises_ends_the_agent_and_passes_through(stage: Stage, heard: Heard) -> None:
    async def broken(request: Any) -> bool:
        raise LookupError("the engine is closing")

    with pytest.raises(LookupError, match="closing"):
        await stage.provider({"command": "ls"}).run(stage.task(), on_event=heard.on_event, ask=broken)


async def test_ten_agents_at_once_are_told_apart(stage: Stage, tmp_path: Path) -> None:
    results: dict[int, str] = {}

    async def one(number: int) -> None:
        folder = tmp_path / f"folder-{number}"
        folder.mkdir()
        heard = Heard()
        provider = stage.provider({"text": f"{number}\n", "floods": 50})
        result = await provider.run(stage.task(folder=folder), on_event=heard.on_event, ask=heard.ask)
        assert result.ok
        assert heard.text().count("I begin.") == 1
        results[number] = (folder / "made.txt").read_text()

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(one, number)
    assert results == {number: f"{number}\n" for number in range(10)}


async def test_many_words_arrive_in_order_however_slowly_they_are_taken(stage: Stage) -> None:
    heard = Heard()

    async def slow(event: AgentEvent) -> None:
        await anyio.lowlevel.checkpoint()
        await heard.on_event(event)

    await stage.provider({"floods": 20_000}).run(stage.task(), on_event=slow, ask=heard.ask)
    assert heard.text().split()[2:20_002] == [str(number) for number in range(20_000)]


async def test_the_sdk_is_loaded_for_a_task_and_not_before() -> None:
    code = (
        "import sys\n"
        "from providers.agents.acp import AcpProvider\n"
        "from providers.agents.acp_description import load_acp\n"
        "AcpProvider('claude', load_acp({}, '')['acp/claude'], '/x', processes=None, environment={})\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = await anyio.run_process([os.fspath(Path(os.sys.executable)), "-c", "import json\n" + code])  # type: ignore[attr-defined]
    modules = set(json.loads(done.stdout))
    assert not modules & {"acp", "acp.schema", "pydantic", "httpx2"}


async def test_a_key_that_it_was_given_is_kept_out_of_what_it_says(stage: Stage, heard: Heard) -> None:
    provider = stage.provider(
        {"command": "curl -H very-secret-key", "stop": "very-secret-key"},
        users={"AGENT_KEY": "very-secret-key"},
        environment=("AGENT_KEY",),
    )
    heard.answer = False
    result = await provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask)
    assert result.denied == ("curl -H [redacted]",)
    assert heard.asked[0].subject == "curl -H [redacted]"
    assert "[redacted]" in result.summary
    assert "very-secret-key" not in repr((result, heard.events))


async def test_a_key_is_used_to_log_in_where_the_agent_wants_that(stage: Stage, heard: Heard) -> None:
    script = {"wants_login": "web"}
    provider = stage.provider(
        script, users={"AGENT_KEY": "k"}, environment=("AGENT_KEY",), key_methods={"AGENT_KEY": "web"}
    )
    result = await provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask)
    assert result.ok
    assert "AGENT_KEY was used" in heard.text("remark")
    assert stage.noted("params") == {"methodId": "web"}
    other = stage.provider(script, users={"AGENT_KEY": "k"}, environment=("AGENT_KEY",))
    with pytest.raises(errors.AuthenticationError, match="knows: Log in by browser"):
        await other.run(stage.task(), on_event=heard.on_event, ask=heard.ask)


def test_every_built_in_agent_can_be_described_and_changed() -> None:
    known = load_acp({"claude": {"protocol": "acp", "command": ["/opt/claude-acp"]}}, "config.toml")
    assert {name.removeprefix("acp/") for name in known} == {
        "claude",
        "codex",
        "copilot",
        "gemini",
        "opencode",
        "qwen",
    }
    assert known["acp/claude"].command == ("/opt/claude-acp",)
    assert known["acp/claude"].meta["claudeCode"]["options"] == {"settingSources": ["user"]}
    assert all(agent.install and agent.login and agent.own_files for agent in known.values())


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"command": []}, "command must be a list of words"),
        ({"command": "x --acp"}, "Expected `array`"),
        ({"command": ["x"], "modus": 1}, "unknown field `modus`"),
        ({}, "missing required field `command`"),
        ({"command": ["x"], "silence_s": 0}, "above 0"),
        ({"command": ["x"], "failures": [{"pattern": "(", "fault": "login"}]}, "no regular expression"),
    ],
)
def test_a_wrong_description_names_the_agent_and_the_key(table: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.ProviderConfigurationError, match=re.escape(words)) as caught:
        load_acp({"mine": {"protocol": "acp", **table}}, "config.toml")
    assert str(caught.value).startswith("config.toml: [agents.mine]: ")
