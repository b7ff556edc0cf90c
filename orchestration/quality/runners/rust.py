"""Rust tests, through `cargo test`, one crate at a time; results are read from its plain output.

Tests inside `src` are told apart by the source file that cargo names; a crate that does not build is a
failed case for each test file asked for.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from orchestration.quality.runners.contract import Batch, Bench, Case, CaseOutcome, Ran, Target
from orchestration.quality.runners.report import plain, stopped
from orchestration.quality.tree_view import TreeView, folder_of, join, name_of

_RUNNING = re.compile(r"^\s*Running (?:unittests )?(\S+\.rs)\b")
_RESULT = re.compile(r"^test (\S.*?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)")
_SAID = re.compile(r"^---- (\S.*?) stdout ----$")
_OUTCOMES: dict[str, CaseOutcome] = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}


class RustRunner:
    name = "rust"
    suffixes = frozenset({".rs"})

    def is_test(self, path: str, view: TreeView) -> bool:
        if not path.endswith(".rs"):
            return False
        folder = folder_of(path)
        return name_of(folder) == "tests" and join(folder_of(folder), "Cargo.toml") in view

    def is_configuration(self, path: str) -> bool:  # noqa: ARG002 - tests are found by rule
        return False

    def configuration(self, path: str, data: bytes) -> bytes:  # noqa: ARG002 - see above
        return data

    def batches(self, view: TreeView, targets: Sequence[Target]) -> list[Batch]:
        by_crate: dict[str, list[Target]] = defaultdict(list)
        for target in targets:
            by_crate[view.nearest(folder_of(target.path), "Cargo.toml") or ""].append(target)
        return [Batch(crate, tuple(found)) for crate, found in sorted(by_crate.items())]

    async def run(self, bench: Bench, batch: Batch) -> Ran:
        cargo = bench.processes.find("cargo")
        if cargo is None:
            return Ran(problem="cargo is not on PATH: install it to run the Rust tests")
        if join(batch.folder, "Cargo.toml") not in bench.view:
            return Ran(problem=f"no Cargo.toml above {batch.targets[0].path}")
        limit = bench.settings.timeout_s
        done = await bench.processes.run(
            (cargo, "test", "--no-fail-fast", "--color=never", *_binaries(batch)),
            cwd=bench.path(batch.folder),
            env={**bench.env, "TMPDIR": str(bench.temporary()), "CARGO_TERM_COLOR": "never"},
            timeout_s=limit,
            purpose="run tests",
        )
        if done.failure:
            return Ran(problem=done.failure)
        cases = read_cargo(plain(done.output), batch.folder)
        if done.timed_out:
            return stopped(cases, "", limit, done.output)
        if not cases and done.exit_code != 0:
            said = plain(done.output)
            if re.search(r"failed to (get|download|fetch)|could not (resolve host|connect)|network", said):
                return Ran(problem=f"cargo could not fetch the crate's dependencies: {said[-200:]}")
            return Ran(tuple(Case(target.path, "failed", said) for target in batch.targets))
        return Ran(tuple(cases))


def _binaries(batch: Batch) -> list[str]:
    """`--test NAME` for each file of tests/, and the library's own tests for a file of src/."""
    found = []
    for target in batch.targets:
        inside = target.path.removeprefix(batch.folder + "/") if batch.folder else target.path
        if not inside.startswith("tests/"):
            return []
        found += ["--test", name_of(inside).removesuffix(".rs")]
    return found


def read_cargo(output: str, crate: str) -> list[Case]:
    texts: dict[str, list[str]] = defaultdict(list)
    results: list[tuple[str, CaseOutcome]] = []
    path, speaking = join(crate, "src"), ""
    for line in output.splitlines():
        if running := _RUNNING.match(line):
            path, speaking = join(crate, running[1]), ""
        elif result := _RESULT.match(line):
            results.append((f"{path}::{result[1]}", _OUTCOMES[result[2]]))
        elif said := _SAID.match(line):
            speaking = f"{path}::{said[1]}"
        elif line.startswith(("failures:", "test result:")):
            speaking = ""
        elif speaking:
            texts[speaking].append(line)
    return [Case(case_id, outcome, "\n".join(texts[case_id]).strip()) for case_id, outcome in results]
