"""Which Python runs the tests of a project, and what it is like.

In this order: the setting, a virtual environment of the workspace (the nearest to the project), the one
of `VIRTUAL_ENV`, `python3` of PATH. Never the one Antiphon itself runs in, unless the workspace says so.
"""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.quality.processes import Processes
from orchestration.quality.runners.assets import copy_assets
from orchestration.quality.runners.contract import Bench
from orchestration.quality.settings import QualitySettings
from orchestration.quality.tree_view import ancestors

_ENVIRONMENTS = (".venv", "venv", "env", ".env", "virtualenv")
_PROBE = "antiphon_probe.py"
_INSTALLED = re.compile(r"(site|dist)-packages|python3(\.\d+)?t?")


@dataclass(frozen=True, slots=True)
class Python:
    """`environment` is its virtual environment's folder, if it has one."""

    program: Path
    environment: Path | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """`path` and `modules` (name -> places) are real paths, as seen from the project's folder."""

    version: str
    has_pytest: bool
    path: tuple[str, ...]
    modules: Mapping[str, tuple[str, ...]]


def find_python(
    bases: Sequence[Path],
    folder: str,
    settings: QualitySettings,
    environ: Mapping[str, str],
    processes: Processes,
) -> Python | str:
    """The interpreter, or why there is none. `bases`: where the workspace's files lie, the checkout first.
    Reads the disk: run it off the event loop.
    """
    if settings.interpreter:
        return _from_setting(bases, settings.interpreter, processes)
    for place in ancestors(folder):
        for name in _ENVIRONMENTS:
            for base in bases:
                if found := _environment(base / place / name):
                    return found
    active = environ.get("VIRTUAL_ENV", "")
    if active and not _same(active, sys.prefix) and (found := _environment(Path(active))):
        return found
    for name in ("python3", "python"):
        if program := processes.find(name):
            return Python(Path(program))
    return "no Python was found for the tests: name one in the setting `interpreter`"


def _from_setting(bases: Sequence[Path], wanted: str, processes: Processes) -> Python | str:
    if "/" not in wanted:
        program = processes.find(wanted)
        return Python(Path(program)) if program else f"the interpreter {wanted} (a setting) is not on PATH"
    for base in bases:
        candidate = base / Path(wanted).expanduser()
        if os.access(candidate, os.X_OK) and candidate.is_file():
            folder = candidate.parent.parent
            return Python(candidate, folder if (folder / "pyvenv.cfg").is_file() else None)
    return f"the interpreter {wanted} (a setting) is missing or not executable"


def _environment(folder: Path) -> Python | None:
    if not (folder / "pyvenv.cfg").is_file():
        return None
    for name in ("bin/python", "bin/python3"):
        program = folder / name
        if program.is_file() and os.access(program, os.X_OK):
            return Python(program, folder)
    return None


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def python_environment(bench: Bench, python: Python) -> dict[str, str]:
    """What a run with this Python gets on top of the launcher's environment."""
    env = {
        **bench.env,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(bench.temporary()),
        "ANTIPHON_ROOT": str(bench.root),
        "ANTIPHON_CHECKOUT": str(bench.checkout),
    }
    env.pop("VIRTUAL_ENV", None)
    if python.environment is not None:
        env["VIRTUAL_ENV"] = str(python.environment)
        env["PATH"] = f"{python.program.parent}{os.pathsep}{env.get('PATH', bench.processes.path)}"
    return env


def with_places(env: dict[str, str], places: Sequence[str]) -> dict[str, str]:
    """With `places` at the head of PYTHONPATH."""
    given = [place for place in env.get("PYTHONPATH", "").split(os.pathsep) if place]
    found = os.pathsep.join([*places, *given])
    return {**env, "PYTHONPATH": found} if found else env


async def probe_python(
    bench: Bench, python: Python, folder: str, modules: Sequence[str], first: Sequence[str] = ()
) -> Probe | str:
    """Asks it; `first` are places to look in before all others. Returns why it cannot be asked, when it cannot."""
    assets = await bench.executor.run(copy_assets, bench.scratch, (_PROBE,))
    done = await bench.processes.run(
        (str(python.program), str(assets / _PROBE), *modules),
        cwd=bench.path(folder),
        env=with_places(python_environment(bench, python), first),
        purpose="find out about the tests' Python",
    )
    answer = next((line for line in done.output.splitlines() if line.startswith("antiphon-probe ")), None)
    if done.failure or answer is None:
        said = done.failure or done.output.strip()[-200:] or f"it ended with {done.exit_code}"
        return f"the tests' Python {python.program} does not work: {said}"
    found: dict[str, Any] = json.loads(answer.removeprefix("antiphon-probe "))
    return Probe(
        found["version"],
        found["pytest"],
        tuple(found["path"]),
        {name: tuple(places) for name, places in found["modules"].items()},
    )


def strays(bench: Bench, probe: Probe) -> tuple[list[str], list[str]]:
    """What of a Python's imports leads into the user's workspace instead of the checkout: places on its
    path with their twins in the checkout first, then the names of modules whose twins do not help.
    """
    root, inside = str(bench.root), str(bench.checkout)
    twins: dict[str, None] = {}
    for place in probe.path:
        if (relative := _stray(place, root, inside)) is not None:
            twins[str(Path(inside) / relative)] = None
    names = []
    for name, places in probe.modules.items():
        for place in places:
            if (relative := _stray(place, root, inside)) is not None:
                names.append(name)
                parent = Path(relative).parent
                if Path(relative).name.startswith("__init__."):
                    parent = parent.parent
                twins[str(Path(inside) / parent)] = None
    return list(twins), list(dict.fromkeys(names))


def _stray(place: str, root: str, inside: str) -> str | None:
    """The path from the root, for what lies in the workspace and is the workspace's own code."""
    if place == inside or place.startswith(inside + os.sep):
        return None
    if place != root and not place.startswith(root + os.sep):
        return None
    if any(_INSTALLED.fullmatch(part) for part in Path(place).parts):
        return None
    return os.path.relpath(place, root)
