"""A disk that fills up while a run goes: it stops readably, and goes on once there is room."""

import json
import subprocess

import pytest

from tests.e2e.bench import Bench, until, write
from tests.e2e.command_line import PROGRAM
from tests.model_server.replies import Gate

# A small disk of its own for the data; each line of standard input is a command beside the run.
SHELL = """
mount -t tmpfs -o size=4m none "$1" || exit 99
small=$1; shift
"$@" <&- & run=$!
read -r _; dd if=/dev/zero of="$small/fill" bs=4k 2>/dev/null; echo filled >&2
wait $run; echo "ended $?" >&2
read -r _; rm "$small/fill"; "$1" resume latest --trust --approval auto --json --workspace "$WORKSPACE"
echo "ended $?" >&2
"""


def test_a_full_disk(bench: Bench) -> None:
    small = bench.antiphon.home / "small"
    small.mkdir(parents=True)
    bench.antiphon.variables |= {"ANTIPHON_DATA_DIR": str(small), "WORKSPACE": str(bench.workspace)}
    bench.model.turns["Held"] = [[write("held.txt", "held " * 100_000)]]
    bench.model.gates["Held"] = Gate()
    words = list(map(str, bench.words(bench.plan("Held"))))
    process = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", SHELL, "sh", str(small), str(PROGRAM), *words],
        env=bench.antiphon.environment(), cwd=bench.antiphon.home, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        pipes = (process.stdin, process.stdout, process.stderr)
        to_shell, events, errors_of = (pipe for pipe in pipes if pipe is not None)

        def go_on() -> None:
            to_shell.write("\n")
            to_shell.flush()

        def says(wanted: str) -> str:
            said = ""
            for line in errors_of:
                said += line
                if wanted in line:
                    return said
            raise AssertionError(said)

        if not events.readline():
            pytest.skip("mount namespaces are not allowed here")
        until(events, "turn_started", taskId="held")
        go_on()
        says("filled")
        bench.model.gates["Held"].release()
        said = says("ended")
        assert "ended 70" in said
        assert "is full: free some space" in said
        assert "Traceback" not in said
        assert not (bench.workspace / "held.txt").exists()
        go_on()
        out, errors = process.communicate(timeout=60)
    assert "ended 0" in errors, errors
    last = json.loads(out.splitlines()[-1])
    assert (last["state"], last["tasks"]) == ("completed", {"merged": 1})
