"""How the review of a file with 500 open hunks answers, and what typing into it costs.

A run proposes 500 hunks in one file of 500 functions, which is open in a client of our own over the real protocol.
*Answers*: code lenses and code actions of the whole file, and of the lines of one hunk, asked for one after
another while nothing else happens. *Typing*: 1,000 characters, one every 20 ms as a fast typist's burst, at places
all over the file, inside hunks and between them; as an editor does, the client asks for lenses again whenever it is
told to. *Server time* of a keystroke is the CPU that all threads of the server used from its `didChange` to the
next one, as the kernel counts it in nanoseconds, what is done later in the background included. *Answered after* is
the wall time from the keystroke to the answer of a code lens request sent right behind it, asked at every tenth.
"""

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.language_client import LanguageClient, language_server
from benchmarks.outcome import Outcome, Table, Target, median, percentile
from benchmarks.processes import ProgramFailedError, environment, model_server
from benchmarks.programs.model_server import module_text

NAME = "review"
Samples = defaultdict[str, list[float]]
_FILE = "module_0.py"
_LINES = 5  # of a function in the file, with the two blank ones before it
_LENS_LIMIT_MS = 30
_KEY_LIMIT_MS = 5


@dataclass(frozen=True, slots=True)
class Sizes:
    hunks: int
    asked: int
    keys: int
    pause_s: float


FULL = Sizes(hunks=500, asked=500, keys=1000, pause_s=0.02)
TINY = Sizes(hunks=5, asked=3, keys=12, pause_s=0.001)


def run(sizes: Sizes) -> Outcome:
    samples: Samples = defaultdict(list)
    with (
        tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name,
        model_server("hunks", tasks=sizes.hunks) as url,
    ):
        folder = Path(name).resolve()
        (folder / "project").mkdir()
        text = module_text(0, functions=sizes.hunks)
        (folder / "project" / _FILE).write_text(text, encoding="utf-8")
        asyncio.run(_session(samples, folder, url, sizes))
    return _outcome(samples, sizes)


async def _session(samples: Samples, folder: Path, url: str, sizes: Sizes) -> None:
    root = folder / "project"
    env = environment(
        HOME=str(folder), ANTIPHON_DATA_DIR=str(folder / "data"), OPENAI_BASE_URL=url, OPENAI_API_KEY="bench"
    )
    command = [str(Path(sys.executable).with_name("antiphon")), "serve", "--stdio"]
    async with language_server(command, env, root) as client:
        await client.initialize(root)
        document = client.open(root / _FILE)
        await _finished(client, root)
        lenses = await client.request("textDocument/codeLens", {"textDocument": document})
        while len(lenses or ()) < 2 * sizes.hunks:
            await asyncio.sleep(0.05)
            lenses = await client.request("textDocument/codeLens", {"textDocument": document})
        await _ask(samples, client, document, sizes)
        await _type(samples, client, document, sizes)


async def _finished(client: LanguageClient, root: Path) -> None:
    ended = asyncio.Event()
    states: list[str] = []

    def listen(method: str, params: Any) -> None:
        if method == "antiphon/event" and params.get("type") == "run_finished":
            states.append(params["state"])
            ended.set()

    client.on_notification = listen
    started = await client.request(
        "antiphon/run/start", {"goal": "Count in threes", "root": root.as_uri(), "model": "openai/bench"}
    )
    await client.request("antiphon/run/subscribe", {"runId": started["runId"], "afterSeq": 0})
    await ended.wait()
    if states != ["completed"]:
        raise ProgramFailedError(f"the run was {states[0]}")


def _range(first: int, last: int) -> dict[str, Any]:
    return {"start": {"line": first, "character": 0}, "end": {"line": last, "character": 0}}


async def _ask(samples: Samples, client: LanguageClient, document: dict[str, str], sizes: Sizes) -> None:
    context: dict[str, Any] = {"diagnostics": []}
    for number in range(sizes.asked):
        first = number % sizes.hunks * _LINES + 3
        asked = {
            "codeLens": ("textDocument/codeLens", {"textDocument": document}),
            "codeAction, whole file": (
                "textDocument/codeAction",
                {"textDocument": document, "range": _range(0, sizes.hunks * _LINES), "context": context},
            ),
            "codeAction, one hunk": (
                "textDocument/codeAction",
                {"textDocument": document, "range": _range(first, first + 1), "context": context},
            ),
        }
        for name, (method, params) in asked.items():
            samples[f"{name}, ms"].append(1000 * await client.timed(method, params))


async def _type(samples: Samples, client: LanguageClient, document: dict[str, str], sizes: Sizes) -> None:
    stale = asyncio.Event()

    def listen(method: str, _: Any) -> None:
        if method == "workspace/codeLens/refresh":
            stale.set()

    client.on_request = listen
    refreshing = asyncio.create_task(_refresh(client, document, stale))
    before = cpu_ns(client.pid)
    for number in range(sizes.keys):
        # Five characters at one place, then on to another: in every second hunk, and in the lines between.
        place = number // 5 * 7919 % (sizes.hunks * _LINES)
        at = {"line": place, "character": number % 5}
        change = {"range": {"start": at, "end": at}, "text": "x"}
        began = time.perf_counter()
        client.notify(
            "textDocument/didChange",
            {"textDocument": {**document, "version": number + 2}, "contentChanges": [change]},
        )
        if number % 10 == 0:
            await client.request("textDocument/codeLens", {"textDocument": document})
            samples["answered after a keystroke, ms"].append(1000 * (time.perf_counter() - began))
        await asyncio.sleep(max(0.0, sizes.pause_s - (time.perf_counter() - began)))
        now = cpu_ns(client.pid)
        samples["server time of a keystroke, ms"].append((now - before) / 1e6)
        before = now
    refreshing.cancel()


async def _refresh(client: LanguageClient, document: dict[str, str], stale: asyncio.Event) -> None:
    while True:
        await stale.wait()
        stale.clear()
        await client.request("textDocument/codeLens", {"textDocument": document})


def cpu_ns(pid: int) -> int:
    """CPU of all threads of a process, in nanoseconds (Linux)."""
    return sum(
        int((thread / "schedstat").read_text().split()[0]) for thread in Path(f"/proc/{pid}/task").iterdir()
    )


def _outcome(samples: Samples, sizes: Sizes) -> Outcome:
    table = Table(
        f"A file with {sizes.hunks} open hunks",
        ("what", "times", "p50, ms", "p99, ms", "most, ms"),
        tuple(
            (key.removesuffix(", ms"), len(taken), percentile(taken, 50), percentile(taken, 99), max(taken))
            for key, taken in samples.items()
        ),
    )
    targets = (
        *(
            Target(f"p99 of {key.removesuffix(', ms')}", percentile(taken, 99), _LENS_LIMIT_MS, "ms")
            for key, taken in samples.items()
            if key.startswith("code")
        ),
        Target(
            "server time of a keystroke, median",
            median(samples["server time of a keystroke, ms"]),
            _KEY_LIMIT_MS,
            "ms",
        ),
    )
    return Outcome(
        NAME,
        "Review of a large change",
        __doc__ or "",
        (table,),
        targets,
        samples={key: taken[:100] for key, taken in samples.items()},
    )
