"""The live tree of a run as lines: what is at work first, the rest folded to what fits the screen. Pure.

running · Mend the parser
1 of 3 merged · 2 running · 9.0k tokens · $0.03 · 12s
✔ tokenizer  Mend the tokenizer  merged · 4.2s · $0.01 · 3.1k tok · coder
● printer    Mend the printer    running · try 2 · 7.8s · $0.02 · 4.1k tok · turn 3 · run_command pytest
  ● quotes   Mend the quotes     running · 3.0s · $0 · 1.8k tok · turn 1 · coder
"""

from collections.abc import Mapping, Sequence

from orchestration.graph_model import PLAN_TASK
from orchestration.run import RunState, TaskState
from server.terminal import figures
from server.terminal.lines import BLANK, Line, Piece, cells, clipped, cropped, joined, line, padded
from server.terminal.words import END_STYLES, glyph, run_word, status_style, status_word, wait_words
from server.waits import Wait

_ORDER = {"running": 0, "waiting": 1, "dead": 2, "merged": 4, "pending": 5, "skipped": 6, "cancelled": 3}
_LONGEST_TITLE = 44
_DEEPEST = 4
_GATES = "at its gates"  # what a task is doing once its agent has finished


def board(
    state: RunState,
    now: float,
    *,
    columns: int,
    rows: int,
    unicode: bool = True,
    waits: Mapping[str, Wait] | None = None,
) -> list[Line]:
    """At most `rows` lines, each at most `columns` wide. `now` in Unix seconds. `waits`: for limits of providers."""
    waits = waits or {}
    head = [_goal(state, columns), _totals(state, now, columns, waits.get(PLAN_TASK))]
    tasks = list(state.tasks.values())
    room = max(1, rows - len(head))
    shown, folded = _chosen(tasks, room)
    body = [*_rows(shown, state, now, columns, unicode=unicode, waits=waits)]
    if folded:
        body.append(cropped(line((_folded(folded), "dim")), columns))
    return [*head, *body][:rows]


def tree(state: RunState, now: float, *, columns: int, unicode: bool = True) -> list[Line]:
    """Every task, without a limit of rows."""
    return _rows(list(state.tasks.values()), state, now, columns, unicode=unicode)


def totals(state: RunState, now: float) -> Line:
    """Counts, tokens, money and time in one line."""
    counts = state.counts()
    merged, total = counts.get("merged", 0), len(state.tasks)
    parts = [line(f"{merged} of {total} merged")] if total else []
    for status, style in (("running", "cyan"), ("waiting", "yellow"), ("dead", "red"), ("skipped", "dim")):
        if count := counts.get(status, 0):
            word = figures.several(count, "dead letter") if status == "dead" else f"{count} {status}"
            parts.append(line((word, style)))
    if state.usage.total_tokens != 0:
        least = "at least " if state.usage_incomplete else ""
        parts.append(line(f"{least}{figures.tokens(state.usage.total_tokens)} tokens"))
        parts.append(line(figures.usd(state.usage.cost_usd)))
    if state.created:
        parts.append(line(figures.duration(_ended(state, now) - state.created)))
    return joined(parts)


def _goal(state: RunState, columns: int) -> Line:
    word = run_word(state)
    style = END_STYLES.get(word, "bold cyan")
    goal = state.goal.strip().splitlines()[0] if state.goal.strip() else state.run_id
    room = max(8, columns - cells(word) - 3)
    return cropped(line((word, style), " · ", (clipped(goal, room), "bold")), columns)


def _totals(state: RunState, now: float, columns: int, planning: Wait | None) -> Line:
    waiting = [line((wait_words(planning, now), "yellow"))] if planning is not None else []
    return cropped(joined([*waiting, totals(state, now)]), columns)


def _chosen(tasks: Sequence[TaskState], room: int) -> tuple[list[TaskState], list[TaskState]]:
    """The tasks that fit, in the plan's order, and those folded away."""
    if len(tasks) <= room:
        return list(tasks), []
    by_urgency = sorted(range(len(tasks)), key=lambda index: (*_urgency(tasks[index]), index))
    kept = frozenset(by_urgency[: max(0, room - 1)])
    shown = [task for index, task in enumerate(tasks) if index in kept]
    return shown, [task for index, task in enumerate(tasks) if index not in kept]


def _urgency(task: TaskState) -> tuple[int, float]:
    return _ORDER[task.status], -task.ended


def _folded(tasks: Sequence[TaskState]) -> str:
    counted: dict[str, int] = {}
    for task in tasks:
        counted[status_word(task)] = counted.get(status_word(task), 0) + 1
    return "… and " + ", ".join(f"{count} {word}" for word, count in counted.items())


def _rows(
    tasks: Sequence[TaskState],
    state: RunState,
    now: float,
    columns: int,
    *,
    unicode: bool,
    waits: Mapping[str, Wait] | None = None,
) -> list[Line]:
    lefts: list[tuple[str, str]] = []
    for task in tasks:
        indent = "  " * min(_DEEPEST, _depth(task, state))
        lefts.append((f"{indent}{glyph(task, unicode=unicode)} {task.spec.id}", task.spec.title))
    id_room = min(max((cells(left) for left, _ in lefts), default=0), max(12, columns // 3))
    title_room = min(
        max((cells(title) for _, title in lefts), default=0), _LONGEST_TITLE, max(0, columns - id_room - 34)
    )
    rows: list[Line] = []
    for task, (left, title) in zip(tasks, lefts, strict=True):
        pieces: list[Piece] = [(padded(clipped(left, id_room), id_room), status_style(task)), "  "]
        if title_room >= 8:
            pieces += [padded(clipped(title, title_room), title_room), "  "]
        rows.append(
            cropped((*line(*pieces), *_details(task, state, now, (waits or {}).get(task.spec.id))), columns)
        )
    return rows


def _details(task: TaskState, state: RunState, now: float, wait: Wait | None) -> Line:
    parts: list[Line] = [line((status_word(task), status_style(task)))]
    if task.status == "pending":
        needs = [need for need in task.spec.depends_on if _open(need, state)]
        parts.append(line(("after " + ", ".join(needs), "dim")) if needs else BLANK)
        return joined(parts)
    if task.status in {"skipped", "cancelled"}:
        return joined([*parts, line((task.reason, "dim")) if task.reason else BLANK])
    if task.attempt > 1:  # before what a narrow screen may cut off
        parts.append(line((f"try {task.attempt}", "yellow")))
    if task.started:
        parts.append(line(figures.duration((task.ended or _ended(state, now)) - task.started)))
    if task.usage.total_tokens != 0:
        parts.append(line(figures.usd(task.usage.cost_usd)))
        parts.append(line(f"{figures.tokens(task.usage.total_tokens)} tok"))
    if task.status == "running" and task.turn:
        parts.append(line(f"turn {task.turn}"))
    if wait is not None and task.status == "running":
        parts.append(line((wait_words(wait, now), "yellow")))
    elif task.activity and task.status in {"running", "waiting"}:
        parts.append(line(_GATES if task.activity.startswith("finish") else task.activity))
    parts.append(line((task.spec.role, "dim")))
    return joined(parts)


def _open(task_id: str, state: RunState) -> bool:
    needed = state.tasks.get(task_id)
    return needed is not None and needed.status != "merged"


def _depth(task: TaskState, state: RunState) -> int:
    depth, parent = 0, task.spec.parent
    while parent is not None and depth < _DEEPEST:
        above = state.tasks.get(parent)
        if above is None:
            break
        depth, parent = depth + 1, above.spec.parent
    return depth


def _ended(state: RunState, now: float) -> float:
    """Decisions follow the end of a run and must not make it longer."""
    if state.end is None:
        return now
    return max((task.ended for task in state.tasks.values()), default=0.0) or state.updated
