"""Which values are taken for secrets, and that they leave texts, calls and events as a mark."""

import pytest

from orchestration import events as ev
from orchestration.redaction import WITHHELD, Redaction
from providers.messages import ToolCall, assistant

KEY = 'sk-"quoted"\\4b1d6e0c93f7'


@pytest.mark.parametrize(
    "value",
    [
        "",
        "ollama",
        "no-key-required",
        "sk-no-key-required",
        "/run/user/1000/keyring",
        "123456789012",
        "a b c 1 2 3 4",
    ],
)
def test_what_could_stand_in_any_text_is_no_secret(value: str) -> None:
    redaction = Redaction([value])
    text = f"before {value} after"
    assert redaction.text(text) == text


def test_texts_calls_and_events_are_cleaned() -> None:
    redaction = Redaction([KEY, KEY[:20] + "-and-more-9"])
    assert redaction.text(f"a {KEY} b {KEY[:20]}-and-more-9") == f"a {WITHHELD} b {WITHHELD}"
    message = assistant(f"use {KEY}", ToolCall("1", "write_file", f"{KEY}"))
    clean = redaction.message(message)
    assert KEY not in clean.text + clean.tool_calls[0].arguments
    event = ev.AttemptFailed(task_id="t", attempt=1, kind="gate", reason=KEY, feedback=f"x\n{KEY}")
    assert redaction.event(event) == ev.AttemptFailed(
        task_id="t", attempt=1, kind="gate", reason=WITHHELD, feedback=f"x\n{WITHHELD}"
    )
    other = ev.AttemptFailed(task_id="t", attempt=1, kind="gate", reason="r", feedback="f")
    assert redaction.event(other) is other
    assert redaction.message(assistant("plain")) == assistant("plain")


def test_a_key_that_is_found_later_is_known_from_then_on() -> None:
    redaction = Redaction()
    assert redaction.text(KEY) == KEY
    redaction.add(KEY)
    assert redaction.text(KEY) == WITHHELD
