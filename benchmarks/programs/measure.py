"""The measured part of a program, as the program itself sees it."""

import json
import resource
import sys
import time
from typing import Any


def children_cpu_s() -> float:
    """User and system seconds of the children that have ended and were waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def cpu_s() -> float:
    """User and system seconds of this process and of such children."""
    return time.process_time() + children_cpu_s()


class Meter:
    """CPU (as `cpu_s`) and wall seconds between `start` and `stop`."""

    def __init__(self) -> None:
        self.ready_cpu_s = cpu_s()
        self.cpu_s = 0.0
        self.wall_s = 0.0
        self.children_cpu_s = 0.0
        self.marked_cpu_s = 0.0
        self._began = (0.0, 0.0, 0.0)

    def start(self) -> None:
        self._began = (cpu_s(), time.perf_counter(), children_cpu_s())

    def mark(self) -> None:
        """Keeps the CPU since `start` in `marked_cpu_s`."""
        self.marked_cpu_s = cpu_s() - self._began[0]

    def stop(self) -> None:
        self.wall_s = time.perf_counter() - self._began[1]
        self.cpu_s = cpu_s() - self._began[0]
        self.children_cpu_s = children_cpu_s() - self._began[2]

    def report(self, **more: Any) -> None:
        """Prints the one line that the bench reads. `imports_cpu_s` is what the process had used before it began."""
        line = {"cpu_s": self.cpu_s, "wall_s": self.wall_s, "imports_cpu_s": self.ready_cpu_s, **more}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
