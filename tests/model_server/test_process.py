"""The server as a process of its own, and the scripts for measurements."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.model_server import Echo, Editor, ModelServer
from tests.model_server.exercises import load_exercises

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def server_process(*arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The URL and the process, which ends with its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.model_server", "--until-eof", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.communicate(timeout=10)


def ask(url: str, **more: Any) -> httpx2.Response:
    messages = [{"role": "user", "content": "Task 7\nDo it."}]
    return httpx2.post(
        f"{url}/chat/completions", json={"model": "m", "messages": messages, **more}, timeout=10
    )


FINISH = {"type": "function", "function": {"name": "finish", "parameters": {"type": "object"}}}


def test_it_prints_its_url_writes_the_plan_and_shows_its_records(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    with server_process("--write-plan", str(plan), "--key-from", "THE_KEY", THE_KEY="sk-1") as (url, process):
        assert ask(url).status_code == 401
        assert httpx2.get(f"{url}/models", headers={"Authorization": "Bearer sk-1"}).status_code == 200
        records = httpx2.get(url.removesuffix("/v1") + "/_requests").json()
        assert [(record["path"], record["status"]) for record in records] == [
            ("/v1/chat/completions", 401),
            ("/v1/models", 200),
        ]
        assert "sk-1" not in json.dumps(records)
    assert process.returncode == 0
    assert len(json.loads(plan.read_text(encoding="utf-8"))["tasks"]) == len(load_exercises())


def test_faults_by_name_then_an_echo() -> None:
    with server_process("--script", "faults", "--faults", "server_error,html_body", "--size", "20") as (
        url,
        _,
    ):
        answers = [ask(url) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [500, 200, 200]
    assert answers[1].headers["content-type"].startswith("text/html")
    assert len(answers[2].json()["choices"][0]["message"]["content"]) == 20


def test_a_signal_ends_it() -> None:
    with server_process("--script", "echo") as (url, process):
        assert ask(url).status_code == 200
        process.terminate()
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("streams", [False, True])
def test_an_echo_finishes_a_task_in_one_call(*, streams: bool) -> None:
    with ModelServer(Echo(size=1024, delay_ms=1), strict=False) as server:
        options: dict[str, Any] = (
            {"stream": True, "stream_options": {"include_usage": True}} if streams else {}
        )
        text = ask(server.base_url, **options)
        call = ask(server.base_url, tools=[FINISH], **options)
    if not streams:
        assert len(text.json()["choices"][0]["message"]["content"]) == 1024
        assert call.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "finish"
        return
    events = [json.loads(line[6:]) for line in call.text.splitlines() if line.startswith("data: {")]
    assert events[-1]["usage"]["completion_tokens"] == 256
    pieces = [
        piece["function"]["arguments"]
        for event in events
        for choice in event["choices"]
        for piece in choice["delta"].get("tool_calls", ())
    ]
    assert len(json.loads("".join(pieces))["summary"]) == 1024


def test_an_editor_writes_a_file_per_task() -> None:
    with ModelServer(Editor(size=64), models=()) as server:
        message = ask(server.base_url, tools=[FINISH]).json()["choices"][0]["message"]
    write, finish = (call["function"] for call in message["tool_calls"])
    arguments = json.loads(write["arguments"])
    assert arguments["path"] == "made/task_7.py"
    compile(arguments["content"], arguments["path"], "exec")
    assert finish["name"] == "finish"
