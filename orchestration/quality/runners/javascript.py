"""JavaScript and TypeScript tests: jest or vitest where the project has them, node's own runner, else the
project's `npm test`.

node runs one file per process, so that every result has its file, and files at the same time, as it does by
itself. jest and vitest report in jest's JSON.
What `npm test` says counts by its exit code alone.
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestration.quality.runners.assets import copy_assets
from orchestration.quality.runners.contract import Batch, Bench, Case, CaseOutcome, Ran, Target
from orchestration.quality.runners.report import events, plain, read_file, stopped, whole_run
from orchestration.quality.tree_view import TreeView, folder_of, join, name_of, suffix_of

_TYPED = frozenset({".ts", ".mts", ".cts", ".tsx"})
_SCRIPT = _TYPED | frozenset({".js", ".mjs", ".cjs", ".jsx"})
_TEST_NAME = re.compile(r"(^|[._-])(test|spec)\.[cm]?[jt]sx?$|^test-[^/]*\.[cm]?js$", re.IGNORECASE)
_CONFIGURATION = re.compile(
    r"^(jest|vitest|vite|playwright|karma|ava)\.config\.[cm]?[jt]s(on)?$|^\.mocharc(\.|$)|^jest\.setup\.[cm]?[jt]s$"
)
_OTHERS = ("mocha", "ava", "tap", "jasmine", "karma", "uvu", "playwright")
_SEPARATOR = " > "


class JavaScriptRunner:
    name = "javascript"
    suffixes = _SCRIPT

    def __init__(self) -> None:
        self._versions: dict[str, tuple[int, int]] = {}

    def is_test(self, path: str, view: TreeView) -> bool:  # noqa: ARG002 - the contract's parameter
        if suffix_of(path) not in _SCRIPT or ".d." in name_of(path):
            return False
        return _TEST_NAME.search(name_of(path)) is not None or f"/{folder_of(path)}/".find("/__tests__/") >= 0

    def is_configuration(self, path: str) -> bool:
        return name_of(path) == "package.json" or _CONFIGURATION.search(name_of(path)) is not None

    def configuration(self, path: str, data: bytes) -> bytes:
        if name_of(path) != "package.json":
            return data
        package = _parsed(data)
        found: dict[str, Any] = {
            key: package[key] for key in ("jest", "vitest", "mocha", "ava") if key in package
        }
        scripts = package.get("scripts")
        if isinstance(scripts, dict):
            found["scripts"] = {name: scripts[name] for name in sorted(scripts) if "test" in name}
        return json.dumps(found, sort_keys=True).encode() if any(found.values()) else b""

    def batches(self, view: TreeView, targets: Sequence[Target]) -> list[Batch]:
        grouped: dict[tuple[str, str], list[Target]] = defaultdict(list)
        for target in targets:
            folder = _package_folder(view, target.path)
            grouped[folder, _tool(view, target.path, folder)].append(target)
        found = []
        for (folder, tool), members in sorted(grouped.items()):
            if tool == "node":
                found += [Batch(folder, (member,), tool, apart=True) for member in members]
            else:
                found.append(Batch(folder, tuple(members), tool))
        return found

    async def run(self, bench: Bench, batch: Batch) -> Ran:
        node = bench.processes.find("node")
        if node is None:
            return Ran(problem="node is not on PATH: install it to run the JavaScript tests")
        if stray := await bench.executor.run(_stray_link, bench, batch.folder):
            return Ran(problem=stray)
        if batch.tool == "node":
            return await self._node(bench, batch, node)
        if batch.tool in {"jest", "vitest"}:
            return await _reporting(bench, batch)
        return await _npm(bench, batch)

    async def _node(self, bench: Bench, batch: Batch, node: str) -> Ran:
        version = await self._version(bench, node)
        if version < (18, 15) or (19, 0) <= version < (19, 6):
            return Ran(
                problem=f"node {version[0]}.{version[1]} is too old to report its tests: 20 or newer is needed"
            )
        (target,) = batch.targets
        flags = await bench.executor.run(_type_flags, bench, batch.folder, target.path, version)
        if isinstance(flags, str):
            return Ran(problem=flags)
        assets = await bench.executor.run(copy_assets, bench.scratch, ("antiphon_node.mjs",))
        report = bench.new_file("report.jsonl")
        done = await bench.processes.run(
            (
                node, *flags, "--test", f"--test-reporter={(assets / 'antiphon_node.mjs').as_uri()}",
                f"--test-reporter-destination={report}", str(bench.path(target.path)),
            ),
            cwd=bench.path(batch.folder),
            env=_environment(bench),
            timeout_s=bench.settings.timeout_s,
            purpose="run tests",
        )  # fmt: skip
        if done.failure:
            return Ran(problem=done.failure)
        cases, ended, under_way = _node_cases(await bench.executor.run(read_file, report), target.path)
        if done.timed_out:
            # A file that is stopped reports itself as failed, and its tests may never have been heard of.
            heard = [case for case in cases if case.id != target.path]
            return stopped(heard, under_way or target.path, bench.settings.timeout_s, done.output)
        if not ended:
            said = plain(done.output)
            return Ran(tuple(cases), f"node did not come to its end: {said[-300:]}", said=said)
        return Ran(tuple(cases))

    async def _version(self, bench: Bench, node: str) -> tuple[int, int]:
        if node not in self._versions:
            done = await bench.processes.run(
                (node, "--version"), cwd=bench.checkout, purpose="ask for its version"
            )
            match = re.search(r"v(\d+)\.(\d+)", done.output)
            self._versions[node] = (int(match[1]), int(match[2])) if match else (0, 0)
        return self._versions[node]


def _node_cases(text: str, path: str) -> tuple[list[Case], bool, str]:
    """The cases, whether the report is complete, and the test under way at its end."""
    found: list[Case] = []
    said: list[str] = []
    under_way, ended = "", False
    for event in events(text):
        kind = event.get("event")
        names = [str(name) for name in event.get("names", ())]
        whole = bool(names) and len(names) == 1 and names[0].endswith(name_of(path))
        case_id = path if whole else f"{path}::{_SEPARATOR.join(names)}"
        if kind == "start":
            under_way = case_id
        elif kind == "said":
            said.append(str(event.get("text", "")))
        elif kind == "end":
            ended, under_way = True, ""
        elif kind == "result":
            under_way = "" if case_id == under_way else under_way
            outcome: CaseOutcome = event.get("outcome", "failed")
            if event.get("reason") == "subtestsFailed" or (event.get("suite") and outcome == "passed"):
                continue
            output = "".join(said) if whole else str(event.get("text", ""))
            found.append(Case(case_id, outcome, plain(output), float(event.get("seconds", 0.0))))
    if len(found) > 1:  # older nodes report the file itself beside its tests
        found = [case for case in found if case.id != path or case.outcome == "failed"]
    return found, ended, under_way


async def _reporting(bench: Bench, batch: Batch) -> Ran:
    tool = batch.tool
    program = await bench.executor.run(_installed, bench, batch.folder, tool)
    if program is None:
        return Ran(
            problem=f"{tool} is not installed in {batch.folder or 'the workspace'}: node_modules lacks it"
        )
    report = bench.new_file("report.json")
    files = [str(bench.path(target.path)) for target in batch.targets]
    arguments = (
        ["--json", f"--outputFile={report}", "--testLocationInResults", "--runTestsByPath", *files]
        if tool == "jest"
        else ["run", "--reporter=json", f"--outputFile={report}", *files]
    )
    done = await bench.processes.run(
        (str(program), *arguments),
        cwd=bench.path(batch.folder),
        env=_environment(bench),
        timeout_s=bench.settings.timeout_s,
        purpose="run tests",
    )
    if done.failure:
        return Ran(problem=done.failure)
    if done.timed_out:
        return stopped([], "", bench.settings.timeout_s, done.output)
    cases = jest_cases(await bench.executor.run(read_file, report), str(bench.checkout))
    if cases is None:
        said = plain(done.output)
        return Ran(problem=f"{tool} did not come to its end: {said[-300:]}", said=said)
    return Ran(tuple(cases))


def jest_cases(text: str, checkout: str) -> list[Case] | None:
    """From jest's JSON (vitest writes the same). None when it is none."""
    try:
        results = json.loads(text)["testResults"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return None
    found = []
    for result in results:
        path = str(result.get("name", "")).removeprefix(checkout + "/")
        tests = result.get("assertionResults") or []
        if not tests and result.get("status") == "failed":
            found.append(Case(path, "failed", plain(str(result.get("message", "")))))
        for test in tests:
            names = [*test.get("ancestorTitles", ()), test.get("title", "")]
            status = test.get("status")
            outcome: CaseOutcome = status if status in {"passed", "failed"} else "skipped"
            said = plain("\n".join(str(message) for message in test.get("failureMessages") or ()))
            seconds = float(test.get("duration") or 0.0) / 1000
            found.append(Case(f"{path}::{_SEPARATOR.join(filter(None, names))}", outcome, said, seconds))
    return found


async def _npm(bench: Bench, batch: Batch) -> Ran:
    npm = bench.processes.find("npm")
    if npm is None:
        return Ran(problem="npm is not on PATH: install it to run the project's tests")
    modules = bench.path(batch.folder) / "node_modules"
    if batch.tool in _OTHERS and not await bench.executor.run(modules.is_dir):
        return Ran(
            problem=f"{batch.tool} is not installed in {batch.folder or 'the workspace'}: node_modules is missing"
        )
    done = await bench.processes.run(
        (npm, "test", "--silent"),
        cwd=bench.path(batch.folder),
        env=_environment(bench),
        timeout_s=bench.settings.timeout_s,
        purpose="run tests",
    )
    return whole_run(done, batch.targets, bench.settings.timeout_s, "npm test")


def _environment(bench: Bench) -> dict[str, str]:
    return {**bench.env, "CI": "1", "NO_COLOR": "1", "FORCE_COLOR": "0", "TMPDIR": str(bench.temporary())}


def _parsed(data: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(data or b"{}")
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _package_folder(view: TreeView, test: str) -> str:
    folder = view.nearest(folder_of(test), "package.json")
    if folder is not None:
        return folder
    own = folder_of(test)
    return folder_of(own) if name_of(own) in {"__tests__", "test", "tests"} else own


def _tool(view: TreeView, test: str, folder: str) -> str:
    text = view.text(test)
    package = _parsed(view.data(join(folder, "package.json")))
    script = (
        str((package.get("scripts") or {}).get("test", ""))
        if isinstance(package.get("scripts"), dict)
        else ""
    )
    needed = {
        name
        for key in ("dependencies", "devDependencies")
        if isinstance(package.get(key), dict)
        for name in package[key]
    }
    if re.search(r"""["']vitest["']""", text):
        return "vitest"
    if "@jest/globals" in text:
        return "jest"
    if re.search(r"""["'](node:test|node:assert(/strict)?)["']""", text) and "node:test" in text:
        return "node"
    for tool in ("vitest", "jest", *_OTHERS):
        if tool in needed or re.search(rf"\b{tool}\b", script):
            return tool
    return "npm" if script and "no test specified" not in script and "node --test" not in script else "node"


def _type_flags(bench: Bench, folder: str, test: str, version: tuple[int, int]) -> tuple[str, ...] | str:
    """What node needs to run TypeScript; or why it cannot."""
    speaks = suffix_of(test) in _TYPED or re.search(
        r"""["']\.[^"'\n]*\.[cm]?tsx?["']""", bench.view.text(test)
    )
    if not speaks or version >= (23, 6):
        return ()
    if _installed(bench, folder, "tsx") is not None:
        return ("--import", "tsx")
    if version >= (22, 6):
        return ("--experimental-strip-types", "--no-warnings")
    return f"node {version[0]}.{version[1]} cannot run TypeScript: 22.6 or newer, or tsx in node_modules, is needed"


def _installed(bench: Bench, folder: str, name: str) -> Path | None:
    """The program of a package in the nearest node_modules, seen from the checkout."""
    place = bench.path(folder)
    while True:
        candidate = place / "node_modules" / ".bin" / name
        if candidate.exists():
            return candidate
        if place == bench.checkout or bench.checkout not in place.parents:
            return None
        place = place.parent


def _stray_link(bench: Bench, folder: str) -> str:
    """A package of node_modules that is a link into the user's workspace, in words; empty if none."""
    modules = bench.path(folder) / "node_modules"
    if not modules.is_dir():
        return ""
    entries = list(modules.iterdir())
    for entry in [
        *entries,
        *(inner for scope in entries if scope.name.startswith("@") for inner in scope.iterdir()),
    ]:
        if not entry.is_symlink():
            continue
        target = entry.resolve()
        inside = target == bench.checkout or bench.checkout in target.parents
        if bench.root in target.parents and not inside and "node_modules" not in target.parts:
            return f"node_modules/{entry.relative_to(modules)} leads to {target}, not into the checkout"
    return ""
