"""What reading a model's stream costs, beside the vendors' own SDKs in the same run, events of 20 characters.

Ours is measured as it is composed for use: limiter, breaker, retries and all. The SDKs' text is only looked at. Then
200 streams at once, 20 events a second each: how late an event reaches the consumer, and the share of a core.
"""

import importlib.util
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.outcome import Cell, Outcome, Table, Target, median, median_ratio
from benchmarks.processes import REPOSITORY, environment, run_program

NAME = "providers"
_LIMITS = {("openai", "single"): 0.5, ("anthropic", "single"): 0.85, ("openai", "joined"): 0.6}
_LIMITS[("anthropic", "joined")] = 0.6


@dataclass(frozen=True, slots=True)
class Sizes:
    events: int
    calls: int
    repeats: int
    streams: int
    paced_events: int


FULL = Sizes(1000, 5, 5, 200, 60)
TINY = Sizes(50, 1, 1, 5, 5)


@contextmanager
def event_server(events: int) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.programs.event_server", str(events)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.stdin.close()
            process.stdout.read()


def run(sizes: Sizes) -> Outcome:
    samples: dict[str, list[float]] = defaultdict(list)
    sdks = [api for api in ("openai", "anthropic") if importlib.util.find_spec(api) is not None]
    with event_server(sizes.events) as origin:
        for _ in range(sizes.repeats):
            for api, way in _LIMITS:
                for kind in ("ours", "sdk") if api in sdks else ("ours",):
                    done = run_program("provider_stream", kind, api, f"{origin}/{way}", sizes.calls).result
                    per_thousand = 1e6 * done["cpu_s"] / (sizes.calls * sizes.events)
                    samples[f"{kind}, {api}, {way}, CPU ms/1000 events"].append(per_thousand)
    with event_server(sizes.paced_events) as origin:
        paced = run_program(
            "provider_stream", "ours", "openai", f"{origin}/paced", sizes.streams, "paced"
        ).result
    samples["p99 ms"].append(paced["p99_ms"])
    samples["cores"].append(paced["cpu_s"] / paced["wall_s"])
    rows: list[tuple[Cell, ...]] = []
    for api, way in _LIMITS:
        key = f"{api}, {way}, CPU ms/1000 events"
        theirs = samples.get(f"sdk, {key}")
        rows.append((api, way, median(samples[f"ours, {key}"]), median(theirs) if theirs else None))
    table = Table(
        "CPU for 1,000 events", ("API", "events arrive", "ours, ms", "official SDK, ms"), tuple(rows)
    )
    return Outcome(NAME, "Providers", __doc__ or "", (table,), _targets(samples), samples=dict(samples))


def _targets(samples: dict[str, list[float]]) -> tuple[Target, ...]:
    targets = []
    for (api, way), limit in _LIMITS.items():
        key = f"{api}, {way}, CPU ms/1000 events"
        theirs = samples.get(f"sdk, {key}")
        value = median_ratio(samples[f"ours, {key}"], theirs) if theirs else None
        why = "" if theirs else f"the SDK {api} is not installed"
        targets.append(Target(f"CPU beside {api}'s SDK, {way} events", value, limit, "times", why=why))
    targets.append(Target("p99 from arrival to consumer, 200 streams", samples["p99 ms"][0], 25, "ms"))
    targets.append(Target("cores for 200 streams of 20 events/s", samples["cores"][0], 0.5, "cores"))
    return tuple(targets)
