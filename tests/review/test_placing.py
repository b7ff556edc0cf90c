"""Where a finding is shown in a text that has moved on: at its line, at the hunk that brings it, or nowhere."""

import msgspec
import pytest

from orchestration.quality.finding import Finding
from orchestration.review.placing import place
from orchestration.review.view import HunkView

FINDING = Finding(
    id="f",
    tool="review",
    rule="wrong-sign",
    severity="error",
    path="a.py",
    start_line=1,
    start_column=4,
    end_line=1,
    end_column=10,
    message="the sign",
    evidence="n = 1",
)


def hunk(new_text: str, **other: object) -> HunkView:
    made = HunkView(
        hunk_id="h", path="a.py", state="proposed", start_line=2, old_lines=1, new_lines=1, old_text="",
        new_text=new_text, base_hash="",
    )  # fmt: skip
    return msgspec.structs.replace(made, **other)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n    n = 1\n", 1),
        ("a\nb\nc\n\tn = 1\r\n", 3),
        ("n = 1\n\n\n\nn = 1\n", 0),
        ("if x: n = 1  # one\n", 0),
        ("xn = 1\nn = 10\nthen = 1\n", None),
        ("if n = 1:\nb\nc\nn = 1\n", 3),
        ("", None),
    ],
)
def test_the_line_that_holds_the_evidence(text: str, line: int | None) -> None:
    placed = place(FINDING, text, ())
    assert (placed.start_line if placed else None) == line


def test_evidence_that_begins_or_ends_with_a_sign() -> None:
    placed = place(msgspec.structs.replace(FINDING, evidence="(n + 1)"), "a\nf(n + 1)[0]\n", ())
    assert placed is not None
    assert placed.start_line == 1


def test_what_is_only_proposed_stands_at_its_hunk() -> None:
    placed = place(FINDING, "a\nb\nc\n", [hunk("x\n"), hunk("    n = 1\n", start_line=1)])
    assert placed is not None
    assert (placed.start_line, placed.exact, placed.hunk_id) == (1, False, "h")
    assert place(FINDING, "a\nb\n", [hunk("n = 10\n")]) is None
    assert place(FINDING, "a\nb\n", [hunk("n = 1\n", state="rejected")]) is None
    assert place(FINDING, None, [hunk("n = 1\n", start_line=0, old_lines=0)]) is not None
