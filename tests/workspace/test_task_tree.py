"""What an agent does to its files, without a disk."""

from collections.abc import Callable

import pytest

from orchestration.errors import EditRefusedError, PathRefusedError
from orchestration.events import LeftOut
from orchestration.workspace.object_store import SnapshotStore
from orchestration.workspace.objects import EXECUTABLE, LINK, Change
from orchestration.workspace.task_tree import TaskTree
from orchestration.workspace.tree_codec import EMPTY_TREE

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tree(store: SnapshotStore) -> TaskTree:
    root = store.write(
        EMPTY_TREE,
        {
            "README": Change(b"docs/intro.md", LINK),
            "docs/intro.md": Change(b"hello\n"),
            "run.sh": Change(b"#!/bin/sh\n", EXECUTABLE),
            "src/a.py": Change(b"a\n"),
            "src/deep/b.py": Change(b"b\n"),
            "out": Change(b"../secret", LINK),
            "passwd": Change(b"/etc/passwd", LINK),
            "loop": Change(b"loop", LINK),
            "lib": Change(b"src/deep", LINK),
        },
    )
    return TaskTree(
        store, root, [LeftOut("big.bin", "over 10 MB"), LeftOut("vendor/nested/", "a repository")]
    )


async def test_edits_are_read_back_and_flushed(tree: TaskTree, store: SnapshotStore) -> None:
    tree.write("src/a.py", b"A\n")
    tree.write("src/new.py", b"n\n")
    tree.delete("src/deep/b.py")
    assert tree.read("src/a.py") == b"A\n"
    assert tree.read("src/deep/b.py") is None
    assert list(tree.paths("src")) == ["src/a.py", "src/new.py"]
    changed = {"src/a.py": Change(b"A\n"), "src/deep/b.py": None, "src/new.py": Change(b"n\n")}
    assert tree.changed() == changed
    flushed = tree.flush()
    assert tree.changed() == changed
    assert store.read(flushed, "src/a.py") == b"A\n"
    assert tree.flush() == flushed


async def test_nothing_changed_keeps_the_id(tree: TaskTree) -> None:
    assert tree.flush() == tree.start
    tree.write("src/a.py", b"other")
    tree.write("src/a.py", b"a\n")
    assert tree.changed() == {}
    assert tree.flush() == tree.start


async def test_all_paths_are_in_order_with_edits_between(tree: TaskTree) -> None:
    before = list(tree.paths())
    assert before == sorted(before)
    tree.write("a", b"")
    tree.write("src/b", b"")
    tree.write("zz", b"")
    assert list(tree.paths()) == sorted([*before, "a", "src/b", "zz"])


async def test_modes_are_kept(tree: TaskTree) -> None:
    tree.write("run.sh", b"#!/bin/sh\necho\n")
    assert tree.mode("run.sh") == EXECUTABLE
    tree.move("run.sh", "bin/run.sh")
    assert tree.mode("bin/run.sh") == EXECUTABLE
    assert tree.mode("run.sh") is None
    tree.write("tool", b"", EXECUTABLE)
    assert tree.mode("tool") == EXECUTABLE
    with pytest.raises(EditRefusedError, match="mode"):
        tree.write("evil", b"/etc", LINK)


async def test_moving_an_unchanged_file_keeps_its_content(tree: TaskTree, store: SnapshotStore) -> None:
    tree.move("src/a.py", "src/c.py")
    assert tree.read("src/c.py") == b"a\n"
    assert store.read(tree.flush(), "src/c.py") == b"a\n"
    assert tree.changed() == {"src/a.py": None, "src/c.py": Change(b"a\n")}


async def test_a_file_may_move_below_its_own_name(tree: TaskTree) -> None:
    tree.move("src/a.py", "src/a.py/inner")
    assert tree.read("src/a.py/inner") == b"a\n"
    with pytest.raises(EditRefusedError, match="is a file"):
        tree.move("docs/intro.md", "run.sh/x")
    assert tree.read("docs/intro.md") == b"hello\n"


async def test_what_cannot_be_done_is_named(tree: TaskTree) -> None:
    with pytest.raises(EditRefusedError, match="no file none"):
        tree.delete("none")
    with pytest.raises(EditRefusedError, match="no file none"):
        tree.move("none", "x")
    with pytest.raises(EditRefusedError, match="exists already"):
        tree.move("src/a.py", "run.sh")
    with pytest.raises(EditRefusedError, match="is a folder"):
        tree.write("src", b"")
    with pytest.raises(EditRefusedError, match=r"run\.sh is a file"):
        tree.write("run.sh/x", b"")


async def test_links_are_followed_inside_the_tree(tree: TaskTree) -> None:
    assert tree.read("README") == b"hello\n"
    assert tree.read("lib/b.py") == b"b\n"
    tree.write("README", b"changed\n")
    tree.write("lib/c.py", b"c\n")
    assert tree.changed() == {"docs/intro.md": Change(b"changed\n"), "src/deep/c.py": Change(b"c\n")}
    tree.delete("README")
    assert tree.read("docs/intro.md") == b"changed\n"


@pytest.mark.parametrize(
    ("path", "target"), [("out", r"\.\./secret"), ("passwd", "/etc/passwd"), ("passwd/x", "/etc")]
)
async def test_incident_17_a_link_that_leads_outside_is_refused_with_its_target(
    tree: TaskTree, path: str, target: str
) -> None:
    with pytest.raises(PathRefusedError, match=target):
        tree.read(path)
    with pytest.raises(PathRefusedError, match=target):
        tree.write(path, b"x")


async def test_a_circle_of_links_ends(tree: TaskTree) -> None:
    with pytest.raises(PathRefusedError, match="more than 40 links"):
        tree.read("loop")


async def test_left_out_paths_are_known_and_unwritable(tree: TaskTree) -> None:
    assert tree.left_out("big.bin") == "over 10 MB"
    assert tree.left_out("vendor/nested/x/y") == "a repository"
    assert tree.left_out("vendor/other") is None
    acts: list[Callable[[], None]] = [
        lambda: tree.write("big.bin", b""),
        lambda: tree.write("vendor/nested/x", b""),
        lambda: tree.move("src/a.py", "big.bin"),
        lambda: tree.delete("big.bin"),
    ]
    for act in acts:
        with pytest.raises(PathRefusedError, match="not part of the snapshot"):
            act()


async def test_a_reset_adopts_a_tree(tree: TaskTree, store: SnapshotStore) -> None:
    tree.write("src/a.py", b"dropped")
    after = store.write(tree.start, {"made": Change(b"by a command")})
    tree.reset(after)
    assert tree.changed() == {"made": Change(b"by a command")}
    assert tree.flush() == after
