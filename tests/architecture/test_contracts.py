"""What import contracts cannot say: which effects may be named where, and how the house is kept."""

import ast
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("server", "orchestration", "providers")

# Modules of `orchestration` that are adapters at the edge: they implement a port and may use what it hides.
EDGE = {
    "orchestration/edge.py",
    *(f"orchestration/{folder}/" for folder in ("journal", "workspace")),
}
EFFECTS = {"time", "uuid", "random", "secrets", "subprocess", "threading", "concurrent", "multiprocessing"}


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "demo/workspace" not in path.as_posix():
                yield path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def at_edge(path: Path) -> bool:
    return any(name(path) == edge or name(path).startswith(edge) for edge in EDGE)


def test_the_engine_reaches_effects_through_ports_only() -> None:
    found = [
        f"{name(path)} imports {module}"
        for path in modules("orchestration")
        if not at_edge(path) and "/assets/" not in name(path)
        for module in imported(path)
        if module.split(".")[0] in EFFECTS or module in {"anyio.to_thread", "anyio.from_thread"}
    ]
    assert found == []


def test_the_engine_asks_no_clock_of_datetime() -> None:
    calls = re.compile(r"datetime\.(now|utcnow|today)\(|asyncio\.(sleep|to_thread)\(")
    found = [
        name(path)
        for path in modules("orchestration")
        if not at_edge(path) and calls.search(path.read_text())
    ]
    assert found == []


def test_the_engine_has_no_import_circles() -> None:
    """Imports inside functions count: they hide a circle, they do not open it."""
    names = {
        name(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
        for path in modules(*SOURCES[1:])
    }
    imports = {
        module: sorted(set(_modules_imported(path)) & names.keys() - {module})
        for module, path in names.items()
    }
    done: set[str] = set()
    for module in imports:
        assert (circle := _circle(module, imports, [], done)) == [], " -> ".join(circle)


def _modules_imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _circle(module: str, imports: dict[str, list[str]], path: list[str], done: set[str]) -> list[str]:
    if module in path:
        return [*path[path.index(module) :], module]
    if module in done:
        return []
    for other in imports[module]:
        if found := _circle(other, imports, [*path, module], done):
            return found
    done.add(module)
    return []


def test_only_the_workspace_starts_processes() -> None:
    starts = re.compile(
        r"subprocess\.(run|Popen|call|check_\w+)|os\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*|fork)\("
        r"|anyio\.(run_process|open_process)|create_subprocess"
    )
    found = [
        name(path)
        for path in modules(*SOURCES)
        if not name(path).startswith("orchestration/workspace/")
        and "/assets/" not in name(path)
        and starts.search(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("pygls", "server/"),
        ("lsprotocol", "server/"),
        ("rich", "server/"),
        ("argparse", "server/"),
        ("httpx2", "providers/"),
        ("httpcore2", "providers/"),
        ("apsw", "orchestration/journal/"),
        ("sqlite3", "orchestration/journal/"),
        ("pygit2", "orchestration/workspace/"),
        ("git", "orchestration/workspace/"),
    ],
)
def test_each_library_has_one_home(library: str, home: str) -> None:
    found = [
        name(path)
        for path in modules(*SOURCES)
        if not name(path).startswith(home)
        and any(module.split(".")[0] == library for module in imported(path))
    ]
    assert found == []


def test_nothing_is_pickled() -> None:
    found = [
        name(path)
        for path in modules(*SOURCES)
        if any(module in {"pickle", "marshal", "shelve", "dill"} for module in imported(path))
    ]
    assert found == []


def test_modules_fit_in_a_head() -> None:
    sizes = {name(path): len(path.read_text().splitlines()) for path in modules(*SOURCES)}
    sizes = {path: size for path, size in sizes.items() if size}
    long = {path: size for path, size in sizes.items() if size > 500}
    unexplained = [path for path in long if "500 lines" not in (ROOT / path).read_text()[:2_000]]
    assert unexplained == []
    assert statistics.median(sizes.values()) <= 200
    assert sum(size < 400 for size in sizes.values()) >= 0.9 * len(sizes)


def test_names_say_something() -> None:
    empty = re.compile(r"(^|/)(utils?|helpers?|common|misc|manager)(\.py$|/)")
    assert [name(path) for path in modules(*SOURCES) if empty.search(name(path))] == []


def test_every_module_says_what_lives_there() -> None:
    found = [
        name(path)
        for path in modules(*SOURCES)
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert found == []


def test_no_secret_path_or_registry_host_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    words = re.compile(
        rb"files\.python"
        rb"hosted\.org|registry\.npm"
        rb"js\.org|repo1\.maven|/ro"
        rb"ot/|sk-[A-Za-z0-9]{32}"
    )
    found = []
    for file in listed.stdout.split("\0"):
        path = ROOT / file
        if file and path.is_file() and not path.is_symlink() and words.search(path.read_bytes()):
            found.append(file)
    assert found == []
