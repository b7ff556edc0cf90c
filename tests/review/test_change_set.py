import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.errors import ConflictError, NotFoundError
from orchestration.review.change_set import ChangeSet, FileState, FileVersions, decided, propose
from orchestration.review.hunks import apply_hunks, sha256

PROFILE = settings(settings.get_profile("antiphon"))
TEXTS = st.lists(
    st.sampled_from(["a\n", "b\r\n", "é\n", "\n", "}\n", "\x0c\n", "c\r", "😀\n"]), max_size=12
).flatmap(lambda lines: st.sampled_from(["", "end"]).map(lambda last: "".join(lines) + last))


@PROFILE
@given(TEXTS, TEXTS, st.sampled_from([b"", codecs.BOM_UTF8]), st.data())
def test_any_subset_of_hunks_applies_and_all_of_them_give_the_proposal(
    old: str, new: str, mark: bytes, data: st.DataObject
) -> None:
    before, after = mark + old.encode(), mark + new.encode()
    change_set = propose([FileVersions("f", before, after)])
    hunks = list(change_set.hunks)
    assert apply_hunks(before, hunks) == after
    assert apply_hunks(before, []) == before
    assert len({hunk.id for hunk in hunks}) == len(hunks)
    chosen = [hunk for hunk in hunks if data.draw(st.booleans())]
    mixed = apply_hunks(before, chosen).decode()
    left = [hunk for hunk in hunks if hunk not in chosen]
    # What is left of the proposal against the mixed file is what was not chosen.
    rest = propose([FileVersions("f", mixed.encode(), after)])
    assert sum(hunk.new.count("😀") for hunk in rest.hunks) <= sum(hunk.new.count("😀") for hunk in hunks)
    if not left:
        assert mixed.encode() == after
    assert ChangeSet.decode(change_set.encode()) == change_set


def test_bytes_outside_the_hunks_stay() -> None:
    before = codecs.BOM_UTF8 + b"one\r\ntwo\nthree\x0c\rfour\r\nfive"
    after = codecs.BOM_UTF8 + b"ONE\r\ntwo\nthree\x0c\rFOUR\r\nfive"
    first, second = propose([FileVersions("f", before, after)]).hunks
    assert apply_hunks(before, [second]) == codecs.BOM_UTF8 + b"one\r\ntwo\nthree\x0c\rFOUR\r\nfive"
    assert (first.old_start, first.old_lines, first.new_start, first.new_lines) == (0, 1, 0, 1)
    assert (second.old, second.new, second.base_hash) == ("four\r\n", "FOUR\r\n", sha256(before))


def test_ids_depend_on_what_a_hunk_does_and_not_on_where() -> None:
    (one,) = propose([FileVersions("f", b"a\nb\n", b"a\nc\n")]).hunks
    (moved,) = propose([FileVersions("f", b"x\ny\na\nb\n", b"x\ny\na\nc\n")]).hunks
    (elsewhere,) = propose([FileVersions("g", b"a\nb\n", b"a\nc\n")]).hunks
    assert one.id == moved.id != elsewhere.id
    twins = list(propose([FileVersions("f", b"a\nx\na\n", b"b\nx\nb\n")]).hunks)
    assert len({hunk.id for hunk in twins}) == 2
    binaries = [propose([FileVersions("f", b"\0", b"\0" + tail)]) for tail in (b"1", b"2")]
    assert next(binaries[0].hunks).id != next(binaries[1].hunks).id


def test_whole_file_changes_are_one_hunk_each() -> None:
    files = [
        FileVersions("new.py", None, b"x\ny\n", new_mode=0o755),
        FileVersions("gone.py", b"x\n", None),
        FileVersions("same.py", b"s\n", b"s\n"),
        FileVersions("was.py", b"moved\n", None, old_mode=0o644),
        FileVersions("is.py", None, b"moved\n", new_mode=0o644),
        FileVersions("run.sh", b"#!\n", b"#!\n", old_mode=0o644, new_mode=0o755),
        FileVersions("pic.png", b"\0\1", b"\0\2"),
        FileVersions("now-utf8.txt", b"\xe9\n", "é\n".encode()),
    ]
    change_set = propose(files, tasks={"new.py": ["t1"]}, reasons={"new.py": "asked for"})
    found = {file.path: (file.kind, [hunk.kind for hunk in file.hunks]) for file in change_set.files}
    assert found == {
        "gone.py": ("delete", ["delete"]),
        "is.py": ("rename", ["rename"]),
        "new.py": ("create", ["create"]),
        "now-utf8.txt": ("modify", ["whole"]),
        "pic.png": ("binary", ["whole"]),
        "run.sh": ("mode", ["mode"]),
    }
    (created,) = change_set.select(task_id="t1")
    assert (created.new, created.reason, created.base_hash) == ("x\ny\n", "asked for", "")
    assert change_set.file("was.py") is change_set.file("is.py")
    assert change_set.file("pic.png").encoding is None
    assert (change_set.added, change_set.removed) == (3, 2)


def test_an_ambiguous_rename_is_not_guessed() -> None:
    files = [
        FileVersions("a", b"same\n", None),
        FileVersions("b", None, b"same\n"),
        FileVersions("c", None, b"same\n"),
    ]
    assert [file.kind for file in propose(files).files] == ["delete", "create", "create"]


def test_a_renamed_and_edited_file_is_decided_part_by_part() -> None:
    before, after = b"a\nb\nc\n", b"a\nB\nc\n"
    versions = FileVersions("new", before, after, old_path="old", old_mode=0o644, new_mode=0o755)
    (change,) = propose([versions]).files
    rename, mode, lines = change.hunks
    blob = {sha256(after): after}.__getitem__
    assert decided(change, before, [], blob) == FileState("old", before)
    assert decided(change, before, [rename.id], blob) == FileState("new", before)
    assert decided(change, before, [lines.id, mode.id], blob) == FileState("old", after, 0o755)
    assert decided(change, before, [h.id for h in change.hunks], blob) == FileState("new", after, 0o755)


def test_whole_file_decisions() -> None:
    created = propose([FileVersions("f", None, b"x\n")]).files[0]
    blob = {sha256(b"x\n"): b"x\n", sha256(b"\0"): b"\0"}.__getitem__
    assert decided(created, None, [created.hunks[0].id], blob) == FileState("f", b"x\n")
    assert decided(created, None, [], blob) == FileState("f", None)
    with pytest.raises(ConflictError, match="exists already"):
        decided(created, b"other", [created.hunks[0].id], blob)
    deleted = propose([FileVersions("f", b"x\n", None)]).files[0]
    assert decided(deleted, b"x\n", [deleted.hunks[0].id], blob) == FileState("f", None)
    with pytest.raises(ConflictError, match="has changed"):
        decided(deleted, b"x\ny\n", [deleted.hunks[0].id], blob)
    binary = propose([FileVersions("f", b"x\n", b"\0")]).files[0]
    assert decided(binary, b"x\n", [binary.hunks[0].id], blob) == FileState("f", b"\0")
    with pytest.raises(ConflictError, match="not there"):
        decided(binary, None, [binary.hunks[0].id], blob)


def test_an_encoding_is_kept_when_only_ascii_remains() -> None:
    (change,) = propose([FileVersions("f", b"\xe9\nb\n", b"e\nb\n")]).files
    assert change.encoding == "cp1252"
    assert apply_hunks(b"\xe9\nb\n", change.hunks) == b"e\nb\n"


def test_a_stale_base_is_a_conflict() -> None:
    (hunk,) = propose([FileVersions("f", b"a\nb\n", b"a\nc\n")]).hunks
    with pytest.raises(ConflictError, match="line 2"):
        apply_hunks(b"a\nB\n", [hunk])
    with pytest.raises(ConflictError):
        apply_hunks(b"a\nb\n", [hunk, hunk])
    (ending,) = propose([FileVersions("f", b"a\nb\n", b"a\nc")]).hunks
    with pytest.raises(ConflictError, match="more lines follow"):
        apply_hunks(b"a\nb\nd\n", [ending])


def test_selection_and_its_errors() -> None:
    change_set = propose([FileVersions("f", b"a\n", b"b\n"), FileVersions("g", b"a\n", b"b\n")])
    f, g = change_set.hunks
    assert change_set.select() == (f, g)
    assert change_set.select(path="g") == (g,)
    assert change_set.select(hunk_ids=[f.id]) == (f,)
    with pytest.raises(NotFoundError, match="nope"):
        change_set.select(hunk_ids=["nope"])
    with pytest.raises(NotFoundError, match="nope"):
        change_set.select(path="nope")
