"""Documents: positions in every encoding, line ends as the protocol means them, changes by lines."""

from hypothesis import given
from hypothesis import strategies as st

from orchestration.edits.text import split_lines
from server.client_profile import ENCODINGS, PositionEncoding
from server.positions import content_length, from_units, to_units
from server.text_buffer import Change, LineChange, OpenText, Place

ALPHABET = "ab \té€😀\x0c\u2028\r\n"
texts = st.text(st.sampled_from(ALPHABET), max_size=30)
encodings = st.sampled_from(ENCODINGS)


def units(text: str, encoding: PositionEncoding) -> int:
    if encoding == "utf-32":
        return len(text)
    return len(text.encode("utf-8")) if encoding == "utf-8" else len(text.encode("utf-16-le")) // 2


def place_of(text: str, offset: int, encoding: PositionEncoding) -> Place:
    before = split_lines(text[:offset] + "x")
    return Place(len(before) - 1, units(before[-1][:-1], encoding))


def splittable(text: str, offset: int) -> bool:
    """Not between the two halves of a line end: no position of the protocol names that place."""
    return text[offset - 1 : offset + 1] != "\r\n" or offset == 0


def opened(text: str) -> OpenText:
    return OpenText("file:///a", "/a", 1, split_lines(text))


@given(texts, texts, st.data(), encodings)
def test_a_change_gives_the_text_the_editor_has(
    text: str, insert: str, data: st.DataObject, encoding: PositionEncoding
) -> None:
    offsets = [offset for offset in range(len(text) + 1) if splittable(text, offset)]
    start, end = sorted((data.draw(st.sampled_from(offsets)), data.draw(st.sampled_from(offsets))))
    change = Change(insert, place_of(text, start, encoding), place_of(text, end, encoding))
    old = opened(text)
    new, (shift,) = old.changed([change], 2, encoding)
    expected = text[:start] + insert + text[end:]
    assert new.text == expected
    assert list(new.lines) == split_lines(expected)
    assert (new.version, new.dirty, old.dirty) == (2, True, False)
    assert list(old.lines[: shift.start]) == list(new.lines[: shift.start])
    assert list(old.lines[shift.end :]) == list(new.lines[shift.start + shift.count :])


@given(texts, texts)
def test_a_whole_replacement_is_seen_by_lines(before: str, after: str) -> None:
    old = opened(before)
    new, (shift,) = old.changed([Change(after)], 2, "utf-16")
    assert new.text == after
    middle = new.lines[shift.start : shift.start + shift.count]
    assert [*old.lines[: shift.start], *middle, *old.lines[shift.end :]] == list(new.lines)


@given(texts, encodings)
def test_columns_there_and_back(text: str, encoding: PositionEncoding) -> None:
    for line in split_lines(text):
        for column in range(content_length(line) + 1):
            assert to_units(line, column, encoding) == units(line[:column], encoding)
            assert from_units(line, to_units(line, column, encoding), encoding) == column


def test_the_middle_of_a_character_is_before_it() -> None:
    assert from_units("a😀b\n", 2, "utf-16") == 1
    assert from_units("a😀b\n", 3, "utf-16") == 2
    assert [from_units("é😀", column, "utf-8") for column in range(8)] == [0, 0, 1, 1, 1, 1, 2, 2]


def test_columns_beyond_the_line_are_its_end() -> None:
    assert from_units("ab\r\n", 9, "utf-16") == 2
    assert to_units("ab\r\n", 9, "utf-8") == 2
    assert from_units("é", -3, "utf-8") == 0


def test_positions_beyond_the_document_are_its_end() -> None:
    for text, expected in (("a", "ab"), ("a\n", "a\nb"), ("", "b")):
        new, _ = opened(text).changed([Change("b", Place(99, 5), Place(99, 9))], 2, "utf-16")
        assert new.text == expected


def test_a_form_feed_ends_no_line() -> None:
    new, _ = opened("a\x0cb\u2028c\nd\n").changed([Change("X", Place(1, 0), Place(1, 1))], 2, "utf-16")
    assert new.text == "a\x0cb\u2028c\nX\n"


def test_whole_lines_inserted_before_a_line_do_not_touch_it() -> None:
    new, shifts = opened("a\nb\nc\n").changed([Change("x\ny\n", Place(1, 0), Place(1, 0))], 2, "utf-16")
    assert new.text == "a\nx\ny\nb\nc\n"
    assert shifts == [LineChange(1, 1, 2)]


def test_typing_in_a_line_touches_that_line_only() -> None:
    _, shifts = opened("a\nb\nc\n").changed([Change("x", Place(1, 1), Place(1, 1))], 2, "utf-16")
    assert shifts == [LineChange(1, 2, 1)]


def test_several_changes_build_on_each_other() -> None:
    changes = [Change("x\n", Place(0, 0), Place(0, 0)), Change("", Place(1, 0), Place(2, 0))]
    new, _ = opened("a\nb\n").changed(changes, 2, "utf-8")
    assert new.text == "x\nb\n"
