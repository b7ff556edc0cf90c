"""Starts what is measured, and the model server beside it, as processes of their own; counts their CPU.

CPU is user plus system time of the process as the kernel hands it over when it is waited for: children that
it waited for are included, this process and the model server are not.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Measured:
    """A process that has ended well. `cpu_s` and `wall_s` are from its start to its end, `peak_rss` in bytes.
    `result` is the JSON object of its last line.
    """

    result: dict[str, Any]
    cpu_s: float
    wall_s: float
    peak_rss: int


class ProgramFailedError(RuntimeError):
    """Raised when a measured process ends with another code than was allowed; has the end of its output."""


def environment(**more: str) -> dict[str, str]:
    """A small fixed environment, so that a developer's own settings change no figure."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | more


def run_program(name: str, *arguments: object, env: Mapping[str, str] | None = None) -> Measured:
    """`python -m benchmarks.programs.NAME ARGUMENTS`. Raises ProgramFailedError."""
    return run_measured([sys.executable, "-m", f"benchmarks.programs.{name}", *map(str, arguments)], env=env)


def run_measured(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = REPOSITORY,
    codes: frozenset[int] = frozenset({0}),
) -> Measured:
    """Runs `command` to its end. Its output is read all along, and only its last line is kept.

    Raises ProgramFailedError for an exit code that `codes` lacks.
    """
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment() if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        errors: list[bytes] = []
        reading = threading.Thread(target=lambda pipe: errors.append(pipe.read()), args=(process.stderr,))
        reading.start()
        last = b""
        for line in process.stdout:
            last = line if line.strip() else last
        reading.join()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        said = (b"".join(errors)[-3000:] + b"\n" + last[-1000:]).decode("utf-8", "replace")
        raise ProgramFailedError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Measured(_object(last), usage.ru_utime + usage.ru_stime, wall, peak)


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@contextmanager
def model_server(script: str, *, delay_ms: float = 0, size: int = 1024, tasks: int = 0) -> Iterator[str]:
    """`programs/model_server.py` as a process; the URL of its API."""
    command = [sys.executable, "-m", "benchmarks.programs.model_server", script]
    command += ["--delay-ms", str(delay_ms), "--size", str(size), "--tasks", str(tasks)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise ProgramFailedError(f"{' '.join(command)} did not start")
            yield url
        finally:
            process.stdin.close()
            process.wait()


def stored_bytes(folder: Path) -> int:
    """The sizes of all files below `folder`, or of the file and what SQLite keeps beside it."""
    if folder.is_file():
        return sum(path.stat().st_size for path in folder.parent.glob(f"{folder.name}*"))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
