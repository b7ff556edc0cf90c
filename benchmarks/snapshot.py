"""How long the base of a run takes: the first snapshot of a workspace, and the next after one changed file.

Workspaces of 10,000 and 100,000 files of 2 kB in folders of twenty, in a git repository and without one. The
first snapshot stores everything, durably. The next ones come from the same process, as in a server, and from a
fresh one, as on the command line, whose loading of the object library (about 50 ms) and of what it knew of the files
is counted. Then: whether runs
whose agents only edit leave a checkout or start a process.
"""

import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from benchmarks.outcome import Cell, Outcome, Table, Target, median, spread
from benchmarks.processes import environment, model_server, run_program, stored_bytes

NAME = "snapshot"
Samples = defaultdict[str, list[float]]
FOLDER_FILES = 20
_STEPS = ("first", "one changed file", "one changed file, fresh process")


@dataclass(frozen=True, slots=True)
class Sizes:
    """`repeats` by number of files."""

    repeats: dict[int, int]
    editing_tasks: int


FULL = Sizes({10_000: 3, 100_000: 1}, 20)
TINY = Sizes({200: 1}, 10)


def run(sizes: Sizes) -> Outcome:
    samples: Samples = defaultdict(list)
    for files, repeats in sizes.repeats.items():
        for _ in range(repeats):
            for kind in ("git", "no git"):
                _take(samples, files, kind)
    rows: list[tuple[Cell, ...]] = []
    for files in sizes.repeats:
        for kind in ("git", "no git"):
            for step in _STEPS:
                key = f"{files} files, {kind}, {step}"
                walls = samples[f"{key}, wall ms"]
                rows.append(
                    (
                        f"{files:,}",
                        kind,
                        step,
                        median(walls),
                        spread(walls),
                        median(samples[f"{key}, CPU ms"]),
                    )
                )
    columns = ("files", "repository", "snapshot", "wall, ms", "min to max, ms", "CPU, ms")
    table = Table("Snapshots", columns, tuple(rows))
    edits = _edits(sizes.editing_tasks)
    targets = [
        Target(
            f"after one changed file of {files:,} ({kind}), {step.removeprefix('one changed file').strip(', ') or 'same process'}",
            median(samples[f"{files} files, {kind}, {step}, wall ms"]),
            150,
            "ms",
        )
        for files in sizes.repeats
        if files == 10_000
        for kind in ("git", "no git")
        for step in _STEPS[1:]
    ]
    targets.append(Target("checkouts of tasks that only edit", edits["checkouts"], 0, "checkouts"))
    targets.append(
        Target("CPU of processes started by tasks that only edit", edits["children CPU ms"], 0, "ms")
    )
    return Outcome(NAME, "Snapshots", __doc__ or "", (table,), tuple(targets), samples=dict(samples))


def _take(samples: Samples, files: int, kind: str) -> None:
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name:
        folder = Path(name).resolve()
        workspace, data = folder / "workspace", folder / "data"
        make_workspace(workspace, files)
        if kind == "git":
            _commit(workspace, folder)
        first = run_program("snapshot_take", workspace, data, "--changes", 3).result
        again = [
            run_program("snapshot_take", workspace, data, "--first", number, "--changes", 0).result
            for number in range(4, 7)
        ]
        assert first["files"] == files
    key = f"{files} files, {kind}"
    taken = {
        _STEPS[0]: ([first["walls_s"][0]], [first["cpus_s"][0]]),
        _STEPS[1]: (first["walls_s"][1:], first["cpus_s"][1:]),
        _STEPS[2]: ([one["walls_s"][0] for one in again], [one["cpus_s"][0] for one in again]),
    }
    for step, (walls, cpus) in taken.items():
        samples[f"{key}, {step}, wall ms"] += [1000 * value for value in walls]
        samples[f"{key}, {step}, CPU ms"] += [1000 * value for value in cpus]


def make_workspace(workspace: Path, files: int) -> None:
    for number in range(files // FOLDER_FILES):
        folder = workspace / f"folder_{number:04}"
        folder.mkdir(parents=True)
        for place in range(FOLDER_FILES):
            line = f"value_{number}_{place} = compute({number * place})\n"
            (folder / f"file_{place:02}.py").write_text(line * (2048 // len(line)))


def _commit(workspace: Path, home: Path) -> None:
    env = environment(HOME=str(home), GIT_CONFIG_NOSYSTEM="1")
    person = ["-c", "user.name=Bench", "-c", "user.email=bench@example.org", "-c", "gc.auto=0"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", *person, *command], cwd=workspace, env=env, check=True)


def _edits(tasks: int) -> dict[str, float]:
    """What a run of agents that only edit left of checkouts, and the CPU of the processes it started."""
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name, model_server("edit") as url:
        folder = Path(name).resolve()
        done = run_program("engine_loop", url, folder, tasks).result
        checkouts = [path for path in (folder / "data").rglob("checkouts/*") if stored_bytes(path)]
    return {"checkouts": float(len(checkouts)), "children CPU ms": 1000 * done["children_cpu_s"]}
