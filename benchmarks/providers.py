"""What reading a model's stream costs, beside the vendors' own SDKs in the same run, events of 20 characters.

Ours is measured as it is composed for use: limiter, breaker, retries and all. The SDKs' text is only looked at. Then
200 streams at once, 20 and 50 events a second each: how late an event reaches the consumer, and the share of a core.

*Imports*: CPU of importing an API's adapter, beside that of everything of others which it imports. *First use*: the longest
time for which the first use of a thing keeps an event loop from its other work; a call to each API, the way to a TLS
connection, tables of prices, lists of models, a repeated call, exact counts and the keyring in their processes.
"""

import importlib.util
import subprocess
import sys
import tempfile
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
    starts: int


FULL = Sizes(1000, 5, 5, 200, 60, 9)
TINY = Sizes(50, 1, 1, 5, 5, 1)
ADAPTERS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini", "ollama")
AT_A_SERVER = (
    "openai",
    "openai-responses",
    "anthropic",
    "google",
    "ollama",
    "openai https",
    "prices",
    "models",
    "retry",
)
WITH_A_PROCESS = ("tokens", "keyring")
RATES = (20, 50)


@contextmanager
def event_server(events: int, rate: int = 20) -> Iterator[str]:
    """`rate`: events a second of a paced stream."""
    command = [sys.executable, "-m", "benchmarks.programs.event_server", str(events), str(rate)]
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
    for rate in RATES:
        with event_server(sizes.paced_events, rate) as origin:
            paced = run_program(
                "provider_stream", "ours", "openai", f"{origin}/paced", sizes.streams, "paced"
            ).result
        samples[f"p99 ms, {rate}/s"].append(paced["p99_ms"])
        samples[f"cores, {rate}/s"].append(paced["cpu_s"] / paced["wall_s"])
    _measure_imports(sizes, samples)
    _measure_first_use(sizes, samples)
    rows: list[tuple[Cell, ...]] = []
    for api, way in _LIMITS:
        key = f"{api}, {way}, CPU ms/1000 events"
        theirs = samples.get(f"sdk, {key}")
        rows.append((api, way, median(samples[f"ours, {key}"]), median(theirs) if theirs else None))
    table = Table(
        "CPU for 1,000 events", ("API", "events arrive", "ours, ms", "official SDK, ms"), tuple(rows)
    )
    streams = Table(
        f"{sizes.streams} streams at once",
        ("events a second, each", "p99 from arrival to consumer, ms", "cores"),
        tuple((rate, samples[f"p99 ms, {rate}/s"][0], samples[f"cores, {rate}/s"][0]) for rate in RATES),
    )
    imports = Table(
        "Imports, CPU",
        ("adapter", "whole, ms", "others' modules alone, ms"),
        tuple(
            (name, median(samples[f"{name}, whole"]), median(samples[f"{name}, unavoidable"]))
            for name in ADAPTERS
        ),
    )
    first = Table(
        "First use",
        ("of", "the loop stands for, ms", "the least, ms"),
        tuple(
            (what, median(samples[f"{what}, stall ms"]), min(samples[f"{what}, stall ms"]))
            for what in (*AT_A_SERVER, *WITH_A_PROCESS)
        ),
    )
    tables = (table, streams, imports, first)
    return Outcome(NAME, "Providers", __doc__ or "", tables, _targets(samples), samples=dict(samples))


def _measure_imports(sizes: Sizes, samples: dict[str, list[float]]) -> None:
    for name in ADAPTERS:
        module = f"providers.http.{name}"
        run_program("provider_import", module)  # so that compiled modules lie there
        unavoidable = _modules_of_others(module)
        for _ in range(sizes.starts):
            for kind, modules in (("whole", [module]), ("unavoidable", unavoidable)):
                done = run_program("provider_import", *modules).result
                samples[f"{name}, {kind}"].append(done["cpu_ms"])


def _modules_of_others(module: str) -> list[str]:
    code = f"import sys; before = set(sys.modules); import {module}; print(*(n for n in sys.modules if n not in before))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    return [name for name in done.stdout.split() if name.split(".")[0] != "providers"]


def _measure_first_use(sizes: Sizes, samples: dict[str, list[float]]) -> None:
    with event_server(20) as origin, tempfile.TemporaryDirectory() as folder:
        for _ in range(sizes.starts):
            for what in (*AT_A_SERVER, *WITH_A_PROCESS):
                place = folder if what in WITH_A_PROCESS else f"{origin}/single"
                done = run_program("provider_first_use", what, place).result
                samples[f"{what}, stall ms"].append(done["stall_ms"])


def _targets(samples: dict[str, list[float]]) -> tuple[Target, ...]:
    targets = []
    for (api, way), limit in _LIMITS.items():
        key = f"{api}, {way}, CPU ms/1000 events"
        theirs = samples.get(f"sdk, {key}")
        value = median_ratio(samples[f"ours, {key}"], theirs) if theirs else None
        why = "" if theirs else f"the SDK {api} is not installed"
        targets.append(Target(f"CPU beside {api}'s SDK, {way} events", value, limit, "times", why=why))
    targets.append(
        Target(
            "p99 from arrival to consumer, 200 streams of 20 events/s", samples["p99 ms, 20/s"][0], 25, "ms"
        )
    )
    targets.append(Target("cores for 200 streams of 20 events/s", samples["cores, 20/s"][0], 0.5, "cores"))
    ratios = [median_ratio(samples[f"{name}, whole"], samples[f"{name}, unavoidable"]) for name in ADAPTERS]
    targets.append(
        Target("import of an adapter beside what it cannot avoid, the worst", max(ratios), 1.2, "times")
    )
    stalls = [median(samples[f"{what}, stall ms"]) for what in (*AT_A_SERVER, *WITH_A_PROCESS)]
    targets.append(Target("first use stalls the loop, the worst", max(stalls), 20, "ms"))
    return tuple(targets)
