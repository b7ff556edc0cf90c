"""Edits across files: all or none, moves, deletes, and what is refused by path."""

import pytest

from orchestration.edits.apply import apply_edits
from orchestration.edits.model import FileContent, FileEdit, TextReplacement
from orchestration.edits.parse.line_range import LineRange, edit_lines
from orchestration.edits.parse.malformed import MalformedEditError
from orchestration.edits.parse.tool_forms import delete_file, edit_file, move_file, write_file
from orchestration.errors import PathRefusedError
from tests.edits.published import Files, after, reader


def refusals(files: Files, *edits: FileEdit) -> list[str | None]:
    outcome = apply_edits(edits, reader(files))
    assert outcome.files == ()
    return [report.refusal for report in outcome.reports]


def result(files: Files, *edits: FileEdit) -> Files:
    outcome = apply_edits(edits, reader(files))
    assert outcome.applied, outcome.explain()
    return after(files, outcome)


def test_one_refusal_leaves_all_files() -> None:
    files = {"a": b"1\n", "b": b"2\n"}
    assert refusals(files, edit_file("a", [("1", "x")]), edit_file("b", [("9", "x")])) == [None, "absent"]
    assert result(files, edit_file("a", [("1", "x")]), edit_file("b", [("2", "y")])) == {
        "a": b"x\n",
        "b": b"y\n",
    }


def test_moves_and_deletes() -> None:
    assert result({"a": b"1\n"}, move_file("a", "d/b")) == {"d/b": b"1\n"}
    assert result({"a": b"1\n"}, move_file("a", "b"), move_file("b", "c")) == {"c": b"1\n"}
    assert result({"a": b"1\n"}, move_file("a", "b"), write_file("a", "2\n")) == {"a": b"2\n", "b": b"1\n"}
    assert result({"a": b"1\n"}, delete_file("a")) == {}
    assert result({"a": b"1\n"}, delete_file("a"), write_file("a", "2\n")) == {"a": b"2\n"}
    assert result({"a": b"1\n", "b": b"2\n"}, delete_file("b"), move_file("a", "b")) == {"b": b"1\n"}
    assert result({"a": b"1\n"}, move_file("a", "a")) == {"a": b"1\n"}
    assert result({}, write_file("n", "1\n"), move_file("n", "m")) == {"m": b"1\n"}
    assert result({}, write_file("n", "1\n"), delete_file("n")) == {}


def test_a_moved_binary_file_keeps_its_bytes_and_mode() -> None:
    content = FileContent(b"\0\1", 0o755)
    outcome = apply_edits([move_file("a", "b")], {"a": content}.get)
    (file,) = outcome.files
    assert (file.moved_from, file.before, file.after, file.mode) == ("a", b"\0\1", b"\0\1", None)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (move_file("a", "b"), "exists"),
        (move_file("gone", "c"), "no_file"),
        (move_file("a", "b/c"), "not_a_file"),
        (move_file("a", "../c"), "path"),
        (delete_file("gone"), "no_file"),
        (delete_file("d"), "not_a_file"),
        (FileEdit(path="b", action="create", content="x"), "exists"),
        (FileEdit(path="d", action="create", content="x"), "not_a_file"),
        (write_file("d", "x"), "not_a_file"),
        (write_file("a/x", "x"), "not_a_file"),
        (write_file("/etc/passwd", "x"), "path"),
        (write_file("d/../../x", "x"), "path"),
        (write_file("", "x"), "path"),
        (write_file("a\0b", "x"), "path"),
        (write_file("a\nb", "x"), "path"),
        (write_file("n", "\ud800"), "encoding"),
    ],
)
def test_refuses(edit: FileEdit, why: str) -> None:
    assert refusals({"a": b"1\n", "b": b"2\n", "d/e": b"3\n"}, edit) == [why]


def test_a_path_has_one_spelling() -> None:
    assert result(
        {"a/b": b"1\n"}, edit_file("./a//b", [("1", "2")]), edit_file("a/x/../b", [("2", "3")])
    ) == {"a/b": b"3\n"}


def test_links_and_the_guard_refuse_with_their_words() -> None:
    def read(path: str) -> FileContent | None:
        if path == "link":
            return FileContent(kind="symlink")
        raise PathRefusedError(f"{path}: protected; an agent does not change it")

    link, guarded = apply_edits(
        [write_file("link", "x"), edit_file(".git/config", [("a", "b")])], read
    ).reports
    assert (link.refusal, guarded.refusal) == ("not_a_file", "path")
    assert "symbolic link" in link.reason
    assert guarded.reason == ".git/config: protected; an agent does not change it"


def test_what_does_not_differ_is_no_result() -> None:
    outcome = apply_edits([edit_file("a", [("1", "1")])], reader({"a": b"1\n"}))
    assert (outcome.applied, outcome.files) == (True, ())
    assert outcome.explain() == "Applied; nothing differs from before."


def test_a_delete_with_content_must_name_all_of_it() -> None:
    whole = FileEdit(
        path="a",
        action="delete",
        replacements=(TextReplacement(search="1\n2\n", replace="", whole_lines=True),),
    )
    assert result({"a": b"1\n2\n"}, whole) == {}
    assert refusals({"a": b"1\n2\n3\n"}, whole) == ["absent"]
    assert refusals({"a": b"1\n"}, whole) == ["absent"]


def test_line_ranges() -> None:
    files = {"f": b"a\r\nb\r\nc\r\nd\r\n"}
    edit = edit_lines(
        "f",
        [
            LineRange(start=4, end=4, expect="d", replace=""),
            LineRange(start=2, end=3, expect="b\nc\n", replace="x\n"),
        ],
    )
    assert result(files, edit) == {"f": b"a\r\nx\r\n"}
    insert = [
        LineRange(start=1, end=0, expect="", replace="top\n"),
        LineRange(start=5, end=4, expect="d", replace="end\n"),
    ]
    assert result(files, edit_lines("f", insert)) == {"f": b"top\r\na\r\nb\r\nc\r\nd\r\nend\r\n"}
    stale = LineRange(start=2, end=2, expect="c", replace="x")
    outcome = apply_edits([edit_lines("f", [stale])], reader(files))
    assert outcome.reports[0].refusal == "absent"
    assert "2| b" in outcome.explain()
    assert refusals(files, edit_lines("f", [LineRange(start=9, end=9, expect="c", replace="x")])) == [
        "absent"
    ]


@pytest.mark.parametrize(
    "ranges",
    [
        [LineRange(start=0, end=1, expect="a\nb", replace="")],
        [LineRange(start=3, end=1, expect="", replace="")],
        [LineRange(start=1, end=2, expect="a", replace="")],
        [
            LineRange(start=1, end=2, expect="a\nb", replace=""),
            LineRange(start=2, end=2, expect="b", replace=""),
        ],
    ],
)
def test_line_ranges_that_make_no_sense(ranges: list[LineRange]) -> None:
    with pytest.raises(MalformedEditError):
        edit_lines("f", ranges)
