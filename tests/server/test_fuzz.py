"""Wild input between good requests: random bytes, wrong lengths, wrong params. Every request is answered."""

import json
import os
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from server.methods import COMMANDS, CUSTOM, STANDARD
from server.to_lsp import uri_of
from tests.server.conftest import Serve

pytestmark = pytest.mark.timeout(300)
# More for a longer search: ANTIPHON_FUZZ_MESSAGES=100000.
MESSAGES = int(os.environ.get("ANTIPHON_FUZZ_MESSAGES", "3000"))
METHODS = [*STANDARD, *CUSTOM, "$/cancelRequest", "initialized", "initialize", "nonsense"]
KEYS = [
    "textDocument",
    "uri",
    "version",
    "text",
    "contentChanges",
    "range",
    "start",
    "end",
    "line",
    "character",
    "runId",
    "hunkIds",
    "decision",
    "all",
    "path",
    "goal",
    "root",
    "context",
    "diagnostics",
    "only",
    "command",
    "arguments",
    "event",
    "added",
    "removed",
    "changes",
    "token",
    "settings",
    "antiphon",
    "trusted",
    "plan",
    "afterSeq",
    "limit",
    "id",
    "data",
    "title",
    "previousResultIds",
    "languageId",
    "findingId",
    "approvalId",
    "budget",
]


class Wild:
    """Messages made from one seed."""

    def __init__(self, seed: int, root: Path) -> None:
        self._random = random.Random(seed)
        self._uri = uri_of(root / "a.txt")
        self._leaves: list[Any] = [
            None, 0, -1, 1.5, True, "", "x", "accept", self._uri, [], {}, 2**70, "\ud800", "r" * 3000,
        ]  # fmt: skip

    def value(self, depth: int = 0) -> Any:
        chance = self._random
        if depth > 3 or chance.random() < 0.5:
            return chance.choice(self._leaves)
        if chance.random() < 0.3:
            return [self.value(depth + 1) for _ in range(chance.randint(0, 3))]
        return {chance.choice(KEYS): self.value(depth + 1) for _ in range(chance.randint(0, 4))}

    def call(self) -> tuple[str, Any]:
        chance = self._random
        if chance.random() < 0.5:
            return chance.choice(METHODS), self.value()
        place = {"line": chance.choice([0, 1, -1, 10**9]), "character": chance.choice([0, 3, -1, 10**9])}
        document = {"uri": self._uri, "languageId": "x", "version": chance.randint(0, 9)}
        change = {"range": {"start": place, "end": place}, "text": chance.choice(["", "x", "\n", "\r", "😀"])}
        choices: list[tuple[str, Any]] = [
            ("textDocument/didOpen", {"textDocument": {**document, "text": "a\nb😀\r\nc"}}),
            ("textDocument/didChange", {"textDocument": document, "contentChanges": [change]}),
            ("textDocument/didClose", {"textDocument": document}),
            ("workspace/executeCommand", {"command": chance.choice(COMMANDS), "arguments": [self.value()]}),
        ]
        return chance.choice(choices)

    def noise(self) -> bytes:
        chance = self._random
        if chance.random() < 0.6:
            return bytes(chance.randrange(256) for _ in range(chance.randint(1, 80)))
        length = chance.choice([0, 1, 5, 300, 10**4, 10**12])
        return b"Content-Length: %d\r\n\r\n" % length + chance.choice([b"", b"{}", b"[]", b"\xff"])

    def messages(self, count: int) -> Iterator[tuple[str | None, bytes]]:
        """The request's id, if it is one, and what to send."""
        for number in range(count):
            if self._random.random() < 0.3:
                yield None, self.noise()
                continue
            method, params = self.call()
            request_id = f"wild-{number}" if self._random.random() < 0.6 else None
            message = {"jsonrpc": "2.0", "method": method, "params": params}
            body = json.dumps(message | ({"id": request_id} if request_id else {})).encode()
            yield request_id, b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("seed", range(3))
def test_every_request_among_wild_input_is_answered(serve: Serve, workspace: Path, seed: int) -> None:
    client = serve()
    client.initialize(workspace)
    client.command("run.list")
    asked = []
    for number, (request_id, data) in enumerate(Wild(seed, workspace).messages(MESSAGES)):
        if request_id is not None:
            asked.append(request_id)
        client.raw(data)
        if number % 100 == 99:
            client.request("textDocument/codeLens", {"textDocument": {"uri": "file:///x"}})
            client.refusals.clear()
    internal = []
    for request_id in asked:
        reply = client.until(partial(client._replies.pop, request_id, None), 60, request_id)
        if reply.get("error", {}).get("code") == -32603:
            internal.append(reply["error"])
    assert internal == []
    client.refusals.clear()
    client.close()
