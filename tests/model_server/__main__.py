"""`python -m tests.model_server`: the server as a process of its own. The first line it prints is its URL."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.model_server import faults
from tests.model_server.echo import Echo, Editor
from tests.model_server.exercises import EXERCISES, SOLUTIONS, load_exercises, write_plan
from tests.model_server.listener import Listener
from tests.model_server.replies import Script
from tests.model_server.requests import Records
from tests.model_server.solver import Solver


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.model_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--script", choices=("solver", "echo", "edit", "faults"), default="solver")
    parser.add_argument("--exercises", type=Path, default=EXERCISES)
    parser.add_argument("--solutions", type=Path, default=SOLUTIONS)
    parser.add_argument("--write-plan", type=Path, help="write the plan of all exercises there, then serve")
    parser.add_argument("--delay-ms", type=float, default=0, help="before every answer")
    parser.add_argument("--size", type=int, default=1024, help="bytes of text of an echo")
    parser.add_argument("--piece", type=int, default=64, help="characters an echo's event carries")
    parser.add_argument("--faults", default="", help="names of faults.py in order, with commas; then an echo")
    parser.add_argument(
        "--model", action="append", default=[], help="a model that exists; none: every name does"
    )
    parser.add_argument("--key-from", help="the environment variable that holds the key to ask for")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input does")
    return parser.parse_args()


def script_of(chosen: argparse.Namespace) -> Script:
    echo = Echo(size=chosen.size, delay_ms=chosen.delay_ms, piece=chosen.piece)
    if chosen.script == "echo":
        return echo
    if chosen.script == "edit":
        return Editor(size=chosen.size, delay_ms=chosen.delay_ms)
    if chosen.script == "faults":
        names = [name for name in chosen.faults.split(",") if name]
        return faults.Sequence((faults.BY_NAME[name]() for name in names), then=echo)
    return Solver(load_exercises(chosen.exercises, chosen.solutions), delay_s=chosen.delay_ms / 1000)


def stop_at_end_of_input(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        stop.set()


async def serve(chosen: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if chosen.until_eof:
        loop.add_reader(sys.stdin.fileno(), stop_at_end_of_input, stop)
    key = os.environ[chosen.key_from] if chosen.key_from else None
    listener = Listener(
        script_of(chosen),
        Records(),
        api_key=key,
        models=chosen.model,
        strict=chosen.script in ("solver", "faults"),
    )
    port = await listener.start("127.0.0.1", chosen.port)
    sys.stdout.write(f"http://127.0.0.1:{port}/v1\n")
    sys.stdout.flush()
    await stop.wait()
    await listener.close()
    for failure in listener.failures:
        sys.stderr.write(failure)


def main() -> None:
    chosen = options()
    if chosen.write_plan is not None:
        write_plan(chosen.write_plan, load_exercises(chosen.exercises, chosen.solutions))
    asyncio.run(serve(chosen))


if __name__ == "__main__":
    main()
