"""Checkpoints as lines: the list, what a restore would do, what it did. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from orchestration.checkpoints.view import CheckpointDiff, CheckpointFile, CheckpointView
from orchestration.commands import Reply
from orchestration.events import FileResult, LeftOut
from server.terminal import figures
from server.terminal.inert import TAB
from server.terminal.lines import BLANK, Line, clipped, line

_BEFORE: Mapping[str, tuple[str, str]] = {
    "run": ("start of the run", "bold cyan"),
    "accept": ("before accept", "green"),
    "undo": ("before undo", "yellow"),
    "fix": ("before fix", "green"),
    "restore": ("before restore", "magenta"),
}
_KINDS: Mapping[str, tuple[str, str]] = {
    "create": ("comes back", "green"),
    "modify": ("changes", "cyan"),
    "delete": ("goes", "red"),
    "mode": ("mode", "yellow"),
    "link": ("link", "cyan"),
}
_STYLES: Mapping[str, str] = {
    "written": "green",
    "seen": "green",
    "sent": "cyan",
    "unchanged": "dim",
    "conflict": "bold red",
    "unknown": "bold yellow",
}
_MOST_NAMED = 8


def listed(found: Sequence[CheckpointView], now: float, columns: int) -> list[Line]:
    if not found:
        return [line("no checkpoints yet; every run begins with one")]
    width = max(len(one.checkpoint_id) for one in found)
    ages = [f"{figures.duration(now - one.time)} ago" for one in found]
    return [
        row
        for one, age in zip(found, ages, strict=True)
        for row in _checkpoint(one, width, age.rjust(max(map(len, ages))), columns)
    ]


def _checkpoint(one: CheckpointView, width: int, age: str, columns: int) -> Iterable[Line]:
    word, style = _BEFORE[one.before]
    about = _about(one)
    yield line(
        (one.checkpoint_id.ljust(width), "dim" if one.gone else "bold"),
        (f"  {age}  ", "dim"),
        (f"{word:<16}", style),
        clipped(f"  {about}", max(24, columns - width - len(age) - 20)) if about else "",
        ("  removed by gc", "dim") if one.gone else "",
    )
    if one.interrupted:
        yield line(
            ("  interrupted", "bold yellow"),
            f": {figures.several(len(one.failed), 'file')} not restored; " if one.failed else "; ",
            (f"antiphon restore {one.restores}", "bold"),
            " does the rest",
        )


def _about(one: CheckpointView) -> str:
    if one.before == "run":
        return " ".join(one.goal.split())
    paths = _named(one.paths, 3)
    if one.restores:  # always one of the same run
        return f"of .{one.restores.rpartition('.')[2]}" + (f": {paths}" if paths else "")
    hunks = f"{figures.several(one.hunks, 'hunk')} in " if one.hunks else ""
    return f"{hunks}{paths}"


def _named(paths: Sequence[str], most: int = _MOST_NAMED) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more


def difference(found: CheckpointDiff) -> list[Line]:
    """What restoring would do: the lines themselves, then a line for each file."""
    rows = [_diff_row(row) for row in found.diff.splitlines()]
    if rows:
        rows.append(BLANK)
    if found.cut:
        rows += [line(("the rest of the diff is left out, it is too long", "yellow")), BLANK]
    width = min(60, max((len(file.path) for file in found.files), default=0))
    rows += [_file_row(file, width) for file in found.files]
    rows += [line(f"{path}/".ljust(width), "  ", ("comes back", "green")) for path in found.made]
    rows += [line(f"{path}/".ljust(width), "  ", ("goes", "red")) for path in found.dropped]
    if not rows:
        rows.append(line("nothing would change: the workspace is as the checkpoint has it"))
    elif found.files:
        rows.append(_total(found))
    return [*rows, *_left(found.left), *_left_out(found.left_out)]


def _diff_row(row: str) -> Line:
    style = {"-": "red", "+": "green", "@": "cyan", "\\": "dim"}.get(row[:1], "")
    if row.startswith(("--- ", "+++ ")):
        style = "bold"
    return line((row.replace("\t", TAB), style))


def _file_row(file: CheckpointFile, width: int) -> Line:
    word, style = _KINDS[file.kind]
    counts = (f"  +{file.added}", f" -{file.removed}") if file.added or file.removed else ("", "")
    return line(
        file.path.ljust(width),
        "  ",
        (f"{word:<10}", style),
        (counts[0], "green"),
        (counts[1], "red"),
        ("  binary", "dim") if file.binary else "",
    )


def _total(found: CheckpointDiff) -> Line:
    return line(
        (figures.several(len(found.files), "file"), "bold"),
        (f", +{sum(file.added for file in found.files)}", "green"),
        (f" -{sum(file.removed for file in found.files)}", "red"),
        f" to be as in {found.checkpoint_id}",
    )


def outcome(reply: Reply, checkpoint_id: str, workspace_option: str) -> list[Line]:
    """What became of the files, and how it is taken back."""
    if not reply.checkpoint_id:
        return [
            line(("nothing to do", "yellow"), ": the workspace is as the checkpoint has it"),
            *_left(reply.left),
        ]
    failed = [file for file in reply.files if file.outcome in {"conflict", "unknown"}]
    rows = [_result(file) for file in (failed if len(reply.files) > 40 else reply.files)]
    rows.append(
        line(
            ("restored", "bold yellow" if failed else "bold green"),
            f" {figures.several(len(reply.files) - len(failed), 'file')} of {checkpoint_id}",
            (f", {figures.several(len(failed), 'conflict')}", "bold red") if failed else "",
        )
    )
    rows += _left(reply.left)
    rows.append(line("  back: ", (f"antiphon restore {reply.checkpoint_id}{workspace_option}", "bold")))
    return rows


def _result(file: FileResult) -> Line:
    return line(
        (file.outcome, _STYLES.get(file.outcome, "")),
        "  ",
        file.path,
        (f"  {file.detail}" if file.detail else "", "dim"),
    )


def _left(left: Sequence[LeftOut]) -> list[Line]:
    rows = [line(("left as it is  ", "yellow"), item.path, (f"  {item.reason}", "dim")) for item in left[:20]]
    if len(left) > len(rows):
        rows.append(line(("left as it is  ", "yellow"), f"{len(left) - len(rows)} more"))
    return rows


def _left_out(left_out: Sequence[LeftOut]) -> list[Line]:
    if not left_out:
        return []
    return [
        line(
            ("not in the checkpoint, never touched: ", "dim"),
            (_named([item.path for item in left_out]), "dim"),
        )
    ]
