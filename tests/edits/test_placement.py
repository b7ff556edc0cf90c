"""The hunks of a diff have one placement together or none, against an enumeration of all placements."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.edits.match import Lines, Match, Shift, ShiftError
from orchestration.edits.model import Chunk, Line
from orchestration.edits.placement import Unplaced, margins_of, place

LINES = st.lists(st.sampled_from("ab"), max_size=9)
MARKS = st.sampled_from([" ", "-", "+"])
CHUNK = st.lists(st.builds(Line, MARKS, st.sampled_from("ab")), min_size=1, max_size=4).filter(
    lambda lines: any(line.mark != "+" for line in lines)
)


def all_placements(file: Sequence[str], chunks: Sequence[Chunk], *, share: bool) -> Iterator[tuple[int, ...]]:
    def fits(number: int, floor: int) -> Iterator[tuple[int, ...]]:
        if number == len(chunks):
            yield ()
            return
        old = list(chunks[number].old)
        lead, trail = margins_of(chunks[number]) if share else (0, 0)
        for start in range(len(file) - len(old) + 1):
            if list(file[start : start + len(old)]) == old and start + lead >= floor:
                for rest in fits(number + 1, start + len(old) - trail):
                    yield (start, *rest)

    return fits(0, 0)


@settings(max_examples=500, deadline=None)
@given(LINES, st.lists(CHUNK, min_size=1, max_size=3))
def test_exactly_one_placement_or_none(file: list[str], bodies: list[list[Line]]) -> None:
    chunks = [Chunk(lines=tuple(body)) for body in bodies]
    found = place(Lines(file), chunks)
    apart = list(all_placements(file, chunks, share=False))
    ways = apart or list(all_placements(file, chunks, share=True))
    if len(ways) == 1:
        assert not isinstance(found, Unplaced)
        assert tuple(match.start for _, match in found) == ways[0]
    else:
        assert isinstance(found, Unplaced)
        assert found.refusal == ("ambiguous" if ways else "absent")


@settings(max_examples=500, deadline=None)
@given(LINES, st.lists(st.sampled_from("ab"), min_size=1, max_size=3))
def test_the_index_finds_what_the_text_search_finds(file: list[str], wanted: list[str]) -> None:
    lines = Lines(file)
    expected = [
        Match(start, len(wanted), "exact")
        for start in range(len(file))
        if file[start : start + len(wanted)] == wanted
    ]
    for _ in range(8):
        assert lines.exact(wanted) == expected


BLANK = st.text(alphabet=" \t", max_size=3)


@given(
    st.lists(st.tuples(BLANK, st.sampled_from(["x", "y", ""])), min_size=1, max_size=4), BLANK, st.booleans()
)
def test_a_uniform_shift_is_found_and_undone(lines: list[tuple[str, str]], blanks: str, deeper: bool) -> None:
    search = [indent + text for indent, text in lines]
    file = [blanks + line if line.strip() else line for line in search]
    if not deeper:
        search, file = file, search
    matches = Lines(file).find(search)
    assert Match in {type(match) for match in matches}
    shift = next(match.shift for match in matches if match.start == 0)
    for there, here in zip(file, search, strict=True):
        assert not here.strip() or shift.apply(here) == there


def test_a_line_that_cannot_be_shifted() -> None:
    with pytest.raises(ShiftError, match=" x"):
        Shift(drop="  ").apply(" x")
    assert Shift(drop="  ").apply(" ") == " "
