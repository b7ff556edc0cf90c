"""A small LSP client over a server's pipes, made for measuring: it answers what servers ask and takes the time.

It is no editor: documents are opened and never changed, progress is dropped.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-16"]},
    "textDocument": {
        "synchronization": {"didSave": True},
        "codeLens": {},
        "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["quickfix"]}}},
        "publishDiagnostics": {"versionSupport": True},
    },
    "window": {"workDoneProgress": True},
    "workspace": {
        "applyEdit": True,
        "workspaceEdit": {"documentChanges": True},
        "codeLens": {"refreshSupport": True},
        "workspaceFolders": True,
    },
}


class RequestFailedError(RuntimeError):
    """Raised when the server answers with an error, or ends."""


class LanguageClient:
    """One server process. `on_notification(method, params)` is called for every notification, `on_request` for every
    request of the server, which is answered by then.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next = 1
        self._ended: RequestFailedError | None = None
        self.on_notification: Callable[[str, Any], None] = lambda _method, _params: None
        self.on_request: Callable[[str, Any], None] = lambda _method, _params: None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def request(self, method: str, params: Any) -> Any:
        """Raises RequestFailedError."""
        if self._ended is not None:
            raise self._ended
        number, self._next = self._next, self._next + 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return await answer

    async def timed(self, method: str, params: Any) -> float:
        """Seconds from sending a request to its whole answer."""
        began = time.perf_counter()
        await self.request(method, params)
        return time.perf_counter() - began

    def notify(self, method: str, params: Any) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def initialize(self, root: Path) -> Any:
        params = {
            "processId": os.getpid(),
            "rootUri": root.as_uri(),
            "workspaceFolders": [{"uri": root.as_uri(), "name": root.name}],
            "capabilities": CAPABILITIES,
        }
        result = await self.request("initialize", params)
        self.notify("initialized", {})
        return result

    def open(self, file: Path) -> dict[str, str]:
        """Opens a document; its identifier."""
        document = {
            "uri": file.as_uri(),
            "languageId": "python",
            "version": 1,
            "text": file.read_text(encoding="utf-8"),
        }
        self.notify("textDocument/didOpen", {"textDocument": document})
        return {"uri": file.as_uri()}

    async def read(self) -> None:
        """Reads messages until the server ends."""
        assert self._process.stdout is not None
        try:
            while True:
                head = await self._process.stdout.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                self._take(json.loads(await self._process.stdout.readexactly(length)))
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            ended = isinstance(error, asyncio.IncompleteReadError)
            why = "the server ended" if ended else f"unreadable: {error!r}"
            self._ended = RequestFailedError(why)
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(self._ended)

    def _take(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            answer = self._waiting.pop(message["id"])
            if answer.done():
                return
            if "error" in message:
                answer.set_exception(RequestFailedError(json.dumps(message["error"])))
            else:
                answer.set_result(message.get("result"))
        elif "id" in message:
            items = (message.get("params") or {}).get("items", ())
            result = [None for _ in items] if message["method"] == "workspace/configuration" else None
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": result})
            self.on_request(message["method"], message.get("params"))
        else:
            self.on_notification(message["method"], message.get("params"))

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps(message).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


@asynccontextmanager
async def language_server(
    command: Sequence[str], env: Mapping[str, str], cwd: Path
) -> AsyncIterator[LanguageClient]:
    """A server process; it is asked to shut down at the end, and killed when it does not within 10 s."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=dict(env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 24,
    )
    client = LanguageClient(process)
    reading = asyncio.create_task(client.read())
    try:
        yield client
        await client.request("shutdown", None)
        client.notify("exit", None)
        await asyncio.wait_for(process.wait(), 10)
    finally:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        reading.cancel()
