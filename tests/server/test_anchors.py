"""Anchors against the text itself: a line that was not edited is found where its anchor says."""

from hypothesis import given
from hypothesis import strategies as st

from orchestration.edits.text import split_lines
from server.anchors import Anchor, follow_all
from server.text_buffer import Change, LineChange, OpenText, Place


@given(st.data())
def test_an_untouched_anchor_stays_on_its_line(data: st.DataObject) -> None:
    buffer = OpenText("file:///a", "/a", 1, split_lines("".join(f"line {n}\n" for n in range(12))))
    anchors = [Anchor(f"line {n}\n", n, 1) for n in range(12)]
    for _ in range(data.draw(st.integers(1, 5))):
        count = len(buffer.lines)
        start, end = sorted(data.draw(st.tuples(st.integers(0, count), st.integers(0, 9))) for _ in range(2))
        text = data.draw(st.text(st.sampled_from("x\n"), max_size=5))
        change = Change(text, Place(*start), Place(*end))
        buffer, shifts = buffer.changed([change], buffer.version + 1, "utf-16")
        follow_all(anchors, shifts)
    for anchor in anchors:
        if not anchor.touched:
            assert buffer.lines[anchor.line] == anchor.subject


def test_whole_lines_before_and_after() -> None:
    anchor = Anchor("hunk", 10, 2)
    assert not follow_all([anchor], [LineChange(0, 0, 3), LineChange(2, 4, 0), LineChange(13, 14, 5)])
    assert (anchor.line, anchor.span, anchor.touched) == (11, 2, False)


def test_a_change_inside_touches() -> None:
    anchor = Anchor("hunk", 10, 4)
    assert follow_all([anchor], [LineChange(11, 12, 3)])
    assert (anchor.line, anchor.span, anchor.touched) == (10, 6, True)
    anchor = Anchor("hunk", 10, 2)
    assert follow_all([anchor], [LineChange(8, 11, 0)])
    assert (anchor.line, anchor.span) == (8, 0)


def test_an_insertion_point_moves_with_what_comes_before_it() -> None:
    anchor = Anchor("insertion", 5, 0)
    assert not follow_all([anchor], [LineChange(0, 1, 3)])
    assert anchor.line == 7
    assert not follow_all([anchor], [LineChange(8, 9, 3)])
    assert anchor.line == 7
