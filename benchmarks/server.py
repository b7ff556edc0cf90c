"""What the language server costs and how fast it answers while a run is under way.

*Start*: CPU of the process from exec until the answer to `initialize` has arrived, then it is killed; and until a
first request for code lenses after it is answered (Antiphon imports what it can after `initialize`, so the first
figure alone would flatter it). Beside it a minimal pygls server that knows no more than these two, alternating.

*Memory*: resident set of `antiphon serve --stdio` before its first run (a document open, its lenses and the
server's health asked for) and idle after one of 100 tasks; beside it the minimal server, idle.

*Answers*: code lenses and code actions of an open document asked for every 20 ms, whatever the earlier answers are
doing, from the start of a run of 100 tasks (eight at once, an edit each, 50 ms a call) to its end; in the first run
the document has no hunks, in the second it has two open ones. Client and model server share the machine's cores
with the server.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.language_client import CAPABILITIES, LanguageClient, language_server
from benchmarks.outcome import Outcome, Table, Target, median, median_ratio, percentile, spread
from benchmarks.processes import REPOSITORY, ProgramFailedError, environment, model_server
from benchmarks.programs.model_server import module_text

NAME = "server"
Samples = defaultdict[str, list[float]]
_START = "CPU ms to the answer of initialize"
_LENS = "CPU ms to the first code lenses"


@dataclass(frozen=True, slots=True)
class Sizes:
    starts: int
    sessions: int
    tasks: int
    settle_s: float


FULL = Sizes(starts=21, sessions=8, tasks=100, settle_s=3.0)
TINY = Sizes(starts=1, sessions=1, tasks=4, settle_s=0.1)


def run(sizes: Sizes) -> Outcome:
    samples: Samples = defaultdict(list)
    for _ in range(sizes.starts):
        for name, command in (("antiphon", _serve()), ("pygls", _minimal())):
            samples[f"{name}, {_START}"].append(_start_ms(command, lens=False))
            samples[f"{name}, {_LENS}"].append(_start_ms(command, lens=True))
    for _ in range(sizes.sessions):
        with _project(1) as folder:
            asyncio.run(_idle(samples, folder, sizes))
        with _project(sizes.tasks) as folder, model_server("team", delay_ms=50, tasks=sizes.tasks) as url:
            asyncio.run(_session(samples, folder, url, sizes))
    return _outcome(samples, sizes)


def _serve() -> list[str]:
    return [str(Path(sys.executable).with_name("antiphon")), "serve", "--stdio"]


def _minimal() -> list[str]:
    return [sys.executable, "-I", str(REPOSITORY / "benchmarks" / "programs" / "minimal_pygls.py")]


# --- start -----------------------------------------------------------------------------------------


def _start_ms(command: list[str], *, lens: bool) -> float:
    """CPU milliseconds until `initialize` is answered, or (`lens`) a first request for code lenses after it."""
    with _project(1) as folder:
        process = subprocess.Popen(
            command,
            cwd=folder / "project",
            env=_env(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _converse(process.stdin, process.stdout, folder / "project", lens=lens)
        finally:
            process.kill()
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
            process.stdin.close()
            process.stdout.close()
    return 1000 * (usage.ru_utime + usage.ru_stime)


def _converse(to: IO[bytes], back: IO[bytes], root: Path, *, lens: bool) -> None:
    def send(method: str, params: Any, **number: int) -> None:
        body = json.dumps({"jsonrpc": "2.0", **number, "method": method, "params": params}).encode()
        to.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        to.flush()

    def wait_for(number: int) -> None:
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = back.read(1)
                if not byte:
                    raise ProgramFailedError("the server ended before it answered")
                head += byte
            found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            assert found is not None
            message = json.loads(back.read(int(found.group(1))))
            if message.get("id") == number and "method" not in message:
                return

    send(
        "initialize",
        {"processId": os.getpid(), "rootUri": root.as_uri(), "capabilities": CAPABILITIES},
        id=1,
    )
    wait_for(1)
    if lens:
        send("initialized", {})
        uri = (root / "module_0.py").as_uri()
        document = {"uri": uri, "languageId": "python", "version": 1, "text": module_text(0)}
        send("textDocument/didOpen", {"textDocument": document})
        send("textDocument/codeLens", {"textDocument": {"uri": uri}}, id=2)
        wait_for(2)


# --- a session -------------------------------------------------------------------------------------


async def _idle(samples: Samples, folder: Path, sizes: Sizes) -> None:
    """The memory of the minimal server after the same first requests: what pygls itself takes."""
    async with language_server(_minimal(), _env(folder), folder / "project") as client:
        await client.initialize(folder / "project")
        document = client.open(folder / "project" / "module_0.py")
        await client.request("textDocument/codeLens", {"textDocument": document})
        await asyncio.sleep(sizes.settle_s)
        samples["RSS MB of a minimal pygls server"].append(_rss_mb(client.pid))


async def _session(samples: Samples, folder: Path, url: str, sizes: Sizes) -> None:
    root = folder / "project"
    env = _env(folder) | {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "bench"}
    async with language_server(_serve(), env, root) as client:
        await client.initialize(root)
        document = client.open(root / "module_0.py")
        await client.request("textDocument/codeLens", {"textDocument": document})
        await client.request("antiphon/health", {})
        await asyncio.sleep(sizes.settle_s)
        samples["RSS MB before the first run"].append(_rss_mb(client.pid))
        for number, name in enumerate(("no hunks", "two hunks")):
            lenses = await client.request("textDocument/codeLens", {"textDocument": document})
            if bool(lenses) != bool(number):
                raise ProgramFailedError(f"run {number + 1} began with {len(lenses or ())} code lenses")
            await _run(samples, client, root, document, name)
            await asyncio.sleep(sizes.settle_s)
            samples[f"RSS MB idle after run {number + 1}"].append(_rss_mb(client.pid))


async def _run(
    samples: Samples, client: LanguageClient, root: Path, document: dict[str, str], name: str
) -> None:
    """One run of the whole team, and requests all along."""
    finished = asyncio.Event()
    ends: list[dict[str, Any]] = []

    def listen(method: str, params: Any) -> None:
        if method == "antiphon/event" and params.get("type") == "run_finished":
            ends.append(params)
            finished.set()

    client.on_notification = listen
    started = await client.request(
        "antiphon/run/start", {"goal": "Count in threes", "root": root.as_uri(), "model": "openai/bench"}
    )
    await client.request("antiphon/run/subscribe", {"runId": started["runId"], "afterSeq": 0})
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 100, "character": 0}}
    asked: dict[str, dict[str, Any]] = {
        "codeLens": {"textDocument": document},
        "codeAction": {"textDocument": document, "range": whole, "context": {"diagnostics": []}},
    }
    waiting: set[asyncio.Task[None]] = set()

    async def ask(method: str, params: dict[str, Any]) -> None:
        seconds = await client.timed(f"textDocument/{method}", params)
        samples[f"{method}, {name}, ms"].append(1000 * seconds)

    while not finished.is_set():
        for method, params in asked.items():
            task = asyncio.create_task(ask(method, params))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
            try:
                await asyncio.wait_for(finished.wait(), 0.02)
            except TimeoutError:
                continue
    await asyncio.gather(*waiting)
    if ends[0].get("state") != "completed":
        raise ProgramFailedError(f"the run was not completed: {ends[0]}")


def _rss_mb(pid: int) -> float:
    """Of the process itself; it has no lasting children."""
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(said.stdout) * 1024 / 1e6


# --- surroundings ----------------------------------------------------------------------------------


def _env(folder: Path) -> dict[str, str]:
    return environment(HOME=str(folder), ANTIPHON_DATA_DIR=str(folder / "data"))


@contextmanager
def _project(modules: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name:
        folder = Path(name).resolve()
        (folder / "project").mkdir()
        for number in range(modules):
            (folder / "project" / f"module_{number}.py").write_text(module_text(number), encoding="utf-8")
        yield folder


# --- showing ---------------------------------------------------------------------------------------


def _outcome(samples: Samples, sizes: Sizes) -> Outcome:
    ours, theirs = samples[f"antiphon, {_START}"], samples[f"pygls, {_START}"]
    start = Table(
        "CPU from exec to an answer",
        ("server", "answer", "median, ms", "min to max, ms"),
        tuple(
            (name, what.partition(" to ")[2], median(samples[key]), spread(samples[key]))
            for what in (_START, _LENS)
            for name in ("antiphon", "pygls")
            if samples[key := f"{name}, {what}"]
        ),
    )
    memory = Table(
        "Resident memory",
        ("when", "median, MB", "min to max, MB"),
        tuple(
            (key.removeprefix("RSS MB "), median(taken), spread(taken))
            for key, taken in samples.items()
            if key.startswith("RSS MB")
        ),
    )
    answers = {key.removesuffix(", ms"): taken for key, taken in samples.items() if key.endswith(", ms")}
    latency = Table(
        f"Answers during a run of {sizes.tasks} tasks",
        ("request", "asked", "p50, ms", "p99, ms", "most, ms"),
        tuple(
            (key, len(taken), percentile(taken, 50), percentile(taken, 99), max(taken))
            for key, taken in answers.items()
        ),
    )
    targets = (
        Target(
            "CPU to `initialize`, beside a minimal pygls server", median_ratio(ours, theirs), 1.25, "times"
        ),
        Target("resident before the first run", max(samples["RSS MB before the first run"]), 70, "MB"),
        Target(
            f"resident, idle after {sizes.tasks} tasks", max(samples["RSS MB idle after run 1"]), 110, "MB"
        ),
        *(
            Target(f"p99 of {key}, during a run", percentile(taken, 99), 30, "ms")
            for key, taken in answers.items()
        ),
    )
    return Outcome(
        NAME,
        "Language server",
        __doc__ or "",
        (start, memory, latency),
        targets,
        samples={key: taken for key, taken in samples.items() if len(taken) <= 100},
    )
