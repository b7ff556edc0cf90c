"""The one guard: what tools may name, what is protected, where writes land."""

from pathlib import Path

import pytest

from orchestration.errors import PathRefusedError
from orchestration.workspace.path_guard import PathGuard


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work space"
    folder.mkdir()
    return folder


@pytest.fixture
def guard(root: Path) -> PathGuard:
    return PathGuard(root)


@pytest.mark.parametrize(
    ("given", "relative"),
    [
        ("src/a.py", "src/a.py"),
        ("./src//a.py", "src/a.py"),
        ("src/../b", "b"),
        ("", ""),
        (".", ""),
        ('a b/"q"\n\U0001f600', 'a b/"q"\n\U0001f600'),
        ("std::vector.md", "std::vector.md"),
        ("12:30.txt", "12:30.txt"),
        (".github/workflows/ci.yml", ".github/workflows/ci.yml"),
        (".gitignore", ".gitignore"),
        ("digit~1", "digit~1"),
    ],
)  # fmt: skip
def test_paths_inside_are_normalised(guard: PathGuard, given: str, relative: str) -> None:
    assert guard.inside(given) == relative


def test_an_absolute_path_inside_is_made_relative(guard: PathGuard, root: Path, tmp_path: Path) -> None:
    assert guard.inside(f"{root}/src/a.py") == "src/a.py"
    assert guard.inside(str(root)) == ""
    (tmp_path / "alias").symlink_to(root)
    assert PathGuard(tmp_path / "alias").inside(f"{tmp_path}/alias/x") == "x"
    assert PathGuard(tmp_path / "alias").inside(f"{root}/x") == "x"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "../secret", "src/../../secret", "file:///etc/passwd", "FILE:/etc/passwd", "http://x/y",
        "~/.ssh/id_rsa", "~", "C:\\Windows", "C:/Windows", "..\\secret", "a\\b", "nul\0", "\udce9.txt",
        "vscode-remote://x/y",
    ],
)  # fmt: skip
def test_incident_18_what_is_outside_is_refused(guard: PathGuard, path: str) -> None:
    with pytest.raises(PathRefusedError):
        guard.inside(path)


def test_a_sibling_with_the_same_beginning_is_outside(guard: PathGuard, root: Path) -> None:
    with pytest.raises(PathRefusedError, match="outside the workspace"):
        guard.inside(f"{root}-other/x")


@pytest.mark.parametrize(
    "path",
    [
        ".Cursor/MCP.json", ".MCP.json", ".git/config", ".GIT/hooks/pre-commit", "sub/.git/config", ".git./x",
        ".git /x", "git~1/config", "GIT~1/config", ".g\u200cit/config", "\uff0egit/config", ".vscode::$DATA/x",
        ".git:x/y", "a.txt::$DATA", ".VSCode/settings.json", ".\u017fcode/../.v\u017fcode/x", ".idea./x", "MCP~1.JSO",
        ".mcp.json.", ".vscode\ufe0f/settings.json", "VSCODE~1/settings.json",
    ],
)  # fmt: skip
def test_incident_5_disguised_protected_names_are_refused(guard: PathGuard, path: str) -> None:
    with pytest.raises(PathRefusedError):
        guard.inside(path)


@pytest.mark.parametrize(
    "path",
    [
        ".vscode/settings.json", ".mcp.json", "sub/.mcp.json", ".cursor/rules", ".antiphon/config.toml", ".idea/x",
        "AGENTS.md", "agents.MD", "sub/AGENTS.md", ".bashrc", ".github/workflows/ci.yml", ".gitlab-ci.yml",
        "Jenkinsfile", ".ci/run", ".gitattributes", ".husky/pre-commit", ".GitHub/Workflows/x.yml", "CODEOWNERS",
    ],
)  # fmt: skip
def test_incidents_1_to_3_protected_names_are_marked(guard: PathGuard, path: str) -> None:
    reason = guard.protected(path)
    assert reason is not None
    assert path in reason


@pytest.mark.parametrize(
    "path", ["src/a.py", "", "github/workflows", "agents.md.txt", ".gitignore", "docs/ci.md"]
)
def test_code_is_not_protected(guard: PathGuard, path: str) -> None:
    assert guard.protected(path) is None


def test_incident_17_a_link_on_disk_that_leads_outside_is_refused(
    guard: PathGuard, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("s")
    (root / "README").symlink_to("../secret")
    (root / "abs").symlink_to(tmp_path / "secret")
    (root / "deep").symlink_to("..")
    for path in ("README", "abs", "deep/secret"):
        with pytest.raises(PathRefusedError, match="outside the workspace"):
            guard.resolve(path)


def test_a_link_inside_resolves_to_its_target(guard: PathGuard, root: Path) -> None:
    (root / "src").mkdir()
    (root / "src" / "a").write_text("a")
    (root / "lib").symlink_to("src")
    (root / "abs").symlink_to(root / "src" / "a")
    assert guard.resolve("lib/a") == "src/a"
    assert guard.resolve("lib/new/file") == "src/new/file"
    assert guard.resolve("abs") == "src/a"
    assert guard.resolve_for_write("lib/a") == root.resolve() / "src" / "a"


def test_a_link_into_version_control_is_refused(guard: PathGuard, root: Path) -> None:
    (root / ".git").mkdir()
    (root / "g").symlink_to(".git")
    with pytest.raises(PathRefusedError, match="version control"):
        guard.resolve("g/config")


def test_a_circle_of_links_ends(guard: PathGuard, root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(PathRefusedError, match="more than 40 links"):
        guard.resolve("a/x")
