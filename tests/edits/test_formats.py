"""What each parser accepts and refuses, through the command that tells the formats apart."""

import textwrap

import pytest

from orchestration.edits.command import MAX_TEXT, Format, apply_edits_text, outcome_json, parse_edits
from orchestration.edits.parse.malformed import MalformedEditError
from tests.edits.published import Files, after, reader


def apply(text: str, files: Files, format: Format = "auto") -> Files:  # noqa: A002 — as the function under test
    outcome = apply_edits_text(text, format, reader(files))
    assert outcome.applied, outcome.explain()
    return after(files, outcome)


def refusal(text: str, files: Files, format: Format = "auto") -> tuple[str | None, str]:  # noqa: A002 — as above
    outcome = apply_edits_text(text, format, reader(files))
    assert not outcome.applied
    assert outcome.files == ()
    return next((r.refusal, r.reason) for r in outcome.reports if r.refusal)


def block(search: str, replace: str, name: str = "f.py\n```python\n", end: str = "```\n") -> str:
    return f"{name}<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n{end}"


# --- SEARCH/REPLACE blocks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "f.py\n```python\n",
        "f.py\n",
        "```python\nf.py\n",
        "**f.py**\n\n```\n",
        "### `f.py`:\n~~~py\n",
        "File: f.py\n```\n",
        "- **File:** `f.py`\n```\n",
        "In `f.py`, the function changes:\n```python\n",
        "Some prose.\n\n```python f.py\n",
        "```python:f.py\n",
        "f.py\r\n```\r\n",
        "  f.py\n  ```\n  ",
    ],
)
def test_where_the_file_name_may_stand(name: str) -> None:
    assert apply(block("a\n", "b\n", name), {"f.py": b"a\n"}) == {"f.py": b"b\n"}


def test_several_blocks_and_files() -> None:
    text = (
        block("a\n", "b\n", end="") + "\n" + block("x\n", "y\n", name="") + block("1\n", "2\n", "g.py\n```\n")
    )
    assert apply(text, {"f.py": b"a\nx\n", "g.py": b"1\n"}) == {"f.py": b"b\ny\n", "g.py": b"2\n"}
    prose = block("a\n", "b\n") + "Then:\n" + block("b\n", "c\n", name="")
    assert apply(prose, {"f.py": b"a\n"}) == {"f.py": b"c\n"}


def test_content_may_hold_fences_and_other_formats() -> None:
    inner = "```sh\nls\n```\n*** Begin Patch\n--- a/x\n+++ b/x\n"
    assert apply(block(inner, "x\n"), {"f.py": b"0\n" + inner.encode()}) == {"f.py": b"0\nx\n"}
    heading = "Title\n=====\n"
    assert apply(block(heading, "Other\n=====\n"), {"f.py": heading.encode()}) == {"f.py": b"Other\n=====\n"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("f.py\n<<<<<<< SEARCH\na\n", "no ======= line"),
        ("f.py\n<<<<<<< SEARCH\na\n=======\nb\n", "no >>>>>>> REPLACE line"),
        ("f.py\n<<<<<<< SEARCH\na\n=======\nb\n```\n", "no >>>>>>> REPLACE line"),
        ("f.py\n<<<<<<< SEARCH\na\n>>>>>>> REPLACE\n", "no ======= line between"),
        ("f.py\n<<<<<<< SEARCH\na\n=======\nb\n<<<<<<< SEARCH\nc\n=======\nd\n>>>>>>> REPLACE\n", "cut off"),
        ("f.py\n<<<<<<< SEARCH\na\n=======\nb\n=======\nc\n>>>>>>> REPLACE\n", "more than one ======="),
        ("f.py\n<<<<<<< SEARCH\na\n=======\nb\n=======\nand more\n", "closed by a second"),
        ("<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n", "no file name"),
        (block("a\n", "b\n") + ">>>>>>> REPLACE\n", "without a block"),
        ("nothing here", "no edit in the text"),
        ("", "no edit in the text"),
    ],
)
def test_malformed_blocks(text: str, says: str) -> None:
    why, reason = refusal(text, {"f.py": b"a\n"})
    assert why == "malformed"
    assert says in reason


def test_blocks_that_do_not_apply() -> None:
    files = {"f.py": b"a\nb\na\n", "g.py": b"c\n"}
    assert refusal(block("", "x\n"), files)[0] == "exists"
    assert refusal(block("a\n", "x\n"), files)[0] == "ambiguous"
    assert refusal(block("b\nc\n", "x\n"), files)[0] == "absent"
    assert refusal(block("x\n", "y\n", "gone.py\n"), files)[0] == "no_file"
    assert refusal(block("b\n", "y\n", "prose words here\n"), files)[0] == "malformed"
    # Whole lines only: part of a line is no place for a block.
    assert refusal(block("f()\n", "g()\nh()\n"), {"f.py": b"x = f()\n"})[0] == "absent"


def test_a_block_may_be_indented_and_empty_replacements_delete() -> None:
    text = "  f.py\n  ```\n  <<<<<<< SEARCH\n  a\n  =======\n  >>>>>>> REPLACE\n  ```\n"
    assert apply(text, {"f.py": b"a\nb\n"}) == {"f.py": b"b\n"}


# --- unified diffs ---------------------------------------------------------------------------------------


def diff(body: str, header: str = "--- a/f.py\n+++ b/f.py\n") -> str:
    return header + textwrap.dedent(body)


@pytest.mark.parametrize(
    ("text", "before", "expected"),
    [
        pytest.param(diff("@@ -9,9 +1 @@\n a\n-b\n+B\n"), b"a\nb\n", b"a\nB\n", id="wrong numbers"),
        pytest.param(diff("@@ @@\n a\n-b\n+B\n"), b"a\nb\n", b"a\nB\n", id="bare"),
        pytest.param(diff("@@\n a\n-b\n+B\n"), b"a\nb\n", b"a\nB\n", id="barer"),
        pytest.param(diff("@@ -1,2 +1,2 @@ def f():\n a\n-b\n+B\n"), b"a\nb\n", b"a\nB\n", id="heading"),
        pytest.param(
            diff("@@ ... @@\n-a\n+A\n\n-b\n+B\n"), b"a\n\nb\n", b"A\n\nB\n", id="blank line without mark"
        ),
        pytest.param(
            diff("@@ -1 +1 @@\n--- a\n+++ b\n"), b"-- a\n", b"++ b\n", id="lines that look like headers"
        ),
        pytest.param(
            diff("@@ @@\n-a\n+A\n@@ @@\n-a\n+B\n"),
            b"a\nx\na\n",
            b"A\nx\nB\n",
            id="equal hunks, one for each place",
        ),
        pytest.param(
            diff("@@ @@\n x\n-a\n+A\n y\n@@ @@\n y\n-b\n+B\n"),
            b"x\na\ny\nb\n",
            b"x\nA\ny\nB\n",
            id="shared context",
        ),
        pytest.param(
            diff("@@ @@\n-a\n+A\n@@ @@\n-b\n+B\n"), b"b\na\nb\n", b"b\nA\nB\n", id="order settles the second"
        ),
        pytest.param(diff("@@ @@\n-a\n+b\n\\ No newline at end of file\n"), b"a\n", b"b", id="newline goes"),
        pytest.param(diff("@@ @@\n-a\n\\ No newline at end of file\n+a\n"), b"a", b"a\n", id="newline comes"),
        pytest.param(diff("@@ @@\n a\n+b\n"), b"a", b"a\nb", id="no word about the newline: as before"),
        pytest.param(diff("@@ @@\n-a\n+b\n"), b"a\r\n", b"b\r\n", id="LF diff, CRLF file"),
        pytest.param(diff("@@ @@\n-a\r\n+b\r\n"), b"a\n", b"b\n", id="CRLF diff, LF file"),
        pytest.param(diff("@@ @@\n-a\r\n+a\n b\n"), b"a\r\nb\n", b"a\nb\n", id="a changed ending"),
        pytest.param(diff("@@ @@\n-a\n+b\n", "--- f.py\n+++ f.py\n"), b"a\n", b"b\n", id="no prefixes"),
        pytest.param(
            diff("@@ @@\n-a\n+b\n", "--- a/f.py\t2024-01-01\n+++ b/f.py\t2024\n"), b"a\n", b"b\n", id="times"
        ),
        pytest.param(diff("@@ @@\n-a\n+b\n", "--- f.py\n+++ b/f.py\n"), b"a\n", b"b\n", id="one prefix"),
        pytest.param("```diff\n" + diff("@@ @@\n-a\n+b\n") + "```\n- a list\n", b"a\n", b"b\n", id="fence"),
        pytest.param(diff("@@ -1 +1 @@\n-a\n+b\n-- \n2.39.0\n"), b"a\n", b"b\n", id="mail signature"),
        pytest.param(diff("@@ -0,0 +1 @@\n+b\n"), b"", b"b\n", id="into an empty file"),
        pytest.param(diff("@@ @@\n   a\n-  b\n+  c\n"), b"    a\n    b\n", b"    a\n    c\n", id="indented"),
        pytest.param(diff("@@ @@\n a\n-b\n+c\n"), b"a \nb\n", b"a \nc\n", id="trailing blanks stay"),
    ],
)
def test_diffs(text: str, before: bytes, expected: bytes) -> None:
    assert apply(text, {"f.py": before}) == {"f.py": expected}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(diff("@@ -1 +1 @@\n-a\n+b\n", "--- a/gone\n+++ b/gone\n"), "no_file", id="no such file"),
        pytest.param(diff("@@ -1 +1 @@\n-c\n+b\n"), "absent", id="absent"),
        pytest.param(diff("@@ -1 +1 @@\n-a\n+b\n"), "ambiguous", id="twice, whatever the number says"),
        pytest.param(diff("@@ @@\n-a\n+b\n@@ @@\n-y\n+b\n@@ @@\n+c\n"), "absent", id="one of three"),
        pytest.param(
            "Here:\n" + diff("@@ -1 +1 @@\n-x\n+b\n") + "\n- a list\n", "absent", id="a list after it"
        ),
        pytest.param(diff("@@ @@\n-y\n+b\n@@ @@\n-x\n+b\n"), "absent", id="out of order"),
        pytest.param(diff("@@ @@\n-x\n+b\n@@ @@\n-x\n+c\n"), "absent", id="the same line twice"),
        pytest.param(diff("@@ @@\n+b\n"), "absent", id="only added lines, no place"),
        pytest.param(diff("@@ @@\n a\nb\n-x\n+c\n"), "malformed", id="a line without mark"),
        pytest.param(diff("@@ @@\n"), "malformed", id="empty hunk"),
        pytest.param("--- a/f.py\n+++ b/f.py\n", "malformed", id="no hunk"),
        pytest.param("@@ -1 +1 @@\n-a\n+b\n", "malformed", id="no file"),
        pytest.param(diff("@@@ -1 -1 +1 @@@\n- a\n"), "malformed", id="combined"),
        pytest.param(diff("@@ @@\n-x\n+b\n", "--- a/f.py\n+++ b/g.py\n"), "malformed", id="two names"),
        pytest.param(diff("@@ @@\n-x\n+b\n", "--- /dev/null\n+++ /dev/null\n"), "malformed", id="nowhere"),
        pytest.param(
            diff("@@ -0,0 +1 @@\n+b\n", "--- /dev/null\n+++ b/f.py\n"), "exists", id="new, but there"
        ),
        pytest.param(
            diff("@@ @@\n-b\n", "--- /dev/null\n+++ b/n.py\n"), "malformed", id="new, with removed lines"
        ),
        pytest.param(
            diff("@@ @@\n-x\n", "--- a/f.py\n+++ /dev/null\n"), "absent", id="deletes less than all"
        ),
        pytest.param("diff --git a/p b/p\nBinary files a/p and b/p differ\n", "malformed", id="binary"),
        pytest.param("diff --git a/p b/q\ncopy from p\ncopy to q\n", "malformed", id="copy"),
        pytest.param("diff --git a/l b/l\nnew file mode 120000\n", "malformed", id="link"),
        pytest.param(diff("@@ @@\n-x\n+b\n", "--- a/../f\n+++ b/../f\n"), "path", id="outside"),
        pytest.param(
            diff("@@ @@\n x\n\\ No newline at end of file\n"), "absent", id="not the end of the file"
        ),
    ],
)
def test_diffs_that_do_not_apply(text: str, why: str) -> None:
    assert refusal(text, {"f.py": b"a\nx\ny\na\n"}, "unified_diff")[0] == why


def test_git_headers() -> None:
    text = (
        "diff --git a/old name.py b/new name.py\nsimilarity index 100%\nrename from old name.py\nrename to new name.py\n"
        "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
        "diff --git a/empty b/empty\nnew file mode 100644\nindex 0000000..e69de29\n"
        "diff --git a/tool b/tool\nnew file mode 100755\n--- /dev/null\n+++ b/tool\n@@ -0,0 +1 @@\n+x\n"
        "diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        'diff --git "a/\\303\\251.py" "b/\\303\\251.py"\n--- "a/\\303\\251.py"\n+++ "b/\\303\\251.py"\n@@ @@\n-a\n+b\n'
    )
    files = {"old name.py": b"1\n", "run.sh": b"2\n", "gone": b"x\n", "é.py": b"a\n"}
    outcome = apply_edits_text(text, "auto", reader(files))
    assert outcome.applied, outcome.explain()
    assert after(files, outcome) == {
        "new name.py": b"1\n",
        "run.sh": b"2\n",
        "empty": b"",
        "tool": b"x\n",
        "é.py": b"b\n",
    }
    modes = {file.path: file.mode for file in outcome.files}
    assert (modes["run.sh"], modes["tool"], modes["empty"]) == (0o755, 0o755, None)


# --- the V4A envelope ----------------------------------------------------------------------------------------


def patch(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"]) + "\n"


TWO = b"class A:\n    def f(self):\n        return 1\n\nclass B:\n    def f(self):\n        return 1\n"


@pytest.mark.parametrize(
    ("lines", "before", "expected"),
    [
        pytest.param(["@@", "+b"], b"a\n", b"a\nb\n", id="only added: the end"),
        pytest.param(["+b"], b"a", b"a\nb", id="only added: the end, no newline"),
        pytest.param(["@@ a", "+b"], b"a\nc\n", b"a\nb\nc\n", id="only added, below its anchor"),
        pytest.param([" a", "-b", "+c"], b"a\nb\n", b"a\nc\n", id="no @@ before the first chunk"),
        pytest.param(
            ["@@ class B:", "-        return 1", "+        return 2"], TWO, TWO[:-2] + b"2\n", id="anchor"
        ),
        pytest.param(
            ["@@ class A:", "-        return 1", "+        return 2"],
            TWO,
            TWO.replace(b"1", b"2", 1),
            id="scope of an anchor",
        ),
        pytest.param(
            ["@@ class B", "@@     def f(self):", "-        return 1", "+        return 2"],
            TWO,
            TWO[:-2] + b"2\n",
            id="nested",
        ),
        pytest.param(
            ["@@ class B:", " class B:", "     def f(self):", "-        return 1", "+        return 2"],
            TWO,
            TWO[:-2] + b"2\n",
            id="the anchor again as context",
        ),
        pytest.param(
            ["@@", " a", "-b", "+c", "*** End of File"], b"a\nb\na\nb\n", b"a\nb\na\nc\n", id="end of file"
        ),
        pytest.param(
            ["@@", "-b", "+c", " ", "*** End of File"], b"a\nb\n", b"a\nc\n", id="phantom line at the end"
        ),
        pytest.param(
            ["@@", "-b", "", "@@", "-d", "+e", ""], b"b\nd\n", b"e\n", id="blank lines between chunks"
        ),
        pytest.param(["@@ -1,2 +1,2 @@ a", "-b", "+c"], b"b\n", b"c\n", id="a diff's header"),
        pytest.param(
            ["@@", " a", "", " b", "-c", "+d"], b"a\n\nb\nc\n", b"a\n\nb\nd\n", id="a blank line in a chunk"
        ),
    ],
)
def test_patches(lines: list[str], before: bytes, expected: bytes) -> None:
    assert apply(patch("*** Update File: f.py", *lines), {"f.py": before}) == {"f.py": expected}


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        pytest.param(
            ["*** Update File: f.py", "@@", "-        return 1", "+x"], "ambiguous", id="two places"
        ),
        pytest.param(
            ["*** Update File: f.py", "@@ class C:", "-        return 1", "+x"], "absent", id="no such anchor"
        ),
        pytest.param(
            ["*** Update File: f.py", "@@ class B:", "-class A:", "+x"], "absent", id="above its anchor"
        ),
        pytest.param(["*** Update File: f.py", "@@     def f(self):", "+x"], "ambiguous", id="anchor twice"),
        pytest.param(
            ["*** Update File: f.py", "@@", "-class A:", "+x", "*** End of File"],
            "absent",
            id="not at the end",
        ),
        pytest.param(
            ["*** Update File: f.py", "@@", "-gone", "+x", "*** Add File: n", "+x"],
            "absent",
            id="all or none",
        ),
        pytest.param(["*** Update File: f.py", "@@"], "malformed", id="empty chunk"),
        pytest.param(
            ["*** Update File: f.py", "@@", "class A:", "-x"], "malformed", id="a line without mark"
        ),
        pytest.param(["*** Update File:", "@@", "-x"], "malformed", id="no name"),
        pytest.param(["*** Update File: f.py", "*** Move to:", "@@", "-x"], "malformed", id="no target"),
        pytest.param(["*** Frobnicate File: f.py"], "malformed", id="unknown section"),
        pytest.param(["*** Add File: n", "x"], "malformed", id="an added line without mark"),
        pytest.param(["*** Delete File: f.py", "-x"], "malformed", id="lines under a delete"),
        pytest.param(["*** Add File: f.py/n", "+x"], "not_a_file", id="below a file"),
        pytest.param(["*** Add File: /tmp/n", "+x"], "path", id="absolute"),
    ],
)
def test_patches_that_do_not_apply(lines: list[str], why: str) -> None:
    assert refusal(patch(*lines), {"f.py": TWO})[0] == why


def test_envelopes() -> None:
    section = "*** Update File: f.py\n@@\n-a\n+b\n"
    for text in (
        f" *** Begin Patch \n  {section} *** End Patch \n",
        f"Sure:\n```\n*** Begin Patch\n{section}*** End Patch\n```\nDone.\n",
        f"apply_patch <<'EOF'\n*** Begin Patch\n{section}*** End Patch\nEOF\n",
        f"*** Begin Patch\n{section}*** End Patch".replace("\n", "\r\n"),
    ):
        assert apply(text, {"f.py": b"a\n"}) == {"f.py": b"b\n"}
    assert refusal(f"*** Begin Patch\n{section}", {"f.py": b"a\n"})[0] == "malformed"
    assert refusal(section, {"f.py": b"a\n"}, "apply_patch")[0] == "malformed"
    moved = patch("*** Update File: f.py", "*** Move to: d/g.py")
    assert apply(moved, {"f.py": b"a\n"}) == {"d/g.py": b"a\n"}
    assert apply(patch("*** Add File: n", "+a", "+", "*** Add File: empty"), {}) == {
        "n": b"a\n\n",
        "empty": b"",
    }


# --- the command ---------------------------------------------------------------------------------------------


def test_the_report_of_the_command() -> None:
    files = {"f.py": b"  a\n", "g.py": b"x\n"}
    outcome = apply_edits_text(block("a\n", "b\n") + block("x\n", "y\n", "g.py\n"), "auto", reader(files))
    assert outcome_json(outcome) == {
        "applied": True,
        "edits": [
            {"path": "f.py", "tier": "indent", "line": 1},
            {"path": "g.py", "tier": "exact", "line": 1},
        ],
        "files": [{"path": "f.py", "change": "changed"}, {"path": "g.py", "change": "changed"}],
    }
    outcome = apply_edits_text(patch("*** Delete File: n"), "auto", reader(files))
    assert outcome_json(outcome)["applied"] is False
    assert outcome_json(outcome)["edits"] == [
        {
            "path": "n",
            "tier": None,
            "refusal": "no_file",
            "reason": "n: no such file. Check the path, or create the file with its whole content.",
        }
    ]


def test_the_first_marker_names_the_format() -> None:
    inner = patch("*** Add File: n", "+x")
    (edit,) = parse_edits(block(inner, "y\n"))
    assert edit.path == "f.py"
    (edit,) = parse_edits(patch("*** Add File: n", "+<<<<<<< SEARCH"))
    assert edit.path == "n"


def test_a_text_too_large_is_refused_and_a_large_one_is_not() -> None:
    with pytest.raises(MalformedEditError, match="several parts"):
        parse_edits("x" * (MAX_TEXT + 1))
    lines = [f"line {number}" for number in range(30_000)]
    hunks = "".join(f"@@ @@\n-{line}\n+{line} changed\n" for line in lines[::3])
    expected = "".join(
        line + (" changed" if not number % 3 else "") + "\n" for number, line in enumerate(lines)
    )
    before = "".join(line + "\n" for line in lines).encode()
    assert apply(diff(hunks), {"f.py": before}) == {"f.py": expected.encode()}
