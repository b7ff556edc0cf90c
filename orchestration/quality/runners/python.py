"""Python tests: pytest where the tests' interpreter has it, else unittest.

Each project folder runs in a process of its own, and folders whose test files share a name run apart,
so that modules of the same name never meet. A test file that defines no test is a script: its exit code
counts. Results are trusted only when every module the tests loaded
came from the checkout, not from the user's workspace (an editable install leads there).
"""

import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from configparser import ConfigParser
from configparser import Error as ConfigError

import msgspec

from orchestration.quality.processes import Finished
from orchestration.quality.runners.assets import copy_assets
from orchestration.quality.runners.contract import Batch, Bench, Ran, Target
from orchestration.quality.runners.interpreter import (
    Python,
    Shims,
    find_python,
    python_environment,
    with_places,
)
from orchestration.quality.runners.report import Report, plain, read_file, read_report, stopped, whole_run
from orchestration.quality.tree_view import TreeView, ancestors, folder_of, join, name_of, suffix_of

_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", "manage.py", "requirements.txt")
_TEST_FOLDERS = ("tests", "test", "testing")
_ASSETS = ("antiphon_start.py", "antiphon_pytest.py", "antiphon_unittest.py", "pytest.ini")
_NO_PYTEST = "No module named 'pytest'"
_IMPORT = re.compile(r"^\s*(?:from|import)\s+(\w+)", re.MULTILINE)
_DEFINES_TESTS = re.compile(
    r"^\s*(async\s+)?def\s+test|^\s*class\s+\w*Test|\bTestCase\b|^\s*(from|import)\s+(pytest|unittest)\b"
    r"|^\s*from\s+\S+\s+import\s+\*|\bload_tests\b",
    re.MULTILINE,
)
_CHECKS = re.compile(r"^assert\b|^if __name__ ==", re.MULTILINE)
_SECTIONS = {"setup.cfg": "tool:pytest", "tox.ini": "pytest"}


class PythonRunner:
    name = "python"
    suffixes = frozenset({".py"})

    def __init__(self) -> None:
        self._shims = Shims()

    def is_test(self, path: str, view: TreeView) -> bool:  # noqa: ARG002 - the contract's parameter
        name = name_of(path)
        if not name.endswith(".py"):
            return False
        return name.startswith("test_") or name.endswith("_test.py") or name == "tests.py"

    def is_configuration(self, path: str) -> bool:
        return name_of(path) in {
            "conftest.py",
            "pytest.ini",
            ".pytest.ini",
            "pytest.toml",
            ".pytest.toml",
            "pyproject.toml",
            "setup.cfg",
            "tox.ini",
        }

    def configuration(self, path: str, data: bytes) -> bytes:
        name = name_of(path)
        if name == "pyproject.toml":
            return _pytest_table(data)
        if name in _SECTIONS:
            return _section(data, _SECTIONS[name])
        return data

    def batches(self, view: TreeView, targets: Sequence[Target]) -> list[Batch]:
        by_folder: dict[str, list[Target]] = defaultdict(list)
        for target in targets:
            by_folder[project_of(view, target.path)].append(target)
        batches = []
        for folder, found in sorted(by_folder.items()):
            scripts = [target for target in found if not target.nodes and _is_script(view.text(target.path))]
            batches += [Batch(folder, (target,), "script") for target in scripts]
            left = [target for target in found if target not in scripts]
            batches += [Batch(folder, tuple(group)) for group in _apart(view, left) if group]
        return batches

    async def run(self, bench: Bench, batch: Batch) -> Ran:
        python = await bench.executor.run(
            find_python,
            (bench.checkout, bench.root),
            batch.folder,
            bench.settings,
            bench.environ,
            bench.processes,
        )
        if isinstance(python, str):
            return Ran(problem=python)
        python = self._shims.behind(python, bench.view, batch.folder)
        if batch.tool == "script":
            return await _run_script(bench, batch, python)
        run = _Run(bench, batch, python)
        ran = await run.run()
        await bench.executor.run(self._shims.learn, python, bench.view, batch.folder, run.executable)
        return ran


class _Run:
    def __init__(self, bench: Bench, batch: Batch, python: Python) -> None:
        self._bench = bench
        self._batch = batch
        self._python = python
        self._report = bench.new_file("report.jsonl")
        self.executable = ""

    async def run(self) -> Ran:
        bench = self._bench
        assets = await bench.executor.run(copy_assets, bench.scratch, _ASSETS)
        plan = bench.new_file("plan.json")
        wanted = {
            "modules": _top_modules(bench, self._batch.folder),
            "options": self._options(),
            "targets": self._targets(),
            "sources": [str(bench.path(place)) for place in _sources(bench.view, self._batch.folder)],
        }
        await bench.executor.run(plan.write_bytes, msgspec.json.encode(wanted))
        env = with_places(python_environment(bench, self._python), [str(assets)])
        done = await bench.processes.run(
            (str(self._python.program), str(assets / "antiphon_start.py"), str(plan)),
            cwd=bench.path(self._batch.folder),
            env={**env, "ANTIPHON_REPORT": str(self._report)},
            timeout_s=bench.settings.timeout_s,
            purpose="run tests",
        )
        if done.failure:
            return Ran(problem=done.failure)
        text = await bench.executor.run(read_file, self._report)
        report = read_report(text, str(bench.checkout))
        self.executable = str(report.begun.get("executable", ""))
        return self._judge(report, done)

    def _options(self) -> list[str]:
        """For pytest."""
        bench, folder = self._bench, self._batch.folder
        options = [
            "-p", "antiphon_pytest", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--maxfail=0",
            f"--confcutdir={bench.checkout}", "-q", "--color=no",
        ]  # fmt: skip
        if configured_at(bench.view, folder) is None:
            # pytest would go on looking above the checkout.
            empty = bench.scratch / "assets" / "pytest.ini"
            options += [f"--rootdir={bench.path(folder)}", "-c", str(empty)]
        return options

    def _targets(self) -> list[str]:
        found = []
        for target in self._batch.targets:
            path = str(self._bench.path(target.path))
            found += [f"{path}::{node}" for node in target.nodes] or [path]
        return found

    def _judge(self, report: Report, done: Finished) -> Ran:
        output, program = done.output, self._python.program
        if not report.begun:
            said = output.strip()[-200:] or f"it ended with {done.exit_code}"
            return Ran(problem=f"the tests' Python {program} does not work: {said}")
        if report.stray:
            why = f"the import of {report.stray} leads into the workspace, not into the checkout"
            return Ran(problem=why)
        tool = "pytest" if report.begun.get("pytest") else "unittest"
        cases = list(report.cases)
        if report.outside:
            name, place = report.outside[0]
            return Ran(
                (),
                f"the tests loaded {name} from {place}, not from the checkout: what they say is about other code",
            )
        if done.timed_out:
            return stopped(cases, report.under_way, self._bench.settings.timeout_s, output)
        if not report.ended:
            return Ran(tuple(cases), f"{tool} did not come to its end: {_reason(output)}", said=plain(output))
        if tool == "unittest":
            lacking = _need_pytest(self._bench.view, report)
            if lacking:
                return Ran(
                    tuple(case for case in cases if _NO_PYTEST not in case.output),
                    f"{lacking} needs pytest, which {program} (Python {report.begun.get('version')}) lacks",
                )
        elif not cases and "ERROR: " in output:
            return Ran((), f"pytest refused to run: {_reason(output)}", said=plain(output))
        return Ran(tuple(cases))


async def _run_script(bench: Bench, batch: Batch, python: Python) -> Ran:
    (target,) = batch.targets
    limit = bench.settings.timeout_s
    places = [batch.folder, *_sources(bench.view, batch.folder)]
    done = await bench.processes.run(
        (str(python.program), str(bench.path(target.path))),
        cwd=bench.path(batch.folder),
        env=with_places(python_environment(bench, python), [str(bench.path(place)) for place in places]),
        timeout_s=limit,
        purpose="run tests",
    )
    return whole_run(done, batch.targets, limit, target.path)


def _is_script(text: str) -> bool:
    """True for a file without a test that a framework would find, but with something to check."""
    return _DEFINES_TESTS.search(text) is None and _CHECKS.search(text) is not None


def _sources(view: TreeView, folder: str) -> list[str]:
    """The folder of a project's packages where it lies below (`src`), and is no package itself."""
    place = join(folder, "src")
    is_package = join(place, "__init__.py") in view
    return [place] if not is_package and any(path.endswith(".py") for path in view.under(place)) else []


def _reason(output: str) -> str:
    """The line of an output that most likely says why: one that speaks of an error, else the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b|Error\b", line)]
    return (errors or lines)[-1][:300] if lines else "it said nothing"


def _need_pytest(view: TreeView, report: Report) -> str:
    """The first file that unittest can make nothing of because it is written for pytest."""
    for case in report.cases:
        if "::" not in case.id and _NO_PYTEST in case.output:
            return case.id
    for path, count in report.collected.items():
        if count == 0 and re.search(r"^\s*(async )?def test", view.text(path), re.MULTILINE):
            return path
    return ""


def project_of(view: TreeView, test: str) -> str:
    """The folder a person would run this test in: the nearest with a configuration of pytest; else the
    nearest folder above the test's packages and test folders that is marked as a project or holds it.
    """
    folder = folder_of(test)
    if (configured := configured_at(view, folder)) is not None:
        return configured
    place = folder
    bare = _bare_imports(view.text(test))
    while place and join(place, "__init__.py") in view:
        if name_of(place) not in bare and any(join(place, f"{name}.py") in view for name in bare):
            return place  # a package by its mark alone: its test runs beside its modules
        place = folder_of(place)
    for other in ancestors(place):
        if name_of(other) in _TEST_FOLDERS:
            place = folder_of(other)
    while place and join(place, "__init__.py") in view:
        place = folder_of(place)
    if place != folder:
        return place
    marked = view.nearest(place, *_MARKS)
    if marked is not None and not _has_sources(view, place):
        return marked
    return place


def _bare_imports(text: str) -> frozenset[str]:
    """The first names of what a test imports, without the standard library; none where it imports relatively."""
    if re.search(r"^\s*from\s+\.", text, re.MULTILINE):
        return frozenset()
    return frozenset(_IMPORT.findall(text)) - sys.stdlib_module_names


def _has_sources(view: TreeView, folder: str) -> bool:
    """True when modules lie beside the tests: a folder that is complete in itself."""
    return any(
        folder_of(path) == folder and not name_of(path).startswith("test_") and not path.endswith("_test.py")
        for path in view.under(folder)
        if path.endswith(".py") and name_of(path) != "conftest.py"
    )


def configured_at(view: TreeView, folder: str) -> str | None:
    """The nearest folder, from `folder` up, with a configuration that pytest would take."""
    for place in ancestors(folder):
        if any(
            join(place, name) in view for name in ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml")
        ):
            return place
        if (data := view.data(join(place, "pyproject.toml"))) is not None and _pytest_table(data):
            return place
        for name, section in _SECTIONS.items():
            if (data := view.data(join(place, name))) is not None and _section(data, section):
                return place
    return None


def _pytest_table(data: bytes) -> bytes:
    try:
        tool = tomllib.loads(data.decode("utf-8-sig")).get("tool", {})
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return b""
    table = tool.get("pytest") if isinstance(tool, dict) else None
    return repr(table).encode() if table else b""


def _section(data: bytes, section: str) -> bytes:
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, ConfigError):
        return b""
    return repr(sorted(parser.items(section))).encode() if parser.has_section(section) else b""


def _apart(view: TreeView, targets: Sequence[Target]) -> list[list[Target]]:
    """Together as long as no two files would be the same module: then each folder by itself."""
    seen: dict[str, str] = {}
    for target in targets:
        name = name_of(target.path)
        if join(folder_of(target.path), "__init__.py") in view:
            continue
        if seen.setdefault(name, target.path) != target.path:
            break
    else:
        return [list(targets)]
    by_folder: dict[str, list[Target]] = defaultdict(list)
    for target in targets:
        by_folder[folder_of(target.path)].append(target)
    return [by_folder[folder] for folder in sorted(by_folder)]


def _top_modules(bench: Bench, folder: str) -> list[str]:
    """The names by which the changed modules are imported, as far as their packages tell."""
    names = []
    for path in bench.changed:
        if suffix_of(path) != ".py" or (folder and not path.startswith(folder + "/")):
            continue
        name, place = name_of(path).removesuffix(".py"), folder_of(path)
        while place and join(place, "__init__.py") in bench.view:
            name, place = name_of(place), folder_of(place)
        if name.isidentifier() and name not in {"__init__", "conftest", "setup"}:
            names.append(name)
    return list(dict.fromkeys(names))
