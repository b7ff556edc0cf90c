"""Languages whose syntax only their own tools know: JavaScript, shell, Go. One process a file.

A tool that is absent leaves its language unchecked. Nothing here executes the file: `node --check`,
`sh -n` and `gofmt -e` only parse.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestration.ports import Executor
from orchestration.quality.parsing import Fault
from orchestration.quality.processes import Finished, Processes
from orchestration.quality.runners.shell import shell_of
from orchestration.quality.tree_view import name_of, suffix_of

_JSX = re.compile(r"<[A-Za-z][\w.]*[^;<>]*/?>|@flow\b|^\s*import type\b", re.MULTILINE)
_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Checker:
    """`tool` checks files of `language`; `attempts` are argument lists and names for the file, of which
    one must succeed.
    """

    language: str
    tool: str
    attempts: tuple[tuple[tuple[str, ...], str], ...]


def checker_for(path: str, text: str) -> Checker | None:
    suffix = suffix_of(path)
    if suffix in {".js", ".mjs", ".cjs"}:
        kinds = {".mjs": ("file.mjs",), ".cjs": ("file.cjs",)}.get(suffix, ("file.mjs", "file.cjs"))
        return Checker("JavaScript", "node", tuple((("--check",), kind) for kind in kinds))
    if suffix == ".go":
        return Checker("Go", "gofmt", ((("-e", "-l"), "file.go"),))
    if suffix in {".sh", ".bash"} or (not suffix and re.match(r"#!.*\b(ba|da)?sh\b", text)):
        shell = shell_of(text)
        return (
            Checker("shell", shell, ((("-n",), "file.sh"),))
            if shell in {"sh", "bash", "dash", "ksh"}
            else None
        )
    return None


async def check_file(
    checker: Checker, program: str, text: str, scratch: Path, processes: Processes, executor: Executor
) -> Fault | None:
    """Raises nothing: a tool that does not work finds no fault."""
    faults = []
    for number, (options, name) in enumerate(checker.attempts):
        file = scratch / f"{number}-{name}"
        await executor.run(_write(file, text))
        done = await processes.run(
            (program, *options, str(file)), cwd=scratch, purpose="check syntax", timeout_s=_TIMEOUT_S
        )
        if done.failure or done.timed_out or done.exit_code == 0:
            return None
        faults.append(_fault(done, file))
    if checker.language == "JavaScript" and _JSX.search(text):
        return None  # JSX or type annotations: a build step's language, not node's
    return faults[0]


def _write(file: Path, text: str) -> Callable[[], None]:
    def write() -> None:
        file.write_text(text, "utf-8", newline="")

    return write


def _fault(done: Finished, file: Path) -> Fault:
    said = done.output.replace(str(file), name_of(str(file)))
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    place = re.search(r"file\.\w+:(?: line )?(\d+)(?::(\d+))?", said)
    message = next(
        (line for line in lines if re.match(r"\w*Error: ", line)), lines[0] if lines else "does not parse"
    )
    message = re.sub(r"^\S*file\.\w+:(?: line )?[\d:]*\s*", "", message)
    if place is None:
        return Fault(message)
    return Fault(message, max(int(place[1]) - 1, 0), max(int(place[2] or 1) - 1, 0))
