import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.review.cleanup import diff_lines
from orchestration.review.diffing import Block, diff
from orchestration.review.words import diff_words

PROFILE = settings(settings.get_profile("antiphon"))
LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n", "}\n", "  x\n"]), max_size=25)


def rebuild(old: Sequence[str], new: Sequence[str], blocks: Sequence[Block]) -> list[str]:
    """The new side, from the old one and the blocks; asserts that they are ordered and not empty."""
    lines: list[str] = []
    at = 0
    for block in blocks:
        assert at <= block.old_start
        assert block.old_end > block.old_start or block.new_end > block.new_start
        lines += old[at : block.old_start]
        assert len(lines) == block.new_start
        lines += new[block.new_start : block.new_end]
        at = block.old_end
    return lines + list(old[at:])


@PROFILE
@given(LINES, LINES)
def test_blocks_rebuild_the_new_side(old: list[str], new: list[str]) -> None:
    for blocks in (diff(old, new), diff_lines(old, new)):
        assert rebuild(old, new, blocks) == new
    assert (diff(old, new) == []) == (old == new)


@PROFILE
@given(st.text(alphabet="ab (1)\n", max_size=40), st.text(alphabet="ab (1)\n", max_size=40))
def test_word_ranges_rebuild_the_new_text(old: str, new: str) -> None:
    assert "".join(rebuild(old, new, diff_words(old, new))) == new


def test_an_inserted_function_is_drawn_whole() -> None:
    old = ["def a():\n", "    return 1\n", "\n", "\n", "def b():\n", "    return 1\n"]
    new = [*old[:4], "def c():\n", "    return 1\n", "\n", "\n", *old[4:]]
    assert diff_lines(old, new) == [Block(4, 4, 4, 8)]


def test_a_moved_block_keeps_the_heavier_part_in_place() -> None:
    small, large = [f"s{i}\n" for i in range(3)], [f"l{i}\n" for i in range(9)]
    assert diff(small + large, large + small) == [Block(0, 3, 0, 0), Block(12, 12, 9, 12)]


def test_blocks_parted_by_a_bracket_are_one() -> None:
    old = ["x = f(\n", "  1,\n", ")\n", "y = 2\n", "z\n"]
    new = ["x = g(\n", "  2,\n", ")\n", "y = 3\n", "z\n"]
    assert diff_lines(old, new) == [Block(0, 4, 0, 4)]


def test_words_inside_a_changed_line() -> None:
    old, new = "return first_name + suffix\n", "return last_name + suffix\n"
    assert diff_words(old, new) == [Block(7, 17, 7, 16)]
    assert diff_words("alpha beta\n", "other words here\n") == [Block(0, 11, 0, 17)]
    assert diff_words("", "x") == [Block(0, 0, 0, 1)]
    assert diff_words("x", "x") == []


def test_endings_count() -> None:
    assert diff(["a\r\n", "b\n"], ["a\n", "b\n"]) == [Block(0, 1, 0, 1)]


def test_adversarial_inputs_end() -> None:
    chance = random.Random(7)
    binary = [[chance.choice("ab") for _ in range(3_000)] for _ in range(2)]
    common = [[str(chance.randrange(300)) for _ in range(6_000)] for _ in range(2)]
    shuffled = [str(i) for i in range(6_000)]
    mixed = list(shuffled)
    chance.shuffle(mixed)
    repeated = (["x"] * 3_000 + ["y"] * 3_000, ["x"] * 2_000 + ["y"] * 4_500)
    for old, new in (binary, common, (shuffled, mixed), repeated):
        assert rebuild(old, new, diff(old, new)) == new


def test_the_same_input_gives_the_same_blocks() -> None:
    chance = random.Random(3)
    old = [str(chance.randrange(40)) for _ in range(400)]
    new = [str(chance.randrange(40)) for _ in range(400)]
    assert diff(old, new) == diff(tuple(old), tuple(new))
