"""A coding CLI that does as a file tells it: a list of steps, carried out in order. It is a program of its own.

{"say": {…}}             prints a JSON line
{"print": "text"}        prints it as it stands (`complain`: on standard error)
{"write": [path, text]}  writes a file; a relative path is in the current folder
{"append": [path, text]}
{"delete": path}
{"spawn": path}          leaves a process behind that writes its pid there and sleeps
{"daemon": path}         the same in a session of its own, with the standard output held open
{"note": path}           writes down its arguments, input and environment, as JSON
{"ignore": "SIGTERM"}
{"wait_for": path}       goes on when the file is there
{"line_of": bytes}       a JSON line of that size
{"hang": true}
{"exit": code}           (without it: 0)
{"if_resumed": [steps], "else": [steps]}
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SLEEPER = "import sys, time, os; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"


def main() -> int:
    argv = sys.argv[1:]
    if argv == ["--version"]:
        say(os.environ.get("FAKE_VERSION", "fake 2.1.0"))
        return 0
    steps = json.loads(Path(argv[0]).read_text())
    return carry_out(steps, argv, sys.stdin.read())


def carry_out(steps: list[dict[str, Any]], argv: list[str], given: str) -> int:
    for step in steps:
        for what, value in step.items():
            if what == "exit":
                return int(value)
            if what == "if_resumed":
                code = carry_out(value if "--resume" in argv else step["else"], argv, given)
                if code:
                    return code
            elif what != "else":
                one(what, value, argv, given)
    return 0


def one(what: str, value: Any, argv: list[str], given: str) -> None:  # noqa: C901, PLR0912 - a case for each step
    match what:
        case "say":
            say(json.dumps(value))
        case "print":
            say(value, end="")
        case "complain":
            sys.stderr.write(value)
        case "write":
            path = Path(value[0])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(value[1])
        case "append":
            with Path(value[0]).open("a") as file:
                file.write(value[1])
        case "delete":
            Path(value).unlink()
        case "spawn" | "daemon":
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} if what == "spawn" else {}
            subprocess.Popen(
                [sys.executable, "-c", SLEEPER, value], start_new_session=what == "daemon", **quiet
            )  # type: ignore[call-overload]
            wait_for(value)
        case "note":
            Path(value).write_text(
                json.dumps(
                    {
                        "argv": argv,
                        "stdin": given,
                        "env": dict(os.environ),
                        "cwd": str(Path.cwd()),
                        "files": sorted(str(path) for path in Path().rglob("*")),
                    }
                )
            )
        case "ignore":
            signal.signal(getattr(signal, value), signal.SIG_IGN)
        case "wait_for":
            wait_for(value)
        case "line_of":
            say(json.dumps({"type": "text", "text": "x" * value}))
        case "complaints_of":
            for _ in range(value // 65536):
                sys.stderr.write("x" * 65535 + "\n")
        case "tools":
            for number in range(value):
                say(json.dumps({"type": "tool", "id": str(number), "name": "look", "path": "calc.py"}))
        case "meet":
            folder = Path(value[0])
            (folder / str(os.getpid())).write_text(str(Path.cwd()))
            while len(list(folder.iterdir())) < value[1]:
                time.sleep(0.02)
        case "hang":
            time.sleep(600)
        case _:
            raise SystemExit(f"no such step: {what}")


def say(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


def wait_for(path: str) -> None:
    while not (Path(path).exists() and Path(path).read_text()):
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
