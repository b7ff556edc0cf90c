"""A run as its events, so that what is drawn is always a fold of what an engine would journal."""

from collections.abc import Sequence

from orchestration import events as ev
from orchestration.events import Record
from orchestration.fold import fold
from orchestration.graph_model import TaskSpec
from orchestration.run import RunState
from providers.messages import assistant
from providers.usage import UNKNOWN, Usage

START = 1_000_000.0


def spec(task_id: str, *needs: str, title: str = "", parent: str | None = None) -> TaskSpec:
    return TaskSpec(
        id=task_id,
        title=title or f"Mend {task_id}",
        instructions=f"Mend {task_id}.\nAll of it.",
        depends_on=needs,
        parent=parent,
    )


def state_of(*events: ev.Event, every_s: float = 1.0) -> RunState:
    return fold("run-1", [Record(n, START + n * every_s, event) for n, event in enumerate(events, 1)])


def created(goal: str = "Mend the parser") -> ev.RunCreated:
    return ev.RunCreated(
        goal=goal, workspace="/w", options=ev.RunOptions(model="scripted/demo"), version="0.1.0"
    )


def started(task_id: str, attempt: int = 1) -> ev.TaskStarted:
    return ev.TaskStarted(task_id=task_id, attempt=attempt, snapshot="s", role="coder", model="scripted/demo")


def turn(task_id: str, number: int, *, attempt: int = 1, usage: Usage = UNKNOWN) -> Sequence[ev.Event]:
    return (
        ev.TurnStarted(task_id=task_id, attempt=attempt, turn=number),
        ev.TurnCompleted(
            task_id=task_id,
            attempt=attempt,
            turn=number,
            message=assistant("Reading."),
            stop="tool_calls",
            usage=usage,
        ),
        ev.ToolFinished(
            task_id=task_id,
            attempt=attempt,
            turn=number,
            call_id="c",
            tool="read_file",
            text="…",
            subject="src/parse.py",
        ),
    )


FEEDBACK = "collected 2 items\n\nE  assert 1 == 2\n\x1b[31mFAILED tests/test_b.py::test_sum\x1b[0m - boom\n"


def finished_run() -> RunState:
    """One merged, one dead letter with feedback, one skipped, one unverified."""
    tasks = (spec("a"), spec("b"), spec("c", "b"), spec("d"))
    return state_of(
        created(),
        ev.SnapshotTaken(snapshot="s", files=12, left_out=(ev.LeftOut("big.bin", "larger than 10 MB"),)),
        ev.PlanAccepted(tasks=tasks),
        started("a"),
        *turn("a", 1, usage=Usage(1200, 300, cost_usd=0.0123)),
        ev.GateFinished(task_id="a", gate="syntax", outcome="passed"),
        ev.TaskMerged(task_id="a", attempt=1, snapshot="s2", changed=("src/a.py",), summary="Mended a."),
        started("b"),
        ev.GateFinished(task_id="b", gate="tests", outcome="blocked", detail="1 failed"),
        ev.AttemptFailed(task_id="b", attempt=1, kind="gate", reason="tests: 1 failed", feedback=FEEDBACK),
        started("b", 2),
        ev.AttemptFailed(task_id="b", attempt=2, kind="gate", reason="tests: 1 failed", feedback=FEEDBACK),
        ev.TaskDead(task_id="b", reason="tests: 1 failed", attempts=2),
        ev.TaskSkipped(task_id="c", because="b", reason="b is a dead letter"),
        started("d"),
        ev.GateFinished(task_id="d", gate="tests", outcome="not_run", detail="the workspace is not trusted"),
        ev.TaskMerged(task_id="d", attempt=1, snapshot="s3", changed=("d.py",), verified=False),
        ev.GateFinished(gate="syntax", outcome="passed"),
        ev.ChangesProposed(base="s", snapshot="s3", change_set="x", files=2, hunks=3, added=4, removed=1),
        ev.RunFinished(
            state="partial",
            tasks={"merged": 2, "dead": 1, "skipped": 1},
            usage=Usage(1200, 300, cost_usd=0.0123),
            exit_code=1,
            reasons=("1 dead letter: b", "unverified: d"),
            seconds=20.0,
        ),
    )
