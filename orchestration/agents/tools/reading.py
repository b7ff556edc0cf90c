"""The tools that look: `read_file`, `list_files`, `search`. They read the task's tree, never the disk."""

import re
from collections.abc import Iterator

import msgspec

from orchestration.agents.tools.contract import Tool, ToolMistakeError, ToolOutcome, Workbench, parameters
from orchestration.edits.text import BinaryContentError, FileText
from orchestration.errors import PathRefusedError
from providers.messages import ToolSpec

READ_LINES = 2_000
READ_CHARACTERS = 60_000
LISTED_FILES = 1_000
SEARCH_HITS = 200
SEARCH_LINE = 300
SEARCH_FILE_BYTES = 2_000_000


class ReadFile(msgspec.Struct, frozen=True):
    path: str
    offset: int | None = None
    limit: int | None = None


class ListFiles(msgspec.Struct, frozen=True):
    path: str | None = None
    glob: str | None = None


class Search(msgspec.Struct, frozen=True):
    pattern: str
    path: str | None = None
    glob: str | None = None


async def _read_file(bench: Workbench, wanted: ReadFile) -> ToolOutcome:
    path = bench.guard.inside(wanted.path)
    data = bench.tree.read(path)
    if data is None:
        raise ToolMistakeError(_absent(bench, path))
    try:
        lines = FileText.decode(data).lines
    except BinaryContentError as error:
        raise ToolMistakeError(f"{path} cannot be read as text: {error}") from None
    if not lines:
        return ToolOutcome(f"[{path} is empty]", subject=path)
    first = max(wanted.offset or 1, 1)
    count = max(wanted.limit or READ_LINES, 1)
    if first > len(lines):
        raise ToolMistakeError(f"{path} has {len(lines)} lines; offset {first} is behind its end.")
    shown: list[str] = []
    size = 0
    for line in lines[first - 1 : first - 1 + count]:
        size += len(line)
        if shown and size > READ_CHARACTERS:
            break
        shown.append(line)
    last = first + len(shown) - 1
    text = "".join(shown)
    if last < len(lines):
        text += f"\n[lines {first} to {last} of {len(lines)}; go on with offset {last + 1}]"
    return ToolOutcome(text, subject=path)


async def _list_files(bench: Workbench, wanted: ListFiles) -> ToolOutcome:
    prefix = _folder(bench, wanted.path)
    paths = list(_matching(bench, prefix, wanted.glob))
    if not paths:
        where = prefix or "the workspace"
        raise ToolMistakeError(
            f"No file matches {wanted.glob!r} in {where}." if wanted.glob else f"No files in {where}."
        )
    shown = paths[:LISTED_FILES]
    text = "\n".join(shown)
    if len(paths) > len(shown):
        text += f"\n[{len(shown)} of {len(paths)} files; narrow it with path or glob]"
    hidden = sorted(path for path in bench.left_out if path.startswith(prefix))[:20]
    if hidden:
        text += "\n[not available: " + ", ".join(f"{path} ({bench.left_out[path]})" for path in hidden) + "]"
    return ToolOutcome(text, subject=wanted.glob or prefix)


async def _search(bench: Workbench, wanted: Search) -> ToolOutcome:
    try:
        re.compile(wanted.pattern)
    except re.error as error:
        raise ToolMistakeError(
            f"{wanted.pattern!r} is no valid regular expression ({error}); escape what is meant literally."
        ) from None
    prefix = _folder(bench, wanted.path)
    paths = list(_matching(bench, prefix, wanted.glob))
    files = ((path, _readable(bench, path)) for path in paths)
    hits = await bench.executor.run(_find, wanted.pattern, files)
    if not hits:
        return ToolOutcome(f"No match for {wanted.pattern!r} in {len(paths)} files.", subject=wanted.pattern)
    text = "\n".join(hits[:SEARCH_HITS])
    if len(hits) > SEARCH_HITS:
        text += f"\n[the first {SEARCH_HITS} matches; narrow it with path or glob]"
    return ToolOutcome(text, subject=wanted.pattern)


def _find(pattern: str, files: Iterator[tuple[str, bytes | None]]) -> list[str]:
    # `regex`, not `re`: its time limit stops a pattern that backtracks for ever.
    import regex

    compiled = regex.compile(pattern)
    hits: list[str] = []
    for path, data in files:
        if data is None or len(data) > SEARCH_FILE_BYTES:
            continue
        try:
            lines = FileText.decode(data).lines
        except BinaryContentError:
            continue
        for number, line in enumerate(lines, 1):
            try:
                found = compiled.search(line, timeout=0.5)
            except TimeoutError:
                raise ToolMistakeError(
                    f"{pattern!r} takes too long on {path} line {number}; use a simpler expression."
                ) from None
            if found:
                hits.append(f"{path}:{number}: {line.rstrip()[:SEARCH_LINE]}")
                if len(hits) > SEARCH_HITS:
                    return hits
    return hits


def _readable(bench: Workbench, path: str) -> bytes | None:
    """None for a link that leads nowhere: it is no reason to find nothing at all."""
    try:
        return bench.tree.read(path)
    except PathRefusedError:
        return None


def _folder(bench: Workbench, path: str | None) -> str:
    return "" if path is None or path.strip() in {"", ".", "./", "/"} else bench.guard.inside(path)


def _matching(bench: Workbench, prefix: str, glob: str | None) -> Iterator[str]:
    paths = bench.tree.paths(prefix)
    if not glob:
        yield from paths
        return
    from pathspec import GitIgnoreSpec

    spec = GitIgnoreSpec.from_lines([glob])
    for path in paths:
        if spec.match_file(path[len(prefix) :].lstrip("/") if prefix else path) or spec.match_file(path):
            yield path


def _absent(bench: Workbench, path: str) -> str:
    if reason := bench.tree.left_out(path):
        return f"{path} exists but is not available to agents: {reason}."
    target = bench.tree.resolve(path)
    if bench.tree.is_folder(target):
        return f"{path or 'That'} is a folder; list_files shows what is in it."
    if target != path:
        return f"{path} is a link to {target}, which is not there."
    name = path.rsplit("/", 1)[-1]
    near = [known for known in bench.tree.paths() if known.rsplit("/", 1)[-1].lower() == name.lower()][:5]
    hint = f" Files of that name: {', '.join(near)}." if near else " Use list_files to see what there is."
    return f"There is no file {path}.{hint}"


READ_FILE = Tool(
    spec=ToolSpec(
        "read_file",
        "Read a text file of the workspace, exactly as it is, without line numbers.",
        parameters(
            ("path",),
            path={"type": "string", "description": "Path relative to the workspace root"},
            offset={"type": "integer", "description": "First line to read, counted from 1"},
            limit={"type": "integer", "description": f"How many lines to read (default {READ_LINES})"},
        ),
    ),
    arguments=ReadFile,
    call=_read_file,
    subject=lambda wanted: str(wanted.path),
)
LIST_FILES = Tool(
    spec=ToolSpec(
        "list_files",
        "List files of the workspace, one path per line.",
        parameters(
            (),
            path={"type": "string", "description": "Folder to list (default: the whole workspace)"},
            glob={"type": "string", "description": "Only paths that match, e.g. *.py or src/**/*.ts"},
        ),
    ),
    arguments=ListFiles,
    call=_list_files,
    subject=lambda wanted: str(wanted.glob or wanted.path),
)
SEARCH = Tool(
    spec=ToolSpec(
        "search",
        "Search file contents with a regular expression; each hit is `path:line: text`.",
        parameters(
            ("pattern",),
            pattern={"type": "string", "description": "Regular expression, matched line by line"},
            path={"type": "string", "description": "Folder or file to search in"},
            glob={"type": "string", "description": "Only paths that match, e.g. *.py"},
        ),
    ),
    arguments=Search,
    call=_search,
    subject=lambda wanted: str(wanted.pattern),
)
