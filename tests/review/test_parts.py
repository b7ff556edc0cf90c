"""Lines of a hunk: any order of decisions on them gives one text, and the rest stays open with its numbers."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestration.errors import UsageError
from orchestration.review.change_set import propose
from orchestration.review.drafting import FileVersions
from orchestration.review.hunks import Hunk
from orchestration.review.parts import (
    Lines,
    Taken,
    checked,
    every_line,
    held_text,
    open_lines,
    rest_of,
    rest_with,
    whole_with,
    with_lines,
)


def hunk_of(before: bytes, after: bytes) -> Hunk:
    (hunk,) = propose([FileVersions("f", before, after)]).hunks
    return hunk


def test_a_new_line_stands_for_the_old_one_at_its_place() -> None:
    hunk = hunk_of(b"k\n1\n2\n3\n", b"k\none\ntwo\n")
    taken = with_lines(hunk, Taken(), Lines.of([0], [0]), accept=True)
    assert held_text(hunk, taken) == "one\n2\n3\n"
    assert open_lines(hunk, taken) == Lines.of([1, 2], [1])


def test_the_rest_of_a_hunk_is_what_is_open_of_it() -> None:
    hunk = hunk_of(b"1\n2\n3\n", b"one\ntwo\n")
    taken = with_lines(hunk, Taken(), Lines.of([0], [0]), accept=True)
    rest = rest_of(hunk, taken)
    assert (rest.lead, rest.old, rest.new) == (1, "2\n3\n", "two\n")
    assert (rest.old_numbers, rest.new_numbers) == ((1, 2), (1,))
    assert rest_with(hunk, taken, Lines.of([1], [])) == "3\n"
    assert whole_with(hunk, taken, "TWO\n") == "one\nTWO\n"
    refused = with_lines(hunk, taken, Lines.of([2], []), accept=False)
    assert rest_of(hunk, refused)[:3] == (1, "2\n", "two\n")
    assert (
        held_text(hunk, with_lines(hunk, refused, open_lines(hunk, refused), accept=True)) == "one\ntwo\n3\n"
    )


def test_all_lines_one_by_one_are_the_whole_hunk() -> None:
    hunk = hunk_of(b"1\n2\n", b"one\n")
    taken = Taken()
    for lines in (Lines.of([0], []), Lines.of([1], []), Lines.of([], [0])):
        taken = with_lines(hunk, taken, lines, accept=True)
    assert taken == Taken("accepted")
    assert with_lines(hunk, Taken(), every_line(hunk), accept=False) == Taken("rejected")


def test_a_last_line_without_line_end_is_followed_by_nothing() -> None:
    hunk = hunk_of(b"a", b"a\nb")
    taken = with_lines(hunk, Taken(), Lines.of([], [1]), accept=True)
    with pytest.raises(UsageError, match="no line end"):
        checked(hunk, taken)
    checked(hunk, with_lines(hunk, Taken(), Lines.of([0], [0]), accept=True))


LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n", "é😀\n"]), max_size=6)


@given(old=LINES, new=LINES, data=st.data())
def test_any_order_of_decisions_gives_one_text_and_all_of_them_the_proposal(
    old: list[str], new: list[str], data: st.DataObject
) -> None:
    assume(old != new)
    hunk = Hunk(
        id="h",
        path="f",
        base_hash="",
        old="".join(old),
        new="".join(new),
        old_lines=len(old),
        new_lines=len(new),
    )
    every = every_line(hunk)
    single = [Lines.of([k], []) for k in sorted(every.old)] + [Lines.of([], [k]) for k in sorted(every.new)]
    chosen = data.draw(st.lists(st.sampled_from(single), unique=True)) if single else []
    verdicts = {lines: data.draw(st.booleans()) for lines in chosen}
    texts = set()
    taken = Taken()
    for order in (chosen, chosen[::-1]):
        taken = Taken()
        for lines in order:
            before = taken
            taken = with_lines(hunk, taken, lines, accept=verdicts[lines])
            # What stands there changes within the rest alone.
            rest = rest_of(hunk, before)
            held = held_text(hunk, before)
            lead = "".join(held.splitlines(keepends=True)[: rest.lead])
            assert held.startswith(lead + rest.old)
            if before.state in {"open", "parts"} and verdicts[lines]:
                trail = held[len(lead + rest.old) :]
                assert held_text(hunk, taken) == lead + rest_with(hunk, before, lines) + trail
        texts.add(held_text(hunk, taken))
    assert len(texts) == 1
    left = with_lines(hunk, taken, open_lines(hunk, taken), accept=True)
    if all(verdicts.values()):
        assert held_text(hunk, left) == hunk.new
