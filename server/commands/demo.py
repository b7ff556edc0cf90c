"""`antiphon demo`: a whole run in a folder of its own, with a scripted provider in the place of a model.

Nothing of the user's is touched: the workspace is a copy, and journal and snapshots are in the same folder.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, output_options

if TYPE_CHECKING:
    from orchestration.run import RunState
    from server.settings import Settings
    from server.terminal.terminal import Terminal

EXAMPLES = """  antiphon demo
  antiphon demo --keep
  antiphon demo --workspace ~/antiphon-demo
"""
GOAL = "Make the tests of the parcel desk pass"
DEAD = "labels"
_PACKAGED = Path(__file__).parents[1] / "demo"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workspace",
        metavar="DIR",
        help="copy the demo's project here (must be empty or missing) and keep it",
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder afterwards")
    output_options(parser)


def execute(invocation: Invocation) -> int:
    import anyio

    terminal = invocation.terminal
    terminal.say(("Antiphon demo", "bold"))
    terminal.say("No model is asked: the scripted provider answers from a file. All else is real:")
    terminal.say("plan, agents' tools, commands, gates, merge, and the review of what comes back.")
    with _place(invocation) as (root, data):
        shutil.copytree(
            _PACKAGED / "workspace", root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
        terminal.say("workspace  ", (str(root), "bold"))
        terminal.say("data       ", (str(data), "bold"))
        terminal.say()
        return anyio.run(_demo, invocation, root, _settings(data))


@contextmanager
def _place(invocation: Invocation) -> Iterator[tuple[Path, Path]]:
    """The workspace's folder and the data's. Raises WorkspaceError when the given folder is in use."""
    from orchestration.errors import WorkspaceError

    folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="antiphon-demo-")))
    given = invocation.args.workspace
    keep = invocation.args.keep or given is not None
    try:
        root = Path(os.path.realpath(given)) if given is not None else folder / "parcels"
        try:
            if root.exists() and (not root.is_dir() or any(root.iterdir())):
                raise WorkspaceError(f"{root} is not an empty folder; give another one with --workspace")
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"{root} cannot be used: {error.strerror}; give another one with --workspace"
            ) from error
        yield root, folder / "data"
        if keep:
            terminal = invocation.terminal
            terminal.say()
            terminal.say(("kept", "bold"), f"  {root}")
            terminal.say(
                "      ",
                (f"ANTIPHON_DATA_DIR={folder / 'data'} antiphon show latest --workspace {root}", "cyan"),
            )
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _settings(data: Path) -> "Settings":
    """The demo's own: a user's file could make it another demo."""
    from server.settings import GateSettings, ProviderSettings, Settings

    # The tests' interpreter is never ours; where PATH has none, the one that ours was made from.
    base = "" if shutil.which("python3") else str(getattr(sys, "_base_executable", sys.executable))
    return Settings(
        model="scripted/demo",
        approval="auto",
        max_parallel=4,
        data_dir=data,
        providers=ProviderSettings(scripts=_PACKAGED / "demo.yaml"),
        models={"scripted/demo": {"input": 0.0, "output": 0.0}},
        quality=GateSettings(interpreter=base),
    )


async def _demo(invocation: Invocation, root: Path, settings: "Settings") -> int:
    from orchestration.commands import DecideHunks, StartRun
    from server.app import open_engine
    from server.commands.deciding import BY, decision_json, decision_lines
    from server.commands.engine import log_to_file, refused
    from server.commands.watch import Watch
    from server.run_options import run_options
    from server.terminal.changes import diff
    from server.terminal.following import finished_json

    terminal = invocation.terminal
    log_to_file(root, settings, invocation.environ)
    async with open_engine(root, settings=settings, trusted=True, environ=invocation.environ) as engine:
        reply = await engine.submit(StartRun(goal=GOAL, options=run_options(settings)))
        if reply.error:
            return refused(reply, terminal)
        watch = Watch(engine, reply.run_id, terminal)
        state = await watch.follow()
        _said(terminal, state)
        if state.end == "cancelled":
            return 130
        view = await engine.changes(reply.run_id)
        _step(terminal, "What the agents propose (nothing is written yet): antiphon changes latest")
        terminal.lines(diff(view))
        accepted = await engine.submit(DecideHunks(run_id=reply.run_id, decision="accept", all=True, by=BY))
        _step(terminal, "Accepted: antiphon accept latest --all")
        terminal.lines(decision_lines(accepted, "accept"))
    passed = await _tested(invocation, root, settings)
    good = _as_planned(state, passed) and not accepted.error
    if watch.finished is not None:
        terminal.emit(finished_json(watch.finished, state, {"accepted": decision_json(accepted)}))
    terminal.emit({"type": "demo_finished", "tests": passed, "exitCode": 0 if good else 1})
    if not good:
        terminal.say(("The demo did not go as planned; please report this.", "bold red"))
    return 0 if good else 1


def _step(terminal: "Terminal", text: str) -> None:
    terminal.say()
    terminal.say((text, "bold"))
    terminal.say()


def _said(terminal: "Terminal", state: "RunState") -> None:
    from server.terminal.summary import summary

    recovered = [task.spec.id for task in state.tasks.values() if task.status == "merged" and task.failures]
    lines = summary(state, time.time(), columns=terminal.columns, unicode=terminal.unicode, with_next=False)
    terminal.lines(lines)
    for task_id in recovered:
        terminal.say()
        terminal.say((task_id, "bold"), " failed its gate, was told why, and got it right the next time.")


async def _tested(invocation: Invocation, root: Path, settings: "Settings") -> dict[str, bool]:
    """Runs the workspace's own tests, as its user would. Whether each module passed."""
    from server.app import run_program

    terminal = invocation.terminal
    _step(terminal, "The workspace's own tests: python3 -m unittest")
    program = settings.quality.interpreter or shutil.which("python3") or sys.executable
    passed: dict[str, bool] = {}
    for file in sorted((root / "tests").glob("test_*.py")):
        argv = (program, "-m", "unittest", f"tests.{file.stem}")
        done = await run_program(argv, root, settings=settings, environ=invocation.environ)
        name = file.stem.removeprefix("test_")
        passed[name] = done.exit_code == 0
        last = done.output.decode(errors="replace").strip().splitlines()[-1:]
        mark = ("passed", "green") if passed[name] else ("failed", "red")
        known = "  the dead letter: given up, so not merged" if name == DEAD else ""
        terminal.say(f"  {name:<10} ", mark, (f"  {last[0] if last else ''}", "dim"), known)
    return passed


def _as_planned(state: "RunState", passed: dict[str, bool]) -> bool:
    ends = {task_id: task.status for task_id, task in state.tasks.items()}
    return (
        bool(ends)
        and all((status == "dead") == (task_id == DEAD) for task_id, status in ends.items())
        and all(ok == (name != DEAD) for name, ok in passed.items())
    )
