"""Model servers as five vendors speak, whose every answer carries the reasoning state that must go back unchanged.

One server for all APIs; a test gives the tool calls of each turn and may hold an answer back. Requests are kept as bytes.
"""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

Call = tuple[str, dict[str, Any]]
# What comes back must be these very characters: signs of base64, quotes, escapes, separators, half the planes.
SIGNATURE = 'EqQB+/Cg==IYAhIM"\\\u2028\x7f🎼'
THOUGHT = 'Let me "see" \\ \u2028 ü 🎼'
CONTAINERS = {
    "openai": "messages",
    "openai-responses": "input",
    "anthropic": "messages",
    "google": "contents",
    "ollama": "messages",
}
MODELS = {
    "openai": "deepseek-reasoner",
    "openai-responses": "gpt-5",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-3-pro",
    "ollama": "qwen3",
}


def base_url(api: str, origin: str) -> str:
    return f"{origin}/v1" if api.startswith("openai") else origin


def state_in(api: str, body: dict[str, Any]) -> list[str]:
    """The signatures (or what stands for them) that a request gives back, in their order."""
    found: list[str] = []
    for item in body[CONTAINERS[api]]:
        match api:
            case "openai":
                found += [item["reasoning_content"]] if "reasoning_content" in item else []
            case "openai-responses":
                found += [item["encrypted_content"]] if item.get("type") == "reasoning" else []
            case "anthropic":
                parts = item["content"] if isinstance(item["content"], list) else []
                found += [part["signature"] for part in parts if part["type"] == "thinking"]
                found += [part["data"] for part in parts if part["type"] == "redacted_thinking"]
            case "google":
                found += [part["thoughtSignature"] for part in item["parts"] if "thoughtSignature" in part]
            case _:
                found += [item["thinking"]] if "thinking" in item else []
    return found


def state_of(api: str, turn: int) -> list[str]:
    """What the answer of a turn carries, as `state_in` finds it later."""
    if api in {"openai", "ollama"}:
        return [f"{THOUGHT} {turn}"]
    return [f"{SIGNATURE}{turn}", f"red{SIGNATURE}{turn}"] if api == "anthropic" else [f"{SIGNATURE}{turn}"]


def results_in(api: str, body: dict[str, Any]) -> list[str]:
    """The texts of all tool results of a request."""
    found: list[str] = []
    for item in body[CONTAINERS[api]]:
        if item.get("role") == "tool":
            found.append(str(item["content"]))
        elif item.get("type") == "function_call_output":
            found.append(str(item["output"]))
        for part in item.get("parts", ()):
            found += [json.dumps(part["functionResponse"])] if "functionResponse" in part else []
        for part in item["content"] if isinstance(item.get("content"), list) else ():
            found += [json.dumps(part["content"])] if part.get("type") == "tool_result" else []
    return found


def turn_of(api: str, body: dict[str, Any]) -> int:
    """How many answers the conversation holds."""
    if api == "openai-responses":
        return sum(item.get("type") == "reasoning" for item in body["input"])
    return sum(item.get("role") in {"assistant", "model"} for item in body[CONTAINERS[api]])


def around_and_within(api: str, body: bytes) -> tuple[bytes, bytes]:
    """A request's bytes in two: all fields but the conversation, and the conversation without its closing bracket."""
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    conversation = bytes(fields.pop(CONTAINERS[api]))
    around = b"\n".join(name.encode() + b":" + bytes(value) for name, value in fields.items())
    return around, conversation.rstrip()[:-1]


def _sse(*events: dict[str, Any], named: bool) -> bytes:
    lines = []
    for event in events:
        head = f"event: {event['type']}\n" if named else ""
        lines.append(f"{head}data: {json.dumps(event, ensure_ascii=False)}\n\n")
    return "".join(lines).encode()


def stream(api: str, turn: int, calls: Sequence[Call]) -> bytes:
    """The answer of a turn: its state, then its calls."""
    return _STREAMS[api](turn, [(f"call_{turn}_{place}", *call) for place, call in enumerate(calls)])


Numbered = Sequence[tuple[str, str, dict[str, Any]]]


def _openai(turn: int, calls: Numbered) -> bytes:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}

    thought = f"{THOUGHT} {turn}"
    pieces = [
        {
            "index": place,
            "id": key,
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(given)},
        }
        for place, (key, name, given) in enumerate(calls)
    ]
    usage = {"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 9, "total_tokens": 1009}}
    events = _sse(
        chunk({"role": "assistant", "reasoning_content": thought[:7]}),
        chunk({"reasoning_content": thought[7:]}),
        chunk({"tool_calls": pieces}),
        chunk({}, "tool_calls"),
        usage,
        named=False,
    )
    return events + b"data: [DONE]\n\n"


def _responses(turn: int, calls: Numbered) -> bytes:
    items: list[dict[str, Any]] = [
        {
            "id": f"rs_{turn}",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": THOUGHT}],
            "encrypted_content": f"{SIGNATURE}{turn}",
        }
    ]
    for key, name, given in calls:
        call = {"id": f"fc_{key}", "type": "function_call", "status": "completed", "call_id": key}
        items.append({**call, "name": name, "arguments": json.dumps(given)})
    head = {"id": "resp_1", "object": "response", "model": "gpt-5"}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**head, "status": "in_progress", "output": []}}
    ]
    for place, item in enumerate(items):
        bare = {**item, "arguments": ""} if item["type"] == "function_call" else {**item, "summary": []}
        bare.pop("encrypted_content", None)
        events.append({"type": "response.output_item.added", "output_index": place, "item": bare})
        if item["type"] == "function_call":
            delta = {"output_index": place, "item_id": item["id"], "delta": item["arguments"]}
            events.append({"type": "response.function_call_arguments.delta", **delta})
        events.append({"type": "response.output_item.done", "output_index": place, "item": item})
    usage = {"input_tokens": 1000, "output_tokens": 9, "total_tokens": 1009}
    whole = {**head, "status": "completed", "output": items, "usage": usage}
    return _sse(*events, {"type": "response.completed", "response": whole}, named=True)


def _anthropic(turn: int, calls: Numbered) -> bytes:
    usage = {"input_tokens": 1000, "output_tokens": 1}
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "claude",
        "usage": usage,
    }
    signature = f"{SIGNATURE}{turn}"
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        (
            {"type": "thinking", "thinking": "", "signature": ""},
            [
                {"type": "thinking_delta", "thinking": THOUGHT},
                {"type": "signature_delta", "signature": signature},
            ],
        ),
        ({"type": "redacted_thinking", "data": f"red{signature}"}, []),
    ]
    for key, name, given in calls:
        start = {"type": "tool_use", "id": key, "name": name, "input": {}}
        blocks.append((start, [{"type": "input_json_delta", "partial_json": json.dumps(given)}]))
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    for index, (start, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}
    return _sse(*events, end, {"type": "message_stop"}, named=True)


def _google(turn: int, calls: Numbered) -> bytes:
    parts: list[dict[str, Any]] = [{"text": THOUGHT, "thought": True}]
    for place, (_, name, given) in enumerate(calls):
        part: dict[str, Any] = {"functionCall": {"name": name, "args": given}}
        parts.append(part | ({"thoughtSignature": f"{SIGNATURE}{turn}"} if place == 0 else {}))
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 1000, "candidatesTokenCount": 9, "totalTokenCount": 1009}
    return _sse({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "g"}, named=False)


def _ollama(turn: int, calls: Numbered) -> bytes:
    called = [{"function": {"name": name, "arguments": given}} for _, name, given in calls]
    messages = [
        {"role": "assistant", "content": "", "thinking": f"{THOUGHT} {turn}"},
        {"role": "assistant", "content": "", "tool_calls": called},
    ]
    lines: list[dict[str, Any]] = [{"model": "qwen3", "message": each, "done": False} for each in messages]
    end = {"role": "assistant", "content": ""}
    counts = {"prompt_eval_count": 1000, "eval_count": 9}
    lines.append({"model": "qwen3", "message": end, "done": True, "done_reason": "stop", **counts})
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)


_STREAMS: dict[str, Callable[[int, Numbered], bytes]] = {
    "openai": _openai,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "google": _google,
    "ollama": _ollama,
}


class VendorServer:
    """`turns`: the calls of each answer; after them the task is finished. `held`: the turn whose answer waits for
    `release`. `bodies`: of all calls for an answer, in their order.
    """

    def __init__(self, api: str, turns: Sequence[Sequence[Call]], *, held: int | None = None) -> None:
        self.api = api
        self.bodies: list[bytes] = []
        self.release = threading.Event()
        self._turns = turns
        self._held = held
        self._arrived = threading.Condition()
        self.origin = ""

    def wait_for(self, count: int, timeout_s: float = 60) -> None:
        """Until so many calls have come."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.bodies) >= count, timeout_s), len(self.bodies)

    def answer(self, body: bytes) -> bytes:
        turn = turn_of(self.api, json.loads(body))
        with self._arrived:
            self.bodies.append(body)
            self._arrived.notify_all()
        if turn == self._held:
            self.release.wait(60)
        finish: list[Call] = [("finish", {"summary": "Done."})]
        return stream(self.api, turn, self._turns[turn] if turn < len(self._turns) else finish)


@contextmanager
def vendor_server(
    api: str, turns: Sequence[Sequence[Call]], *, held: int | None = None
) -> Iterator[VendorServer]:
    made = VendorServer(api, turns, held=held)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/api/show":
                self._send(b'{"model_info": {"q.context_length": 100000}}', "application/json")
                return
            kind = "application/x-ndjson" if api == "ollama" else "text/event-stream"
            self._send(made.answer(body), kind)

        def do_GET(self) -> None:
            self.send_error(404)

        def _send(self, data: bytes, kind: str) -> None:
            try:
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except ConnectionError:
                return

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made.origin = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        made.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
