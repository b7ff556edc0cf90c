"""Models and plans that are not there, not reachable or not right: a clear end, and a run that can be resumed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bench import MODEL, Bench, task, write
from tests.model_server import Drop, Plain, ToolCall


@pytest.mark.parametrize(
    ("variables", "model", "reason"),
    [
        ({}, "openai/other", "the model asked for was 'other': name one that is there"),
        (
            {"OPENAI_API_KEY": "wrong"},
            MODEL,
            "answered 401: Incorrect API key provided.; check OPENAI_API_KEY",
        ),
        (
            {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"},
            MODEL,
            "http://127.0.0.1:9/v1 cannot be reached",
        ),
    ],
    ids=["unknown model", "wrong key", "unreachable"],
)
def test_a_model_that_does_not_answer(
    bench: Bench, variables: dict[str, str], model: str, reason: str
) -> None:
    bench.model.plan = [submit(task("Write"))]
    bench.model.turns["Write"] = [[write("a.txt", "a\n")]]
    right = dict(bench.antiphon.variables)
    bench.antiphon.variables.update(variables)
    run = bench("run", "Write a file", "--model", model, "--json")
    assert (run.code, run.last["state"]) == (1, "failed"), run
    assert reason in run.last["reasons"][0]
    assert "Traceback" not in run.errors
    plain = bench("show", "latest")
    assert reason in plain.out
    bench.antiphon.variables.update(right)
    resumed = bench("resume", "latest", "--model", MODEL, "--trust", "--json")
    assert (resumed.code, resumed.last["state"]) == (0, "completed"), resumed
    assert bench("accept", "latest", "--all").code == 0
    assert (bench.workspace / "a.txt").read_text() == "a\n"


@pytest.mark.parametrize(
    ("variables", "words", "message"),
    [
        ({}, ["--model", "opnai/test-model"], "did you mean 'openai'?"),
        ({"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}, ["--model", MODEL], "set OPENAI_API_KEY"),
        ({"OPENAI_BASE_URL": "localhost:80"}, ["--model", MODEL], "must begin with http:// or https://"),
        ({}, ["--model", MODEL, "--max-cost", "1"], "--max-tokens"),
        ({"ANTIPHON_MODEL": "x"}, [], "ANTIPHON_MODEL must be PROVIDER/NAME"),
    ],
)
def test_what_is_known_to_be_wrong_is_said_before_anything_starts(
    bench: Bench, variables: dict[str, str], words: list[str], message: str
) -> None:
    bench.antiphon.variables.update(variables)
    run = bench("run", "Write a file", *words, "--json")
    assert run.code == 2, run
    assert message in run.errors
    assert (run.last["type"], run.last["exitCode"]) == ("error", 2)
    bench.antiphon.variables.clear()
    assert bench("runs", "--json").out == "", "no run was begun"
    assert bench.records.completions() == []


def test_one_task_whose_model_fails_does_not_take_the_others_along(bench: Bench) -> None:
    bench.model.instead["Cut"] = Drop()
    bench.model.instead["Refused"] = Plain(400, b'{"error": {"message": "no \\u001b[31mway", "code": "x"}}')
    bench.model.turns["Good"] = [[write("good.txt", "good\n")]]
    run = bench.run("Cut", "Refused", "Good", task("Later", depends_on=["cut"]))
    assert (run.code, run.last["state"]) == (1, "partial"), run
    assert run.last["tasks"] == {"dead": 2, "merged": 1, "skipped": 1}
    assert any("cut is a dead letter after 1 attempt:" in reason for reason in run.last["reasons"])
    assert "1 task skipped because of that" in run.last["reasons"]
    shown = bench("show", "latest")
    assert "\x1b" not in shown.out
    assert bench("accept", "latest", "--all").code == 0
    assert [path.name for path in bench.workspace.iterdir()] == ["good.txt"]


def submit(*tasks: dict[str, Any]) -> ToolCall:
    return ToolCall("submit_plan", {"tasks": [{"role": "coder", "depends_on": [], **item} for item in tasks]})


def test_a_plan_with_a_cycle_is_sent_back_with_the_reason(bench: Bench) -> None:
    circle = submit(task("A", depends_on=["b"]), task("B", depends_on=["a"]))
    bench.model.plan = [circle, submit(task("A", depends_on=["gone"])), submit(task("A"), task("A"))]
    run = bench("run", "Go round", "--model", MODEL, "--trust", "--json")
    assert (run.code, run.last["state"]) == (1, "failed"), run
    refused = ["; ".join(event["reasons"]) for event in run.events if event["type"] == "plan_refused"]
    assert ["a -> b -> a" in refused[0], "gone" in refused[1], "a" in refused[2]] == [True] * 3
    assert "no valid plan" in run.last["reasons"][0] or "refused" in run.last["reasons"][0], run.last
    bench.model.plan = [circle, submit(task("A"))]
    mended = bench("run", "Go on", "--model", MODEL, "--trust", "--json")
    assert (mended.code, mended.last["tasks"]) == (0, {"merged": 1}), mended
    second = bench.records.completions()[-2]
    assert "a -> b -> a" in json.dumps(second.messages[-1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- {id: a, title: A, instructions: x, depends_on: [b]}\n- {id: b, title: B, instructions: x, depends_on: [a]}\n", "a -> b -> a"),
        ("- {id: a, title: A, instructions: x, depnds_on: []}\n", "depends_on"),
        ("tasks: [\n", "YAML"),
        ("\0\x01", "YAML"),
        ("[]", "task"),
        ("a: &a [*a]", ""),
    ],
    ids=["cycle", "typo", "broken", "binary", "empty", "alias"],
)  # fmt: skip
def test_a_plan_file_that_is_none(bench: Bench, tmp_path: Path, content: str, message: str) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(content)
    run = bench.antiphon(*bench.words(plan))
    assert run.code == 2, run
    assert message in run.errors
    assert "Traceback" not in run.errors
    assert bench("runs", "--json").out == ""


def test_budgets_end_a_run_readably(bench: Bench) -> None:
    bench.model.turns["Write"] = [[write("a.txt", "a\n")]]
    run = bench.run("Write", "More", more=("--max-tokens", "1"))
    assert run.code == 1, run
    assert any("budget of 1 tokens" in reason for reason in run.last["reasons"]), run.last
    assert any(event["type"] == "budget_exhausted" for event in run.events)
    resumed = bench("resume", "latest", "--trust", "--max-tokens", "1000000", "--json")
    assert (resumed.code, resumed.last["tasks"]) == (0, {"merged": 2}), resumed
    config = bench.antiphon.home / ".config" / "antiphon" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[models."{MODEL}"]\ninput = 2000000.0\noutput = 2000000.0\n')
    costly = bench.run("Write", "More", more=("--max-cost", "0.5"))
    assert costly.code == 1, costly
    assert any("budget of" in reason and "USD" in reason for reason in costly.last["reasons"]), costly.last
    assert costly.last["usage"]["cost_usd"] > 0.5
