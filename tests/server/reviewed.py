"""A finished run under review in an editor."""

from pathlib import Path
from typing import Any

import pytest

from tests.server.lsp_client import Editor, LspClient, LspError

TEXT = "".join(f"line {number}\n" for number in range(40))
EDITS = [{"search": f"line {number}\n", "replace": f"changed {number}\nnew\n"} for number in (5, 20, 35)]


class Review:
    """A finished run that proposes changes to `path`, open in an editor."""

    def __init__(
        self, client: LspClient, path: Path, edits: list[dict[str, str]], *, delay_s: float = 0.0
    ) -> None:
        self.client = client
        self.editor = Editor(client, delay_s)
        self.path = path
        self.edits = edits
        self.uri = ""
        self.run = ""

    def begin(self, text: str) -> None:
        self.path.write_bytes(text.encode())
        self.uri = self.editor.open(self.path)
        self.run = self.client.command("run.start", {"goal": "edit"})["runId"]
        self.client.request("antiphon/run/subscribe", {"runId": self.run})
        self.client.wait_for("antiphon/event", lambda p: p["type"] == "run_finished", 60)
        self.lenses(at_least=1)

    def lenses(self, *, at_least: int = 0) -> list[dict[str, Any]]:
        """Waits for the client to be told of lenses, as an editor that refreshes does."""
        while len(found := self.editor.lenses(self.uri)) < at_least:
            self.client.wait_for("workspace/codeLens/refresh")
        return found

    def titles(self) -> list[tuple[int, str]]:
        return [(lens["range"]["start"]["line"], lens["command"]["title"]) for lens in self.lenses()]

    def decide(self, line: int, verb: str) -> Any:
        lens = next(
            lens
            for lens in self.lenses()
            if lens["range"]["start"]["line"] == line and lens["command"]["title"].startswith(verb)
        )
        return self.editor.run(lens["command"])

    def conflict(self, line: int) -> Any:
        """Accepts what cannot be accepted; gives the outcome of its file."""
        with pytest.raises(LspError) as caught:
            self.decide(line, "Accept")
        assert caught.value.data["kind"] == "ConflictError"
        return caught.value.data["files"][0]

    @property
    def text(self) -> str:
        return self.editor.text(self.uri)
