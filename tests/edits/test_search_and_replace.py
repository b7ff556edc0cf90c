"""The tool form: `edit_file {path, edits: [{search, replace}]}`."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.edits.apply import apply_edits
from orchestration.edits.model import Outcome
from orchestration.edits.parse.malformed import MalformedEditError
from orchestration.edits.parse.tool_forms import edit_file, write_file
from tests.edits.published import after, reader


def edit(content: bytes, *pairs: tuple[str, str]) -> tuple[Outcome, bytes]:
    files = {"f": content}
    outcome = apply_edits([edit_file("f", pairs)], reader(files))
    return outcome, after(files, outcome)["f"]


def applied(content: bytes, *pairs: tuple[str, str]) -> bytes:
    outcome, left = edit(content, *pairs)
    assert outcome.applied, outcome.explain()
    return left


def refusal(content: bytes, *pairs: tuple[str, str]) -> tuple[str | None, str]:
    outcome, left = edit(content, *pairs)
    assert left == content
    assert not outcome.applied
    report = next(report for report in outcome.reports if report.refusal)
    return report.refusal, outcome.explain()


@pytest.mark.parametrize(
    ("content", "search", "replace", "expected"),
    [
        pytest.param(b"a\nb\nc\n", "b", "B", b"a\nB\nc\n", id="a line"),
        pytest.param(b"a\nb\nc\n", "b\n", "B\n", b"a\nB\nc\n", id="a line with its newline"),
        pytest.param(b"a\nb\nc\n", "b\n", "", b"a\nc\n", id="a line goes with its newline"),
        pytest.param(b"a\nb\nc\n", "b", "", b"a\n\nc\n", id="text goes, the newline stays"),
        pytest.param(b"a\nb\nc\n", "b\n", "B", b"a\nB\nc\n", id="no two lines are joined"),
        pytest.param(b"a\nb\nc", "c\n", "C\n", b"a\nb\nC", id="missing final newline stays"),
        pytest.param(b"a\nb\nc", "c", "c\nd", b"a\nb\nc\nd", id="append to a last line without newline"),
        pytest.param(b"x = f(1) + 2\n", "f(1)", "g(1)", b"x = g(1) + 2\n", id="part of a line"),
        pytest.param(b"x = f(\n 1)\ny\n", "f(\n 1", "g(\n 2", b"x = g(\n 2)\ny\n", id="parts of two lines"),
        pytest.param(b"  f()\nx\n", "f()\n", "g()\n", b"  g()\nx\n", id="end of a line with its newline"),
        pytest.param(
            b"v = 1 # c\nx\n", " # c\n", "", b"v = 1\nx\n", id="end of a line goes, its newline stays"
        ),
        pytest.param(
            b"a\r\nb\r\nc\n", "a\nb\n", "a\nx\nb\n", b"a\r\nx\r\nb\r\nc\n", id="LF search, CRLF file"
        ),
        pytest.param(b"a\nb\n", "a\r\nb\r\n", "a\r\nc\r\n", b"a\nc\n", id="CRLF search, LF file"),
        pytest.param(b"x = f(\r\n1)\r\n", "f(\n1", "f(\n2\n+ 3", b"x = f(\r\n2\r\n+ 3)\r\n", id="part, CRLF"),
        pytest.param(
            b"a\r\nb\nc\rd\n", "b\nc\n", "B\nC\n", b"a\r\nB\nC\rd\n", id="mixed endings, line by line"
        ),
        pytest.param(b"a\x0cb\n\x0c\nc\n", "\x0c\nc", "\x0c\nd", b"a\x0cb\n\x0c\nd\n", id="form feeds"),
        pytest.param(
            codecs.BOM_UTF8 + b"a\nb\n",
            "a\n",
            "z\n",
            codecs.BOM_UTF8 + b"z\nb\n",
            id="first line behind a BOM",
        ),
        pytest.param("a é\n".encode("utf-16"), "é", "😀", "a 😀\n".encode("utf-16"), id="utf-16"),
        pytest.param(b"caf\xe9 x\n", "x", "é", b"caf\xe9 \xe9\n", id="one-byte encoding"),
        pytest.param(
            b"if a:\n    if b:\n        c()\n",
            "if b:\n    c()\n",
            "if b:\n    d()\n\n    c()\n",
            b"if a:\n    if b:\n        d()\n\n        c()\n",
            id="indented deeper",
        ),
        pytest.param(b"\tx\n\t\ty\n", "x\n\ty", "x\n\tz", b"\tx\n\t\tz\n", id="indented by a tab"),
        pytest.param(b"a\nb\n", "    a\n    b", "    a\n      c", b"a\n  c\n", id="indented less"),
        pytest.param(
            b"        f()\n", "    f()", "    g()", b"        g()\n", id="one line, too little indentation"
        ),
        pytest.param(b"a  \nb\n", "a\nb", "a\nc", b"a  \nc\n", id="trailing blanks of a kept line stay"),
        pytest.param(b"a\nb\n", "a  \nb", "a  \nc", b"a\nc\n", id="trailing blanks in the search"),
        pytest.param(
            "say “hi” \u2013 x\ny\n".encode(),
            'say "hi" - x\ny',
            'say "hi" - x\nz',
            "say “hi” \u2013 x\nz\n".encode(),
            id="punctuation",
        ),
        pytest.param(b"a\nb\n", "a\nb\n", "a\nb\n", b"a\nb\n", id="nothing to change"),
        pytest.param(b"a\na b\n", "a\n", "c\n", b"c\na b\n", id="whole lines before parts of lines"),
        pytest.param(b"  r\n    r\n", "  r\n", "  s\n", b"  s\n    r\n", id="indentation tells lines apart"),
    ],
)
def test_applies(content: bytes, search: str, replace: str, expected: bytes) -> None:
    assert applied(content, (search, replace)) == expected


@pytest.mark.parametrize(
    ("content", "search", "why"),
    [
        pytest.param(b"a\nb\na\n", "a", "ambiguous", id="two lines"),
        pytest.param(b"ab ab\n", "ab", "ambiguous", id="twice in one line"),
        pytest.param(
            b"x = 1\nif y:\n    x = 1\n", "x = 1", "ambiguous", id="a line, and part of an indented one"
        ),
        pytest.param(b"aaa\n", "aa", "ambiguous", id="overlapping"),
        pytest.param(b"  f()\n    f()\n", "f()\n", "ambiguous", id="two indentations"),
        pytest.param(b"a\n", "b", "absent", id="absent"),
        pytest.param(b"  a\n    b\n", "a\nb", "absent", id="no uniform shift"),
        pytest.param(b"\ta\n", "    a", "absent", id="tabs are not blanks"),
        pytest.param(b"a\n", "", "exists", id="empty search"),
        pytest.param(b"", "a", "absent", id="empty file"),
        pytest.param(b"a\n\n\n\nb\n", "\n", "ambiguous", id="blank search"),
        pytest.param(b"a b\n", "a  b", "absent", id="blanks inside a line"),
        pytest.param(b"Name\n", "name", "absent", id="case"),
        pytest.param(b"\0\1", "a", "binary", id="binary"),
        pytest.param(b"a\nb\n", "a\n\nb", "absent", id="a blank line more"),
    ],
)
def test_refuses(content: bytes, search: str, why: str) -> None:
    assert refusal(content, (search, "new"))[0] == why


def test_each_edit_sees_the_one_before() -> None:
    assert applied(b"a\nb\n", ("a", "c"), ("c\nb", "d")) == b"d\n"
    assert applied(b"a\na\n", ("a\na", "b\na"), ("a", "c")) == b"b\nc\n"


def test_all_or_none_and_every_refusal_is_told() -> None:
    outcome, left = edit(b"a\nb\n", ("a", "A"), ("x", "y"), ("z", "y"))
    assert left == b"a\nb\n"
    assert [report.refusal for report in outcome.reports] == [None, "absent", "absent"]
    assert "2 of 3 edits" in outcome.explain()


def test_a_replacement_that_cannot_be_dedented_is_refused() -> None:
    why, text = refusal(b"a\nb\n", ("    a\n    b", "    a\nc"))
    assert why == "absent"
    assert "'c'" in text


def test_a_character_outside_the_encoding_is_refused() -> None:
    assert refusal(b"caf\xe9\n", ("caf", "😀"))[0] == "encoding"


def test_the_refusal_shows_the_nearest_lines() -> None:
    content = b"".join(b"line %d\n" % number for number in range(1, 40)) + b"def f(a):\n    return a + 1\n"
    _, text = refusal(content, ("def f(a):\n    return a+1\n", "x"))
    assert "40| def f(a):" in text
    assert "41|     return a + 1" in text
    assert "line 41: you wrote '    return a+1', it is '    return a + 1'" in text
    _, text = refusal(content, ("def f(b):\n", "x"))
    assert "40| def f(a):" in text
    _, text = refusal(content, ("def  f(a):\n  return a + 1\n", "def f(a):\n    return a + 1\n"))
    assert "already, at line 40" in text
    _, text = refusal(b"x\ny\nx\n", ("x", "z"))
    assert "lines 1, 3" in text
    _, text = refusal(content, ("entirely unlike @@@@ anything $$$$ here", "z"))
    assert "No line of the file resembles it" in text


def test_a_missing_file_is_created_by_an_empty_search_only() -> None:
    outcome = apply_edits([edit_file("n", [("", "x\n"), ("x", "y")])], reader({}))
    assert after({}, outcome) == {"n": b"y\n"}
    assert outcome.reports[0].tier == "create"
    outcome = apply_edits([edit_file("n", [("a", "x\n")])], reader({}))
    assert [report.refusal for report in outcome.reports] == ["no_file"]
    outcome = apply_edits([edit_file("e", [("", "x\n")])], reader({"e": b""}))
    assert after({"e": b""}, outcome) == {"e": b"x\n"}
    with pytest.raises(MalformedEditError):
        edit_file("n", [])


@pytest.mark.parametrize(
    ("before", "content", "expected"),
    [
        (b"a\r\nb\r\n", "a\nc\nd\n", b"a\r\nc\r\nd\r\n"),
        (b"a\r\nb\nc\n", "a\nb\nx\n", b"a\r\nb\nx\n"),
        (codecs.BOM_UTF8 + b"a\n", "b\n", codecs.BOM_UTF8 + b"b\n"),
        (b"a\n", "b", b"b"),
        (b"a", "a\n", b"a\n"),
        (b"a\n", "", b""),
        (b"\0", "a\n", b"a\n"),
        (b"", "a\r\n", b"a\r\n"),
        ("é\n".encode("utf-16"), "ü\nx\n", "ü\nx\n".encode("utf-16")),
    ],
)
def test_writing_a_whole_file_keeps_its_form(before: bytes, content: str, expected: bytes) -> None:
    files = {"f": before}
    outcome = apply_edits([write_file("f", content)], reader(files))
    assert after(files, outcome) == {"f": expected}


LINE = st.tuples(st.text(alphabet="ab (\x0cé", max_size=4), st.sampled_from(["\n", "\r\n", "\r"]))


@given(
    st.lists(LINE, min_size=1, max_size=10),
    st.sampled_from(["", "no newline"]),
    st.sampled_from([b"", codecs.BOM_UTF8]),
    st.integers(0, 9),
    st.integers(1, 3),
    st.lists(st.text(alphabet="xy ", max_size=3), max_size=3),
)
def test_bytes_outside_never_change(
    lines: list[tuple[str, str]], last: str, mark: bytes, start: int, size: int, new: list[str]
) -> None:
    """Lines are told apart by a number, so that one place is meant; they are found with LF endings."""
    numbered = [f"{number}:{text}" for number, (text, _) in enumerate(lines)]
    endings = [ending for _, ending in lines]
    file = [text + ending for text, ending in zip(numbered, endings, strict=True)]
    start = min(start, len(file) - 1)
    end = min(start + size, len(file))
    content = mark + ("".join(file) + last).encode()
    search = "".join(text + "\n" for text in numbered[start:end])
    left = applied(content, (search, "".join(line + "\n" for line in new)))
    head, tail = mark + "".join(file[:start]).encode(), ("".join(file[end:]) + last).encode()
    assert left.startswith(head)
    assert left.endswith(tail)
    middle = left[len(head) : len(left) - len(tail)].decode()
    for ending in ("\r\n", "\r"):
        middle = middle.replace(ending, "\n")
    assert middle == "".join(line + "\n" for line in new)


def test_a_new_empty_line_never_joins_the_ending_before_it() -> None:
    """A lone CR, then an empty line that ends with LF, would be read as one CRLF."""
    assert applied(b"0:\n1:\r2:\n3:\n", ("1:\n2:\n", "\n\n")) == b"0:\n\r\r3:\n"
