"""The base of a run against real folders and real repositories: exact bytes, nothing hidden, nothing lost."""
# ruff: noqa: ASYNC220, ASYNC240 - a test may block its own loop for a moment

import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from orchestration.edge import SystemClock, ThreadExecutor
from orchestration.errors import WorkspaceError
from orchestration.workspace.git import Git
from orchestration.workspace.git_objects import GitObjects
from orchestration.workspace.objects import EXECUTABLE, LINK
from orchestration.workspace.shadow import ShadowRepository
from orchestration.workspace.snapshotter import BaseSnapshot, LocalSnapshotter, check_workspace
from orchestration.workspace.user_repository import global_excludes

pytestmark = pytest.mark.anyio

Write = Callable[[dict[str, str | bytes]], None]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home with an identity and global excludes; git itself uses it, too."""
    place = tmp_path / "home"
    place.mkdir()
    (place / ".gitconfig").write_text(
        "[user]\n\tname = u\n\temail = u@example.org\n[core]\n\texcludesFile = ~/hidden\n"
        '[protocol "file"]\n\tallow = always\n[init]\n\tdefaultBranch = main\n'
    )
    (place / "hidden").write_text("*.swp\n")
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return place


@pytest.fixture
def root(tmp_path: Path, home: Path) -> Path:
    place = tmp_path / "work"
    place.mkdir()
    return place


@pytest.fixture
def write(root: Path) -> Write:
    def made(files: dict[str, str | bytes]) -> None:
        for path, content in files.items():
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)

    return made


@pytest.fixture
def snapshotter(git_store: GitObjects, git: Git, tmp_path: Path, home: Path) -> LocalSnapshotter:
    return LocalSnapshotter(git_store, tmp_path / "data", git, clock=SystemClock(), executor=ThreadExecutor())


def user_git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)
    return os.fsdecode(done.stdout)


def contents(store: GitObjects, base: BaseSnapshot) -> dict[str, bytes]:
    return {path: store.blob(entry.oid) for path, entry in store.entries(base.snapshot)}


def reasons(base: BaseSnapshot) -> dict[str, str]:
    return {item.path: item.reason for item in base.left_out}


def fingerprint(folder: Path) -> dict[str, tuple[int, str, int]]:
    """Every byte, mode and modification time below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (state.st_mode, hashlib.sha256(content).hexdigest(), state.st_mtime_ns)
    return found


async def test_a_folder_without_git(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    files: dict[str, str | bytes] = {
        "a.txt": "a\n", "d/e/f.py": "x = 1\r\n", "empty": "", "utf16.txt": "text\r\n".encode("utf-16"),
        "binary.dat": bytes(range(256)), "no newline": "end", "latin.txt": "caf\xe9\n".encode("latin-1"),
    }  # fmt: skip
    write(
        {**files, ".gitignore": "*.log\n", "x.log": "", "node_modules/m/i.js": "", "d/__pycache__/f.pyc": ""}
    )
    base = await snapshotter.take(root)
    expected = {path: c.encode() if isinstance(c, str) else c for path, c in files.items()}
    assert contents(git_store, base) == {**expected, ".gitignore": b"*.log\n"}
    assert base.files == len(expected) + 1
    assert reasons(base) == {"node_modules/": "installed dependencies"}
    assert base.dirty == ()
    assert not list(root.glob(".git"))


async def test_it_takes_what_git_status_knows(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    write({
        "tracked.py": "1", "gone.py": "1", "d/tracked.log": "1", "build/kept.txt": "1", ".gitignore": "*.log\nbuild/\n/tmp\n",
        "deep/er/.gitignore": "*\n!keep\n!.gitignore\n", "excluded/x": "1", "e.swp": "1", ".env.example": "K=", "dist/o.js": "",
    })  # fmt: skip
    user_git(root, "init", "-q")
    (root / ".git/info/exclude").write_text("excluded/\n")
    user_git(root, "add", "-f", "tracked.py", "gone.py", "d/tracked.log", "build/kept.txt", ".gitignore")
    user_git(root, "commit", "-qm", "c")
    (root / "gone.py").unlink()
    write(
        {
            "tracked.py": "2",
            "new.py": "n",
            "build/made.o": "",
            "tmp/x": "",
            "d/tmp/x": "t",
            "deep/er/keep": "k",
            "deep/er/no": "",
        }
    )
    before = fingerprint(root / ".git")
    base = await snapshotter.take(root)
    assert fingerprint(root / ".git") == before
    listed = user_git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    known = {path for path in listed.split("\0") if path and (root / path).exists()}
    assert set(contents(git_store, base)) == known
    assert {"d/tracked.log", "build/kept.txt", "new.py", "d/tmp/x", "deep/er/keep", "dist/o.js"} <= known
    assert contents(git_store, base)["tracked.py"] == b"2"
    assert reasons(base) == {}


async def test_the_users_git_folder_is_the_same_to_the_last_byte(
    snapshotter: LocalSnapshotter, root: Path, write: Write
) -> None:
    write({"a": "1", "b/c": "2", ".gitattributes": "* text eol=crlf filter=evil\n"})
    user_git(root, "init", "-q")
    user_git(root, "add", "a", "b")
    user_git(root, "commit", "-qm", "c")
    os.utime(root / "a", (1, 1))  # the index now needs a refresh, which must not happen
    before = fingerprint(root)
    index = (root / ".git/index").read_bytes()
    for _ in range(2):
        await snapshotter.take(root, buffers={"a": "unsaved"})
    assert fingerprint(root) == before
    assert (root / ".git/index").read_bytes() == index


async def test_attributes_and_settings_change_no_byte(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    files = {
        "crlf.txt": b"a\r\nb\n", "ident.c": b"$Id$\n", "wide.txt": "x\n".encode("utf-16-le"), "f.bin": b"\r\n\0",
        ".gitattributes": b"* text eol=lf ident\nwide.txt working-tree-encoding=UTF-16LE\n*.c filter=evil\n",
    }  # fmt: skip
    write(dict(files))
    user_git(root, "init", "-q")
    user_git(root, "config", "core.autocrlf", "input")
    assert contents(git_store, await snapshotter.take(root)) == files


async def test_incident_8_the_repositorys_own_configuration_runs_nothing(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write, tmp_path: Path
) -> None:
    spy = tmp_path / "spy"
    write({"a": "1", "sub/b": "2"})
    user_git(root, "init", "-q")
    user_git(root, "add", "-A")
    user_git(root, "update-index", "--split-index")
    for key, value in {
        "core.fsmonitor": f"touch {spy}; false", "filter.evil.clean": f"touch {spy}", "core.sshCommand": f"touch {spy}",
        "diff.external": f"touch {spy}", "core.hooksPath": str(tmp_path), "alias.ls-files": f"!touch {spy}",
        "user.email": "$(touch spy)",
    }.items():  # fmt: skip
        user_git(root, "config", key, value)
    (root / ".gitattributes").write_text("* filter=evil\n")
    hook = tmp_path / "post-index-change"
    hook.write_text(f"#!/bin/sh\ntouch {spy}\n")
    hook.chmod(0o755)
    assert set(contents(git_store, await snapshotter.take(root))) == {"a", "sub/b", ".gitattributes"}
    assert not spy.exists()


@pytest.mark.parametrize("form", ["version 2", "version 4", "split", "sparse", "intent to add", "sha256"])
async def test_every_form_of_the_index_is_read(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write, form: str
) -> None:
    names = [f"dir {n % 5}/tracked-{'x' * n}.log" for n in range(40)]
    write({**dict.fromkeys(names, "t"), "untracked.log": "", ".gitignore": "*.log\n"})
    user_git(root, "init", "-q", *(["--object-format=sha256"] if form == "sha256" else []))
    user_git(root, "add", "-f", *names)
    if form == "version 4":
        user_git(root, "update-index", "--index-version", "4")
    if form == "split":
        user_git(root, "update-index", "--split-index")
    if form == "sparse":
        user_git(root, "commit", "-qm", "c")
        user_git(root, "sparse-checkout", "set", "--cone", "--sparse-index", "dir 1", "dir 2")
        assert b"sdir" in (root / ".git/index").read_bytes()
        names = [name for name in names if name.startswith(("dir 1", "dir 2"))]
    if form == "intent to add":
        write({"later.log": ""})
        user_git(root, "add", "-f", "--intent-to-add", "later.log")
        names.append("later.log")
    before = fingerprint(root / ".git")
    assert set(contents(git_store, await snapshotter.take(root))) == {*names, ".gitignore"}
    assert fingerprint(root / ".git") == before


async def test_secrets_that_nobody_tracks_are_left_out_by_name(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    secrets = [
        ".env",
        ".env.local",
        "config/prod.env",
        "tls/server.pem",
        "tls/server.key",
        "id_rsa",
        ".npmrc",
        "x.p12",
    ]
    write(
        {
            **dict.fromkeys(secrets, "S"),
            ".env.example": "",
            "id_rsa.pub": "",
            "keys.py": "",
            "tracked.pem": "t",
        }
    )
    user_git(root, "init", "-q")
    user_git(root, "add", "tracked.pem")
    base = await snapshotter.take(root, buffers={".env": "unsaved secret", "new.key": "k"})
    assert set(contents(git_store, base)) == {".env.example", "id_rsa.pub", "keys.py", "tracked.pem"}
    assert reasons(base) == dict.fromkeys(secrets, "may hold a secret")


async def test_large_files_are_left_out_by_name(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    write({"limit": b"0" * 10 * 1024 * 1024, "small": "s"})
    with (root / "large").open("wb") as file:
        file.truncate(10 * 1024 * 1024 + 1)
    base = await snapshotter.take(root)
    assert set(contents(git_store, base)) == {"limit", "small"}
    assert reasons(base) == {"large": "larger than 10 MB"}


async def test_links_are_links_and_those_that_lead_outside_are_named(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s")
    write({"d/file": "f"})
    links = {"in": "d/file", "d/up": "../d", "dangling": "nowhere", "d/out": "../../outside/secret",
             "abs": f"{tmp_path}/outside", "self": f"{root}/d", "folder": "../outside"}  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    base = await snapshotter.take(root)
    found = {
        path: (entry.mode, git_store.blob(entry.oid)) for path, entry in git_store.entries(base.snapshot)
    }
    assert found == {
        "d/file": (0o100644, b"f"), "in": (LINK, b"d/file"), "d/up": (LINK, b"../d"), "dangling": (LINK, b"nowhere"),
    }  # fmt: skip
    assert set(reasons(base)) == {"d/out", "abs", "self", "folder"}
    assert "outside the workspace" in reasons(base)["folder"]
    assert str(tmp_path) in reasons(base)["abs"]


async def test_strange_names_and_strange_files(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    names = [
        "with space",
        "new\nline",
        'quo"te',
        "emoji \U0001f600",
        "back\\slash",
        "colon:name",
        "-dash",
        "git~1",
        "caf\u0065\u0301",
    ]
    write(dict.fromkeys(names, "x"))
    write({"run.sh": "#!/bin/sh\n"})
    (root / "run.sh").chmod(0o755)
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "sock"))
        Path(os.fsdecode(os.fsencode(root) + b"/latin-\xe9")).write_text("x")
        Path(os.fsdecode(os.fsencode(root) + b"/dir-\xff")).mkdir()
        base = await snapshotter.take(root)
    assert set(contents(git_store, base)) == {*names, "run.sh"}
    run = git_store.entry(base.snapshot, "run.sh")
    assert run is not None
    assert run.mode == EXECUTABLE
    assert reasons(base) == {
        "pipe": "a named pipe", "sock": "a socket", "latin-\\xe9": "its name is not valid UTF-8",
        "dir-\\xff/": "its name is not valid UTF-8",
    }  # fmt: skip


async def test_nested_repositories_and_submodules_bring_their_files(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "lib.c").write_text("c")
    user_git(library, "init", "-q")
    user_git(library, "add", "-A")
    user_git(library, "commit", "-qm", "l")
    write({"main.c": "m", ".gitignore": "*.out\n", "nested/n.py": "n", "nested/kept.out": "o", "nested/.gitignore": "hidden\n",
           "nested/hidden": "", "nested/forced": "f"})  # fmt: skip
    user_git(root, "init", "-q")
    user_git(root / "nested", "init", "-q")
    (root / "nested/.git/info/exclude").write_text("forced\nalso\n")
    user_git(root / "nested", "add", "-f", "forced")
    write({"nested/also": ""})
    user_git(root, "submodule", "--quiet", "add", str(library), "sub")
    user_git(root, "add", "main.c", ".gitignore")
    user_git(root, "commit", "-qm", "c")
    user_git(root, "worktree", "add", "--quiet", "--detach", "trees/one")
    before = fingerprint(root)
    base = await snapshotter.take(root)
    assert fingerprint(root) == before
    assert set(contents(git_store, base)) == {
        "main.c", ".gitignore", ".gitmodules", "sub/lib.c", "nested/n.py", "nested/kept.out", "nested/.gitignore", "nested/forced",
    }  # fmt: skip
    assert reasons(base) == {"trees/one/": "another working tree of this repository"}


async def test_dependencies_and_output_that_nobody_tracks(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    write({
        "Cargo.toml": "", "target/debug/x": "", "js/package.json": "{}", "js/dist/x.js": "", "dist/source.py": "s",
        "env/pyvenv.cfg": "", "env/bin/python": "", "cachedir/CACHEDIR.TAG": "", "cachedir/x": "", "target2/x": "t",
        "a/.pytest_cache/x": "", "a/mod.pyc": "", "src/build/x.py": "b", "p.egg-info/PKG-INFO": "",
    })  # fmt: skip
    base = await snapshotter.take(root)
    assert set(contents(git_store, base)) == {
        "Cargo.toml", "js/package.json", "dist/source.py", "target2/x", "src/build/x.py",
    }  # fmt: skip
    assert set(reasons(base)) == {"target/", "js/dist/", "env/"}


async def test_a_folder_of_a_repository_is_a_workspace_of_its_own(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    write({".gitignore": "*.log\n/part/top\n", "other": "", "part/a.py": "a", "part/forced.log": "f", "part/x.log": "",
           "part/top": "", "part/d/top": "t", "part/.gitignore": "!y.log\n", "part/y.log": "y"})  # fmt: skip
    user_git(root, "init", "-q")
    user_git(root, "add", "-f", "part/a.py", "part/forced.log", "other")
    base = await snapshotter.take(root / "part")
    assert set(contents(git_store, base)) == {"a.py", "forced.log", "d/top", ".gitignore", "y.log"}


async def test_a_workspace_that_an_outer_repository_ignores_stands_alone(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    write({".gitignore": "*\n", "code/proj/a.py": "a", "code/proj/.gitignore": "b\n", "code/proj/b": ""})
    user_git(root, "init", "-q")
    base = await snapshotter.take(root / "code" / "proj")
    assert set(contents(git_store, base)) == {"a.py", ".gitignore"}


# --- unsaved buffers ----------------------------------------------------------------------------------


async def test_buffers_take_the_place_of_their_files(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    write({"plain": "disk", "bom.txt": "disk".encode("utf-8-sig"), "wide.txt": "disk".encode("utf-16"),
           "latin.txt": "caf\xe9 disk".encode("cp1252"), "run.sh": "x", "target": "t", "d/keep": "k",
           ".gitignore": "hidden\n", "hidden": "h"})  # fmt: skip
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("target")
    buffers = {
        "plain": "buffer \u20ac\r\n", "bom.txt": "buffer", "wide.txt": "b\u00fcffer \U0001f600", "latin.txt": "buffer caf\xe9",
        "run.sh": "y", "link": "through", "d/new.py": "new", "brand/new/file": "n", "hidden": "no", "x/hidden": "no",
    }  # fmt: skip
    base = await snapshotter.take(root, buffers=buffers)
    found = contents(git_store, base)
    assert found["plain"] == "buffer \u20ac\r\n".encode()
    assert found["bom.txt"] == "buffer".encode("utf-8-sig")
    assert found["wide.txt"] == "b\u00fcffer \U0001f600".encode("utf-16")
    assert found["latin.txt"] == "buffer caf\xe9".encode("latin-1")
    assert (found["link"], found["target"]) == (b"target", b"through")
    assert (found["d/new.py"], found["brand/new/file"], found["d/keep"]) == (b"new", b"n", b"k")
    assert not {"hidden", "x/hidden"} & set(found)
    run = git_store.entry(base.snapshot, "run.sh")
    assert run is not None
    assert run.mode == EXECUTABLE
    assert set(base.dirty) == {*buffers} - {"hidden", "x/hidden", "link"} | {"target"}
    assert base.left_out == ()
    assert contents(git_store, await snapshotter.take(root))["plain"] == b"disk"


async def test_buffers_that_do_not_hold_exactly_are_left_out_by_name(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write, tmp_path: Path
) -> None:
    write({"latin.txt": "caf\xe9".encode("cp1252"), "binary": b"\0\1", "ok": "o"})
    (tmp_path / "out").write_text("")
    (root / "link").symlink_to("../out")
    base = await snapshotter.take(
        root,
        buffers={
            "latin.txt": "\u4e2d",
            "binary": "text",
            "../out": "x",
            "link": "x",
            ".git/config": "x",
            "half": "\ud800",
        },
    )
    assert set(contents(git_store, base)) == {"ok"}
    assert set(reasons(base)) == {"latin.txt", "binary", "../out", "link", ".git/config", "half"}
    assert "cp1252" in reasons(base)["latin.txt"]
    assert base.dirty == ()


# --- again and again ----------------------------------------------------------------------------------


async def test_only_what_changed_is_read_again(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    write({f"d{n % 9}/f{n}": f"{n}" for n in range(300)})
    for path in root.rglob("*"):
        os.utime(path, (1_600_000_000.5, 1_600_000_000.5))
    with anyio.fail_after(5):
        await anyio.sleep(0.06)  # ctime cannot be set: let the files grow older than a tick
    first = await snapshotter.take(root)
    stamp = (root / "d1/f1").stat()
    again = await snapshotter.take(root)
    assert git_store.tree_of(again.snapshot) == git_store.tree_of(first.snapshot)
    assert again.files == 300
    (root / "d1/f1").write_text("9")  # the same size
    os.utime(root / "d1/f1", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # and the same time: ctime tells
    (root / "d2/f2").unlink()
    (root / "d3/f3").chmod(0o755)
    write({"d4/new": "n", "e/f": "e"})
    shutil.rmtree(root / "d5")
    expected = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    last = await snapshotter.take(root)
    assert contents(git_store, last) == expected
    changed = [
        path for path, _, _ in git_store.diff(first.snapshot, last.snapshot) if not path.startswith("d5/")
    ]
    assert changed == ["d1/f1", "d2/f2", "d3/f3", "d4/new", "e/f"]


async def test_a_write_in_the_same_tick_is_seen(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    for number in range(20):
        write({"f": f"{number:03}"})
        assert contents(git_store, await snapshotter.take(root)) == {"f": f"{number:03}".encode()}


async def test_a_damaged_or_foreign_cache_is_ignored(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write, tmp_path: Path
) -> None:
    write({"a": "1"})
    await snapshotter.take(root)
    (tmp_path / "data/snapshot-cache").write_bytes(b"\x93garbage")
    assert contents(git_store, await snapshotter.take(root)) == {"a": b"1"}
    shutil.copytree(root, tmp_path / "other")
    (tmp_path / "other/a").write_text("2")
    assert contents(git_store, await snapshotter.take(tmp_path / "other")) == {"a": b"2"}


async def test_files_that_come_and_go_meanwhile_do_no_harm(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    write({f"stay/{n}": "s" for n in range(200)})
    script = (
        "import os,sys\nos.chdir(sys.argv[1])\nos.makedirs('flip', exist_ok=True)\nprint('on', flush=True)\n"
        "n = 0\n"
        "while os.getppid() == int(sys.argv[2]):\n n += 1\n p = f'flip/{n % 50}'\n"
        " os.path.exists(p) and (os.unlink(p) if not os.path.isdir(p) else os.rmdir(p))\n"
        " n % 3 == 0 and os.mkdir(p)\n n % 3 == 1 and os.mkfifo(p)\n n % 3 == 2 and open(p, 'w').write('x' * n)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, root, str(os.getpid())], stdout=subprocess.PIPE
    ) as flipper:
        assert flipper.stdout is not None
        flipper.stdout.readline()
        try:
            for _ in range(10):
                found = contents(git_store, await snapshotter.take(root))
                assert {path for path in found if path.startswith("stay/")} == {
                    f"stay/{n}" for n in range(200)
                }
        finally:
            flipper.kill()


async def test_progress_is_told_and_cancelling_stops(
    git_store: GitObjects, git: Git, root: Path, write: Write, tmp_path: Path
) -> None:
    write({f"d{n % 50}/{n}": str(n) * 50 for n in range(4000)})

    class Eager(SystemClock):
        async def sleep(self, seconds: float) -> None:
            await anyio.sleep(0.01)

    snapshotter = LocalSnapshotter(
        git_store, tmp_path / "data", git, clock=Eager(), executor=ThreadExecutor()
    )
    told: list[int] = []
    cancelled_at = 0
    with anyio.CancelScope() as scope:

        def progress(files: int) -> None:
            nonlocal cancelled_at
            if files > 100:
                cancelled_at = files
                scope.cancel()

        await snapshotter.take(root, progress=progress)
    assert scope.cancelled_caught
    assert 100 < cancelled_at < 4000
    base = await snapshotter.take(root, progress=told.append)
    assert base.files == 4000
    assert told[-1] == 4000
    assert told == sorted(told)


async def test_the_cache_outlives_a_collection(
    snapshotter: LocalSnapshotter, git_store: GitObjects, git: Git, root: Path, write: Write
) -> None:
    write({f"d{n % 9}/f{n}": f"{n}" for n in range(100)})
    await snapshotter.take(root, buffers={"d1/f1": "unsaved"})
    shadow = ShadowRepository(git_store.git_dir)
    await shadow.collect(git, [], older_than_s=0)
    base = await LocalSnapshotter(
        git_store, shadow.path.parent, git, clock=SystemClock(), executor=ThreadExecutor()
    ).take(root)
    found = contents(GitObjects(shadow, git), base)
    assert len(found) == 100
    assert found["d1/f1"] == b"1"


# --- roots that cannot be used --------------------------------------------------------------------------


async def test_bad_roots_are_named(snapshotter: LocalSnapshotter, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match=r"no folder .*none; check the path"):
        await snapshotter.take(tmp_path / "none")
    with pytest.raises(WorkspaceError, match="is a file; name the folder"):
        await snapshotter.take(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
async def test_what_is_not_readable_is_named(
    snapshotter: LocalSnapshotter, git_store: GitObjects, root: Path, write: Write
) -> None:
    write({"a": "1", "b": "2", "d/c": "3"})
    (root / "b").chmod(0)
    (root / "d").chmod(0)
    base = await snapshotter.take(root)
    (root / "d").chmod(0o755)
    assert set(contents(git_store, base)) == {"a"}
    assert set(reasons(base)) == {"b", "d/"}
    root.chmod(0o555)
    with pytest.raises(WorkspaceError, match="read-only"):
        check_workspace(root, writable=True)
    root.chmod(0o311)
    with pytest.raises(WorkspaceError, match="not readable"):
        check_workspace(root)
    root.chmod(0o755)


def test_the_users_global_excludes_are_found(home: Path, tmp_path: Path) -> None:
    assert global_excludes(home, None) == b"*.swp\n"
    (home / ".gitconfig").write_text("[core]\n")
    assert global_excludes(home, None) == b""
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("*.orig\n")
    assert global_excludes(home, None) == b"*.orig\n"
    (tmp_path / "xdg/git").mkdir(parents=True)
    (tmp_path / "xdg/git/config").write_text(f"[core]\n\texcludesFile = {home}/hidden\n")
    assert global_excludes(home, str(tmp_path / "xdg")) == b"*.swp\n"
    (home / ".gitconfig").write_text("broken [")
    assert global_excludes(home, None) == b"*.orig\n"
