from pathlib import Path

import anyio
import pytest

from providers import errors
from providers.base import ModelProfile, Prices
from providers.messages import Request, RequestLabels, TextDelta, ToolResult, tool_results, user
from providers.scripted import FAULTS, ScriptedProvider, parse_script
from providers.usage import Usage
from tests.providers.virtual_time import VirtualTime


def provider(time: VirtualTime, script: str) -> ScriptedProvider:
    return ScriptedProvider(parse_script(script, source="script.yaml"), sleep=time.sleep)


def call(text: str = "Parse the file", **labels: str | int) -> Request:
    known = RequestLabels(
        task_id=str(labels.get("task", "t1")),
        title=str(labels.get("title", "")),
        role=str(labels.get("role", "coder")),
        attempt=int(labels.get("attempt", 1)),
        turn=int(labels.get("turn", 1)),
    )
    return Request("demo", (user(text),), labels=known)


async def test_first_match_wins_over_every_label(time: VirtualTime) -> None:
    scripted = provider(
        time,
        """
- {match: {role: tester}, answer: {text: role}}
- {match: {task: [t2, t3]}, answer: {text: task}}
- {match: {title: Fix it}, answer: {text: title}}
- {match: {attempt: 2}, answer: {text: attempt}}
- {match: {turn: [3, 4]}, answer: {text: turn}}
- {match: {text: needle}, answer: {text: text}}
- {match: {pattern: "(?i)ERR(OR)?s?$"}, answer: {text: pattern}}
- {answer: {text: otherwise}}
""",
    )
    for request, expected in (
        (call(role="tester", task="t2"), "role"),
        (call(task="t3"), "task"),
        (call(title="Fix it"), "title"),
        (call(attempt=2), "attempt"),
        (call(turn=4), "turn"),
        (call("hay needle hay"), "text"),
        (call("two errors"), "pattern"),
        (call(), "otherwise"),
    ):
        assert (await scripted.complete(request)).message.text == expected


async def test_text_is_looked_for_in_the_last_user_or_tool_message(time: VirtualTime) -> None:
    scripted = provider(time, "- {match: {text: failed}, answer: {text: again}}\n- {answer: {text: first}}\n")
    failed = tool_results(ToolResult("c", "1 passed"), ToolResult("d", "2 failed"))
    assert (await scripted.complete(Request("m", (user("run"), failed)))).message.text == "again"
    assert (await scripted.complete(Request("m", (failed, user("run"))))).message.text == "first"


async def test_tool_calls_keep_order_names_and_raw_arguments(time: VirtualTime) -> None:
    scripted = provider(
        time,
        """
- answer:
    tool_calls:
      - {name: read_file, arguments: {path: "a.py", offset: 2}}
      - {name: finish, arguments: '{"summary": '}
      - {name: list_files}
""",
    )
    answer = await scripted.complete(call(turn=7, attempt=2))
    assert [(c.id, c.name, c.arguments) for c in answer.message.tool_calls] == [
        ("call_2_7_0", "read_file", '{"path":"a.py","offset":2}'),
        ("call_2_7_1", "finish", '{"summary": '),
        ("call_2_7_2", "list_files", "{}"),
    ]
    assert answer.stop == "tool_calls"
    assert answer.message.text == ""


async def test_streams_the_text_in_pieces_after_the_delay(time: VirtualTime) -> None:
    scripted = provider(time, "- {answer: {text: 'twelve chars', delay_s: 1.5}}")
    seen: list[TextDelta] = []
    answer = await scripted.complete(call(), on_delta=seen.append)
    assert time.slept == [1.5]
    assert len(seen) == 4
    assert "".join(delta.text for delta in seen) == answer.message.text == "twelve chars"


async def test_usage_is_a_quarter_of_the_characters_or_what_the_script_says(time: VirtualTime) -> None:
    scripted = provider(
        time,
        "- {answer: {text: abcdefghi}, times: 1}\n"
        "- {answer: {text: x, usage: {input_tokens: 1000000, output_tokens: 5}}}\n",
    )
    assert (await scripted.complete(call("x" * 40))).usage == Usage(10, 3)
    given = (await scripted.complete(call())).usage
    assert (given.input_tokens, given.output_tokens, given.cost_usd) == (1_000_000, 5, 0.0)


async def test_a_configured_price_gives_a_cost(time: VirtualTime) -> None:
    script = parse_script("- {answer: {text: abcd, usage: {input_tokens: 1000000}}}", source="s")
    scripted = ScriptedProvider(
        script, sleep=time.sleep, profiles=lambda _: ModelProfile(prices=Prices(2.0, 8.0))
    )
    assert (await scripted.complete(call())).usage.cost_usd == 2.0


async def test_times_passes_a_rule_over_once_used_up(time: VirtualTime) -> None:
    scripted = provider(time, "- {answer: {text: a}, times: 2}\n- {answer: {text: b}}\n")
    assert [(await scripted.complete(call())).message.text for _ in range(4)] == ["a", "a", "b", "b"]


@pytest.mark.parametrize("kind", sorted(FAULTS))
async def test_every_fault_raises_its_error_with_the_delay(time: VirtualTime, kind: str) -> None:
    scripted = provider(time, f"- {{fault: {{kind: {kind}, retry_after: 3}}}}")
    with pytest.raises(FAULTS[kind]) as raised:
        await scripted.complete(call())
    assert raised.value.retry_after == 3
    assert not raised.value.answer_begun


async def test_a_fault_after_text_strikes_in_the_middle_of_the_stream(time: VirtualTime) -> None:
    scripted = provider(time, "- {answer: {text: half an}, fault: {kind: bad_response, message: cut}}")
    seen: list[TextDelta] = []
    with pytest.raises(errors.BadResponseError, match="cut") as raised:
        await scripted.complete(call(), on_delta=seen.append)
    assert raised.value.answer_begun
    assert "".join(delta.text for delta in seen) == "half an"


async def test_hang_ends_only_by_cancellation(time: VirtualTime) -> None:
    scripted = ScriptedProvider(parse_script("- {fault: {kind: hang}}", source="s"), sleep=anyio.sleep)
    with anyio.move_on_after(0.01) as scope:
        await scripted.complete(call())
    assert scope.cancelled_caught


async def test_no_match_names_the_labels(time: VirtualTime) -> None:
    scripted = provider(time, "- {match: {role: lead}, answer: {text: x}}")
    with pytest.raises(errors.BadResponseError, match="role='coder' task='t9'") as raised:
        await scripted.complete(call(task="t9"))
    assert not raised.value.retryable


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("- [", "not valid YAML"),
        ("answer: {text: x}", "a script is a list of rules"),
        ("- {match: {rol: x}, answer: {text: y}}", "unknown field `rol`"),
        ("- {match: {role: x}}", "rule 1 has neither"),
        ("- {answer: {}}\n- {fault: {kind: boom}}", "rule 2: unknown fault 'boom'"),
        ("- {match: {pattern: '('}, answer: {}}", "no regular expression"),
    ],
)
def test_a_wrong_script_is_refused_with_its_place(script: str, says: str) -> None:
    with pytest.raises(errors.ProviderConfigurationError, match=r"script\.yaml") as raised:
        parse_script(script, source="script.yaml")
    assert says in str(raised.value)


def test_a_script_is_loaded_from_a_file(tmp_path: Path, time: VirtualTime) -> None:
    path = tmp_path / "demo.yaml"
    path.write_text("- {answer: {text: hi}}", encoding="utf-8")
    assert ScriptedProvider.load(path, sleep=time.sleep).name == "scripted"
    with pytest.raises(errors.ProviderConfigurationError, match=r"missing\.yaml"):
        ScriptedProvider.load(tmp_path / "missing.yaml", sleep=time.sleep)
