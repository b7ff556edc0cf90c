"""The log: JSON lines, no secret, and no wait for a reader of standard error that does not read."""

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server import logs
from server.logs import JsonLines, StderrLines, secret_values
from tests.server.conftest import Serve


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("server.test", logging.INFO, "file", 1, message, args, None)
    made.__dict__.update(extra)
    return made


def test_a_line_is_json_with_run_and_task() -> None:
    line = json.loads(JsonLines().format(record("%s done\n", "it", run_id="r", task_id="t", other=1)))
    assert line["message"] == "it done\n"
    assert (line["level"], line["logger"], line["run_id"], line["task_id"]) == (
        "info",
        "server.test",
        "r",
        "t",
    )
    assert "other" not in line
    assert line["time"].endswith("Z")


def test_known_secrets_are_replaced_everywhere() -> None:
    formatter = JsonLines()
    formatter.hide(["secret-value", "secret-value-and-more"])
    with pytest.raises(ValueError, match="secret-value") as caught:
        int("no secret-value here")
    made = record("got secret-value-and-more", run_id="secret-value")
    made.exc_info = (caught.type, caught.value, caught.tb)
    line = formatter.format(made)
    assert "secret-value" not in line
    assert json.loads(line)["message"] == "got [secret]"


def test_secrets_are_found_by_the_names_of_variables() -> None:
    environ = {
        "OPENAI_API_KEY": "k" * 20,
        "MY_TOKEN": "short",
        "HOME": "/home/someone",
        "DB_PASSWORD": "p" * 9,
    }
    assert sorted(secret_values(environ)) == ["k" * 20, "p" * 9]


def test_a_full_pipe_loses_lines_and_no_time() -> None:
    reader, writer = os.pipe()
    try:
        handler = StderrLines(writer)
        handler.setFormatter(JsonLines())
        begun = time.monotonic()
        for number in range(2_000):
            handler.emit(record("line %d %s", number, "x" * 200))
        assert time.monotonic() - begun < 5
        os.read(reader, 1 << 20)
        handler.emit(record("after"))
        lines = os.read(reader, 1 << 20).decode().splitlines()
        assert "after" in lines[-2]
        assert "lines were lost here" in lines[-1]
    finally:
        os.close(reader)
        os.close(writer)


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    kept, level = logger.handlers[:], logger.level
    yield logger
    for handler in logger.handlers:
        if handler not in kept:
            handler.close()
    logger.handlers[:] = kept
    logger.setLevel(level)


def test_the_file_is_private_and_rotates(tmp_path: Path, root_logger: logging.Logger) -> None:
    logs.begin()
    logs.keep_file(tmp_path / "logs", "info", ["the-secret-key"])
    logging.getLogger("server.test").info("used the-secret-key", extra={"run_id": "r"})
    (file,) = (tmp_path / "logs").iterdir()
    assert file.parent.stat().st_mode & 0o077 == 0
    assert json.loads(file.read_text().splitlines()[-1])["message"] == "used [secret]"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, root_logger: logging.Logger) -> None:
    (tmp_path / "file").write_text("x")
    logs.begin()
    logs.keep_file(tmp_path / "file" / "logs", "info")
    assert len(root_logger.handlers) == 1


@pytest.mark.timeout(120)
def test_the_servers_file_has_run_ids_and_no_key(serve: Serve, workspace: Path, home: Path) -> None:
    key = "sk-very-secret-key-0123456789"
    client = serve(variables={"OPENAI_API_KEY": key})
    client.initialize(workspace)
    client.command("run.list")
    client.close()
    (file,) = home.glob("**/server.log")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert any(line["message"] == "workspace opened" for line in lines)
    assert key not in file.read_text()
    assert key.encode() not in client.errors
