"""What ten at once gain: ten independent tasks of one call of 300 ms each, one at a time and ten at a time.

The speed-up is the ratio of the wall times from starting the run to its end, everything included; ten would be
perfect. Both in the same run, alternating, each in a fresh process after ten tasks of warm-up.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.outcome import Outcome, Table, Target, median, median_ratio, spread
from benchmarks.processes import model_server, run_program

NAME = "parallel"


@dataclass(frozen=True, slots=True)
class Sizes:
    call_ms: int
    repeats: int


FULL = Sizes(300, 5)
TINY = Sizes(10, 1)


def run(sizes: Sizes) -> Outcome:
    walls: dict[int, list[float]] = {1: [], 10: []}
    for _ in range(sizes.repeats):
        for parallel, taken in walls.items():
            with (
                tempfile.TemporaryDirectory(prefix="antiphon-bench-") as folder,
                model_server("echo", delay_ms=sizes.call_ms) as url,
            ):
                place = Path(folder).resolve()
                done = run_program("engine_loop", url, place, 10, "--warm", 10, "--parallel", parallel)
            taken.append(done.result["wall_s"])
    speed_up = median_ratio(walls[1], walls[10])
    rows = tuple((parallel, median(taken), spread(taken)) for parallel, taken in walls.items())
    table = Table("Ten independent tasks", ("at once", "wall, s", "min to max, s"), rows)
    samples = {f"{parallel} at once, wall s": taken for parallel, taken in walls.items()}
    target = Target("speed-up of ten at once", speed_up, 8, "times", at_least=True)
    return Outcome(NAME, "Parallel speed-up", __doc__ or "", (table,), (target,), samples=samples)
