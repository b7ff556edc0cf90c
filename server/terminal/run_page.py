"""A run, or one of its tasks, as a page: what `antiphon show` prints. Pure."""

from orchestration.run import RunState, TaskState
from server.terminal import figures
from server.terminal.board import totals
from server.terminal.following import last_lines
from server.terminal.inert import inert_lines
from server.terminal.lines import BLANK, Line, clipped, joined, line, wrapped
from server.terminal.summary import final_gates, why
from server.terminal.words import END_STYLES, gate_line, glyph, status_style, status_word


def run_page(state: RunState, word: str, now: float, *, columns: int, unicode: bool = True) -> list[Line]:
    """`word`: the state in the list of runs."""
    lines = [
        line((state.run_id, "bold"), "  ", (word, END_STYLES.get(word, "bold cyan"))),
        *(line(text) for text in inert_lines(state.goal.strip())[:10]),
        totals(state, now),
    ]
    if state.options is not None:
        options = state.options
        lines.append(
            line(
                (
                    f"{options.model} · up to {options.max_parallel} at once · approval {options.approval}",
                    "dim",
                )
            )
        )
    for task in state.tasks.values():
        lines += [BLANK, *_task(task, columns, unicode=unicode)]
    lines += final_gates(state, columns, unicode=unicode)
    if state.left_out:
        lines += [BLANK, line(("left out of the snapshot", "bold"))]
        lines += [line("  ", item.path, (f"  {item.reason}", "dim")) for item in state.left_out]
    open_findings = [one for key, one in state.findings.items() if key not in state.dismissed]
    if open_findings:
        lines += [BLANK, line(("findings", "bold"))]
        lines += [
            line("  ", f"{one.path}:{one.start_line + 1}", f" {one.rule} ", (one.message, "dim"))
            for one in open_findings
        ]
    if state.estimates.error is not None:
        calls = figures.several(state.estimates.calls, "call")
        off = f"estimates of input tokens were off by {state.estimates.error:.0%} on average ({calls})"
        lines += [BLANK, line((off, "dim"))]
    if state.reasons:
        lines += why(state, columns)
    if state.decisions:
        lines += [BLANK, line(("decisions", "bold"))]
        for decision in state.decisions.values():
            done = "undone" if not decision.stands else "" if decision.applied else "not finished"
            hunks = figures.several(len(decision.hunk_ids), "hunk")
            lines.append(
                line("  ", decision.decision_id, f"  {decision.decision} {hunks}", (f"  {done}", "dim"))
            )
    return lines


def task_page(task: TaskState, *, columns: int, unicode: bool = True) -> list[Line]:
    """One task with its instructions and everything that its gates said."""
    lines = _task(task, columns, unicode=unicode)
    lines += [BLANK, line(("instructions", "bold"))]
    for text in inert_lines(task.spec.instructions):
        lines += wrapped(line("  ", text), columns, indent=2)
    for failure in task.failures:
        lines += [BLANK, line((f"attempt {failure.attempt} failed ({failure.kind})", "bold yellow"))]
        for text in inert_lines(failure.reason):
            lines += wrapped(line("  ", text), columns)
        lines += [line("  ", ("│ ", "dim"), text) for text in inert_lines(failure.feedback)]
    return lines


def _task(task: TaskState, columns: int, *, unicode: bool) -> list[Line]:
    cost = ""
    if task.usage.total_tokens != 0:
        cost = f"{figures.tokens(task.usage.total_tokens)} tokens, {figures.usd(task.usage.cost_usd)}"
    took = figures.duration(task.ended - task.started) if task.started and task.ended else ""
    lines = [
        line(
            (f"{glyph(task, unicode=unicode)} {task.spec.id}", status_style(task)),
            "  ",
            (clipped(task.spec.title, max(20, columns - 30)), "bold"),
        ),
        (
            *line("  "),
            *joined(
                [
                    line((status_word(task), status_style(task))),
                    line((task.spec.kind, "dim")) if task.spec.kind != "planned" else BLANK,
                    line((task.spec.role, "dim")),
                    line((task.model, "dim")) if task.model else BLANK,
                    line(figures.several(task.attempt, "attempt")) if task.attempt else BLANK,
                    line(cost) if cost else BLANK,
                    line(took) if took else BLANK,
                ]
            ),
        ),
    ]
    if task.spec.depends_on:
        lines.append(line("  ", (f"after {', '.join(task.spec.depends_on)}", "dim")))
    lines += [line("  ", text) for text in last_lines(task.summary, 4)]
    if task.changed:
        lines.append(
            line("  ", ("changed: ", "dim"), clipped(", ".join(task.changed), max(20, columns - 12)))
        )
    for failure in task.failures:
        first = failure.reason.strip().splitlines()[0] if failure.reason.strip() else failure.kind
        lines.append(
            line("  ", (f"attempt {failure.attempt}: ", "yellow"), clipped(first, max(20, columns - 14)))
        )
    for gate in task.gates:
        shown = (*line("  "), *gate_line(gate.gate, gate.outcome, gate.detail, unicode=unicode))
        lines += wrapped(shown, columns)
    if task.reason:
        first = task.reason.strip().splitlines()[0]
        lines.append(line("  ", ("reason: ", "dim"), clipped(first, max(20, columns - 10))))
    return lines
