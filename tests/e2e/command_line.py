"""Runs the installed program as a user would: its own process, an empty home, a data folder of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("antiphon")


@dataclass(frozen=True)
class Finished:
    """`events` are the JSON lines of standard output, where it has any."""

    code: int
    out: str
    errors: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]

    def __str__(self) -> str:
        return f"exit {self.code}\n{self.out[-4000:]}\n{self.errors[-4000:]}"


@dataclass
class Antiphon:
    """The program with `home` as its home. `variables` are added to a minimal environment."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        self.home.mkdir(parents=True, exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.home), "NO_COLOR": "1", **self.variables}

    def __call__(self, *args: str | Path, cwd: Path | None = None, timeout: float = 240) -> Finished:
        done = subprocess.run(
            [str(PROGRAM), *map(str, args)],
            cwd=cwd or self.home,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Finished(done.returncode, done.stdout, done.stderr)
