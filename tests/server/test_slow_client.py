"""A client that does not read: bounded memory, no event lost, and the server still ends."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from server.framing import frame
from tests.server.conftest import Script, plan, work
from tests.server.lsp_client import SERVE, Json, environment, read_message

pytestmark = pytest.mark.timeout(180)
# Far more than the pipe and all the server's buffers hold.
CONTENT = "x" * 200_000
TASKS = 60


class Reader:
    """A client with a pipe of its own that reads only when told to."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            list(SERVE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(home),
            cwd=home,
        )

    def send(self, **message: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(frame(json.dumps({"jsonrpc": "2.0", **message}).encode()))
        self.process.stdin.flush()

    def read(self) -> Json:
        message = read_message(self.process.stdout)
        assert message is not None
        if "method" in message and "id" in message:
            self.send(id=message["id"], result=None)
        return message

    def result(self, request_id: int) -> Json:
        while True:
            message = self.read()
            if message.get("id") == request_id and "method" not in message:
                answer: Json = message["result"]
                return answer

    def rss(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to see a process's memory")
def test_events_wait_in_the_journal_for_a_client_that_lags(
    home: Path, workspace: Path, script: Script
) -> None:
    tasks = [{"id": f"t{number}"} for number in range(TASKS)]
    rules = [plan(*tasks)]
    for number in range(TASKS):
        write = ("write_file", {"path": f"f{number}.txt", "content": CONTENT})
        rules.append(work(f"t{number}", write))
    settings = script(rules)
    client = Reader(home)
    try:
        client.send(
            id=1,
            method="initialize",
            params={
                "capabilities": {},
                "workspaceFolders": [{"uri": f"file://{workspace}", "name": "w"}],
                "initializationOptions": {"settings": settings},
            },
        )
        client.result(1)
        client.send(method="initialized", params={})
        client.send(id=2, method="antiphon/run/start", params={"goal": "much"})
        run = client.result(2)["runId"]
        client.send(id=3, method="antiphon/run/subscribe", params={"runId": run})
        client.result(3)
        before = client.rss()
        # Nothing is read while the run goes on: it must end all the same, and be on disk.
        deadline = time.monotonic() + 90
        log = next(iter(home.glob("**/server.log")))
        while "run_finished" not in log.read_text():
            assert time.monotonic() < deadline, "the run stands still because the client does not read"
            time.sleep(0.1)  # what another process writes can only be looked at
        assert client.rss() - before < 60 << 20
        events: list[Json] = []
        while not events or events[-1]["type"] != "run_finished":
            message = client.read()
            if message.get("method") == "antiphon/event" and message["params"]["type"] != "delta":
                events.append(message["params"])
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert sum(event["type"] == "task_merged" for event in events) == TASKS
    finally:
        assert client.process.stdin is not None
        client.process.stdin.close()
        assert client.process.wait(60) in {0, 1}
        assert client.process.stdout is not None
        client.process.stdout.close()


def test_requests_of_a_client_that_never_reads_are_bounded(home: Path, workspace: Path) -> None:
    client = Reader(home)
    home.mkdir(exist_ok=True)
    try:
        client.send(id=1, method="initialize", params={"capabilities": {}, "rootUri": f"file://{workspace}"})
        client.result(1)
        client.send(method="initialized", params={})
        big = "antiphon/" + "n" * 100_000
        # Each answer names the method: 100 kB. The server stops reading long before all are sent.
        assert client.process.stdin is not None
        fd = client.process.stdin.fileno()
        os.set_blocking(fd, False)
        sent, stuck_since = 0, 0.0
        data = b""
        number = 1
        while sent < 200 << 20:
            if not data:
                number += 1
                data = frame(json.dumps({"jsonrpc": "2.0", "id": number, "method": big}).encode())
            try:
                written = os.write(fd, data)
            except BlockingIOError:
                if not stuck_since:
                    stuck_since = time.monotonic()
                if time.monotonic() - stuck_since > 3:
                    break
                time.sleep(0.05)  # the pipe is full, and stays so when the server has stopped reading
                continue
            sent, data, stuck_since = sent + written, data[written:], 0.0
        assert sent < 120 << 20
        assert client.rss() < 200 << 20
        client.process.terminate()
        assert client.process.wait(60) == 128 + 15
    finally:
        client.process.kill()
        client.process.wait()
        for stream in (client.process.stdin, client.process.stdout):
            assert stream is not None
            try:
                stream.close()
            except (BrokenPipeError, BlockingIOError):
                continue
