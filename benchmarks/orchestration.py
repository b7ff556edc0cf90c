"""What orchestration costs beside the model calls it makes.

Layers of ten tasks, each task depending on the whole layer before, one call each with an answer of 1 kB from a
local server in another process, which answers at once or after 200 ms; everything persisted. Three programs do
the same: the bare client loop (httpx2, one durable SQLite row a task, `asyncio.gather` per layer), LangGraph
with its SQLite saver (the same client in its nodes), and Antiphon's engine with all it does (plan, journal,
agent loop, merge, change set; ten at once).

*Loop*: from a plan that is still data and a store that is not there yet to the last durable result, after ten
tasks of warm-up in the same process; the HTTP client, or our engine, is open before. *Process*: from exec to exit
of a cold process, imports included; for Antiphon that is `antiphon run --plan-file --json`.
Rounds alternate the programs; ratios are medians of the ratios within a round.
"""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.outcome import Cell, Outcome, Table, Target, median, median_ratio
from benchmarks.processes import (
    Measured,
    ProgramFailedError,
    environment,
    model_server,
    run_measured,
    run_program,
    stored_bytes,
)
from benchmarks.programs.layers import write_plan

NAME = "orchestration"
ANSWER_BYTES = 1024
_PROGRAMS = {"bare_loop": "bare loop", "langgraph_loop": "LangGraph", "engine_loop": "Antiphon"}
Samples = defaultdict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """`repeats` by number of tasks; `edits` for the runs with an edit per task."""

    repeats: dict[int, int]
    edits: dict[int, int]
    delays_ms: tuple[int, ...]


FULL = Sizes({10: 11, 100: 7, 1000: 3}, {10: 7, 100: 5, 1000: 2}, (0, 200))
TINY = Sizes({10: 1}, {10: 1}, (0,))


def run(sizes: Sizes) -> Outcome:
    programs = [name for name in _PROGRAMS if name != "langgraph_loop" or find_spec("langgraph")]
    samples: Samples = defaultdict(list)
    for tasks, repeats in sizes.repeats.items():
        for number in range(repeats):
            order = programs[number % len(programs) :] + programs[: number % len(programs)]
            for delay in sizes.delays_ms:
                for program in order:
                    _loop(samples, program, "echo", tasks, delay)
            for program in order:
                _process(samples, program, "echo", tasks)
    for tasks, repeats in sizes.edits.items():
        for _ in range(repeats):
            for delay in sizes.delays_ms:
                _loop(samples, "engine_loop", "edit", tasks, delay)
            _process(samples, "engine_loop", "edit", tasks)
    tables = (
        _loop_table(samples, programs, sizes),
        _process_table(samples, programs, sizes),
        _edit_table(samples, sizes),
    )
    notes = [] if "langgraph_loop" in programs else ["LangGraph is not installed here: its rows are missing."]
    notes += _notes(samples, sizes)
    targets = _targets(samples, programs, sizes)
    return Outcome(
        NAME, "Orchestration overhead", __doc__ or "", tables, targets, tuple(notes), dict(samples)
    )


# --- measuring -------------------------------------------------------------------------------------


def _loop(samples: Samples, program: str, script: str, tasks: int, delay: int) -> None:
    with _scratch() as folder, model_server(script, delay_ms=delay, size=ANSWER_BYTES) as url:
        result = run_program(program, url, folder, tasks, "--warm", 10).result
    key = f"{program}, {script}, {tasks} tasks, {delay} ms"
    samples[f"{key}, loop CPU ms/task"].append(1000 * result["cpu_s"] / tasks)
    samples[f"{key}, loop wall s"].append(result["wall_s"])
    if "prepared_cpu_s" in result:
        samples[f"{key}, graph and store CPU ms/task"].append(1000 * result["prepared_cpu_s"] / tasks)


def _process(samples: Samples, program: str, script: str, tasks: int) -> None:
    with _scratch() as folder, model_server(script, size=ANSWER_BYTES) as url:
        if program == "engine_loop":
            done, stored = _command_line(url, folder, tasks)
        else:
            done = run_program(program, url, folder, tasks)
            stored = {"total": int(done.result["stored"])}
    key = f"{program}, {script}, {tasks} tasks"
    samples[f"{key}, process CPU ms/task"].append(1000 * done.cpu_s / tasks)
    samples[f"{key}, process wall s"].append(done.wall_s)
    samples[f"{key}, peak MB"].append(done.peak_rss / 1e6)
    for part, size in stored.items():
        samples[f"{key}, stored {part} bytes/task"].append(size / tasks)


def _command_line(url: str, folder: Path, tasks: int) -> tuple[Measured, dict[str, int]]:
    """`antiphon run` as a user would call it; what it left behind, in parts."""
    workspace, plan, data = folder / "workspace", folder / "plan.json", folder / "data"
    workspace.mkdir()
    (workspace / "README.md").write_text("# Made for a measurement\n")
    write_plan(plan, tasks)
    program = Path(sys.executable).with_name("antiphon")
    command = [str(program), "run", "Measure", "--plan-file", str(plan), "--workspace", str(workspace)]
    command += ["--model", "openai/bench", "--max-parallel", "10", "--approval", "never", "--json"]
    env = environment(
        HOME=str(folder), ANTIPHON_DATA_DIR=str(data), OPENAI_BASE_URL=url, OPENAI_API_KEY="bench"
    )
    done = run_measured(command, env=env, codes=frozenset({0, 1}))
    if done.result.get("state") != "completed":
        raise ProgramFailedError(f"the run of {tasks} tasks was not completed: {done.result}")
    parts = {"total": stored_bytes(data), "disk": 0}
    for path in data.rglob("*"):
        parts["disk"] += path.lstat().st_blocks * 512  # whole blocks, folders too
        if path.is_file():
            part = "snapshots" if ".git" in str(path) else "journal" if ".sqlite" in path.name else "other"
            parts[part] = parts.get(part, 0) + path.stat().st_size
    return done, parts


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as folder:
        yield Path(folder).resolve()


# --- showing ---------------------------------------------------------------------------------------


def _loop_table(samples: Samples, programs: list[str], sizes: Sizes) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for delay in sizes.delays_ms:
        for tasks in sizes.repeats:
            for program in programs:
                key = f"{program}, echo, {tasks} tasks, {delay} ms"
                floor = f"bare_loop, echo, {tasks} tasks, {delay} ms"
                rows.append(
                    (
                        f"{delay} ms",
                        tasks,
                        _PROGRAMS[program],
                        median(samples[f"{key}, loop CPU ms/task"]),
                        _ratio(samples, key, floor, "loop CPU ms/task"),
                        median(samples[f"{key}, loop wall s"]),
                        _ratio(samples, key, floor, "loop wall s"),
                    )
                )
    columns = ("delay", "tasks", "program", "CPU-ms a task", "per bare", "wall, s", "per bare")
    return Table("The loop, without edits", columns, tuple(rows))


def _process_table(samples: Samples, programs: list[str], sizes: Sizes) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for tasks in sizes.repeats:
        for program in programs:
            key = f"{program}, echo, {tasks} tasks"
            stored = median(samples[f"{key}, stored total bytes/task"])
            rows.append(
                (
                    tasks,
                    _PROGRAMS[program],
                    median(samples[f"{key}, process CPU ms/task"]),
                    median(samples[f"{key}, process wall s"]),
                    median(samples[f"{key}, peak MB"]),
                    round(stored),
                    round(stored - ANSWER_BYTES),
                )
            )
    columns = (
        "tasks",
        "program",
        "CPU-ms a task",
        "wall, s",
        "peak memory, MB",
        "stored bytes a task",
        "beyond the model's text",
    )
    return Table("The whole process, without edits, 0 ms", columns, tuple(rows))


def _edit_table(samples: Samples, sizes: Sizes) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for tasks in sizes.edits:
        key = f"engine_loop, edit, {tasks} tasks"
        walls = [median(samples[f"{key}, {delay} ms, loop wall s"]) for delay in sizes.delays_ms]
        rows.append(
            (
                tasks,
                median(samples[f"{key}, {sizes.delays_ms[0]} ms, loop CPU ms/task"]),
                *walls,
                median(samples[f"{key}, process CPU ms/task"]),
                median(samples[f"{key}, peak MB"]),
                round(median(samples[f"{key}, stored journal bytes/task"])),
                round(median(samples[f"{key}, stored snapshots bytes/task"])),
                round(median(samples[f"{key}, stored disk bytes/task"])),
            )
        )
    columns = (
        "tasks",
        "loop CPU-ms a task",
        *(f"loop wall at {delay} ms, s" for delay in sizes.delays_ms),
        "process CPU-ms a task",
        "peak memory, MB",
        "journal bytes a task",
        "snapshot bytes a task",
        "blocks on disk, bytes a task",
    )
    return Table(
        "Antiphon with an edit, a merge and a syntax gate per task (1 kB file each)", columns, tuple(rows)
    )


def _notes(samples: Samples, sizes: Sizes) -> list[str]:
    most = max(sizes.repeats)
    parts = {
        part: median(samples[key])
        for part in ("journal", "snapshots", "other")
        if samples.get(key := f"engine_loop, echo, {most} tasks, stored {part} bytes/task")
    }
    said = ", ".join(f"{part} {value:,.0f}" for part, value in parts.items())
    notes = [f"Antiphon's stored bytes a task at {most:,} tasks, in parts: {said}."]
    prepared = [
        f"{median(samples[key]):.2f} at {tasks:,}"
        for tasks in sizes.repeats
        if samples.get(key := f"langgraph_loop, echo, {tasks} tasks, 0 ms, graph and store CPU ms/task")
    ]
    if prepared:
        notes.append(
            "Of LangGraph's loop, opening its store and compiling the graph take this many CPU-ms a task:"
            f" {', '.join(prepared)}."
        )
    return notes


# --- judging ---------------------------------------------------------------------------------------


def _targets(samples: Samples, programs: list[str], sizes: Sizes) -> tuple[Target, ...]:
    targets = []
    for delay in sizes.delays_ms:
        for tasks in sizes.repeats:
            where = f"{tasks:,} tasks, {delay} ms"

            def beside(program: str, what: str, at: str = f"{tasks} tasks, {delay} ms") -> float:
                return _ratio(samples, f"engine_loop, echo, {at}", f"{program}, echo, {at}", what)

            targets.append(
                Target(
                    f"CPU beside the bare loop, {where}",
                    beside("bare_loop", "loop CPU ms/task"),
                    1.5,
                    "times",
                )
            )
            if "langgraph_loop" in programs:
                targets.append(
                    Target(
                        f"CPU beside LangGraph, {where}",
                        beside("langgraph_loop", "loop CPU ms/task"),
                        1,
                        "times",
                    )
                )
            if delay:
                targets.append(
                    Target(
                        f"wall beside the bare loop, {where}",
                        beside("bare_loop", "loop wall s"),
                        1.1,
                        "times",
                    )
                )
    return (*targets, *_stored_targets(lambda tasks: _stored(samples, tasks), sizes))


def _stored_targets(stored: Callable[[int], float], sizes: Sizes) -> Iterator[Target]:
    """`stored`: bytes in all for so many tasks."""
    least, most = min(sizes.repeats), max(sizes.repeats)
    name = f"stored beyond the model's text, {most:,} tasks"
    yield Target(name, stored(most) / most - ANSWER_BYTES, 3072, "bytes a task")
    if least < most:
        each = (stored(most) - stored(least)) / (most - least)
        yield Target(
            "stored for each further task, beyond the model's text",
            each - ANSWER_BYTES,
            3072,
            "bytes a task",
        )


def _stored(samples: Samples, tasks: int) -> float:
    return tasks * median(samples[f"engine_loop, echo, {tasks} tasks, stored total bytes/task"])


def _ratio(samples: Samples, ours: str, theirs: str, what: str) -> float:
    return median_ratio(samples[f"{ours}, {what}"], samples[f"{theirs}, {what}"])
