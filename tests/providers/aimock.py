"""A mock model server that we did not write: npm's `@copilotkit/aimock`, in a cache outside the checkout.

It is installed once per version by the tests themselves. Where node or npm is missing, or the package cannot be had, the
tests skip and say so; with CI=true that is a failure.
"""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import httpx2
import pytest

PACKAGE, VERSION = "@copilotkit/aimock", "1.43.0"
INSTALL_LIMIT_S = 180


def unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{PACKAGE}: {reason}")
    pytest.skip(f"{PACKAGE}: {reason}")


def installed() -> Path:
    """The mock's command; installs it when it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "antiphon-tests"
    folder = cache / f"aimock-{VERSION}"
    command = folder / "node_modules" / PACKAGE / "dist" / "cli.js"
    if shutil.which("node") is None or shutil.which("npm") is None:
        unavailable("node and npm are not installed")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # test workers start together
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            argv = ["npm", "install", "--no-save", "--no-fund", "--no-audit", "--ignore-scripts"]
            try:
                done = subprocess.run(
                    [*argv, "--prefix", str(folder), f"{PACKAGE}@{VERSION}"],
                    capture_output=True,
                    text=True,
                    timeout=INSTALL_LIMIT_S,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                unavailable("npm did not install it in time")
            if done.returncode != 0:
                unavailable(f"npm cannot install it: {done.stderr[-500:]}")
            (folder / "done").touch()
    return command


class Mock:
    """A running mock. `origin` has no path."""

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def journal(self) -> list[dict[str, Any]]:
        entries = httpx2.get(f"{self.origin}/__aimock/journal").json()
        return list(entries["entries"] if isinstance(entries, dict) else entries)


@contextmanager
def running(fixtures: list[dict[str, Any]], folder: Path, *options: str) -> Iterator[Mock]:
    command = installed()
    file = folder / "fixtures.json"
    file.write_text(json.dumps({"fixtures": fixtures}), encoding="utf-8")
    argv = ["node", str(command), "-p", "0", "-f", str(file), "--validate-on-load", *options]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                _, found, origin = line.partition("listening on ")
                if found:
                    yield Mock(origin.strip())
                    return
            pytest.fail(f"the mock did not start: {''.join(said)}")
        finally:
            process.kill()
