"""What `doctor` says of agents: which are found, and their versions where a process may be started."""

import json
from pathlib import Path
from typing import Any

from tests.agents.conftest import FakeAgent


def checks(fake: FakeAgent, *more: str) -> dict[str, dict[str, Any]]:
    done = fake.antiphon("doctor", "--json", "--workspace", fake.root, *more)
    return {check["name"]: check for check in json.loads(done.out)["checks"]}


def program(fake: FakeAgent, text: str) -> Path:
    """Puts a program of that text in the place of the fake."""
    file = fake.folder / "fake-program"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    config = fake.antiphon.home / ".config" / "antiphon" / "config.toml"
    lines = config.read_text().splitlines()
    config.write_text(
        "\n".join(f'program = "{file}"' if line.startswith("program") else line for line in lines)
    )
    return file


def test_a_version_is_asked_for_where_the_workspace_is_trusted(fake: FakeAgent) -> None:
    started = fake.folder / "started"
    file = program(fake, f"echo x >> {started}; echo 'fake 2.1.0'")
    check = checks(fake)["agent fake"]
    assert "version not asked for" in check["detail"]
    assert not started.exists()
    fake.antiphon("trust", "--workspace", fake.root)
    check = checks(fake)["agent fake"]
    assert check["state"] == "ok"
    assert check["detail"] == f"fake 2.1.0 at {file}"


def test_online_asks_too_and_says_what_is_too_old(fake: FakeAgent) -> None:
    fake.describe('minimum = "3.0"')
    program(fake, "echo 'fake 2.1.0'")
    check = checks(fake, "--online")["agent fake"]
    assert check["state"] == "remark"
    assert "2.1.0 is too old: 3.0 or later" in check["mend"]


def test_a_program_that_says_no_version(fake: FakeAgent) -> None:
    program(fake, "echo 'what?' >&2; exit 3")
    check = checks(fake, "--online")["agent fake"]
    assert "unknown version" in check["detail"]
    assert "says no version but 'what?'" in check["mend"]


def test_a_program_that_does_not_answer_is_stopped(fake: FakeAgent) -> None:
    pid = fake.folder / "pid"
    fake.describe("version_s = 1.0")
    program(fake, f"echo $$ > {pid}; sleep 600")
    check = checks(fake, "--online")["agent fake"]
    assert "did not answer within 1 s" in check["mend"]
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_what_is_not_installed_is_named(fake: FakeAgent) -> None:
    assert "codex" in checks(fake)["agents"]["detail"]
