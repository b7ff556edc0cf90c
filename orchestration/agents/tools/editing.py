"""The tools that change files: `edit_file`, `write_file`, `move_file`, `delete_file`.

They change the task's tree in memory. Where an edit lands is decided by `orchestration/edits`; whether
a path may be touched by the path guard, and for protected paths by a person.
"""

import msgspec

from orchestration.agents.tools.contract import Tool, ToolMistakeError, ToolOutcome, Workbench, parameters
from orchestration.edits.apply import apply_edits
from orchestration.edits.model import FileContent, FileEdit, TextReplacement
from orchestration.edits.text import BinaryContentError, FileText, UnencodableTextError
from providers.messages import ToolSpec

_PATH = {"type": "string", "description": "Path relative to the workspace root"}


class Replacement(msgspec.Struct, frozen=True):
    search: str
    replace: str


class EditFile(msgspec.Struct, frozen=True):
    path: str
    edits: list[Replacement]


class WriteFile(msgspec.Struct, frozen=True):
    path: str
    content: str


class MoveFile(msgspec.Struct, frozen=True):
    path: str
    to: str


class DeleteFile(msgspec.Struct, frozen=True):
    path: str


async def _edit_file(bench: Workbench, wanted: EditFile) -> ToolOutcome:
    if not wanted.edits:
        raise ToolMistakeError("`edits` is empty; give at least one {search, replace}.")
    path = await _writable(bench, wanted.path)
    replacements = tuple(TextReplacement(search=edit.search, replace=edit.replace) for edit in wanted.edits)
    outcome = apply_edits(
        [FileEdit(path=path, action="update", replacements=replacements)],
        lambda name: _content(bench, name),
    )
    if not outcome.applied:
        return ToolOutcome(outcome.explain(), is_error=True, subject=path)
    for file in outcome.files:
        if file.after is not None:
            bench.tree.write(file.path, file.after)
    return ToolOutcome(outcome.explain(), subject=path)


async def _write_file(bench: Workbench, wanted: WriteFile) -> ToolOutcome:
    path = await _writable(bench, wanted.path)
    before = bench.tree.read(path)
    bench.tree.write(path, _encoded(wanted.content, before))
    return ToolOutcome(f"{'created' if before is None else 'replaced'} {path}", subject=path)


async def _move_file(bench: Workbench, wanted: MoveFile) -> ToolOutcome:
    path = await _writable(bench, wanted.path)
    to = await _writable(bench, wanted.to)
    bench.tree.move(path, to)
    return ToolOutcome(f"moved {path} to {to}", subject=f"{path} -> {to}")


async def _delete_file(bench: Workbench, wanted: DeleteFile) -> ToolOutcome:
    path = await _writable(bench, wanted.path)
    bench.tree.delete(path)
    return ToolOutcome(f"deleted {path}", subject=path)


async def _writable(bench: Workbench, name: str) -> str:
    """The guarded path. Raises when it is protected and no person allows it."""
    path = bench.guard.inside(name)
    if reason := bench.guard.protected(path):
        allowed = await bench.ask(path, f"an agent wants to change {path}, which is protected: {reason}")
        if not allowed:
            raise ToolMistakeError(
                f"{path} is protected ({reason}) and nobody allowed the change; leave it as it is and say "
                "in `finish` what should be changed there."
            )
    return path


def _content(bench: Workbench, path: str) -> FileContent | None:
    data = bench.tree.read(path)
    return None if data is None else FileContent(data)


def _encoded(content: str, before: bytes | None) -> bytes:
    """The new content in the encoding of the file it replaces; its CRLF is kept where the model, as
    models do, wrote LF only.
    """
    if before is None:
        return content.encode("utf-8", errors="surrogatepass")
    try:
        old = FileText.decode(before)
    except BinaryContentError:
        return content.encode()
    text = content.removeprefix("\ufeff")
    if old.lines and "\r" not in text and all(line.endswith("\r\n") for line in old.lines[:-1] or old.lines):
        text = text.replace("\n", "\r\n")
    try:
        return FileText((text,), old.encoding, old.bom).encode()
    except UnencodableTextError:
        return text.encode()


EDIT_FILE = Tool(
    spec=ToolSpec(
        "edit_file",
        "Replace pieces of a file. Each `search` must be in the file exactly once, copied exactly; give "
        "enough lines around it to make it unique. Edits apply in order, all of them or none.",
        parameters(
            ("path", "edits"),
            path=_PATH,
            edits={
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "search": {"type": "string", "description": "Text that is in the file now"},
                        "replace": {"type": "string", "description": "What stands there afterwards"},
                    },
                    "required": ["search", "replace"],
                },
            },
        ),
    ),
    arguments=EditFile,
    call=_edit_file,
    subject=lambda wanted: str(wanted.path),
    edits=True,
)
WRITE_FILE = Tool(
    spec=ToolSpec(
        "write_file",
        "Create a file, or replace the whole content of one.",
        parameters(("path", "content"), path=_PATH, content={"type": "string"}),
    ),
    arguments=WriteFile,
    call=_write_file,
    subject=lambda wanted: str(wanted.path),
    edits=True,
)
MOVE_FILE = Tool(
    spec=ToolSpec(
        "move_file",
        "Move or rename a file.",
        parameters(
            ("path", "to"), path=_PATH, to={"type": "string", "description": "New path; nothing may be there"}
        ),
    ),
    arguments=MoveFile,
    call=_move_file,
    subject=lambda wanted: f"{wanted.path} -> {wanted.to}",
    edits=True,
)
DELETE_FILE = Tool(
    spec=ToolSpec("delete_file", "Delete a file.", parameters(("path",), path=_PATH)),
    arguments=DeleteFile,
    call=_delete_file,
    subject=lambda wanted: str(wanted.path),
    edits=True,
)
