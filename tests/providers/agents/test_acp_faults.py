"""An ACP agent that misbehaves, as a real process: each way has its clear error, and none leaves anything alive."""

import logging
import re
from typing import Any

import anyio
import pytest

from orchestration.workspace.process_identity import is_alive, start_time
from providers import errors
from providers.agents.acp_session import Grace
from tests.providers.agents.stage import Heard, Stage
from tests.workspace.waiting import eventually

pytestmark = pytest.mark.anyio
LOGGER = "providers.agents"


@pytest.mark.parametrize("version", [2, 0, "1", None, True, 1.5])
async def test_another_version_of_the_protocol_is_refused(stage: Stage, heard: Heard, version: Any) -> None:
    with pytest.raises(errors.BadResponseError, match=f"version {re.escape(repr(version))}.*not 1") as caught:
        await stage.run(heard, version=version)
    assert not caught.value.retryable
    assert not any("new" in note for note in stage.notes())


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        ("max_tokens", "limit of tokens"),
        ("max_turn_requests", "limit of requests"),
        ("refusal", "refused to go on"),
        ("bored", "not known here ('bored')"),
    ],
)
async def test_a_turn_that_was_given_up_is_no_success(
    stage: Stage, heard: Heard, stop: str, words: str
) -> None:
    result = await stage.run(heard, stop=stop)
    assert not result.ok
    assert words in result.summary
    assert result.summary.endswith("I am done.")


@pytest.mark.parametrize("answer", [[], "done", 7])
async def test_an_answer_of_the_wrong_shape(stage: Stage, heard: Heard, answer: Any) -> None:
    with pytest.raises(errors.BadResponseError, match="answered the prompt with what is no answer to it"):
        await stage.run(heard, answers={"session/prompt": answer})


@pytest.mark.parametrize("answer", [None, {"stopReason": None}, {}, {"stopReason": ["end_turn"]}])
async def test_an_answer_without_a_reason_is_no_success(stage: Stage, heard: Heard, answer: Any) -> None:
    result = await stage.run(heard, answers={"session/prompt": answer})
    assert not result.ok


async def test_a_call_that_is_told_of_only_when_it_is_over(stage: Stage, heard: Heard) -> None:
    result = await stage.run(heard, update_only=True)
    assert result.ok
    assert [e.kind for e in heard.events if e.kind.startswith("tool")] == ["tool", "tool_result"]


async def test_unknown_updates_are_counted_and_logged(
    stage: Stage, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    result = await stage.run(heard, unknown_updates=True)
    assert result.ok
    assert "'session_dance': 2" in caplog.text
    assert "'vendor/thing': 1" in caplog.text
    assert "_vendor" not in caplog.text


async def test_updates_of_another_session_are_left_out(stage: Stage, heard: Heard) -> None:
    result = await stage.run(heard, other_session="s-2")
    assert result.ok
    assert heard.text() == ""


async def test_much_standard_error_stops_nothing(stage: Stage, heard: Heard) -> None:
    result = await stage.run(heard, stderr=3_000_000)
    assert result.ok


@pytest.mark.parametrize(
    "method",
    [
        "fs/read_text_file", "fs/write_text_file", "terminal/create", "terminal/output", "terminal/release",
        "terminal/wait_for_exit", "terminal/kill", "mcp/connect", "_vendor/ask", "made/up",
    ],
)  # fmt: skip
async def test_what_was_not_offered_does_not_exist(stage: Stage, heard: Heard, method: str) -> None:
    result = await stage.run(heard, calls=[method])
    assert result.ok
    assert stage.noted("error")["code"] == -32601


async def test_a_question_to_a_person_is_declined(stage: Stage, heard: Heard) -> None:
    result = await stage.run(heard, elicits=True)
    assert result.ok
    assert stage.noted("result") == {"action": "decline"}
    assert "Which colour?" in heard.text("remark")


async def test_an_agent_that_hangs_after_a_cancel_is_killed(stage: Stage, heard: Heard) -> None:
    async with anyio.create_task_group() as group:
        provider = stage.provider(
            {"waits": True, "hangs_after_cancel": True, "ignores_signals": True, "forks": True},
            grace=Grace(0.3, 1),
        )
        group.start_soon(lambda: provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask))
        await eventually(lambda: any("waiting" in note for note in stage.notes()))
        group.cancel_scope.cancel()
        began = anyio.current_time()
    assert anyio.current_time() - began < 5
    assert not alive(stage)


async def test_children_do_not_outlive_a_task(stage: Stage, heard: Heard) -> None:
    await stage.run(heard, forks=True)
    assert len(stage.noted("children")) == 2
    assert not alive(stage)


def alive(stage: Stage) -> bool:
    started = [(pid, start_time(pid)) for pid in stage.noted("children")]
    return any(when and is_alive(pid, when) for pid, when in started)


async def test_output_that_is_closed_in_the_middle(stage: Stage, heard: Heard) -> None:
    with pytest.raises(errors.BadResponseError, match="ended before its answer to the prompt"):
        await stage.run(heard, closes_output=True)


async def test_an_agent_that_dies_is_quoted(stage: Stage, heard: Heard) -> None:
    with pytest.raises(errors.BadResponseError, match="to the prompt; its last words: out of cheese"):
        await stage.run(heard, dies=True)


async def test_a_silent_agent_is_given_up(stage: Stage, heard: Heard) -> None:
    provider = stage.provider({"silent": True}, silence_s=0.4, grace=Grace(0.2, 1))
    with pytest.raises(errors.ProviderTimeoutError, match=r"said nothing for 0\.4 s during its turn"):
        await provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask)


async def test_a_task_has_a_limit_however_much_is_said(stage: Stage, heard: Heard) -> None:
    provider = stage.provider({"silent": True}, limit_s=1.0, grace=Grace(0.2, 1))
    with pytest.raises(errors.ProviderTimeoutError, match="took longer than 1 s"):
        await provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask)


async def test_a_person_who_thinks_is_no_silence_of_the_agent(stage: Stage, heard: Heard) -> None:
    async def slow(request: Any) -> bool:
        await anyio.sleep(1.5)
        return True

    provider = stage.provider({"command": "ls"}, silence_s=0.4, limit_s=1.4, grace=Grace(0.2, 1))
    result = await provider.run(stage.task(), on_event=heard.on_event, ask=slow)
    assert result.ok


async def test_a_program_that_is_no_agent_is_quoted(stage: Stage, heard: Heard) -> None:
    provider = stage.provider({"mute": "Welcome! Press any key"}, start_s=1.5)
    with pytest.raises(errors.ProviderTimeoutError, match="no message: 'Welcome! Press any key'"):
        await provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask)


async def test_lines_that_are_no_messages_are_left_out_and_logged(
    stage: Stage, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        "\x1b[2K progress 10%", "", "{", "[]", "7", "null", '"x"', "{}", '{"id": [1], "result": 1}', '{"id": 99}',
        '{"id": 1, "method": 5}', '{"method": "session/update", "params": 7}', '{"id": 12345, "result": {}}',
        '{"id": {"a": 1}, "method": "fs/read_text_file"}', '{"id": 77, "error": "text"}', "[" * 5000, "\u00ff",
    ]  # fmt: skip
    result = await stage.run(heard, lines=lines)
    assert result.ok
    assert "printed 13 lines that are no messages" in caplog.text


async def test_nothing_but_garbage_ends_the_task(stage: Stage, heard: Heard) -> None:
    with pytest.raises(errors.BadResponseError, match="1001 lines in a row that are no messages"):
        await stage.run(heard, lines=["spam"] * 1_500, silent=True)


async def test_a_line_of_50_mb_is_taken(stage: Stage, heard: Heard) -> None:
    result = await stage.run(heard, long_line=50_000_000)
    assert result.ok


async def test_a_line_without_end_is_not(stage: Stage, heard: Heard) -> None:
    with pytest.raises(errors.BadResponseError, match="line of more than 64 MB"):
        await stage.run(heard, long_line=70_000_000)


async def test_halves_of_a_character_are_joined(stage: Stage, heard: Heard) -> None:
    result = await stage.run(heard, halves=True)
    assert result.ok
    assert "🎼" in heard.text()


@pytest.mark.parametrize("method", ["initialize", "session/new", "session/prompt"])
async def test_a_wanted_login_names_the_mend(stage: Stage, heard: Heard, method: str) -> None:
    provider = stage.provider(
        {"refuses": {method: {"code": -32000, "message": "Authentication required"}}},
        login="log in with `tester login`",
    )
    with pytest.raises(errors.AuthenticationError, match=r"wants a login.*log in with `tester login`"):
        await provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask)


@pytest.mark.parametrize(
    ("details", "kind"),
    [
        ("something odd", errors.BadResponseError),
        ("the model is overloaded", errors.OverloadedError),
        ("429 Too Many Requests", errors.RateLimitError),
        ("Your credit balance is too low", errors.QuotaExhaustedError),
        ("prompt is too long", errors.ContextOverflowError),
        ("Invalid API key", errors.AuthenticationError),
    ],
)
async def test_an_error_of_the_agent_is_mapped(
    stage: Stage, heard: Heard, details: str, kind: type[errors.ProviderError]
) -> None:
    refusal = {"code": -32603, "message": "Internal error", "data": {"details": details}}
    with pytest.raises(kind) as caught:
        await stage.run(heard, refuses={"session/prompt": refusal})
    assert type(caught.value) is kind
    assert details in str(caught.value) or "wants a login" in str(caught.value)


@pytest.mark.parametrize(
    ("words", "kind"),
    [("Error: no 401 here", errors.AuthenticationError), ("Error: odd", errors.BadResponseError)],
)
async def test_words_that_tell_of_a_fault_are_no_success(
    stage: Stage, heard: Heard, words: str, kind: type[errors.ProviderError]
) -> None:
    provider = stage.provider({"only_says": words}, failed_text="^error: ")
    with pytest.raises(kind):
        await provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask)
    assert (
        await stage.provider({"only_says": words}).run(stage.task(), on_event=heard.on_event, ask=heard.ask)
    ).ok


async def test_words_of_an_agent_that_worked_are_its_own(stage: Stage, heard: Heard) -> None:
    result = await stage.provider({}, failed_text="done").run(
        stage.task(), on_event=heard.on_event, ask=heard.ask
    )
    assert result.ok


async def test_a_key_in_an_error_is_not_shown(stage: Stage, heard: Heard) -> None:
    refusal = {"code": -32603, "message": "refused very-secret-key"}
    provider = stage.provider(
        {"refuses": {"session/prompt": refusal}}, users={"A_KEY": "very-secret-key"}, environment=("A_*",)
    )
    with pytest.raises(errors.BadResponseError, match=r"refused \[redacted\]"):
        await provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask)


async def test_an_agent_that_is_not_installed_names_the_package(stage: Stage, heard: Heard) -> None:
    provider = stage.provider({}, program="/no/such-agent", install="npm install -g no-such-agent")
    with pytest.raises(
        errors.ProviderConfigurationError, match="install it with `npm install -g no-such-agent`"
    ):
        await provider.run(stage.task(), on_event=heard.on_event, ask=heard.ask)
