"""A change set as a coloured diff with the id of every hunk, or as a list of files. Pure."""

from collections.abc import Iterable, Mapping

from orchestration.edits.text import ending_of, split_lines
from orchestration.review.view import ChangesView, FileView, HunkView
from server.terminal import figures
from server.terminal.inert import TAB
from server.terminal.lines import BLANK, Line, line

_STATE_STYLES: Mapping[str, str] = {
    "proposed": "cyan",
    "accepted": "green",
    "rejected": "dim",
    "conflict": "bold red",
}
_NO_NEWLINE = "\\ no newline at the end"


def diff(view: ChangesView, *, numbers: bool = False) -> list[Line]:
    """Every file with its hunks. Lines count from 1, as editors show them. `numbers`: those of each hunk's own
    lines, as `lines_named` takes them.
    """
    lines: list[Line] = []
    for file in view.files:
        lines += [
            *_heading(file),
            *(shown for hunk in file.hunks for shown in _hunk(hunk, numbers=numbers)),
            BLANK,
        ]
    return [*lines, *_left_out(view), total(view)]


def stat(view: ChangesView) -> list[Line]:
    """One line a file: what happens to it, its lines added and removed, its hunks by state."""
    if not view.files:
        return [*_left_out(view), total(view)]
    width = max(len(_name(file)) for file in view.files)
    rows = [
        line(
            _name(file).ljust(min(width, 60)),
            f"  {file.kind:<7}",
            (f" +{file.added}", "green"),
            (f" -{file.removed}", "red"),
            f"  {_states(file.hunks)}",
        )
        for file in view.files
    ]
    return [*rows, *_left_out(view), total(view)]


def total(view: ChangesView) -> Line:
    hunks = view.hunks()
    if not view.files:
        return line("no changes are proposed")
    added, removed = sum(file.added for file in view.files), sum(file.removed for file in view.files)
    return line(
        (figures.several(len(view.files), "file"), "bold"),
        ", ",
        (f"+{added}", "green"),
        " ",
        (f"-{removed}", "red"),
        f", {figures.several(len(hunks), 'hunk')}: {_states(hunks)}",
    )


def _left_out(view: ChangesView) -> list[Line]:
    return [
        line((item.path, "bold"), ("  not proposed", "yellow"), f"  {item.reason}") for item in view.left_out
    ]


def _name(file: FileView) -> str:
    return f"{file.old_path} -> {file.path}" if file.old_path else file.path


def _heading(file: FileView) -> list[Line]:
    kind = {
        "create": "new file",
        "delete": "deleted",
        "rename": "renamed",
        "mode": "mode",
        "binary": "binary",
    }
    word = kind.get(file.kind, "")
    return [
        line(
            (_name(file), "bold"),
            (f"  {word}" if word else "", "yellow"),
            (f"  +{file.added}", "green"),
            (f" -{file.removed}", "red"),
        )
    ]


def _hunk(hunk: HunkView, *, numbers: bool) -> Iterable[Line]:
    place = f"@@ line {hunk.start_line + 1} "
    tasks = f" · {', '.join(hunk.task_ids)}" if hunk.task_ids else ""
    yield line(
        (place, "cyan"),
        (hunk.hunk_id, "bold"),
        " ",
        (_state(hunk), _STATE_STYLES.get(hunk.state, "")),
        (tasks, "dim"),
        (f" · protected: {hunk.protected}" if hunk.protected else "", "bold yellow"),
    )
    if hunk.reason or hunk.detail:
        yield line((f"   {hunk.detail or hunk.reason}", "dim"))
    yield from _rows(hunk, numbers=numbers)


def _state(hunk: HunkView) -> str:
    if hunk.state == "accepted" and hunk.reached in {"sent", "seen"}:
        return "accepted, not saved yet" if hunk.reached == "seen" else "accepted, sent to the editor"
    if hunk.old_numbers or hunk.new_numbers:
        return f"{hunk.state}, the rest"
    return hunk.state


def _rows(hunk: HunkView, *, numbers: bool) -> Iterable[Line]:
    """Where line endings differ, and only there, a carriage return stays visible: a hunk may change nothing
    else. Lines of a hunk in parts that are decided are left out.
    """
    sides = (
        (split_lines(hunk.old_text), hunk.old_numbers, 1, "-", "red"),
        (split_lines(hunk.new_text), hunk.new_numbers, 1 + hunk.proposed_old_lines, "+", "green"),
    )
    plain = len({ending_of(row) for rows, *_ in sides for row in rows} - {""}) < 2
    for rows, known, first, sign, style in sides:
        for number, row in zip(known or range(len(rows)), rows, strict=False):
            if number < 0:
                continue
            ending = ending_of(row)
            text = row.removesuffix(ending) + ("" if plain else ending.replace("\n", ""))
            count = f"{first + number:>5} " if numbers else ""
            yield line((count, "dim"), (f"{sign}{text.replace(chr(9), TAB)}", style))
            if not ending:
                yield line((_NO_NEWLINE, "dim"))


def _states(hunks: Iterable[HunkView]) -> str:
    counted: dict[str, int] = {}
    for hunk in hunks:
        counted[hunk.state] = counted.get(hunk.state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counted.items()) or "none"
