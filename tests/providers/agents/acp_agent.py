"""An ACP agent for tests, as a program: it edits a file, and can misbehave in the ways that real ones do.

Its one argument is a JSON object: each key is a way to misbehave (`Script` below). It stands on the standard library
alone, so that it starts fast.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SCRIPT: dict[str, Any] = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
OPTIONS = [
    {"optionId": "a", "name": "Always", "kind": "allow_always"},
    {"optionId": "r", "name": "No", "kind": "reject_once"},
    {"optionId": "o", "name": "Once", "kind": "allow_once"},
    {"optionId": "n", "name": "Never", "kind": "reject_always"},
]
OUTPUT = sys.stdout.buffer
SESSION = "s-1"
logged_in: list[str] = []
number = 1000


def send(message: dict[str, Any]) -> None:
    OUTPUT.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    OUTPUT.flush()


def note(**fields: Any) -> None:
    """What the client did, for the test to read beside the folder."""
    with Path(os.environ["ACP_TEST_NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(json.dumps(fields) + "\n")


def read() -> dict[str, Any]:
    line = sys.stdin.buffer.readline()
    if not line:
        note(end="of input")
        sys.exit(0)
    message: dict[str, Any] = json.loads(line)
    if message.get("method") == "session/cancel":
        note(cancelled=True)
        if SCRIPT.get("hangs_after_cancel"):
            while True:
                time.sleep(60)
    return message


def ask(method: str, /, **params: Any) -> dict[str, Any]:
    """A request to the client; answers to it may come after a cancellation."""
    global number  # noqa: PLW0603 - a program of one file
    number += 1
    send({"id": number, "method": method, "params": {"sessionId": SESSION, **params}})
    cancelled = False
    while True:
        message = read()
        cancelled = cancelled or message.get("method") == "session/cancel"
        if message.get("id") == number and "method" not in message:
            note(
                asked=method,
                cancelled_before=cancelled,
                **{k: message[k] for k in ("result", "error") if k in message},
            )
            return message


def update(name: str, /, **fields: Any) -> None:
    send(
        {
            "method": "session/update",
            "params": {
                "sessionId": SCRIPT.get("other_session", SESSION),
                "update": {"sessionUpdate": name, **fields},
            },
        }
    )


def say(text: str) -> None:
    update("agent_message_chunk", content={"type": "text", "text": text})


def permitted(call: dict[str, Any]) -> bool:
    options = SCRIPT.get("options", OPTIONS)
    said = ask("session/request_permission", toolCall=call, options=options)
    outcome = said.get("result", {}).get("outcome", {})
    kinds = {option["optionId"]: option["kind"] for option in options}
    return outcome.get("outcome") == "selected" and bool(kinds[outcome["optionId"]].startswith("allow"))


def turn(folder: Path, prompt: str) -> str:  # noqa: C901, PLR0912 - one branch for each way to misbehave
    note(prompt=prompt, folder=str(folder))
    if words := SCRIPT.get("only_says"):
        say(words)
        return "end_turn"
    update("available_commands_update", availableCommands=[])
    update("agent_thought_chunk", content={"type": "text", "text": "I think."})
    say("I begin. ")
    if SCRIPT.get("unknown_updates"):
        update("session_dance", steps=3)
        update("session_dance", steps=4)
        send({"method": "session/update", "params": {"sessionId": SESSION, "update": None}})
        send({"method": "_vendor/thing", "params": {}})
        send({"method": "vendor/thing", "params": {}})
    for line in SCRIPT.get("lines", []):
        OUTPUT.write(line.encode() + b"\n")
    if size := SCRIPT.get("long_line"):
        update("tool_call_update", toolCallId="long", status="completed", rawOutput="x" * size)
    if SCRIPT.get("stderr"):
        sys.stderr.write("e" * SCRIPT["stderr"])
        sys.stderr.flush()
    for method in SCRIPT.get("calls", []):
        ask(method, path="/etc/passwd", content="x", command="id")
    if SCRIPT.get("elicits"):
        ask("elicitation/create", mode="form", message="Which colour?", requestedSchema={"type": "object"})
    if SCRIPT.get("null_usage"):
        update("usage_update", used=None, size=None)
    for amount in SCRIPT.get("costs", []):
        update("usage_update", used=10, size=1000, cost={"amount": amount, "currency": "USD"})
    if SCRIPT.get("halves"):
        OUTPUT.write(
            b'{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s-1","update":{"sessionUpdate":'
            b'"agent_message_chunk","content":{"type":"text","text":"\\ud83c"}}}}\n'
            b'{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s-1","update":{"sessionUpdate":'
            b'"agent_message_chunk","content":{"type":"text","text":"\\udfbc"}}}}\n'
        )
        OUTPUT.flush()
    if command := SCRIPT.get("command"):
        call = {"toolCallId": "run", "title": "Terminal", "kind": "execute", "rawInput": {"command": command}}
        update("tool_call", **call, status="pending")
        allowed = permitted(call)
        update("tool_call_update", toolCallId="run", status="completed" if allowed else "failed")
        if not allowed and SCRIPT.get("cancels_when_denied"):
            return "cancelled"
    target = folder / SCRIPT.get("file", "made.txt")
    edit = {"toolCallId": "edit", "title": "Write", "kind": "edit", "locations": [{"path": str(target)}]}
    if not SCRIPT.get("update_only"):
        update("tool_call", **edit, status="pending")
    if not SCRIPT.get("asks_for_edits") or permitted(edit):
        target.write_text(SCRIPT.get("text", "made\n"), encoding="utf-8")
        update("tool_call_update", **edit, status="completed")
    if SCRIPT.get("floods"):
        for piece in range(SCRIPT["floods"]):
            say(f"{piece} ")
    if SCRIPT.get("closes_output"):
        os.close(1)
        while True:
            time.sleep(60)
    if SCRIPT.get("dies"):
        sys.stderr.write("out of cheese\n")
        os._exit(3)
    if SCRIPT.get("waits"):
        note(waiting=True)
        while read().get("method") != "session/cancel":
            pass
        return "cancelled"
    if SCRIPT.get("silent"):
        while True:
            time.sleep(60)
    say("I am done.")
    return str(SCRIPT.get("stop", "end_turn"))


def fork() -> None:
    """A child in the group, and one that has left it."""
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    inside = subprocess.Popen(sleep)
    outside = subprocess.Popen(sleep, start_new_session=True)
    note(children=[inside.pid, outside.pid])


def answer(message: dict[str, Any]) -> None:
    method, params = message.get("method"), message.get("params") or {}
    identity = message.get("id")
    if refusal := SCRIPT.get("refuses", {}).get(method):
        send({"id": identity, "error": refusal})
        return
    if method == "session/new" and SCRIPT.get("wants_login") not in (None, *logged_in):
        send({"id": identity, "error": {"code": -32000, "message": "Authentication required"}})
        return
    result: Any = {}
    match method:
        case "initialize":
            note(initialize=params)
            if SCRIPT.get("mute"):
                sys.stdout.write(SCRIPT["mute"] + "\n")
                sys.stdout.flush()
                return
            result = {
                "protocolVersion": SCRIPT.get("version", 1),
                "agentCapabilities": SCRIPT.get("abilities", {}),
                "authMethods": [{"id": "web", "name": "Log in by browser"}],
                "agentInfo": {"name": "tester", "version": "1.0"},
            }
        case "session/new":
            note(new=params, environment=dict(os.environ))
            result = {"sessionId": SESSION, **SCRIPT.get("session", {})}
        case "authenticate":
            note(params=params)
            logged_in.append(params["methodId"])
        case "session/load" | "session/resume":
            note(resumed=params)
            say("An old answer.")
            update("usage_update", used=1, size=2, cost={"amount": 1.5, "currency": "USD"})
        case "session/prompt":
            stop = turn(Path(FOLDER[0]), params["prompt"][0]["text"])
            result = {"stopReason": stop, **({"usage": SCRIPT["usage"]} if "usage" in SCRIPT else {})}
        case "session/cancel" | None:
            return
        case _:
            note(method=method, params=params)
    if "answers" in SCRIPT and method in SCRIPT["answers"]:
        result = SCRIPT["answers"][method]
    if identity is not None:
        send({"id": identity, "result": result})


FOLDER = [str(Path.cwd())]
if __name__ == "__main__":
    if SCRIPT.get("ignores_signals"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if SCRIPT.get("forks"):
        fork()
    while True:
        answer(read())
