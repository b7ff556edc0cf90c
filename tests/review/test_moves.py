"""Which writes of a decision are one move."""

import pytest

from orchestration.review.moves import moves
from orchestration.review.standing import FileWrite

TEN = b"".join(b"line %d\n" % number for number in range(10))


@pytest.mark.parametrize(
    ("after", "is_one"),
    [
        (TEN, True),
        (TEN.replace(b"line 3\n", b""), True),
        (b"line 1\nline 2\n" * 5, False),
        (b"", False),
        (b"\0", False),
    ],
)
def test_both_halves_in_either_order(after: bytes, is_one: bool) -> None:
    came, gone = FileWrite("new", None, after), FileWrite("old", TEN, None)
    for writes in ((came, gone), (gone, came), (FileWrite("a", b"", b"x"), came, gone)):
        found = moves(writes)
        assert [(move.gone, move.came) for move in found] == ([(gone, came)] if is_one else [])


def test_empty_and_binary_files_move_when_they_are_the_same() -> None:
    for data in (b"", b"\0\1"):
        assert len(moves((FileWrite("new", None, data), FileWrite("old", data, None)))) == 1


def test_a_write_is_half_of_one_move_only() -> None:
    writes = (FileWrite("x", TEN, None), FileWrite("y", None, TEN), FileWrite("z", TEN, None))
    assert [(move.gone.path, move.came.path) for move in moves(writes)] == [("x", "y")]


def test_of_two_that_could_be_a_move_the_one_with_the_same_contents() -> None:
    writes = (FileWrite("gone", TEN + b"x\n", None), FileWrite("new", None, TEN), FileWrite("old", TEN, None))
    assert [(move.gone.path, move.came.path) for move in moves(writes)] == [("old", "new")]
    more = (*writes, FileWrite("made", None, TEN + b"y\n"))
    assert [(move.gone.path, move.came.path) for move in moves(more)] == [("old", "new")]
