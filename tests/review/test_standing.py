"""How hunks stand while the user edits, and what accepting them writes; in any order the same text."""

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st

from orchestration.review.change_set import FileChange, propose
from orchestration.review.drafting import FileVersions
from orchestration.review.history import History, Mark
from orchestration.review.standing import Standing, Versions, stand, writes_for

BASE = b"one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n"
PROPOSED = b"one\nTWO\nthree\nfour\nfive\nSIX\nand a half\nseven\n"


def change(before: bytes | None, after: bytes | None, path: str = "a.txt") -> FileChange:
    return propose([FileVersions(path, before, after)]).files[0]


def standing(
    made: FileChange, now: bytes | None, accepted: Collection[str] = (), rejected: Collection[str] = ()
) -> tuple[Standing, Versions]:
    versions = Versions(base=BASE, proposed=PROPOSED, now=now, old_now=now)
    return stand(made, versions, decided(made, accepted, rejected)), versions


def decided(
    made: FileChange, accepted: Collection[str] = (), rejected: Collection[str] = ()
) -> dict[str, History]:
    """Each accepted hunk by a decision of its own."""
    marks = {
        hunk.id: [Mark(f"decision-{order}", order, hunk.id in accepted)]
        for order, hunk in enumerate(made.hunks)
        if hunk.id in {*accepted, *rejected}
    }
    return {hunk.id: History(hunk, marks[hunk.id]) for hunk in made.hunks if hunk.id in marks}


def test_hunks_stand_where_they_were_proposed_while_nothing_changes() -> None:
    made = change(BASE, PROPOSED)
    judged, versions = standing(made, BASE)
    assert [(hunk.old_start, hunk.state) for hunk in judged.hunks] == [
        (1, "proposed"),
        (5, "proposed"),
        (7, "proposed"),
    ]
    (write,) = writes_for(judged, versions, {hunk.id: None for hunk in judged.hunks})
    assert write.after == PROPOSED


def test_a_user_who_types_above_moves_them() -> None:
    judged, versions = standing(change(BASE, PROPOSED), b"zero\n" + BASE)
    assert [hunk.old_start for hunk in judged.hunks] == [2, 6, 8]
    (write,) = writes_for(judged, versions, {judged.hunks[1].id: None})
    assert write.after == b"zero\none\ntwo\nthree\nfour\nfive\nSIX\nand a half\nseven\neight\n"


def test_a_user_who_types_inside_makes_a_conflict_of_that_hunk_alone() -> None:
    judged, _ = standing(change(BASE, PROPOSED), BASE.replace(b"six", b"6"))
    assert [hunk.state for hunk in judged.hunks] == ["proposed", "conflict", "proposed"]
    assert list(judged.details.values()) == ["the lines were changed since the proposal"]


def test_accepted_and_rejected_hunks_keep_their_state() -> None:
    made = change(BASE, PROPOSED)
    first, second, _ = made.hunks
    judged, _ = standing(made, BASE.replace(b"two", b"TWO"), {first.id}, {second.id})
    assert [hunk.state for hunk in judged.hunks] == ["accepted", "rejected", "proposed"]


def test_a_created_file_conflicts_with_one_that_came_meanwhile() -> None:
    made = change(None, b"new\n")
    (hunk,) = made.hunks
    judged, versions = standing(made, None)
    assert judged.hunks[0].state == "proposed"
    assert writes_for(judged, versions, {hunk.id: None})[0].before is None
    judged, _ = standing(made, b"mine\n")
    assert judged.hunks[0].state == "conflict"
    assert judged.details[hunk.id] == "a.txt exists now"


def test_a_deleted_file_is_deleted_only_as_it_was() -> None:
    made = change(BASE, None)
    judged, versions = standing(made, BASE)
    assert writes_for(judged, versions, {made.hunks[0].id: None})[0].after is None
    assert standing(made, BASE + b"mine\n")[0].hunks[0].state == "conflict"
    assert standing(made, None)[0].details[made.hunks[0].id] == "the file is gone"


def test_a_file_that_became_binary_or_went_keeps_nothing_proposed() -> None:
    made = change(BASE, PROPOSED)
    for now, why in ((b"\0\1", "no text any more"), (None, "is gone")):
        judged, _ = standing(made, now)
        assert {hunk.state for hunk in judged.hunks} == {"conflict"}
        assert why in next(iter(judged.details.values()))


LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n", "é😀\n", "\n"]), min_size=1, max_size=12)


@given(before=LINES, after=LINES, order=st.randoms(use_true_random=False))
def test_accepting_one_by_one_in_any_order_ends_in_the_proposal(
    before: list[str], after: list[str], order: object
) -> None:
    base, proposed = "".join(before).encode(), "".join(after).encode()
    if base == proposed:
        return
    made = change(base, proposed)
    ids = [hunk.id for hunk in made.hunks]
    order.shuffle(ids)  # type: ignore[attr-defined]
    now: bytes | None = base
    accepted: set[str] = set()
    for name in ids:
        versions = Versions(base=base, proposed=proposed, now=now, old_now=now)
        judged = stand(made, versions, decided(made, accepted))
        assert all(hunk.state != "conflict" for hunk in judged.hunks)
        (write,) = writes_for(judged, versions, {name: None})
        assert write.before == now
        now = write.after
        accepted.add(name)
    assert now == proposed
