"""Which Python runs the tests of a project, and in what environment.

In this order: the setting, a virtual environment of the workspace (the nearest to the project), the one
of `VIRTUAL_ENV`, `python3` of PATH. Never the one Antiphon itself runs in, unless the workspace says so.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestration.quality.processes import Processes
from orchestration.quality.runners.contract import Bench
from orchestration.quality.settings import QualitySettings
from orchestration.quality.tree_view import TreeView, ancestors, join

_VERSION_FILES = (".python-version", ".tool-versions", "mise.toml", ".mise.toml")
_ENVIRONMENTS = (".venv", "venv", "env", ".env", "virtualenv")


@dataclass(frozen=True, slots=True)
class Python:
    """`environment` is its virtual environment's folder, if it has one. `is_first`: its folder comes first on
    the PATH of what it runs.
    """

    program: Path
    environment: Path | None = None
    is_first: bool = False


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


class Shims:
    """Scripts on PATH that look for the Python to start (pyenv, asdf): what they led to, so that they need not
    look again. It depends on the files by which a folder asks for a version.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Path, tuple[bytes, ...]], Path] = {}

    def behind(self, python: Python, view: TreeView, folder: str) -> Python:
        """The Python that a known script stands for; else the same."""
        found = self._known.get((python.program, _wishes(view, folder)))
        if found is None or python.environment is not None or not os.access(found, os.X_OK):
            return python
        return Python(found, is_first=True)

    def learn(self, python: Python, view: TreeView, folder: str, executable: str) -> None:
        """What a run said of itself. Reads the disk."""
        if python.environment is None and executable and _is_script(python.program):
            self._known[python.program, _wishes(view, folder)] = Path(executable)


def _wishes(view: TreeView, folder: str) -> tuple[bytes, ...]:
    places = [join(place, name) for place in ancestors(folder) for name in _VERSION_FILES]
    return tuple(path.encode() + (view.data(path) or b"") for path in places if path in view)


def _is_script(program: Path) -> bool:
    try:
        with program.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


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
    if python.environment is not None or python.is_first:
        env["PATH"] = f"{python.program.parent}{os.pathsep}{env.get('PATH', bench.processes.path)}"
    return env


def with_places(env: dict[str, str], places: Sequence[str]) -> dict[str, str]:
    """With `places` at the head of PYTHONPATH."""
    given = [place for place in env.get("PYTHONPATH", "").split(os.pathsep) if place]
    found = os.pathsep.join([*places, *given])
    return {**env, "PYTHONPATH": found} if found else env
