"""Diffs one made-up source file and a copy with ten scattered changes, several ways, round after round."""

import argparse
import difflib
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.programs.measure import Meter
from orchestration.review.change_set import FileVersions, propose
from orchestration.review.cleanup import diff_lines
from orchestration.review.diffing import diff

# Lines that real files repeat without end; about a third of the made-up file.
_FREQUENT = ("\n", "    }\n", "        return None\n", "    else:\n", "\n", "        pass\n")


def source(lines: int) -> list[str]:
    made = []
    for number in range(lines):
        if number % 3 == 2:
            made.append(_FREQUENT[number // 3 % len(_FREQUENT)])
        else:
            made.append(f"    value_{number % 977} = compute(step={number}, scale={number % 13})\n")
    return made


def changed(lines: list[str]) -> list[str]:
    """Ten changes far apart: replaced, inserted and deleted lines, one to five each."""
    result = list(lines)
    for number in reversed(range(10)):
        at = (2 * number + 1) * len(lines) // 20
        size = number % 5 + 1
        fresh = [f"    # change {number}, line {line}\n" for line in range(size)]
        kind = number % 3
        result[at : at + (0 if kind == 1 else size)] = [] if kind == 2 else fresh
    return result


def wall_ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def git(folder: Path, name: str) -> None:
    command = ["git", "diff", "--no-index", "--histogram", "--no-color", "--unified=0"]
    done = subprocess.run(
        [*command, f"{name}.old", f"{name}.new"], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 1, done.stderr


def main(size: int, repeats: int, difflib_repeats: int) -> None:
    meter = Meter()
    old = source(size)
    new = changed(old)
    before, after = "".join(old).encode(), "".join(new).encode()
    versions = FileVersions(path="made.py", before=before, after=after)
    samples: dict[str, list[float]] = {
        "lines": [],
        "readable": [],
        "change set": [],
        "git": [],
        "difflib": [],
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, texts in (("file", (before, after)), ("tiny", (b"a\n", b"b\n"))):
            (folder / f"{name}.old").write_bytes(texts[0])
            (folder / f"{name}.new").write_bytes(texts[1])
        diff(old[:1000], new[:1000])
        for number in range(repeats):
            samples["lines"].append(wall_ms(lambda: diff(old, new)))
            samples["readable"].append(wall_ms(lambda: diff_lines(old, new)))
            samples["change set"].append(wall_ms(lambda: propose([versions])))
            start = wall_ms(lambda: git(folder, "tiny"))  # what the process itself costs
            samples["git"].append(max(wall_ms(lambda: git(folder, "file")) - start, 0.0))
            if number < difflib_repeats:
                matcher = difflib.SequenceMatcher(None, old, new)
                samples["difflib"].append(wall_ms(matcher.get_opcodes))
    meter.report(samples=samples, blocks=len(diff_lines(old, new)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("lines", type=int)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--difflib-repeats", type=int, default=3)
    chosen = parser.parse_args()
    main(chosen.lines, chosen.repeats, chosen.difflib_repeats)
