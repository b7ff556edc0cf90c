"""The user's files: whole or not at all, only as expected, never through a link to the outside."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.errors import ConflictError, PathRefusedError, WorkspaceError
from orchestration.workspace.files import MemoryFiles, UserFiles, WorkspaceFiles, digest_of
from orchestration.workspace.path_guard import PathGuard


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "work"
    place.mkdir()
    return place


@pytest.fixture
def on_disk(root: Path) -> WorkspaceFiles:
    return WorkspaceFiles(root, PathGuard(root))


@pytest.fixture(params=["disk", "memory"])
def files(request: pytest.FixtureRequest, on_disk: WorkspaceFiles) -> UserFiles:
    return on_disk if request.param == "disk" else MemoryFiles()


def test_files_are_created_replaced_and_deleted_as_expected(files: UserFiles) -> None:
    assert files.read("d/e/f") is None
    files.write("d/e/f", b"1\r\n", expected="")
    assert files.read("d/e/f") == b"1\r\n"
    files.write("d/e/f", b"\0two", expected=digest_of(b"1\r\n"))
    assert files.read("./d/e/../e/f") == b"\0two"
    files.delete("d/e/f", expected=digest_of(b"\0two"))
    assert files.read("d/e/f") is None
    files.delete("d/e/f", expected="")


def test_a_mode_changes_and_the_content_stays(files: UserFiles, on_disk: WorkspaceFiles, root: Path) -> None:
    files.write("run.sh", b"#!/bin/sh\n", expected="")
    inode = (root / "run.sh").stat().st_ino if files is on_disk else 0
    for mode in (0o755, 0o644):
        files.set_mode("run.sh", mode)
        assert files.read("run.sh") == b"#!/bin/sh\n"
        if isinstance(files, MemoryFiles):
            assert ("run.sh" in files.executable) is bool(mode & 0o111)
        else:
            found = (root / "run.sh").stat()
            assert (found.st_mode & 0o111, found.st_ino) == (mode & 0o111, inode)
    with pytest.raises(ConflictError, match="is gone"):
        files.set_mode("none", 0o755)


def test_what_is_not_as_expected_is_left_alone(files: UserFiles) -> None:
    files.write("f", b"the user's", expected="")
    for expected, reason in (("", "exists already"), (digest_of(b"other"), "changed meanwhile")):
        with pytest.raises(ConflictError, match=reason):
            files.write("f", b"x", expected=expected)
        with pytest.raises(ConflictError, match=reason):
            files.delete("f", expected=expected)
    with pytest.raises(ConflictError, match="is gone"):
        files.write("none", b"x", expected=digest_of(b""))
    with pytest.raises(ConflictError, match="is gone"):
        files.delete("none/deep", expected=digest_of(b""))
    assert files.read("f") == b"the user's"
    assert files.read("none") is None


@pytest.mark.parametrize("path", ["", "../out", "/etc/passwd", ".git/config", "file:///etc/passwd"])
def test_what_is_no_file_of_the_workspace_is_refused(files: UserFiles, path: str) -> None:
    acts: list[Callable[[], object]] = [
        lambda: files.read(path),
        lambda: files.write(path, b"", expected=""),
        lambda: files.delete(path, expected=""),
    ]
    for act in acts:
        with pytest.raises(PathRefusedError):
            act()


def test_a_write_leaves_nothing_behind_and_keeps_the_mode(on_disk: WorkspaceFiles, root: Path) -> None:
    (root / "f").write_bytes(b"1")
    (root / "f").chmod(0o640)
    on_disk.write("f", b"2", expected=digest_of(b"1"))
    assert stat.S_IMODE((root / "f").stat().st_mode) == 0o640
    on_disk.write("f", b"3", expected=digest_of(b"2"), mode=0o100755)
    assert stat.S_IMODE((root / "f").stat().st_mode) == 0o750
    on_disk.write("f", b"4", expected=digest_of(b"3"), mode=0o100644)
    assert stat.S_IMODE((root / "f").stat().st_mode) == 0o640
    umask = os.umask(0o022)
    on_disk.write("new", b"n", expected="", mode=0o100755)
    os.umask(umask)
    assert stat.S_IMODE((root / "new").stat().st_mode) == 0o755
    with pytest.raises(ConflictError):
        on_disk.write("f", b"5", expected="")
    assert sorted(path.name for path in root.iterdir()) == ["f", "new"]


def test_a_link_inside_is_written_at_its_target(on_disk: WorkspaceFiles, root: Path) -> None:
    (root / "d").mkdir()
    (root / "d/f").write_bytes(b"1")
    (root / "link").symlink_to("d/f")
    (root / "folder").symlink_to(root / "d")
    on_disk.write("link", b"2", expected=digest_of(b"1"))
    on_disk.write("folder/g", b"g", expected="")
    assert (root / "link").is_symlink()
    assert (root / "d/f").read_bytes() == b"2"
    assert (root / "d/g").read_bytes() == b"g"
    on_disk.delete("folder/g", expected=digest_of(b"g"))
    assert not (root / "d/g").exists()


def test_incident_17_a_link_to_the_outside_is_neither_read_nor_written(
    on_disk: WorkspaceFiles, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "home").mkdir()
    (root / "README").symlink_to("../secret")
    (root / "out").symlink_to(tmp_path / "home")
    for path in ("README", "out/.bashrc"):
        with pytest.raises(PathRefusedError, match="outside the workspace"):
            on_disk.read(path)
        with pytest.raises(PathRefusedError, match="outside the workspace"):
            on_disk.write(path, b"x", expected="")
    assert (tmp_path / "secret").read_bytes() == b"s"
    assert list((tmp_path / "home").iterdir()) == []


class _PlantedGuard(PathGuard):
    """A guard behind whose back a link is planted after its check."""

    def __init__(self, root: Path, place: Path, target: Path) -> None:
        super().__init__(root)
        self._place = place
        self._target = target

    def resolve(self, relative: str) -> str:
        real = super().resolve(relative)
        if not self._place.is_symlink():
            if self._place.is_dir():
                self._place.rmdir()
            else:
                self._place.unlink(missing_ok=True)
            self._place.symlink_to(self._target)
        return real


def test_a_link_planted_after_the_check_leads_nowhere(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "d").mkdir()
    with pytest.raises(ConflictError, match="not a folder"):
        WorkspaceFiles(root, _PlantedGuard(root, root / "d", outside)).write("d/f", b"x", expected="")
    assert list(outside.iterdir()) == []
    (outside / "secret").write_bytes(b"s")
    (root / "f").write_bytes(b"s")
    files = WorkspaceFiles(root, _PlantedGuard(root, root / "f", outside / "secret"))
    with pytest.raises(ConflictError, match="become a link"):
        files.write("f", b"x", expected=digest_of(b"s"))
    assert (outside / "secret").read_bytes() == b"s"


def test_folders_and_pipes_are_no_files(on_disk: WorkspaceFiles, root: Path) -> None:
    (root / "d").mkdir()
    os.mkfifo(root / "p")
    for path in ("d", "p"):
        with pytest.raises(PathRefusedError, match="not a plain file"):
            on_disk.read(path)
        with pytest.raises(PathRefusedError, match="not a plain file"):
            on_disk.write(path, b"", expected="")
    (root / "f").write_bytes(b"")
    with pytest.raises(ConflictError, match="not a folder"):
        on_disk.write("f/x", b"", expected="")


def test_readers_see_the_old_content_or_the_new_one(on_disk: WorkspaceFiles, root: Path) -> None:
    old, new = b"a" * 200_000, b"b" * 300_000
    (root / "f").write_bytes(old)
    seen: set[bytes] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.add((root / "f").read_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(20):
        on_disk.write("f", new, expected=digest_of(old))
        on_disk.write("f", old, expected=digest_of(new))
    stop.set()
    watcher.join()
    assert seen <= {old, new}


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_is_named(on_disk: WorkspaceFiles, root: Path) -> None:
    (root / "f").write_bytes(b"1")
    root.chmod(0o555)
    with pytest.raises(WorkspaceError, match="cannot be written"):
        on_disk.write("f", b"2", expected=digest_of(b"1"))
    with pytest.raises(WorkspaceError, match="cannot be deleted"):
        on_disk.delete("f", expected=digest_of(b"1"))
    root.chmod(0o755)
    assert (root / "f").read_bytes() == b"1"


def test_half_written_files_of_dead_processes_are_swept(on_disk: WorkspaceFiles, root: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    (root / "d").mkdir()
    dead = [root / f".antiphon-{child.pid}-0.tmp", root / "d" / f".antiphon-{child.pid}-7.tmp"]
    kept = [root / f".antiphon-{os.getpid()}-0.tmp", root / ".antiphon-x-0.tmp", root / "d" / "a.tmp"]
    for path in (*dead, *kept):
        path.touch()
    on_disk.sweep(["", "d", "none", "d/a.tmp"])
    assert not any(path.exists() for path in dead)
    assert all(path.exists() for path in kept)
