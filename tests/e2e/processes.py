"""The process table as Linux shows it: who is whose child, and who belongs to a test by what its environment holds."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.bench import Bench

_PROC = Path("/proc")


def children(pid: int) -> list[int]:
    """All descendants, the nearest first."""
    found: list[int] = []
    left = [pid]
    while left:
        for thread in (_PROC / str(left.pop())).glob("task/*/children"):
            try:
                own = [int(word) for word in thread.read_text().split()]
            except OSError:
                continue
            found += own
            left += own
    return found


def belonging(bench: Bench) -> dict[int, str]:
    """Processes whose environment or arguments name the home or the workspace of this test, with their arguments."""
    marks = [os.fsencode(bench.antiphon.home), os.fsencode(bench.workspace)]
    found: dict[int, str] = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            argv, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if argv and any(mark in environment or mark in argv for mark in marks):
            found[int(entry.name)] = argv.replace(b"\0", b" ").decode(errors="replace")
    return found


def alive(pid: int) -> bool:
    """A process that nobody has reaped yet has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(condition: Callable[[], bool], complaint: Callable[[], object], within_s: float = 15) -> None:
    """Waits for what other processes do, which nobody announces."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.02)


def assert_nothing_left(bench: Bench, known: list[int]) -> None:
    """No process of the test lives on, and none of the `known` ones, which may carry no mark of it."""
    eventually(
        lambda: not belonging(bench) and not any(map(alive, known)),
        lambda: (belonging(bench), [pid for pid in known if alive(pid)]),
    )
