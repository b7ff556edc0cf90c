"""Edits of open buffers when the editor is late, silent or of another mind: both ends of the wire in one process."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestration.documents import Document, SinkResult
from orchestration.review.standing import FileWrite
from server.client import Client
from server.client_profile import ClientProfile
from server.editor_documents import BufferDocuments
from server.framing import Framer
from server.jsonrpc import Message, Request, Response, result_reply
from server.session import Session
from server.text_buffer import Change, OpenText, Place
from server.to_lsp import uri_of
from server.transport import StdioTransport
from server.wire import encode

BEFORE = ["one\n", "two\n", "three\n"]
AFTER = "one\nTWO\nthree\n"
PROFILE = ClientProfile(
    apply_edit=True, document_changes=True, resource_operations=frozenset({"rename", "delete"})
)


class Wire:
    """`documents` talk to an editor of which `asked` are the edits it got; the test says what it answers and
    what the server hears of the buffer.
    """

    def __init__(self, root: Path, server_end: tuple[int, int], editor_end: tuple[int, int]) -> None:
        self.session = Session(PROFILE)
        self.asked: list[Request] = []
        self.reasons: list[str] = []
        self.on_asked: Callable[[Request], None] = lambda _: None
        transport = StdioTransport(
            *server_end, Framer(), on_message=self._answered, on_end=self.reasons.append
        )
        self.client = Client(PROFILE, transport)
        self._editor = StdioTransport(
            *editor_end, Framer(), on_message=self._asked, on_end=self.reasons.append
        )
        self.transports = (transport, self._editor)
        self.documents = BufferDocuments(
            root, self.session, self.client, seen_within_s=0.3, reply_within_s=0.3
        )
        self.uri = uri_of(root / "a.txt")
        self.session.opened(OpenText(self.uri, str(root / "a.txt"), 1, BEFORE))
        for end in self.transports:
            end.start()

    def _answered(self, message: Message) -> None:
        assert isinstance(message, Response)
        self.client.answered(message)

    def _asked(self, message: Message) -> None:
        if isinstance(message, Request):
            self.asked.append(message)
            self.on_asked(message)

    def answer(self, request: Request, result: Any) -> None:
        self._editor.send(encode(result_reply(request.id, result)))

    def change(self, line: int, text: str) -> None:
        """The server hears that a line of the buffer is another one."""
        version = self.buffer.version + 1
        self.session.changed(self.uri, version, [Change(text, Place(line, 0), Place(line + 1, 0))])

    @property
    def buffer(self) -> OpenText:
        document = self.session.document(self.uri)
        assert document is not None
        return document

    async def apply(self, text: str = AFTER) -> SinkResult:
        buffer = self.buffer
        document = Document(buffer.text, buffer.version, buffer.dirty)
        return await self.documents.apply("a.txt", document, text, "accept")


@contextmanager
def pipes() -> Iterator[tuple[int, ...]]:
    ends = (*os.pipe(), *os.pipe())
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
async def wire(tmp_path: Path) -> Any:
    with pipes() as (to_editor, from_server, to_server, from_editor):
        made = Wire(tmp_path, (to_server, from_server), (to_editor, from_editor))
        yield made
        for transport in made.transports:
            transport.close()


async def test_an_answer_and_the_change(wire: Wire) -> None:
    def apply(request: Request) -> None:
        wire.answer(request, {"applied": True})
        wire.change(1, "TWO\n")

    wire.on_asked = apply
    assert await wire.apply() == SinkResult("seen")
    assert len(wire.asked) == 1


async def test_the_change_without_an_answer(wire: Wire) -> None:
    wire.on_asked = lambda _: wire.change(1, "TWO\n")
    assert (await wire.apply()).outcome == "seen"


async def test_neither_in_time_is_unknown_and_not_sent_again(wire: Wire) -> None:
    result = await wire.apply()
    assert (result.outcome, len(wire.asked)) == ("unknown", 1)
    assert "0.3 s" in result.detail
    # It comes late: the buffer holds it, and a late answer disturbs nobody.
    wire.change(1, "TWO\n")
    wire.answer(wire.asked[0], {"applied": True})
    assert await wire.apply() == SinkResult("seen")
    assert len(wire.asked) == 1


async def test_applied_but_not_seen_in_time(wire: Wire) -> None:
    wire.on_asked = lambda request: wire.answer(request, {"applied": True})
    result = await wire.apply()
    assert result == SinkResult("conflict", "changed in the editor before the edit arrived")


async def test_the_same_lines_typed_over(wire: Wire) -> None:
    """The user's text and ours are both gone: nobody can say what happened."""

    def both(request: Request) -> None:
        wire.answer(request, {"applied": True})
        wire.change(1, "something else\n")

    wire.on_asked = both
    assert (await wire.apply()).outcome == "unknown"


@pytest.mark.parametrize("answer", [None, 5, {}, {"applied": "yes"}, {"applied": False}])
async def test_whatever_is_no_yes_is_a_no(wire: Wire, answer: Any) -> None:
    wire.on_asked = lambda request: wire.answer(request, answer)
    result = await wire.apply()
    assert result == SinkResult("conflict", "the editor refused the edit")
    assert wire.buffer.text == "".join(BEFORE)


async def test_one_edit_at_a_time(wire: Wire) -> None:
    """The second edit is made for the text that the first one left, and sent when that was seen."""
    wire.on_asked = lambda request: wire.answer(request, {"applied": True})
    results: list[SinkResult] = []

    async def first() -> None:
        results.append(await wire.apply())

    async def second() -> None:
        document = Document(AFTER, 2, dirty=True)
        results.append(await wire.documents.apply("a.txt", document, "one\nTWO\nTHREE\n", "accept"))

    def third(request: Request) -> None:
        wire.answer(request, {"applied": True})
        wire.change(2, "THREE\n")

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        assert len(wire.asked) <= 1
        while not wire.asked:
            await anyio.lowlevel.checkpoint()
        wire.on_asked = third
        wire.change(1, "TWO\n")
    assert [result.outcome for result in results] == ["seen", "seen"]
    assert wire.buffer.text == "one\nTWO\nTHREE\n"


async def test_a_move_with_an_edit(wire: Wire, tmp_path: Path) -> None:
    """The file is renamed first; what changes in it is an ordinary edit of the buffer under its new name."""
    old, new = tmp_path / "a.txt", tmp_path / "b.txt"
    old.write_text("".join(BEFORE))
    edits: list[dict[str, Any]] = []

    def carry_out(request: Request) -> None:
        [change] = request.params["edit"]["documentChanges"]
        edits.append(change)
        wire.answer(request, {"applied": True})
        if change.get("kind") == "rename":
            old.rename(new)
            wire.session.closed(wire.uri)
            wire.uri = change["newUri"]
            wire.session.opened(OpenText(wire.uri, str(new), 1, BEFORE))
        else:
            wire.change(1, "TWO\n")

    wire.on_asked = carry_out
    came = FileWrite("b.txt", None, AFTER.encode())
    gone = FileWrite("a.txt", "".join(BEFORE).encode(), None)
    done = await wire.documents.carry_out((came, gone), "accept")
    assert done == {"b.txt": SinkResult("seen"), "a.txt": SinkResult("written")}
    assert edits[0]["options"] == {"overwrite": False, "ignoreIfExists": False}
    assert edits[1]["textDocument"] == {"uri": uri_of(new), "version": 1}
    assert wire.buffer.text == AFTER


async def test_what_is_not_open_or_stays_is_not_for_the_editor(wire: Wire) -> None:
    writes = (
        FileWrite("other.txt", b"x", None),
        FileWrite("a.txt", b"x", b"y"),
        FileWrite("new.txt", None, b""),
    )
    assert await wire.documents.carry_out(writes, "accept") == {}
    assert wire.asked == []


async def test_closed_while_it_is_under_way(wire: Wire) -> None:
    def close(request: Request) -> None:
        wire.session.closed(wire.uri)
        wire.answer(request, {"applied": True})

    wire.on_asked = close
    assert await wire.apply() == SinkResult("unknown", "closed before the edit was seen")
    closed = await wire.documents.apply("a.txt", Document("", 1, dirty=False), AFTER, "accept")
    assert closed == SinkResult("conflict", "no longer open in the editor")
