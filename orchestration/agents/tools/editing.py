"""The tools that change files: `edit_file`, `write_file`, `move_file`, `delete_file`.

They change the task's tree in memory. Where an edit lands is decided by `orchestration/edits`; whether
a path may be touched by the path guard, and for protected paths by a person.
"""

import msgspec

from orchestration.agents.tools.contract import Tool, ToolMistakeError, ToolOutcome, Workbench, parameters
from orchestration.edits.apply import apply_edits
from orchestration.edits.model import FileContent, FileEdit
from orchestration.edits.parse.tool_forms import edit_file, write_file
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
    return _apply(bench, edit_file(path, [(edit.search, edit.replace) for edit in wanted.edits]))


async def _write_file(bench: Workbench, wanted: WriteFile) -> ToolOutcome:
    path = await _writable(bench, wanted.path)
    return _apply(bench, write_file(path, wanted.content))


def _apply(bench: Workbench, edit: FileEdit) -> ToolOutcome:
    outcome = apply_edits([edit], lambda name: _content(bench, name))
    for file in outcome.files:
        if file.after is not None:
            bench.tree.write(file.path, file.after)
    return ToolOutcome(outcome.explain(), is_error=not outcome.applied, subject=edit.path)


async def _move_file(bench: Workbench, wanted: MoveFile) -> ToolOutcome:
    path = await _writable(bench, wanted.path, itself=True)
    to = await _writable(bench, wanted.to, itself=True)
    bench.tree.move(path, to)
    return ToolOutcome(f"moved {path} to {to}", subject=f"{path} -> {to}")


async def _delete_file(bench: Workbench, wanted: DeleteFile) -> ToolOutcome:
    path = await _writable(bench, wanted.path, itself=True)
    bench.tree.delete(path)
    return ToolOutcome(f"deleted {path}", subject=path)


async def _writable(bench: Workbench, name: str, *, itself: bool = False) -> str:
    """The guarded path. Raises when it, or what its links lead to, is protected and no person allows it.
    `itself`: a link at the path is meant, not its target.
    """
    path = bench.guard.inside(name)
    if not path:
        raise ToolMistakeError("That is the workspace itself; name a file in it.")
    target = path if itself else bench.guard.inside(bench.tree.resolve(path))
    for place in dict.fromkeys((path, target)):
        if reason := bench.guard.protected(place):
            allowed = await bench.ask(
                place, f"an agent wants to change {place}, which is protected: {reason}"
            )
            if not allowed:
                raise ToolMistakeError(
                    f"{place} is protected ({reason}) and nobody allowed the change; leave it as it is and "
                    "say in `finish` what should be changed there."
                )
    return path


def _content(bench: Workbench, path: str) -> FileContent | None:
    target = bench.tree.resolve(path)
    if reason := bench.tree.left_out(target):
        raise ToolMistakeError(f"{path} exists but is not available to agents ({reason}) and stays as it is.")
    data = bench.tree.read(path)
    if data is None:
        return FileContent(kind="directory") if bench.tree.is_folder(target) else None
    return FileContent(data)


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
