"""The laws of offset edits, and hunks that follow a text while it is edited and decided."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.edits.text import split_lines
from orchestration.errors import ConflictError
from orchestration.review.change_set import FileVersions, propose
from orchestration.review.hunks import Hunk, apply_to_lines
from orchestration.review.offset_edits import TextChange, TextEdit, minimal_change
from orchestration.review.rebase import accept_hunks, follow, rebase_hunks, take_back

PROFILE = settings(settings.get_profile("antiphon"))
TEXT = st.text(alphabet="ab\r\n😀é", max_size=24)
NEW = st.text(alphabet="xy\r\n😀", max_size=3)


@st.composite
def changes(draw: st.DrawFn, text: str) -> TextChange:
    edits = []
    at = 0
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(at, len(text)))
        end = min(len(text), start + draw(st.integers(0, 3)))
        edits.append(TextEdit(start, end, draw(NEW)))
        at = end
    return TextChange.of(edits)


@PROFILE
@given(TEXT, st.data())
def test_inverse_and_composition(text: str, data: st.DataObject) -> None:
    first = data.draw(changes(text))
    between = first.apply(text)
    then = data.draw(changes(between))
    assert first.inverse(text).apply(between) == text
    assert first.compose(then).apply(text) == then.apply(between)
    assert first.compose(first.inverse(text)).apply(text) == text


@PROFILE
@given(TEXT, st.data())
def test_diamond(text: str, data: st.DataObject) -> None:
    one, other = data.draw(changes(text)), data.draw(changes(text))
    one_after = one.rebase(other, after=True)
    other_after = other.rebase(one, after=False)
    assert (one_after is None) == (other_after is None)
    if one_after is not None and other_after is not None:
        assert one_after.apply(other.apply(text)) == other_after.apply(one.apply(text))


@PROFILE
@given(TEXT, TEXT)
def test_the_smallest_change_leads_there(old: str, new: str) -> None:
    change = minimal_change(old, new)
    assert change.apply(old) == new
    assert (change.edits == ()) == (old == new)


@PROFILE
@given(TEXT, st.data())
def test_overlapping_edits_are_no_change(text: str, data: st.DataObject) -> None:
    change = data.draw(changes(text))
    for edit in change.edits:
        if edit.end > edit.start:
            with pytest.raises(ValueError, match="overlap"):
                TextChange.of([*change.edits, edit])


def hunks_of(base: str, proposed: str) -> list[Hunk]:
    return list(propose([FileVersions("f", base.encode(), proposed.encode())]).hunks)


LINE = st.sampled_from(["a\n", "b\n", "c\r\n", "\n", "}\n", "dd\n", "😀\r\n"])


@st.composite
def documents(draw: st.DrawFn) -> tuple[list[str], str]:
    """A base of lines that are all different (so that a change has one meaning), and a proposal for it."""
    count = draw(st.integers(2, 14))
    base = [f"{number}{draw(LINE)}" for number in range(count)]
    proposed: list[str] = []
    for line in base:
        match draw(st.sampled_from(["keep", "keep", "keep", "change", "drop", "insert"])):
            case "keep":
                proposed.append(line)
            case "change":
                proposed.append("P" + line)
            case "insert":
                proposed += [line, "new " + draw(LINE)]
            case _:
                pass
    return base, "".join(proposed)


class Bench:
    """An open file as the review sees it: a text, the hunks still open, and what is to be expected."""

    def __init__(self, base: list[str], proposed: str) -> None:
        self.base = list(base)
        self.text = "".join(base)
        self.original = hunks_of(self.text, proposed)
        self.open = list(self.original)
        self.accepted: list[str] = []
        self.conflicts: list[str] = []
        # Lines of a hunk, and those on both sides of an insertion (or of what undoes a deletion): changed
        # together they would touch it.
        self.touched = {
            line
            for hunk in self.original
            for border in [int(not hunk.old_lines or not hunk.new_lines)]
            for line in range(hunk.old_start - border, hunk.old_end + border)
        }
        # What the user makes of each other line of the base.
        self.mine = dict(enumerate(base))

    def type(self, line: int, text: str) -> None:
        """The user replaces line `line` of the base, wherever it is now, by `text`."""
        old = self.mine[line]
        at = self.text.index(old) if old else None
        if at is None:
            return
        change = TextChange.of([TextEdit(at, at + len(old), text)])
        changed = change.apply(self.text)
        self.open, lost = follow(self.open, self.text, change, changed)
        self.conflicts += [hunk.id for hunk in lost]
        self.text, self.mine[line] = changed, text

    def accept(self, name: str) -> None:
        self.text, self.open, lost = accept_hunks(self.text, self.open, {name})
        self.accepted.append(name)
        assert not lost

    def reject(self, name: str) -> None:
        self.open = [hunk for hunk in self.open if hunk.id != name]

    def undo(self, name: str, text: str) -> None:
        self.open, lost = rebase_hunks(self.open, self.text, text)
        assert not lost
        self.text = text
        self.accepted.remove(name)

    def expected(self) -> str:
        """The accepted hunks applied to the user's own version of the base."""
        merged = "".join(self.mine[number] for number in range(len(self.base)))
        hunks, lost = rebase_hunks(self.original, "".join(self.base), merged)
        assert not lost
        chosen = [hunk for hunk in hunks if hunk.id in self.accepted]
        return "".join(apply_to_lines(split_lines(merged), chosen))


@PROFILE
@given(documents(), st.data())
def test_any_interleaving_of_typing_and_decisions_gives_the_merged_text(
    document: tuple[list[str], str], data: st.DataObject
) -> None:
    bench = Bench(*document)
    undone: list[tuple[str, str]] = []
    for step in range(data.draw(st.integers(0, 8))):
        free = [line for line in bench.mine if line not in bench.touched and bench.mine[line]]
        match data.draw(st.sampled_from(["type", "accept", "reject", "undo"])):
            case "type" if free:
                line = data.draw(st.sampled_from(free))
                written = data.draw(st.sampled_from([bench.mine[line], "one\n", "é\r\ntwo\n", ""]))
                bench.type(line, f"u{step} {written}" if written else "")
            case "accept" if bench.open:
                before = bench.text
                bench.accept(data.draw(st.sampled_from(bench.open)).id)
                undone.append((before, bench.text))
            case "reject" if bench.open:
                bench.reject(data.draw(st.sampled_from(bench.open)).id)
            case "undo" if undone:
                at = data.draw(st.integers(0, len(undone) - 1))
                before, after = undone.pop(at)
                bench.undo(bench.accepted[at], take_back(before, after, bench.text))
            case _:
                pass
    assert not bench.conflicts
    assert bench.text == bench.expected()


@PROFILE
@given(documents(), st.data())
def test_accepting_in_any_order_is_accepting_at_once(
    document: tuple[list[str], str], data: st.DataObject
) -> None:
    base, proposed = "".join(document[0]), document[1]
    hunks = hunks_of(base, proposed)
    text, left = base, hunks
    for hunk in data.draw(st.permutations(hunks)):
        text, left, lost = accept_hunks(text, left, {hunk.id})
        assert not lost
    assert (text, left) == (proposed, [])
    assert accept_hunks(base, hunks, {hunk.id for hunk in hunks}) == (proposed, [], [])


@PROFILE
@given(documents(), TEXT)
def test_whatever_the_user_does_a_hunk_moves_whole_or_is_a_conflict(
    document: tuple[list[str], str], current: str
) -> None:
    base, proposed = "".join(document[0]), document[1]
    hunks = hunks_of(base, proposed)
    moved, lost = rebase_hunks(hunks, base, current, current_hash="now")
    assert sorted(hunk.id for hunk in moved + lost) == sorted(hunk.id for hunk in hunks)
    lines = split_lines(current)
    for hunk in moved:
        assert "".join(lines[hunk.old_start : hunk.old_end]) == hunk.old
        assert hunk.base_hash == "now"
        apply_to_lines(lines, [hunk])
    for hunk in lost:
        assert hunk.state == "conflict"
        assert 0 <= hunk.old_start <= hunk.old_end <= len(lines)
    apply_to_lines(lines, moved)


BASE = "one\ntwo\nthree\nfour\nfive\n"


def test_the_user_types_above_inside_and_below() -> None:
    hunks = hunks_of(BASE, "one\nTWO\nthree\nfour\nFIVE\n")
    moved, lost = rebase_hunks(hunks, BASE, "zero\n" + BASE)
    assert ([hunk.old_start for hunk in moved], lost) == ([2, 5], [])
    assert [hunk.new_start for hunk in moved] == [2, 5]
    moved, lost = rebase_hunks(hunks, BASE, BASE.replace("two", "two!"))
    assert ([hunk.old_start for hunk in moved], [hunk.old_start for hunk in lost]) == ([4], [1])
    assert (lost[0].old_lines, lost[0].old, lost[0].new) == (1, "two\n", "TWO\n")
    moved, lost = rebase_hunks(hunks, BASE, BASE + "six\n")
    assert ([hunk.old_start for hunk in moved], lost) == ([1, 4], [])


def test_lines_typed_at_the_border_do_not_touch() -> None:
    (hunk,) = hunks_of(BASE, BASE.replace("three", "THREE"))
    for current in (BASE.replace("three", "x\nthree"), BASE.replace("three\n", "three\nx\n")):
        (moved,), lost = rebase_hunks([hunk], BASE, current)
        assert not lost
        assert "".join(apply_to_lines(split_lines(current), [moved])) == current.replace("three", "THREE")


def test_a_pure_insertion_between_two_lines() -> None:
    (hunk,) = hunks_of(BASE, BASE.replace("two\n", "two\nNEW\n"))
    assert (hunk.old_start, hunk.old_lines) == (2, 0)
    same_place = BASE.replace("two\n", "two\nmine\n")
    (moved,), _ = rebase_hunks([hunk], BASE, same_place)
    assert "".join(apply_to_lines(split_lines(same_place), [moved])) == BASE.replace(
        "two\n", "two\nmine\nNEW\n"
    )
    for current in (BASE.replace("two\n", ""), BASE.replace("three\n", "")):
        (moved,), lost = rebase_hunks([hunk], BASE, current)
        assert (moved.state, lost) == ("proposed", [])
    moved_none, (lost_one,) = rebase_hunks([hunk], BASE, BASE.replace("two\nthree\n", ""))
    assert (moved_none, lost_one.state, lost_one.old_start) == ([], "conflict", 1)


def test_a_joined_line_or_a_new_end_of_file_is_a_conflict() -> None:
    (hunk,) = hunks_of(BASE, BASE.replace("three", "THREE"))
    assert rebase_hunks([hunk], BASE, BASE.replace("two\nthree", "twothree"))[0] == []
    (ending,) = hunks_of(BASE, BASE.replace("five\n", "FIVE"))
    assert rebase_hunks([ending], BASE, BASE + "six\n")[0] == []
    (appended,) = hunks_of(BASE, BASE + "six\n")
    assert rebase_hunks([appended], BASE, BASE.rstrip("\n"))[0] == []
    assert rebase_hunks([hunk], BASE, BASE.replace("\n", "\r\n"))[0] == []


def test_hunks_of_whole_files_follow_only_where_content_does_not_matter() -> None:
    versions = FileVersions("new", b"a\n", b"b\n", 0o644, 0o755, "old")
    rename, mode, _ = propose([versions]).hunks
    (delete,) = propose([FileVersions("f", b"a\n", None)]).hunks
    assert rebase_hunks([rename, mode, delete], "a\n", "a\n")[1] == []
    moved, (lost,) = rebase_hunks([rename, mode, delete], "a\n", "a\nx\n")
    assert ([hunk.kind for hunk in moved], lost.kind) == (["rename", "mode"], "delete")


def test_a_hunk_of_another_text_is_a_conflict() -> None:
    (hunk,) = hunks_of(BASE, BASE.replace("three", "THREE"))
    assert rebase_hunks([hunk], "other\n", "other\n")[0] == []
    with pytest.raises(ConflictError, match="line 3"):
        accept_hunks("other\n", [hunk], {hunk.id})


def test_insertions_that_came_together_keep_their_order() -> None:
    hunks = hunks_of("a\nb\nc\n", "a\nX\nb\nY\nc\n")
    moved, _ = rebase_hunks(hunks, "a\nb\nc\n", "a\nc\n")
    assert [hunk.old_start for hunk in moved] == [1, 1]
    for first in moved:
        text, left, _ = accept_hunks("a\nc\n", moved, {first.id})
        assert accept_hunks(text, left, {left[0].id})[0] == "a\nX\nY\nc\n"
    assert accept_hunks("a\nc\n", moved, {hunk.id for hunk in moved})[0] == "a\nX\nY\nc\n"


def test_taking_back() -> None:
    after = BASE.replace("two", "TWO").replace("five", "FIVE")
    assert take_back(BASE, after, after) == BASE
    assert take_back(BASE, after, BASE) == BASE
    assert take_back(BASE, after, "zero\n" + after) == "zero\n" + BASE
    assert take_back(BASE, after, after.replace("TWO", "two")) == BASE
    with pytest.raises(ConflictError, match="line 2"):
        take_back(BASE, after, after.replace("TWO", "TWO!"))
    assert take_back(BASE, BASE.replace("two\n", ""), "x\n" + BASE.replace("two\n", "")) == "x\n" + BASE
