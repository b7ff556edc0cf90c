"""The contract of the object store, held by the git store and by its in-memory twin alike."""

import random
from collections.abc import Mapping

import pytest

from orchestration.errors import NotFoundError
from orchestration.workspace.object_store import SnapshotStore
from orchestration.workspace.objects import EXECUTABLE, LINK, Change, Conflict, Entry
from orchestration.workspace.tree_codec import EMPTY_TREE

pytestmark = pytest.mark.anyio

Files = Mapping[str, bytes | None]


def tree(store: SnapshotStore, files: Files, base: str = EMPTY_TREE) -> str:
    return store.write(base, {path: None if data is None else Change(data) for path, data in files.items()})


def snapshot(store: SnapshotStore, files: Files, *parents: str, when: float = 0.0, message: str = "m") -> str:
    base = parents[0] if parents else EMPTY_TREE
    return store.commit(tree(store, files, base), parents, message, when=when)


def contents(store: SnapshotStore, root: str) -> dict[str, bytes]:
    return {path: store.blob(entry.oid) for path, entry in store.entries(root)}


async def test_written_files_are_read_back_with_their_modes(store: SnapshotStore) -> None:
    root = store.write(
        EMPTY_TREE,
        {
            "a/run.sh": Change(b"#!/bin/sh\n", EXECUTABLE),
            "a/link": Change(b"run.sh", LINK),
            "z": Change(b"\0\xff"),
        },
    )
    assert store.read(root, "a/run.sh") == b"#!/bin/sh\n"
    assert store.read(root, "z") == b"\0\xff"
    assert [(path, entry.mode) for path, entry in store.entries(root)] == [
        ("a/link", LINK), ("a/run.sh", EXECUTABLE), ("z", 0o100644),
    ]  # fmt: skip
    assert store.entry(root, "a") is None
    assert store.entry(root, "a/none") is None
    assert store.entry(root, "z/below") is None
    assert store.read(root, "none") is None


async def test_entries_come_in_path_order_and_by_folder(store: SnapshotStore) -> None:
    names = ["a-b", "a.txt", "a/b", "a/c/d", "a0", "é", '\U0001f600 "q"\n.txt']
    root = tree(store, dict.fromkeys(names, b"x"))
    assert [path for path, _ in store.entries(root)] == sorted(names)
    assert [path for path, _ in store.entries(root, "a")] == ["a/b", "a/c/d"]
    assert [path for path, _ in store.entries(root, "a/")] == ["a/b", "a/c/d"]
    assert [path for path, _ in store.entries(root, "a.txt")] == ["a.txt"]
    assert [path for path, _ in store.entries(root, "none")] == []


async def test_ids_are_gits(store: SnapshotStore) -> None:
    root = tree(store, {"hello.txt": b"hello\n"})
    assert store.entry(root, "hello.txt") == Entry(0o100644, "ce013625030ba8dba906f756967f9e9ca394464a")
    assert root == "aaa96ced2d9a1c8e72c56b253a0e2fe78393feb7"


async def test_deleting_the_last_file_removes_its_folder(store: SnapshotStore) -> None:
    root = tree(store, {"a/b/c": b"1", "d": b"2"})
    less = tree(store, {"a/b/c": None}, root)
    assert contents(store, less) == {"d": b"2"}
    assert tree(store, {"d": None}, less) == EMPTY_TREE
    assert contents(store, EMPTY_TREE) == {}


async def test_nothing_changed_gives_the_same_id(store: SnapshotStore) -> None:
    root = tree(store, {"a/b": b"1"})
    assert store.write(root, {}) == root
    assert tree(store, {"a/b": b"1"}, root) == root
    assert tree(store, {"absent": None, "a/b/c": None}, root) == root


async def test_a_file_takes_the_place_of_a_folder_and_back(store: SnapshotStore) -> None:
    root = tree(store, {"a/b": b"1", "a/c": b"2"})
    as_file = tree(store, {"a": b"file"}, root)
    assert contents(store, as_file) == {"a": b"file"}
    assert contents(store, tree(store, {"a": None, "a/b": b"1"}, as_file)) == {"a/b": b"1"}
    assert contents(store, tree(store, {"a/x": b"1"}, as_file)) == {"a/x": b"1"}
    assert contents(store, tree(store, {"a/b": None, "a/c": None, "a": b"3"}, root)) == {"a": b"3"}


@pytest.mark.parametrize("path", ["", "/a", "a//b", "a/../b", ".", "a/./b", "nul\0"])
async def test_a_path_no_tree_can_hold_is_refused(store: SnapshotStore, path: str) -> None:
    with pytest.raises(ValueError, match="no tree can hold"):
        tree(store, {path: b"x"})


async def test_a_file_and_a_file_below_it_are_refused(store: SnapshotStore) -> None:
    with pytest.raises(ValueError, match="both a file and a folder"):
        tree(store, {"a": b"x", "a/b": b"y"})


async def test_diff_names_both_sides(store: SnapshotStore) -> None:
    before = tree(store, {"a/same": b"0", "a/old": b"1", "b": b"2", "f/x": b"3"})
    after = tree(store, {"a/old": None, "a/new": b"4", "b": b"5", "f/x": None, "f": b"6"}, before)
    found = {
        path: (a and store.blob(a.oid), b and store.blob(b.oid)) for path, a, b in store.diff(before, after)
    }
    assert found == {
        "a/new": (None, b"4"), "a/old": (b"1", None), "b": (b"2", b"5"), "f": (None, b"6"), "f/x": (b"3", None),
    }  # fmt: skip
    assert list(found) == sorted(found)
    assert store.diff(before, before) == []
    assert [row[::2] for row in store.diff(before, EMPTY_TREE)] == [
        (path, None) for path, _ in store.entries(before)
    ]


async def test_an_unknown_id_is_named(store: SnapshotStore) -> None:
    with pytest.raises(NotFoundError, match="dead" * 10):
        store.blob("dead" * 10)
    with pytest.raises(NotFoundError):
        store.tree_of("dead" * 10)
    root = tree(store, {"a": b"1"})
    with pytest.raises(NotFoundError, match="not a file's content"):
        store.blob(root)


async def test_equal_commits_have_equal_ids_and_their_tree(store: SnapshotStore) -> None:
    one = snapshot(store, {"a": b"1"}, when=1_700_000_000.9)
    assert one == snapshot(store, {"a": b"1"}, when=1_700_000_000.1)
    assert one != snapshot(store, {"a": b"1"}, when=1)
    assert store.tree_of(one) == tree(store, {"a": b"1"})
    assert store.read(one, "a") == b"1"
    assert store.time_of(one) == 1_700_000_000


# --- merging -----------------------------------------------------------------------------------


async def test_equal_results_and_ancestors_are_dropped(store: SnapshotStore) -> None:
    base = snapshot(store, {"a": b"1"})
    ahead = snapshot(store, {"b": b"2"}, base)
    assert (await store.merge([base, base], "m")).snapshot == base
    assert (await store.merge([base, ahead, base], "m")).snapshot == ahead
    assert store.is_ancestor(base, ahead)
    assert not store.is_ancestor(ahead, base)
    assert store.merge_bases(ahead, base) == [base]


async def test_ten_results_in_different_files_join(store: SnapshotStore) -> None:
    base = snapshot(store, {f"pkg{n}/mod.py": b"old\n" for n in range(10)})
    sides = [snapshot(store, {f"pkg{n}/mod.py": b"new %d\n" % n}, base, message=str(n)) for n in range(10)]
    merge = await store.merge(sides, "all")
    assert merge.conflicts == ()
    assert contents(store, merge.snapshot) == {f"pkg{n}/mod.py": b"new %d\n" % n for n in range(10)}
    assert all(store.is_ancestor(side, merge.snapshot) for side in sides)
    assert await store.merge(sides, "all") == merge


async def test_deletions_additions_and_modes_join(store: SnapshotStore) -> None:
    base = snapshot(store, {"gone": b"1", "run": b"2", "d/x": b"3"})
    left = snapshot(store, {"gone": None, "d/new": b"4"}, base)
    right = store.commit(store.write(base, {"run": Change(b"2", EXECUTABLE), "d/x": None}), [base], "r")
    merge = await store.merge([left, right], "m")
    assert merge.conflicts == ()
    assert contents(store, merge.snapshot) == {"run": b"2", "d/new": b"4"}
    run = store.entry(merge.snapshot, "run")
    assert run is not None
    assert run.mode == EXECUTABLE


async def test_the_same_change_on_both_sides_is_no_conflict(store: SnapshotStore) -> None:
    base = snapshot(store, {"a": b"1"})
    left, right = snapshot(store, {"a": b"2", "l": b"l"}, base), snapshot(store, {"a": b"2", "r": b"r"}, base)
    merge = await store.merge([left, right], "m")
    assert merge.conflicts == ()
    assert contents(store, merge.snapshot) == {"a": b"2", "l": b"l", "r": b"r"}


async def test_changes_in_different_lines_of_one_file_join(store: SnapshotStore) -> None:
    lines = [b"line %d\n" % n for n in range(30)]
    base = snapshot(store, {"f": b"".join(lines), "other": b"x"})
    left = snapshot(store, {"f": b"".join([b"first\n", *lines[1:]])}, base)
    right = snapshot(store, {"f": b"".join([*lines[:-1], b"last\n"]), "new": b"n"}, base)
    merge = await store.merge([left, right], "m")
    assert merge.conflicts == ()
    assert store.read(merge.snapshot, "f") == b"".join([b"first\n", *lines[1:-1], b"last\n"])
    assert store.read(merge.snapshot, "new") == b"n"


async def test_a_conflict_is_marked_and_the_rest_joins(store: SnapshotStore) -> None:
    base = snapshot(store, {"f": b"one\ntwo\nthree\n", "ok": b"0"})
    first = snapshot(store, {"f": b"one\nTWO\nthree\n"}, base)
    other = snapshot(store, {"ok": b"1"}, base)
    third = snapshot(store, {"f": b"one\n2\nthree\n", "new": b"2"}, base)
    merge = await store.merge([first, other, third], "m")
    assert [(c.path, c.ours_snapshots, c.theirs_snapshot) for c in merge.conflicts] == [
        ("f", (first,), third)
    ]
    conflict = merge.conflicts[0]
    assert isinstance(conflict, Conflict)
    assert conflict.ours is not None
    assert conflict.theirs is not None
    assert (store.blob(conflict.ours.oid), store.blob(conflict.theirs.oid)) == (
        b"one\nTWO\nthree\n", b"one\n2\nthree\n",
    )  # fmt: skip
    text = store.read(merge.snapshot, "f") or b""
    assert text.startswith(b"one\n<<<<<<<")
    assert b"\nTWO\n=======\n2\n>>>>>>>" in text
    assert store.read(merge.snapshot, "ok") == b"1"
    assert store.read(merge.snapshot, "new") == b"2"


async def test_deleted_here_and_changed_there_is_a_conflict(store: SnapshotStore) -> None:
    base = snapshot(store, {"f": b"1\n", "k": b"k"})
    gone, changed = snapshot(store, {"f": None}, base), snapshot(store, {"f": b"2\n"}, base)
    for order in ([gone, changed], [changed, gone]):
        merge = await store.merge(order, "m")
        assert [c.path for c in merge.conflicts] == ["f"]
        assert store.read(merge.snapshot, "f") == b"2\n"


async def test_a_file_against_a_folder_is_a_conflict(store: SnapshotStore) -> None:
    base = snapshot(store, {"k": b"k"})
    as_file, as_folder = snapshot(store, {"x": b"file\n"}, base), snapshot(store, {"x/y": b"in\n"}, base)
    for order in ([as_file, as_folder], [as_folder, as_file]):
        merge = await store.merge(order, "m")
        assert [c.path.startswith("x") for c in merge.conflicts] == [True]
        assert sorted(contents(store, merge.snapshot).values()) == [b"file\n", b"in\n", b"k"]


async def test_binary_files_conflict_without_markers(store: SnapshotStore) -> None:
    base = snapshot(store, {"i.png": b"\0base"})
    left, right = snapshot(store, {"i.png": b"\0left"}, base), snapshot(store, {"i.png": b"\0right"}, base)
    merge = await store.merge([left, right], "m")
    assert [c.path for c in merge.conflicts] == ["i.png"]
    assert store.read(merge.snapshot, "i.png") == b"\0left"


async def test_several_common_ancestors_make_no_false_conflict(store: SnapshotStore) -> None:
    base = snapshot(store, {"a": b"0\n", "b": b"0\n"})
    a, b = snapshot(store, {"a": b"1\n"}, base), snapshot(store, {"b": b"1\n"}, base)
    c, d = snapshot(store, {"c": b"c\n"}, base), snapshot(store, {"d": b"d\n"}, base)
    x_start = (await store.merge([a, b, c], "m")).snapshot
    y_start = (await store.merge([a, b, d], "m")).snapshot
    x = snapshot(store, {"b": b"2\n", "a": b"3\n"}, x_start)
    y = snapshot(store, {"y": b"y\n"}, y_start)
    assert store.merge_bases(x, y) == sorted([a, b])
    merge = await store.merge([y, x], "m")
    assert merge.conflicts == ()
    assert contents(store, merge.snapshot) == {
        "a": b"3\n", "b": b"2\n", "c": b"c\n", "d": b"d\n", "y": b"y\n",
    }  # fmt: skip


async def test_histories_without_a_common_ancestor_join_too(store: SnapshotStore) -> None:
    merge = await store.merge([snapshot(store, {"a": b"1"}), snapshot(store, {"b": b"2"}, message="o")], "m")
    assert contents(store, merge.snapshot) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("seed", range(20))
async def test_disjoint_random_edits_always_join_to_their_union(store: SnapshotStore, seed: int) -> None:
    chance = random.Random(seed)
    names = [f"{chance.choice('abc')}/{chance.choice('xyz')}/{n}" for n in range(30)]
    base = snapshot(store, {name: name.encode() for name in names})
    expected = {name: name.encode() for name in names}
    sides = []
    for side in range(5):
        edits: dict[str, bytes | None] = {}
        for name in names[side * 6 : side * 6 + 6]:
            edits[name] = None if chance.random() < 0.3 else b"%d" % side
        edits[f"new/{side}"] = b"n"
        sides.append(snapshot(store, edits, base, message=str(side)))
        for name, data in edits.items():
            if data is None:
                del expected[name]
            else:
                expected[name] = data
    merge = await store.merge(sides, "m")
    assert merge.conflicts == ()
    assert contents(store, merge.snapshot) == expected
