"""Checkouts: exact bytes, exclusive, clean again, with the workspace's dependencies and never through to it."""
# ruff: noqa: ASYNC221 - a test may block its own loop for a moment

import os
import subprocess
import sys
import venv
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from orchestration.edge import SystemClock, ThreadExecutor
from orchestration.workspace.checkout_slot import Slot, remove_tree
from orchestration.workspace.checkouts import Checkout, CheckoutPool
from orchestration.workspace.dependency_copies import outermost
from orchestration.workspace.git import Git
from orchestration.workspace.git_objects import GitObjects
from orchestration.workspace.launcher import Command
from orchestration.workspace.local_launcher import LocalLauncher
from orchestration.workspace.objects import EXECUTABLE, LINK, Change
from orchestration.workspace.snapshotter import LocalSnapshotter
from orchestration.workspace.tree_codec import EMPTY_TREE

pytestmark = pytest.mark.anyio

FILES = {
    ".gitattributes": Change(b"* text eol=lf ident\n*.wide working-tree-encoding=UTF-16\n"),
    ".gitignore": Change(b"*.log\nbuilt/\n"),
    "a/crlf.txt": Change(b"1\r\n2\n"),
    "a/ident.c": Change(b"$Id$\n"),
    "b.wide": Change("x\n".encode("utf-16")),
    "run.sh": Change(b"#!/bin/sh\n", EXECUTABLE),
    "link": Change(b"a/crlf.txt", LINK),
    'q"uo\nte \U0001f600\\:': Change(b"q"),
    "git~1": Change(b"g"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "work"
    place.mkdir()
    return place


@pytest.fixture
def pool(
    tmp_path: Path, git_store: GitObjects, git: Git, launcher: LocalLauncher, root: Path
) -> CheckoutPool:
    return CheckoutPool(tmp_path / "data", git_store, git, launcher, root, executor=ThreadExecutor())


@pytest.fixture
def snapshotter(git_store: GitObjects, git: Git, tmp_path: Path) -> LocalSnapshotter:
    return LocalSnapshotter(
        git_store, tmp_path / "data", git, clock=SystemClock(), executor=ThreadExecutor(), environment={}
    )


def on_disk(checkout: Checkout) -> dict[str, bytes]:
    return {
        str(path.relative_to(checkout.path)): os.fsencode(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in checkout.path.rglob("*")
        if path.is_symlink() or path.is_file()
    }


async def test_a_checkout_holds_the_exact_bytes(pool: CheckoutPool, git_store: GitObjects) -> None:
    tree = git_store.write(EMPTY_TREE, FILES)
    async with pool.acquire(tree) as checkout:
        assert on_disk(checkout) == {path: change.data for path, change in FILES.items()}
        assert os.access(checkout.path / "run.sh", os.X_OK)
        assert not os.access(checkout.path / "b.wide", os.X_OK)
        assert await checkout.capture() == tree


async def test_what_a_command_changes_is_captured_and_then_forgotten(
    pool: CheckoutPool, git_store: GitObjects
) -> None:
    tree = git_store.write(EMPTY_TREE, FILES)
    async with pool.acquire(tree) as checkout:
        first = checkout.path
        (first / "a/crlf.txt").write_bytes(b"3\r\n4\n")
        (first / "new\ndir").mkdir()
        (first / "new\ndir/n\u00e9w").write_bytes(b"n\r\n")
        (first / "git~1").unlink()
        (first / "b.wide").unlink()
        (first / "b.wide").mkdir()
        (first / "b.wide/in").write_text("i")
        (first / "run.sh").chmod(0o644)
        (first / "to").symlink_to("a")
        for hidden in ("x.log", "built/o", "node_modules/m/i.js", "__pycache__/a.pyc", ".env", "key.pem"):
            (first / hidden).parent.mkdir(parents=True, exist_ok=True)
            (first / hidden).write_text("h")
        (first / "outside").symlink_to("../../x")
        os.mkfifo(first / "pipe")
        with (first / "large").open("wb") as file:
            file.truncate(11 * 1024 * 1024)
        for made in ("made", "a"):
            subprocess.run(["git", "init", "-q", first / made], check=True)
            (first / made / "by a command").write_text("c")
        captured = await checkout.capture()
        subprocess.run(["git", "init", "-q", first / "repo"], check=True)
        subprocess.run(["git", "init", "-q", first / "a"], check=True)
    changes = {path: (a, b) for path, a, b in git_store.diff(tree, captured)}
    assert set(changes) == {
        "a/crlf.txt", "b.wide", "b.wide/in", "git~1", "new\ndir/n\u00e9w", "run.sh", "to",
        "made/by a command", "a/by a command",
    }  # fmt: skip
    assert git_store.read(captured, "a/crlf.txt") == b"3\r\n4\n"
    assert git_store.read(captured, "new\ndir/n\u00e9w") == b"n\r\n"
    assert git_store.entry(captured, "git~1") is None
    async with pool.acquire(tree) as checkout:
        assert checkout.path == first
        assert on_disk(checkout) == {path: change.data for path, change in FILES.items()}
        assert not (first / "repo").exists()
    async with pool.acquire(captured) as checkout:
        assert checkout.path == first
        assert (first / "b.wide/in").read_text() == "i"
        assert await checkout.capture() == captured


async def test_a_hidden_change_in_the_same_tick_and_size_is_undone(
    pool: CheckoutPool, git_store: GitObjects
) -> None:
    tree = git_store.write(EMPTY_TREE, {"f": Change(b"true")})
    for _ in range(5):
        async with pool.acquire(tree) as checkout:
            state = (checkout.path / "f").stat()
            assert (checkout.path / "f").read_bytes() == b"true"
            (checkout.path / "f").write_bytes(b"fake")
            os.utime(checkout.path / "f", ns=(state.st_atime_ns, state.st_mtime_ns))
            assert git_store.read(await checkout.capture(), "f") == b"fake"


async def test_checkouts_are_exclusive_and_reused(pool: CheckoutPool, git_store: GitObjects) -> None:
    trees = [git_store.write(EMPTY_TREE, {"n": Change(b"%d" % n)}) for n in range(12)]
    used: list[Path] = []
    now: set[Path] = set()

    async def use(number: int) -> None:
        async with limit, pool.acquire(trees[number]) as checkout:
            assert checkout.path not in now
            now.add(checkout.path)
            used.append(checkout.path)
            assert (checkout.path / "n").read_bytes() == b"%d" % number
            await anyio.lowlevel.checkpoint()
            now.remove(checkout.path)

    limit = anyio.CapacityLimiter(4)
    async with anyio.create_task_group() as group:
        for number in range(12):
            group.start_soon(use, number)
    assert len(used) == 12
    assert len(set(used)) <= 4
    async with pool.acquire(trees[3]) as checkout:
        assert checkout.path in used


async def test_another_process_does_not_get_a_held_checkout(
    pool: CheckoutPool, git_store: GitObjects, git: Git, launcher: LocalLauncher, root: Path, tmp_path: Path
) -> None:
    other = CheckoutPool(tmp_path / "data", git_store, git, launcher, root)
    tree = git_store.write(EMPTY_TREE, {"n": Change(b"1")})
    async with pool.acquire(tree) as one, other.acquire(tree) as two:
        assert one.path != two.path
    assert Slot(tmp_path / "data/checkouts/1").state() is not None


async def test_a_half_made_or_ruined_checkout_is_made_anew(
    pool: CheckoutPool, git_store: GitObjects, tmp_path: Path
) -> None:
    tree = git_store.write(EMPTY_TREE, {"d/n": Change(b"1")})
    async with pool.acquire(tree) as checkout:
        place = checkout.path
        (place / "locked/in").mkdir(parents=True)
        (place / "locked/in/f").write_text("")
        (place / "locked/in").chmod(0)
        (place / "locked").chmod(0o500)
    async with pool.acquire(tree) as checkout:
        assert on_disk(checkout) == {"d/n": b"1"}
    (tmp_path / "data/checkouts/1/index").write_bytes(b"garbage")
    async with pool.acquire(tree) as checkout:
        assert on_disk(checkout) == {"d/n": b"1"}
    (tmp_path / "data/checkouts/1/state.json").unlink()
    (place / "d/n").write_text("stale")
    async with pool.acquire(tree) as checkout:
        assert on_disk(checkout) == {"d/n": b"1"}


async def test_incident_9_a_hook_or_filter_written_by_a_command_runs_nothing(
    pool: CheckoutPool, git_store: GitObjects, tmp_path: Path
) -> None:
    tree = git_store.write(EMPTY_TREE, {"n": Change(b"1"), ".gitattributes": Change(b"* filter=evil\n")})
    spy = tmp_path / "spy"
    async with pool.acquire(tree) as checkout:
        (checkout.path / ".git/hooks").mkdir(parents=True)
        (checkout.path / ".git/config").write_text(
            f'[filter "evil"]\n\tsmudge = touch {spy}\n\tclean = touch {spy}\n'
        )
        for name in ("post-checkout", "post-index-change"):
            (checkout.path / ".git/hooks" / name).write_text(f"#!/bin/sh\ntouch {spy}\n")
            (checkout.path / ".git/hooks" / name).chmod(0o755)
        (checkout.path / "n").write_text("2")
        captured = await checkout.capture()
    async with pool.acquire(captured) as checkout:
        assert (checkout.path / "n").read_text() == "2"
        assert not (checkout.path / ".git").exists()
    assert not spy.exists()


async def test_dependencies_and_large_files_are_there_and_never_written_through(
    pool: CheckoutPool, snapshotter: LocalSnapshotter, root: Path
) -> None:
    files = {
        "package.json": "{}", "node_modules/m/index.js": "m", "node_modules/m/node_modules/x/i.js": "x",
        "packages/p/package.json": "{}", "packages/p/node_modules/q/i.js": "q", "a.js": "a",
    }  # fmt: skip
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "node_modules/p").symlink_to("../packages/p")
    (root / "node_modules/abs").symlink_to(root / "packages" / "p")
    with (root / "large.bin").open("wb") as file:
        file.truncate(11 * 1024 * 1024)
    base = await snapshotter.take(root)
    async with pool.acquire(base.snapshot) as checkout:
        place = checkout.path
        assert (place / "node_modules/m/node_modules/x/i.js").read_text() == "x"
        assert (place / "packages/p/node_modules/q/i.js").read_text() == "q"
        assert (place / "node_modules/p").resolve() == (place / "packages/p").resolve()
        assert (place / "node_modules/abs").resolve() == (place / "packages/p").resolve()
        assert (place / "large.bin").stat().st_size == 11 * 1024 * 1024
        assert str(place / "node_modules/.bin") in checkout.env["PATH"]
        copied = (place / "node_modules/m/index.js").stat().st_ino
        assert await checkout.capture() == checkout.tree
        (place / "node_modules/.cache/t").write_text("a tool's own cache")
    async with pool.acquire(base.snapshot) as checkout:
        assert (place / "node_modules/m/index.js").stat().st_ino == copied, "an untouched copy is used again"
        assert not (place / "node_modules/.cache/t").exists()
        (place / "node_modules/m/index.js").write_text("poisoned")
        (place / "packages/p/node_modules/q/i.js").unlink()
        (place / "large.bin").unlink()
        assert await checkout.capture() == checkout.tree
    assert (root / "node_modules/m/index.js").read_text() == "m"
    (root / "node_modules/new").mkdir()
    async with pool.acquire(base.snapshot) as checkout:
        assert (place / "node_modules/m/index.js").read_text() == "m"
        assert (place / "packages/p/node_modules/q/i.js").read_text() == "q"
        assert (place / "node_modules/new").is_dir()
        assert (place / "large.bin").exists()


async def test_a_virtual_environment_is_moved_into_the_checkout(
    pool: CheckoutPool,
    snapshotter: LocalSnapshotter,
    root: Path,
    git_store: GitObjects,
    launcher: LocalLauncher,
) -> None:
    (root / "src/mine").mkdir(parents=True)
    (root / "src/mine/__init__.py").write_text("WHERE = 'user'\n")
    venv.create(root / ".venv", with_pip=False, symlinks=True)
    packages = next((root / ".venv").glob("lib/python*/site-packages"))
    (packages / "mine.pth").write_text(f"{root}/src\n")
    tool = root / ".venv/bin/tool"
    tool.write_text(f"#!{root}/.venv/bin/python\nimport mine, sys; print(mine.__file__, sys.prefix)\n")
    tool.chmod(0o755)
    base = await snapshotter.take(root)
    assert [item.path for item in base.left_out] == [".venv/"]
    changed = git_store.write(base.snapshot, {"src/mine/__init__.py": Change(b"WHERE = 'checkout'\n")})
    async with pool.acquire(changed) as checkout:
        done = await launcher.run(Command(("tool",), checkout.path, env=dict(checkout.env)))
        assert done.output.decode().split() == [
            f"{checkout.path}/src/mine/__init__.py",
            f"{checkout.path}/.venv",
        ]
        done = await launcher.run(
            Command(("python", "-c", "import mine; print(mine.WHERE)"), checkout.path, env=dict(checkout.env))
        )
        assert done.output == b"checkout\n"
        assert checkout.env["VIRTUAL_ENV"] == f"{checkout.path}/.venv"
        assert await checkout.capture() == changed
    assert str(root) in tool.read_text()
    assert (packages / "mine.pth").read_text() == f"{root}/src\n"


async def test_a_path_that_the_tree_uses_itself_is_not_covered(
    pool: CheckoutPool, snapshotter: LocalSnapshotter, root: Path, git_store: GitObjects
) -> None:
    (root / "sub/node_modules/m").mkdir(parents=True)
    (root / "sub/node_modules/m/i.js").write_text("m")
    (root / "node_modules/n").mkdir(parents=True)
    (root / "keep").write_text("k")
    base = await snapshotter.take(root)
    changed = git_store.write(
        base.snapshot, {"node_modules/own.js": Change(b"o"), "sub": Change(b"a file now")}
    )
    async with pool.acquire(changed) as checkout:
        assert on_disk(checkout) == {"node_modules/own.js": b"o", "sub": b"a file now", "keep": b"k"}
        assert await checkout.capture() == changed


def test_folders_inside_others_are_not_copied_twice() -> None:
    assert outermost(["a/b", "a", "ab", "c/d", "c/d/e", "a"]) == ["a", "ab", "c/d"]


def test_anything_can_be_removed(tmp_path: Path) -> None:
    place = tmp_path / "p"
    (place / "d/e").mkdir(parents=True)
    (place / "d/e/f").write_text("")
    (place / "l").symlink_to("/")
    (place / "d/e").chmod(0o500)
    (place / "d").chmod(0)
    remove_tree(place)
    assert not place.exists()
    remove_tree(place)
    assert sys.platform in {"linux", "darwin"}
