"""How states are called, coloured and drawn. A state is always a word too: colour alone tells nobody."""

import time
from collections.abc import Mapping

from orchestration.events import GateOutcome
from orchestration.run import RunState, TaskState, TaskStatus
from server.terminal import figures
from server.terminal.lines import Line, line
from server.waits import Wait

GLYPHS: Mapping[TaskStatus, tuple[str, str, str]] = {
    # status: glyph, the same in ASCII, style
    "pending": ("○", ".", "dim"),
    "running": ("●", "*", "cyan"),
    "waiting": ("◐", "~", "yellow"),
    "merged": ("✔", "+", "green"),
    "dead": ("✖", "x", "bold red"),
    "skipped": ("⊘", "-", "dim"),
    "cancelled": ("◌", "c", "magenta"),
}
TASK_WORDS: Mapping[TaskStatus, str] = {"dead": "dead letter"}
END_STYLES: Mapping[str, str] = {
    "completed": "bold green",
    "partial": "bold yellow",
    "failed": "bold red",
    "cancelled": "bold magenta",
}
GATE_STYLES: Mapping[GateOutcome, tuple[str, str, str]] = {
    "passed": ("✔", "+", "green"),
    "blocked": ("✖", "x", "red"),
    "ask": ("?", "?", "yellow"),
    "not_run": ("!", "!", "yellow"),
    "not_applicable": ("·", "-", "dim"),
}


def status_word(task: TaskState) -> str:
    if task.status == "merged" and not task.verified:
        return "unverified"
    return TASK_WORDS.get(task.status, task.status)


def status_style(task: TaskState) -> str:
    if task.status == "merged" and not task.verified:
        return "yellow"
    return GLYPHS[task.status][2]


def glyph(task: TaskState, *, unicode: bool = True) -> str:
    drawn, ascii_form, _ = GLYPHS[task.status]
    return drawn if unicode else ascii_form


def gate_line(gate: str, outcome: GateOutcome, detail: str, *, unicode: bool = True) -> Line:
    drawn, ascii_form, style = GATE_STYLES[outcome]
    mark = drawn if unicode else ascii_form
    return line(
        (f"{mark} {gate} ", style), outcome.replace("_", " "), (f"  {detail}" if detail else "", "dim")
    )


def wait_words(wait: Wait, now: float) -> str:
    return f"waits {figures.duration(wait.until - now)} for {wait.reason or 'its provider'}"


def clock(at: float) -> str:
    """The time of day here of a moment in Unix seconds."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def run_word(state: RunState) -> str:
    """What the run is doing, or how it ended."""
    if state.end is not None:
        return state.end
    if state.approvals:
        return "waiting for you"
    if state.cancelled:
        return "being cancelled"
    if not state.base and all(task.status == "pending" for task in state.tasks.values()):
        return "reading files"
    return {"planning": "planning", "confirming": "waiting for you"}.get(state.phase, "running")
