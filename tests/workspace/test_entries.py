"""The user's files as entries: put and removed as expected, never followed; the disk and its twin alike."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.errors import ConflictError, PathRefusedError, WorkspaceError
from orchestration.workspace.entries import UserEntries, WorkspaceEntries, WorkspaceFullError, refused
from orchestration.workspace.files import MemoryFiles
from orchestration.workspace.memory_entries import MemoryEntries
from orchestration.workspace.objects import EXECUTABLE, FILE, LINK, Entry
from orchestration.workspace.path_guard import PathGuard
from orchestration.workspace.tree_codec import object_id


def entry(data: bytes, mode: int = FILE) -> Entry:
    return Entry(mode, object_id("blob", data))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "work"
    place.mkdir()
    return place


@pytest.fixture
def on_disk(root: Path) -> WorkspaceEntries:
    return WorkspaceEntries(PathGuard(root))


@pytest.fixture(params=["disk", "memory"])
def entries(request: pytest.FixtureRequest, on_disk: WorkspaceEntries) -> UserEntries:
    return on_disk if request.param == "disk" else MemoryEntries(MemoryFiles())


def put(
    entries: UserEntries, path: str, data: bytes, mode: int = FILE, *, over: Entry | None = None
) -> Entry:
    made = entry(data, mode)
    entries.put(path, made, data, expected=over)
    entries.settle()
    return made


def test_files_and_links_come_change_and_go(entries: UserEntries) -> None:
    assert entries.at("d/e/f") is None
    first = put(entries, "d/e/f", b"1\r\n")
    assert entries.at("d/e/f") == first
    second = put(entries, "d/e/f", b"\0two", EXECUTABLE, over=first)
    third = put(entries, "d/e/f", b"\0two", FILE, over=second)
    assert entries.at("d/e/f") == third
    link = put(entries, "d/e/f", b"../nowhere", LINK, over=third)
    assert entries.at("d/e/f") == link
    other = put(entries, "d/e/f", b"./other", LINK, over=link)
    last = put(entries, "d/e/f", b"a file again\n", over=other)
    entries.remove("d/e/f", expected=last)
    assert entries.at("d/e/f") is None


def test_what_is_not_as_expected_is_left_alone(entries: UserEntries) -> None:
    there = put(entries, "f", b"the user's")
    for expected, word in (
        (None, "is there now"),
        (entry(b"x"), "was changed"),
        (entry(b"the user's", EXECUTABLE), "was changed"),
    ):
        with pytest.raises(ConflictError, match=word):
            entries.put("f", entry(b"ours"), b"ours", expected=expected)
        if expected is not None:
            with pytest.raises(ConflictError, match=word):
                entries.remove("f", expected=expected)
    with pytest.raises(ConflictError, match="is gone"):
        entries.put("g", entry(b"ours"), b"ours", expected=there)
    with pytest.raises(ConflictError, match="is gone"):
        entries.remove("g", expected=there)
    assert entries.at("f") == there
    assert entries.at("g") is None


def test_folders(entries: UserEntries) -> None:
    there = put(entries, "a/b/f", b"f")
    with pytest.raises(ConflictError, match="a folder"):
        entries.at("a/b")
    with pytest.raises(ConflictError, match="a folder"):
        entries.put("a", entry(b"x"), b"x", expected=None)
    with pytest.raises(ConflictError, match="not a folder"):
        entries.at("a/b/f/g")
    with pytest.raises(ConflictError, match="not a folder"):
        entries.put("a/b/f/g", entry(b"x"), b"x", expected=None)
    assert not entries.drop_folder("a/b")
    assert entries.stranger("a", {"a/b/f"}) == ""
    assert entries.stranger("a", set()) == "a/b/f"
    assert entries.stranger("a/b/f", set()) is None
    assert entries.clear_folder("a") == "a/b/f"
    entries.remove("a/b/f", expected=there)
    entries.make_folder("a/c/d")
    assert not entries.drop_folder("a/c")
    assert entries.clear_folder("a") == ""
    assert entries.at("a") is None
    assert entries.clear_folder("a") == ""
    assert entries.drop_folder("a")


def test_any_name_of_a_tree_and_no_other(entries: UserEntries) -> None:
    for name in ("back\\slash", "~", "C:", "file:x", " ", "ünï", "-rf", "a\nb"):
        made = put(entries, f"d/{name}", b"x")
        assert entries.at(f"d/{name}") == made
    for path in ("", "/etc/passwd", "../x", "a//b", "a/./b", ".git/config", "sub/.GIT/x", "a\0b"):
        with pytest.raises(PathRefusedError):
            entries.put(path, entry(b"x"), b"x", expected=None)
        with pytest.raises(PathRefusedError):
            entries.at(path)


# --- the disk alone --------------------------------------------------------------------------------


def test_permissions_stay(on_disk: WorkspaceEntries, root: Path) -> None:
    before = put(on_disk, "f", b"1")
    (root / "f").chmod(0o640)
    after = put(on_disk, "f", b"2", EXECUTABLE, over=before)
    assert stat.S_IMODE((root / "f").stat().st_mode) == 0o750
    put(on_disk, "f", b"2", FILE, over=after)
    assert stat.S_IMODE((root / "f").stat().st_mode) == 0o640


def test_a_change_of_the_mode_alone_keeps_the_file(on_disk: WorkspaceEntries, root: Path) -> None:
    before = put(on_disk, "f", b"1")
    inode = (root / "f").stat().st_ino
    put(on_disk, "f", b"1", EXECUTABLE, over=before)
    assert (root / "f").stat().st_ino == inode


def test_links_are_never_followed(on_disk: WorkspaceEntries, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("not ours")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "f")
    with pytest.raises(ConflictError, match="not a folder"):
        on_disk.put("folder/g", entry(b"x"), b"x", expected=None)
    link = on_disk.at("file")
    assert link is not None
    assert link.mode == LINK
    put(on_disk, "file", b"ours now", over=link)
    assert on_disk.stranger("folder", set()) is None
    assert on_disk.clear_folder("folder") == ""
    assert [path.name for path in outside.iterdir()] == ["f"]
    assert (outside / "f").read_text() == "not ours"
    assert not (root / "file").is_symlink()


def test_a_stranger_may_be_a_link_to_a_folder(on_disk: WorkspaceEntries, root: Path) -> None:
    (root / "a").mkdir()
    (root / "a/link").symlink_to("..")
    assert on_disk.stranger("a", set()) == "a/link"


def test_nothing_half_written_stays(on_disk: WorkspaceEntries, root: Path) -> None:
    there = put(on_disk, "f", b"1")
    with pytest.raises(ConflictError):
        on_disk.put("f", entry(b"2"), b"2", expected=None)
    put(on_disk, "f", b"2", over=there)
    assert [path.name for path in root.iterdir()] == ["f"]


def test_what_a_dead_process_left_is_swept(on_disk: WorkspaceEntries, root: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    for folder in (root, root / "d"):
        folder.mkdir(exist_ok=True)
        (folder / f".antiphon-{child.pid}-3.tmp").write_text("half")
        (folder / f".antiphon-{os.getpid()}-3.tmp").write_text("being written")
        (folder / ".antiphon-x-3.tmp").write_text("the user's")
    on_disk.sweep(["", "d", "none"])
    for folder in (root, root / "d"):
        assert not (folder / f".antiphon-{child.pid}-3.tmp").exists()
        assert (folder / f".antiphon-{os.getpid()}-3.tmp").exists()
        assert (folder / ".antiphon-x-3.tmp").exists()


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_refuses_with_its_reason(on_disk: WorkspaceEntries, root: Path) -> None:
    (root / "d").mkdir(mode=0o555)
    with pytest.raises(WorkspaceError, match="Permission denied; it is left as it is"):
        on_disk.put("d/f", entry(b"x"), b"x", expected=None)


def test_a_disk_without_room_is_told_apart() -> None:
    assert isinstance(refused("f", "written", OSError(errno.ENOSPC, "full")), WorkspaceFullError)
    assert not isinstance(refused("f", "written", OSError(errno.EACCES, "no")), WorkspaceFullError)


def test_repositories(on_disk: WorkspaceEntries, root: Path) -> None:
    (root / "nested/.git").mkdir(parents=True)
    (root / "worktree").mkdir()
    (root / "worktree/.git").write_text("gitdir: elsewhere\n")
    assert on_disk.is_repository("nested")
    assert on_disk.is_repository("worktree")
    assert not on_disk.is_repository("none")
