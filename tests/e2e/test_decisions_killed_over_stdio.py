"""`kill -9` of the language server in the middle of a decision, at every step of it and at each moment of the
talk with the editor. The buffers outlive the server: what they and the files hold is what the next one goes by.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.e2e.test_decisions_killed import DYING, Files, Proposed, both, check_files
from tests.server.lsp_client import Editor, LspClient, LspError

pytestmark = pytest.mark.timeout(600)
OPEN = ("two.txt", "crlf.txt")


class Session:
    """A server, dying or not, and an editor in which two of the files are open as it left them."""

    def __init__(self, bench: Proposed, buffers: dict[str, str], *, steps: int = 0) -> None:
        self.bench = bench
        self.armed = bench.root.parent / "armed"
        self.armed.unlink(missing_ok=True)
        variables = {"ANTIPHON_DATA_DIR": str(bench.data)}
        home = bench.root.parent / "home"
        if steps:
            program = (
                sys.executable,
                "-I",
                str(DYING),
                str(steps),
                str(self.armed),
                "--",
                "serve",
                "--stdio",
            )
            self.client = LspClient(home, command=program, variables=variables)
        else:
            self.client = LspClient(home, variables=variables)
        self.client.initialize(bench.root)
        self.editor = Editor(self.client)
        self.uris = {path: self.editor.open(bench.root / path, text) for path, text in buffers.items()}

    def buffers(self) -> dict[str, str]:
        return {path: self.editor.text(uri) for path, uri in self.uris.items()}

    def states(self) -> dict[str, set[str]]:
        read = self.client.request("antiphon/changes/read", {"runId": self.bench.run_id})
        return {file["path"]: {hunk["state"] for hunk in file["hunks"]} for file in read["files"]}

    def accept(self) -> int:
        params = {"runId": self.bench.run_id, "all": True, "decision": "accept"}
        return self.client.ask("antiphon/changes/decide", params)

    def undo(self) -> int:
        return self.client.ask("antiphon/changes/undo", {"runId": self.bench.run_id})

    def undo_everything(self) -> None:
        for _ in range(5):
            try:
                self.client.answer(self.undo())
            except LspError as error:
                if "no decision to undo" in error.message:
                    return
                raise
        raise AssertionError("there is always one more decision to undo")

    def dies(self, number: int) -> bool:
        """Whether the server ended before it answered."""
        try:
            self.client.answer(number)
        except AssertionError:
            if not self.client.ended:
                raise
            self.client.kill()
            return True
        return False


class Case:
    """What the files and the buffers hold before and after everything is accepted."""

    def __init__(self, folder: Path) -> None:
        self.bench = Proposed(folder)

        async def prepare() -> tuple[Files, Files]:
            await self.bench.propose()
            return await both(self.bench)

        self.before, self.after = anyio.run(prepare)
        self.bench.again()

    def text(self, files: Files) -> dict[str, str]:
        return {path: files[path].decode("utf-8-sig") for path in OPEN}

    def closed(self, files: Files) -> Files:
        return {path: data for path, data in files.items() if path not in OPEN}

    def check(self, buffers: dict[str, str], begun: Files) -> None:
        """`begun`: the files of the open documents, which nobody saves, are as they were."""
        found = self.bench.files()
        check_files(self.closed(found), self.closed(self.before), self.closed(self.after))
        assert {path: found[path] for path in OPEN} == {path: begun[path] for path in OPEN}
        for path, text in buffers.items():
            assert text in {self.text(self.before)[path], self.text(self.after)[path]}, path

    def go_on(self, buffers: dict[str, str], *, undo: bool = False) -> None:
        """A new server: it tells what happened, decides the rest, and takes everything back."""
        found = self.bench.files()
        session = Session(self.bench, buffers)
        for path, states in session.states().items():
            if path in OPEN:
                happened = buffers[path] == self.text(self.after)[path]
            else:
                happened = found.get(path) == self.after.get(path)
            assert states == {"accepted" if happened else "proposed"}, path
        if undo:
            session.undo_everything()
            assert session.buffers() == self.text(self.before)
            assert self.closed(self.bench.files()) == self.closed(self.before)
        session.client.answer(session.accept())
        assert session.buffers() == self.text(self.after)
        assert self.closed(self.bench.files()) == self.closed(self.after)
        assert set.union(*session.states().values()) == {"accepted"}
        session.undo_everything()
        assert session.buffers() == self.text(self.before)
        assert self.closed(self.bench.files()) == self.closed(self.before)
        session.client.close(allow_errors=True)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def numbers() -> range:
    """Every step, or in a plain run of the tests one of sixteen."""
    return range(1, 1000, 1 if os.environ.get("ANTIPHON_EXAMPLES") else 16)


@pytest.mark.parametrize("decision", ["accept", "undo"])
def test_the_server_dies_at_every_step(case: Case, decision: str) -> None:
    died = 0
    for step in numbers():
        case.bench.again()
        session = Session(case.bench, case.text(case.before), steps=step)
        if decision == "undo":
            session.client.answer(session.accept())
        assert len(session.states()) == 8
        session.armed.touch()
        if not session.dies(session.accept() if decision == "accept" else session.undo()):
            session.client.kill()
            break
        died += 1
        case.check(session.buffers(), case.before)
        case.go_on(session.buffers(), undo=decision == "undo")
    assert died >= 3


def killed(session: Session) -> None:
    session.client.process.kill()
    session.client.process.wait()


def _received(session: Session, edit: dict[str, Any]) -> Any:
    del edit
    killed(session)
    return {"applied": False}


def _applied(session: Session, edit: dict[str, Any]) -> Any:
    """Before the server hears of the change."""
    killed(session)
    with suppress(BrokenPipeError):
        session.editor.apply(edit)
    return {"applied": True}


def _changed(session: Session, edit: dict[str, Any]) -> Any:
    session.editor.apply(edit)
    killed(session)
    return {"applied": True}


@pytest.mark.parametrize("moment", [_received, _applied, _changed], ids=lambda moment: moment.__name__[1:])
@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("decision", ["accept", "undo"])
def test_the_server_dies_while_the_editor_applies(
    case: Case, decision: str, nth: int, moment: Callable[[Session, dict[str, Any]], Any]
) -> None:
    session = Session(case.bench, case.text(case.before))
    if decision == "undo":
        session.client.answer(session.accept())
    edits = 0

    def apply(params: dict[str, Any]) -> Any:
        nonlocal edits
        edits += 1
        if edits == nth:
            return moment(session, params["edit"])
        session.editor.apply(params["edit"])
        return {"applied": True}

    session.client.on("workspace/applyEdit", apply)
    assert session.dies(session.accept() if decision == "accept" else session.undo())
    case.check(session.buffers(), case.before)
    case.go_on(session.buffers(), undo=decision == "undo")
