"""Go tests, through `go test -json`, one package at a time.

Where a folder belongs to no module its files are given by name. A package that does not build is a
failed case for each of its test files asked for.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from orchestration.quality.runners.contract import Batch, Bench, Case, CaseOutcome, Ran, Target
from orchestration.quality.runners.report import events, plain, stopped
from orchestration.quality.tree_view import TreeView, folder_of, is_within, name_of

_FUNCTION = re.compile(r"^func ((?:Test|Example|Fuzz)\w*)\(", re.MULTILINE)
_OUTCOMES: dict[str, CaseOutcome] = {"pass": "passed", "fail": "failed", "skip": "skipped"}


class GoRunner:
    name = "go"
    suffixes = frozenset({".go"})

    def is_test(self, path: str, view: TreeView) -> bool:  # noqa: ARG002 - the contract's parameter
        return path.endswith("_test.go")

    def is_configuration(self, path: str) -> bool:  # noqa: ARG002 - Go has none; tests are named by rule
        return False

    def configuration(self, path: str, data: bytes) -> bytes:  # noqa: ARG002 - see above
        return data

    def batches(self, view: TreeView, targets: Sequence[Target]) -> list[Batch]:  # noqa: ARG002 - see above
        by_folder: dict[str, list[Target]] = defaultdict(list)
        for target in targets:
            by_folder[folder_of(target.path)].append(target)
        return [Batch(folder, tuple(found)) for folder, found in sorted(by_folder.items())]

    async def run(self, bench: Bench, batch: Batch) -> Ran:
        go = bench.processes.find("go")
        if go is None:
            return Ran(problem="go is not on PATH: install it to run the Go tests")
        files = {name: target.path for target in batch.targets for name in _functions(bench.view, target)}
        pattern = f"^({'|'.join(sorted(files))})$" if files else "^$"
        module = bench.view.nearest(batch.folder, "go.mod")
        what = ["."] if module is not None else _sources(bench.view, batch.folder)
        limit = bench.settings.timeout_s
        done = await bench.processes.run(
            (go, "test", "-json", "-count=1", f"-run={pattern}", f"-timeout={limit:g}s", *what),
            cwd=bench.path(batch.folder),
            env={**bench.env, "TMPDIR": str(bench.temporary()), "GOFLAGS": "-buildvcs=false"},
            timeout_s=limit + 5,
            purpose="run tests",
        )
        if done.failure:
            return Ran(problem=done.failure)
        cases, under_way, said = _read(done.output, files)
        if done.timed_out or "panic: test timed out after" in said:
            return stopped([case for case in cases if case.id != under_way], under_way, limit, said)
        if not cases and done.exit_code != 0:
            broken = said or "the package does not build"
            if re.search(r"dial tcp|no such host|i/o timeout|proxyconnect|connection refused", broken):
                return Ran(problem=f"go could not fetch the module's dependencies: {broken[-200:]}")
            return Ran(tuple(Case(target.path, "failed", broken) for target in batch.targets))
        return Ran(tuple(cases))


def _functions(view: TreeView, target: Target) -> list[str]:
    if target.nodes:
        return [re.escape(node.split("/", 1)[0]) for node in target.nodes]
    return _FUNCTION.findall(view.text(target.path))


def _sources(view: TreeView, folder: str) -> list[str]:
    return [
        name_of(path) for path in view.under(folder) if folder_of(path) == folder and path.endswith(".go")
    ]


def _read(output: str, files: dict[str, str]) -> tuple[list[Case], str, str]:
    """Cases by test file, the test under way, and what was said outside of tests."""
    texts: dict[str, list[str]] = defaultdict(list)
    cases: list[Case] = []
    under_way = ""
    for event in events(output):
        test = str(event.get("Test", ""))
        action = str(event.get("Action", ""))
        if action in {"output", "build-output"}:
            texts[test].append(str(event.get("Output", "")))
        if not test:
            continue
        path = files.get(test.split("/", 1)[0], "")
        case_id = f"{path}::{test}"
        if action == "run":
            under_way = case_id
        elif action in _OUTCOMES:
            under_way = "" if under_way == case_id else under_way
            outcome = _OUTCOMES[action]
            text = "" if outcome == "passed" else plain("".join(texts[test]))
            cases.append(Case(case_id, outcome, text, float(event.get("Elapsed", 0.0))))
    said = "".join(texts[""]) + "\n".join(line for line in output.splitlines() if not line.startswith("{"))
    return _leaves(cases), under_way, plain(said)


def _leaves(cases: Sequence[Case]) -> list[Case]:
    """Without tests that failed only since one of theirs did: the inner one says why."""
    failed = [case.id for case in cases if case.outcome == "failed"]
    return [
        case
        for case in cases
        if case.outcome != "failed"
        or not any(is_within(other, case.id) and other != case.id for other in failed)
    ]
