"""Descriptions: what is refused, how a user's own changes a built-in, and agents that print text."""

import sys
from pathlib import Path

import pytest

from providers.agents.description import load_descriptions
from providers.errors import ProviderConfigurationError
from server.settings_keys import AGENTS
from tests.agents.conftest import FAKE, FakeAgent, Step
from tests.e2e.command_line import Finished

MINIMAL = {"program": "mine", "argv": ["{prompt}"], "output": "text"}


def test_settings_know_the_built_in_agents_by_name() -> None:
    assert sorted(load_descriptions({}, "x")) == sorted(AGENTS)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"argv": ["{prompt}"]}, "missing required field `program`"),
        ({**MINIMAL, "argv": ["-p"]}, "argv holds no {prompt}"),
        ({**MINIMAL, "output": "jsonl"}, "events are missing"),
        ({**MINIMAL, "promt": "stdin"}, "unknown field `promt`"),
        ({**MINIMAL, "idle_s": 0}, "must be above 0"),
        ({**MINIMAL, "failures": [{"pattern": "(", "fault": "login"}]}, "is no regular expression"),
        ({**MINIMAL, "failures": [{"pattern": "x", "fault": "lgin"}]}, "lgin"),
        ({**MINIMAL, "lines": [{"pattern": "Cost: .*"}]}, "must name what it finds"),
        ({**MINIMAL, "stuck": "["}, "is no regular expression"),
        ({**MINIMAL, "events": [{"kind": "usage", "scope": "keyed"}]}, "needs a `key`"),
        ({**MINIMAL, "events": [{"kind": "end", "when": {"type": "~("}}]}, "is no regular expression"),
    ],
)
def test_a_wrong_description_names_the_agent_and_the_key(table: dict[str, object], message: str) -> None:
    with pytest.raises(ProviderConfigurationError) as caught:
        load_descriptions({"mine": table}, "/config.toml")
    assert "/config.toml: [agents.mine]" in str(caught.value)
    assert message in str(caught.value)


def test_a_name_that_no_id_can_hold() -> None:
    with pytest.raises(ProviderConfigurationError, match="a name is made of"):
        load_descriptions({"My Agent": dict(MINIMAL)}, "x")


def test_a_key_of_the_users_changes_a_built_in_and_leaves_the_rest() -> None:
    ours = load_descriptions({}, "x")["opencode"]
    theirs = load_descriptions({"opencode": {"program": "/opt/oc", "set": {"A": "1"}}}, "x")["opencode"]
    assert theirs.program == "/opt/oc"
    assert theirs.set == {**ours.set, "A": "1"}
    assert theirs.events == ours.events


def test_a_workspace_cannot_describe_an_agent(fake: FakeAgent) -> None:
    file = fake.root / ".antiphon" / "config.toml"
    file.parent.mkdir()
    file.write_text('[agents.evil]\nprogram = "/bin/sh"\nargv = ["{prompt}"]\noutput = "text"\n')
    done = fake.antiphon("run", "x", "--model", "evil", "--workspace", fake.root, "--trust")
    assert done.code == 2
    assert "must be PROVIDER/NAME" in done.errors
    assert "`agents` is ignored" in fake.antiphon("doctor", "--workspace", fake.root).out


# --- text ------------------------------------------------------------------------------------------

TEXT = """
[agents.plain]
program = "{python}"
argv = ["{script}", "{steps}", "{{prompt}}"]
output = "text"
reports_cost = true

[[agents.plain.lines]]
pattern = '^Applied edit to (?P<subject>.+)$'

[[agents.plain.lines]]
pattern = 'Tokens: (?P<input>\\S+) sent, (?P<output>\\S+) received. Cost: \\$(?P<cost>\\S+) message'

[[agents.plain.lines]]
pattern = '(?P<failure>api\\.\\w+Error.*)'
"""


@pytest.fixture
def plain(fake: FakeAgent) -> FakeAgent:
    config = fake.antiphon.home / ".config" / "antiphon" / "config.toml"
    config.write_text(TEXT.format(python=sys.executable, script=FAKE, steps=fake.folder / "steps.json"))
    return fake


def run(plain: FakeAgent, *steps: Step) -> Finished:
    plain.does(*steps)
    words = ["run", "Mend add", "--model", "plain", "--json", "--workspace", str(plain.root)]
    return plain.antiphon(*words, "--trust", "--approval", "auto")


def test_text_is_read_by_patterns(plain: FakeAgent) -> None:
    done = run(
        plain,
        {"write": ["calc.py", "def add(a, b):\n    return a + b\n"]},
        {"print": "\x1b[32mApplied edit to calc.py\x1b[0m\n"},
        {"print": " 10 %\r 90 %\rTokens: 2.1k sent, 1,034 received. Cost: $0.0065 message, $0.01 session.\n"},
    )
    assert done.code == 0, done
    usage = done.last["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["cost_usd"]) == (2100, 1034, 0.0065)
    tool = next(event for event in done.events if event["type"] == "tool_finished")
    assert tool["subject"] == "calc.py"


def test_a_failure_in_the_text_counts_whatever_the_exit_code(plain: FakeAgent) -> None:
    done = run(plain, {"print": "api.AuthenticationError: Incorrect API key provided\n"})
    assert done.code == 1
    assert "wants a login" in done.last["reasons"][0]


def test_a_prompt_that_no_argument_can_hold_is_in_a_file(plain: FakeAgent, tmp_path: Path) -> None:
    plain.does({"note": str(tmp_path / "note")}, {"print": "done\n"})
    goal = "x" * 120_000
    plan = tmp_path / "plan.json"
    plan.write_text(f'[{{"id": "a", "title": "Long", "instructions": "{goal}"}}]')
    words: list[str | Path] = [
        "run",
        "--plan-file",
        plan,
        "--model",
        "plain",
        "--json",
        "--workspace",
        plain.root,
    ]
    done = plain.antiphon(*words, "--trust", "--approval", "auto")
    assert done.code == 0, done
    told = plain.noted()["argv"][1]
    assert "Read it whole" in told
    assert len(told) < 1000
