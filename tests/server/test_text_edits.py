"""Edits between two texts: minimal, and applied as an editor does they give the new text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.edits.text import split_lines
from server.client_profile import ENCODINGS, PositionEncoding
from server.text_buffer import Change, OpenText, Place
from server.text_edits import Edit, Spot, edits_between
from server.to_lsp import text_edits

lines = st.lists(st.sampled_from(["a", "b\n", "c\r\n", "d😀é\n", "\n", "\r\n", "ee\x0cf\n"]), max_size=9)
encodings = st.sampled_from(ENCODINGS)


@given(lines, lines, encodings)
def test_applied_backwards_they_give_the_new_text(
    old: list[str], new: list[str], encoding: PositionEncoding
) -> None:
    before, after = split_lines("".join(old)), "".join(new)
    edits = edits_between(before, after)
    buffer = OpenText("file:///a", "/a", 1, before)
    for edit in reversed(text_edits(before, edits, encoding)):
        start, end = (Place(**edit["range"][side]) for side in ("start", "end"))
        buffer, _ = buffer.changed([Change(edit["newText"], start, end)], 2, encoding)
    assert buffer.text == after


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("same\n", "same\n", []),
        ("def f(a):\n", "def f(a, b):\n", [Edit(Spot(0, 7), Spot(0, 7), ", b")]),
        ("a\nb\nc\n", "a\nc\n", [Edit(Spot(1, 0), Spot(2, 0), "")]),
        ("a\n", "a\nb\n", [Edit(Spot(0, 1), Spot(0, 1), "\nb")]),
        ("a\r\n", "a\r\nb\r\n\r\n", [Edit(Spot(0, 1), Spot(0, 1), "\r\nb\r\n")]),
        ("a\r\n", "a\r\nb\n", [Edit(Spot(1, 0), Spot(1, 0), "b\n")]),
        ("a\n", "a\nb", [Edit(Spot(1, 0), Spot(1, 0), "b")]),
        ("a", "a\nb", [Edit(Spot(0, 1), Spot(0, 1), "\nb")]),
        ("", "a\n", [Edit(Spot(0, 0), Spot(0, 0), "a\n")]),
        ("a\r\n", "a\n", [Edit(Spot(0, 1), Spot(1, 0), "\n")]),
        (
            "x\na\ny\nb\nz\n",
            "x\nA\ny\nB\nz\n",
            [Edit(Spot(1, 0), Spot(1, 1), "A"), Edit(Spot(3, 0), Spot(3, 1), "B")],
        ),
    ],
)
def test_only_what_differs_is_edited(old: str, new: str, expected: list[Edit]) -> None:
    assert edits_between(split_lines(old), new) == expected
