"""Shell tests: scripts named as tests, by their exit code or their TAP output, and bats files."""

import re
from collections.abc import Sequence

from orchestration.quality.runners.contract import Batch, Bench, Case, CaseOutcome, Ran, Target
from orchestration.quality.runners.report import plain, stopped, whole_run
from orchestration.quality.tree_view import TreeView, folder_of, name_of

_TEST_NAME = re.compile(r"^(tests?\.(sh|bash)|test[_-].*\.(sh|bash)|.*[_-]tests?\.(sh|bash)|.*\.bats)$")
_TAP = re.compile(r"^(not )?ok\b\s*(\d+)?\s*-?\s*([^#]*)(#\s*(?:skip|todo)\b)?", re.IGNORECASE)


class ShellRunner:
    name = "shell"
    suffixes = frozenset({".sh", ".bash", ".bats"})

    def is_test(self, path: str, view: TreeView) -> bool:  # noqa: ARG002 - the contract's parameter
        return _TEST_NAME.match(name_of(path)) is not None

    def is_configuration(self, path: str) -> bool:  # noqa: ARG002 - there is none
        return False

    def configuration(self, path: str, data: bytes) -> bytes:  # noqa: ARG002 - see above
        return data

    def batches(self, view: TreeView, targets: Sequence[Target]) -> list[Batch]:  # noqa: ARG002 - see above
        """One process a file, in the folder above the test folder: `sh tests/run_test.sh`."""
        found = []
        for target in targets:
            folder = folder_of(target.path)
            if name_of(folder) in {"tests", "test"}:
                folder = folder_of(folder)
            found.append(Batch(folder, (target,), "bats" if target.path.endswith(".bats") else "shell"))
        return found

    async def run(self, bench: Bench, batch: Batch) -> Ran:
        (target,) = batch.targets
        name = "bats" if batch.tool == "bats" else shell_of(bench.view.text(target.path))
        program = bench.processes.find(name)
        if program is None:
            return Ran(problem=f"{name} is not on PATH: it is needed for {target.path}")
        options = ("--tap",) if batch.tool == "bats" else ()
        limit = bench.settings.timeout_s
        done = await bench.processes.run(
            (program, *options, str(bench.path(target.path))),
            cwd=bench.path(batch.folder),
            env={**bench.env, "TMPDIR": str(bench.temporary())},
            timeout_s=limit,
            purpose="run tests",
        )
        if done.failure:
            return Ran(problem=done.failure)
        cases = tap_cases(plain(done.output), target.path)
        if not cases:
            return whole_run(done, batch.targets, limit, target.path)
        if done.timed_out:
            return stopped(cases, "", limit, done.output)
        if done.exit_code != 0 and not any(case.outcome == "failed" for case in cases):
            cases.append(Case(target.path, "failed", plain(done.output)))
        return Ran(tuple(cases))


def shell_of(text: str) -> str:
    """The shell that a script's first line asks for; bash where it does not say."""
    first = text.split("\n", 1)[0]
    match = re.match(r"#!.*\b(ba|z|k|da)?sh\b", first)
    return f"{match[1] or ''}sh" if match else "bash"


def tap_cases(output: str, path: str) -> list[Case]:
    """Results in the Test Anything Protocol; empty when the output has no plan line."""
    lines = output.splitlines()
    if not any(re.match(r"^1\.\.\d+", line) for line in lines):
        return []
    found: list[Case] = []
    said: list[str] = []
    for line in lines:
        match = _TAP.match(line)
        if match is None:
            if line.startswith("#") and found and found[-1].outcome == "failed":
                found[-1] = Case(found[-1].id, "failed", f"{found[-1].output}\n{line}".strip())
            else:
                said.append(line)
            continue
        outcome: CaseOutcome = "skipped" if match[4] else "failed" if match[1] else "passed"
        name = match[3].strip() or str(match[2] or len(found) + 1)
        output_of = "\n".join([*said, line]) if outcome == "failed" else ""
        found.append(Case(f"{path}::{name}", outcome, output_of))
        said = []
    return found
