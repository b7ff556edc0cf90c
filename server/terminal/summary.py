"""How a run ended, in words a person can act on: what merged, what did not and why, what to type next. Pure."""

from collections.abc import Sequence

from orchestration.events import LeftOut
from orchestration.run import RunState, TaskState
from server.terminal import figures
from server.terminal.board import totals, tree
from server.terminal.following import last_lines
from server.terminal.lines import BLANK, Line, cells, clipped, line, plain, wrapped
from server.terminal.words import END_STYLES, gate_line

_MOST_TASKS = 60
_MOST_LEFT_OUT = 5


def summary(
    state: RunState,
    now: float,
    *,
    columns: int,
    unicode: bool = True,
    workspace_option: str = "",
    with_next: bool = True,
) -> list[Line]:
    """`workspace_option` is what the next commands need to find the workspace, or empty. `with_next`: also
    say what to type next.
    """
    end = state.end or "running"
    goal = state.goal.strip().splitlines()[0] if state.goal.strip() else ""
    lines: list[Line] = [
        line((end, END_STYLES.get(end, "bold")), " · ", (clipped(goal, max(20, columns - 14)), "bold")),
        totals(state, now),
        *([BLANK] if state.tasks else []),
    ]
    lines += _tasks(state, now, columns, unicode=unicode)
    for task in state.tasks.values():
        if task.status == "dead":
            lines += dead_letter(task, columns)
    lines += _unverified(state, columns)
    lines += final_gates(state, columns, unicode=unicode)
    lines += _left_out(state)
    lines += _not_proposed(state)
    if state.reasons:
        lines += why(state, columns)
    return lines + _next(state, workspace_option) if with_next else lines


def dead_letter(task: TaskState, columns: int) -> list[Line]:
    """Why a task was given up, with the end of what its last gate said."""
    reason = task.reason.strip().splitlines()
    head = line(
        ("dead letter ", "bold red"),
        (task.spec.id, "bold"),
        f" after {figures.several(task.attempt, 'attempt')}: ",
    )
    room = max(20, columns - cells(plain(head)))
    lines = [BLANK, (*head, *line(clipped(reason[0] if reason else "", room)))]
    feedback = task.failures[-1].feedback if task.failures else ""
    quoted = last_lines(feedback) or [clipped(text, columns) for text in reason[1:12]]
    if reason and quoted == last_lines(reason[0]):
        quoted = []  # the heading has said it
    return lines + [line(("  │ ", "red"), (shown, "dim")) for shown in quoted]


def _tasks(state: RunState, now: float, columns: int, *, unicode: bool) -> list[Line]:
    rows = tree(state, now, columns=columns, unicode=unicode)
    if len(rows) <= _MOST_TASKS:
        return rows
    # A long list hides what matters: those that merged as they should are only counted.
    told = [
        row
        for row, task in zip(rows, state.tasks.values(), strict=True)
        if task.status != "merged" or not task.verified
    ]
    rest = len(rows) - len(told)
    if len(told) > _MOST_TASKS:
        rest, told = rest + len(told) - _MOST_TASKS, told[:_MOST_TASKS]
    return [*told, line((f"… and {rest} more: antiphon show {state.run_id}", "dim"))]


def _unverified(state: RunState, columns: int) -> list[Line]:
    tasks = [task for task in state.tasks.values() if task.status == "merged" and not task.verified]
    if not tasks:
        return []
    lines = [BLANK, line(("unverified", "bold yellow"), ": merged, but a gate could not run")]
    for task in tasks[:_MOST_TASKS]:
        unrun = [gate for gate in task.gates if gate.outcome == "not_run"]
        said = "; ".join(f"{gate.gate}: {gate.detail}" if gate.detail else gate.gate for gate in unrun)
        lines += wrapped(line("  ", (task.spec.id, "bold"), f"  {said}" if said else ""), columns)
    return lines


def final_gates(state: RunState, columns: int, *, unicode: bool) -> list[Line]:
    """What the gates said of the merged result; nothing where they were not reached."""
    if not state.final_gates:
        return []
    lines = [BLANK, line(("the merged result", "bold"))]
    for gate in state.final_gates:
        shown = (*line("  "), *gate_line(gate.gate, gate.outcome, gate.detail, unicode=unicode))
        lines += wrapped(shown, columns)
    return lines


def why(state: RunState, columns: int) -> list[Line]:
    """Why the run did not simply succeed."""
    lines = [BLANK, line((f"why the run's exit code is {state.exit_code}", "bold"))]
    for reason in state.reasons:
        lines += wrapped(line("  ", reason), columns)
    return lines


def _left_out(state: RunState) -> list[Line]:
    if not state.left_out:
        return []
    return _listed("left out of the snapshot", state.left_out, f"antiphon show {state.run_id}")


def _not_proposed(state: RunState) -> list[Line]:
    if state.changes is None or not state.changes.left_out:
        return []
    return _listed("not proposed", state.changes.left_out, f"antiphon changes {state.run_id}")


def _listed(title: str, items: Sequence[LeftOut], listing: str) -> list[Line]:
    shown = [line("  ", item.path, (f"  {item.reason}", "dim")) for item in items[:_MOST_LEFT_OUT]]
    rest = len(items) - len(shown)
    more = [line((f"  … and {rest} more: {listing}", "dim"))] if rest > 0 else []
    return [BLANK, line((title, "bold")), *shown, *more]


def _next(state: RunState, workspace_option: str) -> list[Line]:
    commands: list[tuple[str, str]] = []
    run = f"{state.run_id}{workspace_option}"
    if state.changes is not None and state.changes.hunks:
        what = figures.several(state.changes.hunks, "hunk")
        where = figures.several(state.changes.files, "file")
        commands += [
            (f"antiphon changes {run}", f"see {what} in {where}"),
            (f"antiphon accept {run} --all", "write them to your files"),
        ]
    # Dead letters are final: resuming is for what did not come to its end.
    if not state.tasks or any(
        task.status not in {"merged", "dead", "skipped"} for task in state.tasks.values()
    ):
        commands.append((f"antiphon resume {run}", "go on; finished tasks are kept"))
    commands.append((f"antiphon show {run}", "attempts, gates and costs"))
    return [BLANK, line(("next", "bold")), *_aligned(commands)]


def _aligned(commands: Sequence[tuple[str, str]]) -> list[Line]:
    width = max(len(command) for command, _ in commands)
    return [line("  ", (command.ljust(width), "cyan"), "  ", (why, "dim")) for command, why in commands]
