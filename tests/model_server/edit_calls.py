"""A solution as the tool calls with which a model would make it, from the stub as it is read.

Models see and write LF without a byte order mark; so do these calls. Keeping the file's own form is the
business of whoever applies them.
"""

import difflib
from collections.abc import Iterable

from tests.model_server.exercises import Exercise
from tests.model_server.replies import ToolCall

_CONTEXT_LINES = 2
_SAME_FILE = 0.6  # from this similarity on, a deleted and a created file are one that was renamed


def model_text(content: bytes) -> str:
    return content.decode("utf-8-sig").replace("\r\n", "\n")


def write_calls(exercise: Exercise) -> list[list[ToolCall]]:
    """One turn that writes every changed file whole and deletes what has to go."""
    writes = [write_file(exercise, path, content) for path, content in exercise.solution.items()]
    return [[*writes, *(_call(exercise, "delete_file", path) for path in exercise.deleted)]]


def edit_calls(exercise: Exercise) -> list[list[ToolCall]]:
    """Moves and deletions in a first turn, where there are any, then edits of what is there."""
    moves = dict(_renamed(exercise))
    first = [_call(exercise, "move_file", old, to=f"{exercise.name}/{new}") for old, new in moves.items()]
    first += [_call(exercise, "delete_file", path) for path in exercise.deleted if path not in moves]
    origin = {new: old for old, new in moves.items()}
    second = []
    for path, content in exercise.solution.items():
        stub = exercise.stub(origin.get(path, path))
        if stub is None:
            second.append(write_file(exercise, path, content))
        elif edits := search_replace(model_text(stub), model_text(content)):
            blocks = [{"search": search, "replace": replace} for search, replace in edits]
            second.append(_call(exercise, "edit_file", path, edits=blocks))
    return [turn for turn in (first, second) if turn]


def write_file(exercise: Exercise, path: str, content: bytes) -> ToolCall:
    return _call(exercise, "write_file", path, content=model_text(content))


def _call(exercise: Exercise, name: str, path: str, **arguments: object) -> ToolCall:
    return ToolCall(name, {"path": f"{exercise.name}/{path}", **arguments})


def _renamed(exercise: Exercise) -> Iterable[tuple[str, str]]:
    created = [path for path in exercise.solution if exercise.stub(path) is None]
    for old in exercise.deleted:
        before = model_text(exercise.stub(old) or b"")
        for new in created:
            after = model_text(exercise.solution[new])
            if difflib.SequenceMatcher(None, before, after, autojunk=False).ratio() >= _SAME_FILE:
                yield old, new
                created.remove(new)
                break


def search_replace(before: str, after: str) -> list[tuple[str, str]]:
    """Blocks of whole lines that turn one text into the other; each search stands in the text exactly once.

    Applied one after the other or all against the first text, the result is the same.
    """
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    blocks: list[tuple[int, int, int, int]] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            blocks.append((a, b, c, d))
    context = _CONTEXT_LINES
    while True:
        widened = _widened(blocks, context, len(old))
        pairs = [("".join(old[a:b]), "".join(new[c:d])) for a, b, c, d in widened]
        if all(search and before.count(search) == 1 for search, _ in pairs):
            return pairs
        if context > len(old):
            raise ValueError("an empty text cannot be edited: write it")
        context *= 2


def _widened(
    blocks: list[tuple[int, int, int, int]], context: int, end: int
) -> list[tuple[int, int, int, int]]:
    """Every block with so many equal lines around it; those that touch become one."""
    wide: list[tuple[int, int, int, int]] = []
    for a, b, c, d in blocks:
        above, below = min(context, a), min(context, end - b)
        block = (a - above, b + below, c - above, d + below)
        if wide and block[0] <= wide[-1][1]:
            wide[-1] = (wide[-1][0], block[1], wide[-1][2], block[3])
        else:
            wide.append(block)
    return wide
