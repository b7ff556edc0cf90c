"""`python -m tests.simulation --seeds 0:2000`: one line for each seed that fails, and what it found."""

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.story import Told, tell


def main() -> int:
    chosen = _parsed()
    first, _, end = chosen.seeds.partition(":")
    seeds = range(int(first), int(end) if end else int(first) + 1)
    began = time.monotonic()
    told = list(_told(seeds, chosen.processes, first_only=chosen.first))
    for one in told:
        if chosen.journals:
            print(one.seed, one.journal)
        if one.violations:
            print(f"seed {one.seed}: " + "; ".join(one.violations[:3]))
    failed = sum(bool(one.violations) for one in told)
    crashes, adoptions = sum(one.crashes for one in told), sum(one.adoptions for one in told)
    cpu = sum(one.cpu for one in told)
    print(
        f"{len(told)} seeds, {crashes} crashes, {adoptions} adoptions, {failed} with violations, "
        f"{1000 * cpu / len(told):.0f} ms of CPU a seed, {time.monotonic() - began:.1f} s"
    )
    return 1 if failed else 0


def _told(seeds: range, processes: int, *, first_only: bool) -> Iterator[Told]:
    if processes > 1:
        with ProcessPoolExecutor(processes) as pool:
            yield from pool.map(tell, seeds, chunksize=10)
        return
    for seed in seeds:
        told = tell(seed)
        yield told
        if first_only and told.violations:
            return


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0:200", metavar="FROM:TO", help="which (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="how many at once (default: %(default)s)")
    parser.add_argument("--journals", action="store_true", help="print a digest of each seed's journal")
    parser.add_argument("--first", action="store_true", help="stop at the first that fails; with one process")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
