"""`python -m tests.simulation --seeds 0:2000`: one line for each seed that fails, and what it found."""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.story import Told, tell


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0:200", metavar="FROM:TO", help="which seeds (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="how many at once (default: %(default)s)")
    parser.add_argument("--journals", action="store_true", help="print the digest of every seed's journal")
    chosen = parser.parse_args()
    first, _, end = chosen.seeds.partition(":")
    seeds = range(int(first), int(end) if end else int(first) + 1)
    began, cpu = time.monotonic(), time.process_time()
    failed: list[Told] = []
    crashes = steps = 0
    with ProcessPoolExecutor(chosen.processes) as pool:
        stories = map(tell, seeds) if chosen.processes == 1 else pool.map(tell, seeds, chunksize=10)
        for told in stories:
            crashes += told.crashes
            steps += told.steps
            if chosen.journals:
                print(told.seed, told.journal)
            if told.violations:
                failed.append(told)
                print(f"seed {told.seed}: " + "; ".join(told.violations[:3]), flush=True)
    print(
        f"{len(seeds)} seeds, {crashes} crashes, {steps} steps, {len(failed)} with violations, "
        f"{time.monotonic() - began:.1f} s" + (f", {1000 * (time.process_time() - cpu) / len(seeds):.0f} ms CPU a seed" if chosen.processes == 1 else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
