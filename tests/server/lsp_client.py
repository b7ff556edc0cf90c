"""A small LSP client over a real server process, for tests: raw messages in and out, nothing interpreted.

`LspClient` answers the server's own requests by handlers (`on`); what no test consumed is checked when it
is closed: an error that nobody looked at fails the test. `Editor` adds documents and applies edits as an
editor does, telling the server late if asked to.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from orchestration.edits.text import split_lines
from server.client_profile import PositionEncoding
from server.text_buffer import Change, OpenText, Place
from server.to_lsp import uri_of

PROGRAM = Path(sys.executable).with_name("antiphon")
SERVE = (str(PROGRAM), "serve", "--stdio")
Json = dict[str, Any]
Handler = Callable[[Any], Any]
TIMEOUT_S = 60.0

CAPABILITIES: Json = {
    "general": {"positionEncodings": ["utf-16"]},
    "window": {"workDoneProgress": True},
    "workspace": {
        "applyEdit": True,
        "workspaceEdit": {"documentChanges": True},
        "codeLens": {"refreshSupport": True},
    },
    "textDocument": {
        "publishDiagnostics": {"dataSupport": True, "codeDescriptionSupport": True, "versionSupport": True},
        "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["quickfix"]}}},
    },
}


class LspError(Exception):
    """The server's error reply."""

    def __init__(self, error: Json) -> None:
        super().__init__(json.dumps(error))
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


class Refused(Exception):  # noqa: N818 - raised by handlers to answer with an error, no error of the test
    """A handler's error reply to the server."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Received:
    """A notification from the server, or one of its requests after it was answered."""

    method: str
    params: Any
    used: bool = False


def environment(home: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """A minimal one, with `home` as the user's home."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), **(variables or {})}


class LspClient:
    def __init__(
        self,
        home: Path,
        *,
        command: Sequence[str] = SERVE,
        variables: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd or home,
            env=environment(home, variables),
        )
        self.encoding: PositionEncoding = "utf-16"
        self.errors = bytearray()
        self.received: list[Received] = []
        self.refusals: list[Json] = []
        self._replies: dict[Any, Json] = {}
        self._handlers: dict[str, Handler] = {
            "window/workDoneProgress/create": lambda _: None,
            "workspace/codeLens/refresh": lambda _: None,
            "workspace/diagnostic/refresh": lambda _: None,
        }
        self._next_id = 0
        self._arrived = threading.Condition()
        self._sending = threading.Lock()
        self.ended = False
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    # --- life ----------------------------------------------------------------------------------------

    def initialize(
        self,
        root: Path | None = None,
        *,
        capabilities: Json | None = None,
        options: Json | None = None,
        process_id: int | None = None,
        ready: bool = True,
    ) -> Json:
        params: Json = {
            "processId": process_id,
            "rootUri": None,
            "workspaceFolders": [{"uri": uri_of(root), "name": root.name}] if root else None,
            "capabilities": CAPABILITIES if capabilities is None else capabilities,
            "clientInfo": {"name": "test"},
        }
        if options is not None:
            params["initializationOptions"] = options
        result: Json = self.request("initialize", params)
        self.encoding = result["capabilities"]["positionEncoding"]
        if ready:
            self.notify("initialized", {})
        return result

    def close(self, *, expect: int = 0, allow_errors: bool = False) -> None:
        """Shuts the server down, checks its exit code and that nobody overlooked an error."""
        if self.process.poll() is None and not self.ended:
            self.request("shutdown")
            self.notify("exit")
        code = self.wait_exit()
        assert code == expect, f"exit {code}\n{self.errors.decode(errors='replace')[-4000:]}"
        self.check(allow_errors=allow_errors)

    def check(self, *, allow_errors: bool = False) -> None:
        if allow_errors:
            return
        shown = [
            item.params for item in self.received if item.method == "window/showMessage" and not item.used
        ]
        assert not [item for item in shown if item["type"] == 1], shown
        assert not self.refusals, self.refusals
        assert b"Traceback" not in self.errors, self.errors.decode(errors="replace")[-8000:]

    def wait_exit(self, timeout: float = TIMEOUT_S) -> int:
        code = self.process.wait(timeout)
        for thread in self._threads:
            thread.join(timeout)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue
        return code

    def kill(self) -> None:
        """For teardown: whatever happened, nothing stays."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait_exit()

    # --- talking -------------------------------------------------------------------------------------

    def raw(self, data: bytes) -> None:
        stdin = self.process.stdin
        assert stdin is not None
        with self._sending:
            stdin.write(data)
            stdin.flush()

    def send(self, message: Any) -> None:
        body = json.dumps(message).encode()
        self.raw(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def notify(self, method: str, params: Any = None) -> None:
        message: Json = {"jsonrpc": "2.0", "method": method}
        self.send(message if params is None else message | {"params": params})

    def ask(self, method: str, params: Any = None) -> int:
        """Sends a request; `answer` waits for what comes."""
        self._next_id += 1
        message: Json = {"jsonrpc": "2.0", "id": self._next_id, "method": method}
        self.send(message if params is None else message | {"params": params})
        return self._next_id

    def request(self, method: str, params: Any = None, timeout: float = TIMEOUT_S) -> Any:
        return self.answer(self.ask(method, params), timeout)

    def answer(self, request_id: Any, timeout: float = TIMEOUT_S) -> Any:
        reply = self.until(lambda: self._replies.pop(request_id, None), timeout, f"a reply to {request_id!r}")
        if "error" in reply:
            raise LspError(reply["error"])
        return reply["result"]

    def command(self, name: str, *arguments: Any, timeout: float = TIMEOUT_S) -> Any:
        """One of our commands by the end of its id, as an editor without a plugin sends it."""
        params = {"command": f"antiphon.server.{name}", "arguments": list(arguments)}
        return self.request("workspace/executeCommand", params, timeout)

    def on(self, method: str, handler: Handler) -> None:
        """How to answer a request of the server; called in the reading thread."""
        self._handlers[method] = handler

    def wait_for(
        self, method: str, where: Callable[[Any], bool] = lambda _: True, timeout: float = TIMEOUT_S
    ) -> Any:
        """The params of the first message of this kind that no one waited for yet."""

        def first() -> Received | None:
            for item in self.received:
                if not item.used and item.method == method and where(item.params):
                    item.used = True
                    return item
            return None

        return self.until(first, timeout, method).params

    def all(self, method: str) -> list[Any]:
        with self._arrived:
            return [item.params for item in self.received if item.method == method]

    def until(self, look: Callable[[], Any], timeout: float, what: str) -> Any:
        """What `look` finds, looked for anew after each message."""
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                found = look()
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or (self.ended and not found):
                    state = "the server ended" if self.ended else f"nothing in {timeout:g} s"
                    log = self.errors.decode(errors="replace")[-6000:]
                    seen = [item.method for item in self.received][-30:]
                    raise AssertionError(f"waiting for {what}: {state}\n{seen}\n{self.refusals}\n{log}")
                self._arrived.wait(left)

    # --- reading -------------------------------------------------------------------------------------

    def _read(self) -> None:
        stdout = self.process.stdout
        assert stdout is not None
        while (message := read_message(stdout)) is not None:
            self._take(message)
        with self._arrived:
            self.ended = True
            self._arrived.notify_all()

    def _read_errors(self) -> None:
        stderr = self.process.stderr
        assert stderr is not None
        while data := stderr.read1(65536):  # type: ignore[attr-defined]  # a buffered reader has it
            self.errors += data

    def _take(self, message: Json) -> None:
        if "method" in message and "id" in message:
            self._serve(message)
        with self._arrived:
            if "method" in message:
                self.received.append(Received(message["method"], message.get("params")))
            elif message["id"] is None:
                self.refusals.append(message["error"])
            else:
                self._replies[message["id"]] = message
            self._arrived.notify_all()

    def _serve(self, message: Json) -> None:
        handler = self._handlers.get(message["method"])
        reply: Json = {"jsonrpc": "2.0", "id": message["id"]}
        if handler is None:
            error = {"code": -32601, "message": f"no {message['method']} here"}
            self._reply(reply | {"error": error})
            return
        try:
            result = handler(message.get("params"))
        except Refused as refused:
            self._reply(reply | {"error": {"code": refused.code, "message": str(refused)}})
            return
        if result is not NO_REPLY:
            self._reply(reply | {"result": result})

    def _reply(self, reply: Json) -> None:
        try:
            self.send(reply)
        except BrokenPipeError:
            return


NO_REPLY = object()


def path_of(uri: str) -> Path:
    return Path(unquote(uri.removeprefix("file://")))


def read_message(stream: Any) -> Json | None:
    """None at the end of the stream. Anything that is no message fails."""
    length = None
    while True:
        line = stream.readline()
        if not line:
            return None
        if line == b"\r\n":
            break
        name, _, value = line.partition(b": ")
        assert name == b"Content-Length", line
        length = int(value)
    assert length is not None
    body = stream.read(length)
    message = json.loads(body)
    assert message["jsonrpc"] == "2.0"
    return dict(message)


@dataclass
class Editor:
    """Open documents over a client. `delay_s`: how late the server hears of a change; `on_apply` may look at
    or refuse an edit before it is applied (return a reply to refuse).
    """

    client: LspClient
    delay_s: float = 0.0
    documents: dict[str, OpenText] = field(default_factory=dict)
    edits: list[Json] = field(default_factory=list)
    on_apply: Callable[[Json], Json | None] = lambda _: None

    def __post_init__(self) -> None:
        self.client.on("workspace/applyEdit", self._apply_edit)

    def open(self, path: Path, text: str | None = None) -> str:
        uri = uri_of(path)
        content = path.read_bytes().decode() if text is None else text
        self.documents[uri] = OpenText(uri, str(path), 1, split_lines(content))
        item = {"uri": uri, "languageId": "plain", "version": 1, "text": content}
        self.client.notify("textDocument/didOpen", {"textDocument": item})
        return uri

    def text(self, uri: str) -> str:
        return self.documents[uri].text

    def edit(self, uri: str, start: tuple[int, int], end: tuple[int, int], text: str) -> None:
        """As typed by the user; places are line and column in the client's units."""
        self._change(uri, [Change(text, Place(*start), Place(*end))])

    def replace(self, uri: str, text: str) -> None:
        """The whole text at once, as formatters and clients without ranges send it."""
        before = self.documents[uri]
        version = before.version + 1
        self.documents[uri] = OpenText(uri, before.path, version, split_lines(text), dirty=True)
        params = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"text": text}]}
        self.client.notify("textDocument/didChange", params)

    def save(self, uri: str) -> None:
        document = self.documents[uri]
        assert document.path is not None
        Path(document.path).write_bytes(document.text.encode())
        self.client.notify("textDocument/didSave", {"textDocument": {"uri": uri}})

    def close(self, uri: str) -> None:
        del self.documents[uri]
        self.client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def lenses(self, uri: str) -> list[Json]:
        found: list[Json] = self.client.request("textDocument/codeLens", {"textDocument": {"uri": uri}})
        return found

    def actions(self, uri: str, line: int, *, only: list[str] | None = None) -> list[Json]:
        at = {"line": line, "character": 0}
        context: Json = {"diagnostics": []} | ({"only": only} if only else {})
        params = {"textDocument": {"uri": uri}, "range": {"start": at, "end": at}, "context": context}
        found: list[Json] = self.client.request("textDocument/codeAction", params)
        return found

    def run(self, command: Json) -> Any:
        """What an editor does with the command of a lens or an action."""
        params = {"command": command["command"], "arguments": command["arguments"]}
        return self.client.request("workspace/executeCommand", params)

    def apply(self, edit: Json) -> None:
        """A workspace edit, by the rules of the protocol: all ranges speak of the text before."""
        for change in edit["documentChanges"]:
            if "kind" in change:
                self._operate(change)
                continue
            uri, version = change["textDocument"]["uri"], change["textDocument"]["version"]
            if version != self.documents[uri].version:
                raise Refused(-32801, "the document has changed")
            changes = [
                Change(item["newText"], Place(**item["range"]["start"]), Place(**item["range"]["end"]))
                for item in reversed(change["edits"])
            ]
            self._change(uri, changes)

    def _operate(self, change: Json) -> None:
        """A rename or deletion of a file, whose buffer goes along."""
        if change["kind"] == "delete":
            path_of(change["uri"]).unlink()
            self.close(change["uri"])
            return
        assert change["kind"] == "rename"
        old, new = path_of(change["oldUri"]), path_of(change["newUri"])
        if new.exists() and not change["options"]["overwrite"]:
            raise Refused(-32803, "it exists already")
        text = self.text(change["oldUri"])
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
        self.close(change["oldUri"])
        self.open(new, text)

    def _apply_edit(self, params: Json) -> Json:
        self.edits.append(params)
        refusal = self.on_apply(params)
        if refusal is not None:
            return refusal
        try:
            self.apply(params["edit"])
        except Refused as refused:
            return {"applied": False, "failureReason": str(refused)}
        return {"applied": True}

    def _change(self, uri: str, changes: Sequence[Change]) -> None:
        before = self.documents[uri]
        after, _ = before.changed(changes, before.version + 1, self.client.encoding)
        self.documents[uri] = after
        events = [
            {
                "range": {
                    "start": {"line": change.start.line, "character": change.start.character},
                    "end": {"line": change.end.line, "character": change.end.character},
                },
                "text": change.text,
            }
            for change in changes
            if change.start is not None and change.end is not None
        ]
        params = {"textDocument": {"uri": uri, "version": after.version}, "contentChanges": events}
        if self.delay_s:
            threading.Timer(self.delay_s, self.client.notify, ("textDocument/didChange", params)).start()
        else:
            self.client.notify("textDocument/didChange", params)
