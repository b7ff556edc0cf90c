"""`acp/NAME[/MODEL]` from a model id to an agent, and what the user's configuration adds to those that are known."""

import sys
from pathlib import Path

import pytest

from providers import errors
from providers.agents.catalogue import AgentCatalogue, build_agents
from providers.base import PermissionRequest
from tests.providers.agents.stage import PROGRAM, Heard, Stage

pytestmark = pytest.mark.anyio


def catalogue(stage: Stage, tables: dict[str, dict[str, object]], found: str | None = None) -> AgentCatalogue:
    return build_agents(
        tables,
        "config.toml",
        processes=stage.launcher,
        environment={},
        find=lambda name: found,
        folder=stage.folder,
        own_version="1.2.3",
    )


async def test_a_known_agent_that_is_not_installed_names_the_mend(stage: Stage) -> None:
    with pytest.raises(errors.ProviderConfigurationError) as caught:
        catalogue(stage, {}).resolve("acp/gemini")
    assert "'gemini' was not found on PATH; npm install -g @google/gemini-cli" in str(caught.value)
    assert 'protocol = "acp" and command = ["/path/to/it", "--acp", "--skip-trust"]' in str(caught.value)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("acp/nobody", "no ACP agent 'nobody': known are acp/claude, acp/codex"),
        ("acp", "no ACP agent 'NAME'"),
        ("acp/", "no ACP agent 'NAME'"),
        ("acp/claude/", "names no model: write acp/claude or acp/claude/MODEL"),
    ],
)
async def test_an_id_that_names_no_agent(stage: Stage, model: str, words: str) -> None:
    with pytest.raises(errors.ProviderConfigurationError, match=words):
        catalogue(stage, {}, "/usr/bin/true").resolve(model)


async def test_ids_of_others_are_not_its_business(stage: Stage) -> None:
    assert catalogue(stage, {}).resolve("openai/acp") is None


async def test_an_agent_of_the_users_own_does_a_task(stage: Stage, heard: Heard) -> None:
    notes = stage.scratch / "notes.jsonl"
    tables: dict[str, dict[str, object]] = {
        "mine": {
            "protocol": "acp",
            "command": [sys.executable, str(PROGRAM)],
            "set": {"ACP_TEST_NOTES": str(notes)},
            "own_files": [".mine"],
        }
    }
    resolved = catalogue(stage, tables).resolve("acp/mine")
    assert resolved is not None
    agent, model = resolved
    assert (agent.name, agent.form, model, agent.own_files) == ("acp/mine", "acp", None, (".mine",))
    result = await agent.run(stage.task(), on_event=heard.on_event, ask=heard.ask)
    assert result.ok
    assert '"version": "1.2.3"' in notes.read_text(encoding="utf-8")


async def test_the_model_of_an_id_is_given_on(stage: Stage) -> None:
    resolved = catalogue(stage, {}, "/usr/bin/true").resolve("acp/claude/vendor/big")
    assert resolved is not None
    assert resolved[1] == "vendor/big"


async def test_a_program_that_speaks_no_such_protocol(stage: Stage, heard: Heard) -> None:
    resolved = catalogue(stage, {}, "/usr/bin/true").resolve("acp/claude")
    assert resolved is not None
    with pytest.raises(errors.BadResponseError, match="ACP agent claude ended before its answer"):
        await resolved[0].run(stage.task(), on_event=heard.on_event, ask=heard.ask)


async def test_all_agents_are_found_with_what_is_missing(stage: Stage) -> None:
    found = {each.name: each for each in catalogue(stage, {}).found()}
    assert found["acp/codex"].problem.startswith("acp/codex is not installed")
    assert found["acp/codex"].program == ""
    here = {each.name: each for each in catalogue(stage, {}, sys.executable).found()}
    probed = await catalogue(stage, {}).probed(here["acp/codex"])
    assert probed.version.startswith("3.")
    assert Path(probed.program) == Path(sys.executable)


async def test_a_request_for_permission_is_what_a_person_is_shown(stage: Stage, heard: Heard) -> None:
    await stage.run(heard, command="make  all")
    assert heard.asked == [PermissionRequest(kind="command", subject="make  all")]
