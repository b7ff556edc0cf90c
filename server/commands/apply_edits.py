"""`antiphon apply-edits`: edits as a model wrote them, applied to files or refused with the reason.

The text comes from a model, so paths are held to the same rules as an agent's: inside the root, no control
folders, nothing protected. All is written or nothing: a write that fails takes back the ones before it.
"""

import argparse
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, output_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestration.edits.model import FileContent, FileResult, Outcome
    from orchestration.workspace.files import UserFiles
    from orchestration.workspace.path_guard import PathGuard
    from server.terminal.terminal import Terminal

EXAMPLES = """  antiphon apply-edits < answer.txt
  antiphon apply-edits --format unified_diff --dry-run < change.diff
  antiphon apply-edits --root src --json < answer.txt

Exit code 0: everything was applied. 1: refused with reasons, nothing changed.
"""
_LARGEST_INPUT = 256 << 20
_Step = tuple[str, bytes | None, bytes | None, int | None]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root", metavar="DIR", help="the folder the paths are relative to (default: the current one)"
    )
    parser.add_argument(
        "--format",
        choices=("auto", "search_replace", "unified_diff", "apply_patch"),
        default="auto",
        metavar="NAME",
        help="auto (found out, the default), search_replace, unified_diff or apply_patch",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would happen; write nothing")
    parser.add_argument(
        "--allow-protected",
        action="store_true",
        help="edit protected files, too: instructions of agents, editors' settings, CI definitions",
    )
    output_options(parser)


def execute(invocation: Invocation) -> int:
    from orchestration.edits.command import apply_edits_text, outcome_json
    from orchestration.workspace.files import WorkspaceFiles
    from orchestration.workspace.path_guard import PathGuard
    from server.commands.workspace import resolved

    args, terminal = invocation.args, invocation.terminal
    root = resolved(args.root)
    text = _input()
    guard = PathGuard(root)
    outcome = apply_edits_text(
        text, args.format, lambda path: read(guard, path, protected=args.allow_protected)
    )
    if outcome.applied and not args.dry_run:
        write(WorkspaceFiles(root, guard), root, outcome.files)
    code = 0 if outcome.applied else 1
    terminal.emit({**outcome_json(outcome), "dryRun": args.dry_run, "exitCode": code})
    _say(terminal, outcome, dry_run=args.dry_run)
    return code


def read(guard: "PathGuard", path: str, *, protected: bool) -> "FileContent | None":
    """What is at a path of an edit; a link is named as one and not followed. `protected`: such paths may be
    edited, too. Raises PathRefusedError.
    """
    from orchestration.edits.model import FileContent
    from orchestration.errors import PathRefusedError, WorkspaceError

    relative = guard.inside(path)
    if not protected and (reason := guard.protected(relative)):
        raise PathRefusedError(f"{reason}, so it is protected; --allow-protected edits it all the same")
    guard.resolve(relative)
    file = guard.root / relative
    try:
        state = file.lstat()
        if stat.S_ISLNK(state.st_mode):
            return FileContent(kind="symlink")
        if stat.S_ISDIR(state.st_mode):
            return FileContent(kind="directory")
        if not stat.S_ISREG(state.st_mode):
            return FileContent(kind="other")
        return FileContent(file.read_bytes(), stat.S_IMODE(state.st_mode))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be read: {error.strerror}") from error


def write(files: "UserFiles", root: Path, results: "Sequence[FileResult]") -> None:
    """Everything, or nothing: raises what the first failing write raised, with the others taken back."""
    done: list[_Step] = []
    try:
        for path, before, after, mode in _steps(root, results):
            _place(files, path, before, after, mode)
            done.append((path, before, after, mode))
    except Exception:
        for path, before, after, mode in reversed(done):
            _place(files, path, after, before, mode)
        raise


def _steps(root: Path, results: "Sequence[FileResult]") -> "list[_Step]":
    """Path, bytes before and after (None: no file), permission bits. A moved file is written, then removed."""
    from orchestration.workspace.objects import EXECUTABLE, FILE

    steps: list[_Step] = []
    removed: list[_Step] = []
    for result in results:
        bits, before = result.mode, result.before
        if result.moved_from is not None:
            if bits is None:
                bits = stat.S_IMODE((root / result.moved_from).stat().st_mode)
            removed.append((result.moved_from, before, None, None))
            before = None
        mode = None if bits is None else EXECUTABLE if bits & 0o111 else FILE
        steps.append((result.path, before, result.after, mode))
    return steps + removed


def _place(
    files: "UserFiles", path: str, before: bytes | None, after: bytes | None, mode: int | None
) -> None:
    from orchestration.workspace.files import digest_of

    expected = "" if before is None else digest_of(before)
    if after is None:
        files.delete(path, expected=expected)
    else:
        files.write(path, after, expected=expected, mode=mode)


def _input() -> str:
    """Raises UsageError for a text that is not UTF-8 or far too large."""
    from orchestration.errors import UsageError

    data = sys.stdin.buffer.read(_LARGEST_INPUT + 1)
    if len(data) > _LARGEST_INPUT:
        raise UsageError("the text on standard input is larger than 256 MB; give the edits in parts")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"the text on standard input is not UTF-8 (byte {error.start})") from error


def _say(terminal: "Terminal", outcome: "Outcome", *, dry_run: bool) -> None:
    from server.terminal.inert import inert_lines

    if outcome.applied and dry_run:
        terminal.say(("nothing was written (--dry-run); this would be:", "yellow"))
    for text in inert_lines(outcome.explain()):
        terminal.say((text, "" if outcome.applied else "red"))
