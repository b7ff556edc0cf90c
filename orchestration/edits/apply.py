"""Parsed edits applied to files: all of a call, across files, or nothing.

Files are read through a callable and never written: the outcome holds their bytes before and after.
Paths are checked for their form only; what a path leads to is the reader's guard to judge.
"""

import posixpath
from collections.abc import Iterable

from orchestration.edits.match import Match
from orchestration.edits.model import (
    Chunk,
    ChunkGroup,
    EditReport,
    FileContent,
    FileEdit,
    FileResult,
    Outcome,
    Reader,
    Replacement,
    TextReplacement,
)
from orchestration.edits.replacing import ChunkRefusedError, RefusedError, replace_chunks, replace_text
from orchestration.edits.splice import lines_between, splice
from orchestration.edits.text import (
    BinaryContentError,
    FileText,
    UnencodableTextError,
    contents_of,
)
from orchestration.errors import AntiphonError


def apply_edits(edits: Iterable[FileEdit], read: Reader) -> Outcome:
    """Applies the edits in order, each seeing the files as the ones before left them. One refusal leaves
    everything as it was; the rest are still tried, so that the reports name all that is wrong.
    """
    files = _Files(read)
    reports: list[EditReport] = []
    for edit in edits:
        reports += files.apply(edit)
    outcome = Outcome(reports=tuple(reports))
    return Outcome(reports=outcome.reports, files=files.results()) if outcome.applied else outcome


def clean_path(path: str) -> str:
    """The path in its one spelling, relative to the root. Raises RefusedError for an empty, absolute or
    escaping one.
    """
    clean = posixpath.normpath(path) if path else ""
    if not path or "\0" in path:
        raise RefusedError("path", f"{path!r} is no path of a file. Name a file relative to the workspace.")
    if clean == "." or clean.startswith(("/", "../")) or clean == "..":
        raise RefusedError(
            "path", f"{path}: outside the workspace. Name a file inside it, relative to its root."
        )
    return clean


class _Files:
    """The files of one call as they stand after the edits so far."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._before: dict[str, FileContent | None] = {}
        self._now: dict[str, FileContent | None] = {}
        self._moved_from: dict[str, str] = {}

    def apply(self, edit: FileEdit) -> list[EditReport]:
        reports: list[EditReport] = []
        path = edit.path
        try:
            path = clean_path(edit.path)
            match edit.action:
                case "create":
                    self._create(path, edit, reports)
                case "write":
                    self._write(path, edit, reports)
                case "update":
                    self._update(path, edit, reports)
                case "delete":
                    self._delete(path, edit, reports)
        except RefusedError as error:
            reports.append(EditReport(path=path, refusal=error.refusal, reason=f"{path}: {error}"))
        except BinaryContentError as error:
            reports.append(EditReport(path=path, refusal="binary", reason=f"{path}: {error}"))
        except UnencodableTextError as error:
            reports.append(EditReport(path=path, refusal="encoding", reason=f"{path}: {error}"))
        except AntiphonError as error:
            reports.append(EditReport(path=path, refusal="path", reason=str(error)))
        return reports

    def results(self) -> tuple[FileResult, ...]:
        """Every file that differs from before, in the order in which the edits touched them."""
        moves = {
            path: source
            for path, source in self._moved_from.items()
            if self._before[source] is not None and self._now[source] is None and self._before[path] is None
        }
        gone = set(moves.values())
        results = []
        for path, now in self._now.items():
            before = self._before[path]
            if path in moves:
                before = self._before[moves[path]]
            elif path in gone or now == before:
                continue
            mode = now.mode if now is not None and before is not None and now.mode != before.mode else None
            if now is not None and before is None:
                mode = now.mode
            results.append(
                FileResult(
                    path=path,
                    before=None if before is None else before.data,
                    after=None if now is None else now.data,
                    moved_from=moves.get(path),
                    mode=mode,
                )
            )
        return tuple(results)

    def _at(self, path: str) -> FileContent | None:
        if path not in self._now:
            self._before[path] = self._now[path] = self._read(path)
        return self._now[path]

    def _existing(self, path: str) -> FileContent:
        there = self._at(path)
        if there is None:
            raise RefusedError(
                "no_file", "no such file. Check the path, or create the file with its whole content."
            )
        _require_file(there)
        return there

    def _require_free(self, path: str, mend: str) -> None:
        there = self._at(path)
        if there is not None:
            _require_file(there)
            raise RefusedError("exists", f"exists already and is not overwritten. {mend}")
        if "\n" in path:  # a file that has such a name is edited; one that gets it is a slip of the model
            raise RefusedError("path", "a new file's name must not hold a line break.")
        parent = posixpath.dirname(path)
        while parent:
            above = self._at(parent)
            if above is not None and above.kind != "directory":
                raise RefusedError("not_a_file", f"{parent} is a file, so nothing can be created below it.")
            parent = posixpath.dirname(parent)

    def _create(self, path: str, edit: FileEdit, reports: list[EditReport]) -> None:
        self._require_free(path, "Update it, or replace it as a whole with `write_file`.")
        self._now[path] = FileContent(_encoded(edit.content), edit.mode)
        reports.append(EditReport(path=path, tier="create", line=1))

    def _write(self, path: str, edit: FileEdit, reports: list[EditReport]) -> None:
        there = self._at(path)
        if there is None:
            self._create(path, edit, reports)
            return
        _require_file(there)
        mode = there.mode if edit.mode is None else edit.mode
        self._now[path] = FileContent(_rewritten(there.data, edit.content), mode)
        reports.append(EditReport(path=path, tier="write", line=1))

    def _update(self, path: str, edit: FileEdit, reports: list[EditReport]) -> None:
        replacements = edit.replacements
        if self._at(path) is None and replacements and _creates(replacements[0]):
            first = replacements[0]
            assert isinstance(first, TextReplacement)
            self._require_free(path, "")
            self._now[path] = FileContent(_encoded(first.replace), edit.mode)
            reports.append(EditReport(path=path, tier="create", line=1))
            replacements = replacements[1:]
        there = self._existing(path)
        data = self._replaced(path, there.data, replacements, reports)
        mode = there.mode if edit.mode is None else edit.mode
        self._now[path] = FileContent(data, mode)
        if edit.mode is not None and not replacements and edit.move_to is None:
            reports.append(EditReport(path=path, tier="mode"))
        if edit.move_to is not None:
            self._move(path, edit.move_to)
            reports.append(EditReport(path=path, tier="move"))

    def _replaced(
        self, path: str, data: bytes, replacements: tuple[Replacement, ...], reports: list[EditReport]
    ) -> bytes:
        if not replacements:
            return data
        file = FileText.decode(data)
        refused = False
        for replacement in replacements:
            try:
                file = _one(path, file, replacement, reports)
            except RefusedError as error:
                refused = True
                reports.append(
                    EditReport(
                        path=path, refusal=error.refusal, reason=_numbered_reason(path, error, replacement)
                    )
                )
        # After a refusal nothing is used; the bytes before serve the edits still to be tried.
        return data if refused else file.encode()

    def _move(self, path: str, move_to: str) -> None:
        target = clean_path(move_to)
        if target == path:
            return
        try:
            self._require_free(target, "Move to another name, or delete it first.")
        except RefusedError as error:
            raise RefusedError(error.refusal, f"cannot move to {target}: {error}") from None
        self._now[target] = self._now[path]
        self._now[path] = None
        self._moved_from[target] = self._moved_from.pop(path, path)

    def _delete(self, path: str, edit: FileEdit, reports: list[EditReport]) -> None:
        there = self._existing(path)
        if edit.replacements:
            found: list[EditReport] = []
            left = self._replaced(path, there.data, edit.replacements, found)
            refused = [report for report in found if report.refusal is not None]
            if refused:
                reports += refused
                return
            if left:
                raise RefusedError(
                    "absent", "the diff deletes the file, but the file holds more than the diff removes."
                )
        self._now[path] = None
        self._moved_from.pop(path, None)
        reports.append(EditReport(path=path, tier="delete"))


def _one(path: str, file: FileText, replacement: Replacement, reports: list[EditReport]) -> FileText:
    if isinstance(replacement, TextReplacement):
        file, tier, line = replace_text(file, replacement)
        reports.append(EditReport(path=path, tier=tier, line=line + 1))
        return file
    file, places = replace_chunks(file, replacement)
    reports += (EditReport(path=path, tier=tier, line=line + 1) for tier, line in places)
    return file


def _numbered_reason(path: str, error: RefusedError, replacement: Replacement) -> str:
    at = replacement.at if isinstance(replacement, TextReplacement) else 0
    if isinstance(error, ChunkRefusedError) and isinstance(replacement, ChunkGroup):
        at = replacement.chunks[error.chunk].at
    return f"{path}: " + (f"(edit at line {at} of the text) " if at else "") + str(error)


def _creates(replacement: Replacement) -> bool:
    return isinstance(replacement, TextReplacement) and not replacement.search.strip()


def _require_file(there: FileContent) -> None:
    if there.kind != "file":
        name = {"directory": "a directory", "symlink": "a symbolic link"}.get(there.kind, "no regular file")
        raise RefusedError("not_a_file", f"is {name}, not a file that can be edited.")


def _encoded(content: str) -> bytes:
    return FileText().with_text(content).encode()


def _rewritten(data: bytes, content: str) -> bytes:
    """The whole new content in the encoding, byte order mark and line endings of the old one."""
    try:
        file = FileText.decode(data)
    except BinaryContentError:
        return _encoded(content)
    if not file.lines or not content:
        return file.with_text(content).encode()
    old = file.contents
    chunk = Chunk(lines=lines_between(old, contents_of(content)), final_newline=content[-1] in "\r\n")
    return file.with_lines(splice(file.lines, chunk, Match(0, len(old), "exact"))).encode()
