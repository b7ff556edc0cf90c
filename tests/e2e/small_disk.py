"""Decisions on a disk that is nearly full, by the real command line; run where a small disk may be mounted.

unshare -rm python -m tests.e2e.small_disk workspace|data FOLDER RUN

FOLDER is that of a `Proposed` run. A tmpfs is mounted over its workspace or its data, filled with what was
there, and with ballast. Says as JSON what was refused, and what the files held then and in the end.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.command_line import Antiphon, Finished
from tests.e2e.test_decisions_killed import Proposed

BALLAST = "disk.ballast"


class Disk:
    def __init__(self, bench: Proposed, place: Path, size: str) -> None:
        self._bench = bench
        self._ballast = place / BALLAST
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
        self.refill()

    def refill(self) -> None:
        """As it was when the run had just been proposed."""
        self._bench.again(keep=(BALLAST,))

    @contextmanager
    def leaving(self, free: int) -> Iterator[None]:
        """With so many bytes free, in whole pages."""
        with self._ballast.open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(b"\0" * 4096)
                except OSError:
                    break
            size = file.tell() // 4096 * 4096
            file.truncate(max(size - free, 0))
        yield
        self._ballast.unlink()


def main() -> None:
    where, folder, run_id = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    bench = Proposed.at(folder, run_id)
    antiphon = Antiphon(folder / "home", {"ANTIPHON_DATA_DIR": str(bench.data)})

    def decide(*words: str) -> Finished:
        return antiphon(*words, "--workspace", bench.root, "--json")

    def files() -> dict[str, str]:
        return {path: data.decode() for path, data in bench.files().items() if path != BALLAST}

    said: list[dict[str, Any]] = []
    disk = Disk(bench, bench.root if where == "workspace" else bench.data, "4m")
    for free in map(int, sys.argv[4:]):
        disk.refill()
        with disk.leaving(free):
            first = decide("accept", run_id, "--all")
            between = files()
        again = decide("accept", run_id, "--all")
        whole = files()
        undone = 0
        while undone < 4 and decide("undo", run_id).code == 0:
            undone += 1
        said.append(
            {
                "free": free,
                "code": first.code,
                "errors": first.errors,
                "outcomes": {item["path"]: item for event in first.events for item in event.get("files", ())},
                "between": between,
                "again": [again.code, str(again)],
                "whole": whole,
                "undone": undone,
                "back": files(),
            }
        )
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
