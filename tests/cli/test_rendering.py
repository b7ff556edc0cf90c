import json

import pytest
from msgspec.structs import replace

from orchestration import events as ev
from orchestration.commands import HunkLines
from orchestration.errors import UsageError
from orchestration.events import Record
from orchestration.review.view import ChangesView, FileView, HunkView
from providers.usage import Usage
from server.commands.lookup import lines_named
from server.terminal import figures
from server.terminal.board import board, tree
from server.terminal.changes import diff, stat
from server.terminal.following import event_json, event_lines, finished_json, last_lines
from server.terminal.inert import inert, inert_lines
from server.terminal.lines import Line, cells, clipped, cropped, line, plain, wrapped
from server.terminal.run_page import run_page, task_page
from server.terminal.summary import summary
from tests.cli.example_run import START, created, finished_run, spec, started, state_of, turn


def texts(lines: list[Line]) -> list[str]:
    return [plain(one).rstrip() for one in lines]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain ünïcödé 日本 👩‍💻", "plain ünïcödé 日本 👩‍💻"),
        ("\x1b[31mred\x1b[0m", "\\e[31mred\\e[0m"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "\\e]8;;http://evil\\alink\\e]8;;\\a"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\nc\td", "a\\rb\\nc\\td"),
        ("user\u202egnp.exe", "user<U+202E>gnp.exe"),
        ("\u2066x\u2069", "<U+2066>x<U+2069>"),
        ("hid\U000e0041\U000e007fden", "hid<U+E0041><U+E007F>den"),
        ("zero\u200bwidth\ufeff", "zero<U+200B>width<U+FEFF>"),
        ("name\udcff.txt", "name\\xff.txt"),
        ("vs\U000e0100", "vs<U+E0100>"),
    ],
)
def test_text_from_outside_is_shown_and_not_obeyed(given: str, shown: str) -> None:
    assert inert(given) == shown


def test_lines_of_a_text_keep_their_tabs_as_spaces() -> None:
    assert inert_lines("a\tb\r\nc\x07\n") == ["a    b", "c\\a"]
    assert last_lines("\n\none\n\n two\n\n", 5) == ["one", " two"]


def test_columns_of_wide_and_combining_characters() -> None:
    assert cells("abc") == 3
    assert cells("日本") == 4
    assert cells("e\u0301") == 1
    assert clipped("日本語", 5) == "日本…"
    assert clipped("short", 5) == "short"
    assert plain(cropped(line("ab", "cd", "ef"), 5)) == "abcd…"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (figures.tokens(None), "?"),
        (figures.tokens(0), "0"),
        (figures.tokens(1234), "1.2k"),
        (figures.tokens(2_500_000), "2.5M"),
        (figures.usd(None), "?"),
        (figures.usd(0.0), "$0"),
        (figures.usd(0.00421), "$0.0042"),
        (figures.usd(12.345), "$12.35"),
        (figures.duration(0.26), "0.3s"),
        (figures.duration(59.9), "59s"),
        (figures.duration(61), "1m 01s"),
        (figures.duration(3700), "1h 01m"),
        (figures.size(999), "999 B"),
        (figures.size(1500), "1.5 kB"),
        (figures.size(2_500_000_000_000), "2500 GB"),
        (figures.several(1, "file"), "1 file"),
    ],
)
def test_figures(shown: str, expected: str) -> None:
    assert shown == expected


def test_the_board_shows_who_is_at_what() -> None:
    state = state_of(
        created(),
        ev.PlanAccepted(tasks=(spec("parse"), spec("print", "parse"), spec("docs"))),
        ev.TaskAdded(task=spec("parse-1", parent="parse", title="Delegated")),
        started("parse", 2),
        *turn("parse", 1, attempt=2, usage=Usage(1200, 300, cost_usd=None)),
        started("docs"),
        ev.TaskMerged(task_id="docs", attempt=1, snapshot="s"),
    )
    rows = texts(board(state, START + 20, columns=140, rows=20))
    assert rows[0] == "running · Mend the parser"
    assert rows[1].startswith("1 of 4 merged · 1 running · 1.5k tokens · ? · 19s")
    assert rows[2].startswith("● parse")
    assert "running · try 2 · 16s · ? · 1.5k tok · turn 1 · read_file src/parse.py · coder" in rows[2]
    assert "pending · after parse" in rows[3]
    assert rows[4].startswith("✔ docs")
    assert rows[5].startswith("  ○ parse-1")
    ascii_rows = texts(board(state, START + 20, columns=140, rows=20, unicode=False))
    assert ascii_rows[2].startswith("* parse")


@pytest.mark.parametrize("columns", [20, 40, 79, 200])
@pytest.mark.parametrize("rows", [3, 5, 24])
def test_a_large_board_fits_the_screen(columns: int, rows: int) -> None:
    tasks = tuple(spec(f"task-{n:03}", title="日本語の題 " * 4) for n in range(120))
    state = state_of(
        created("goal " * 60),
        ev.PlanAccepted(tasks=tasks),
        *(started(f"task-{n:03}") for n in range(20)),
        *(ev.TaskMerged(task_id=f"task-{n:03}", attempt=1, snapshot="s") for n in range(15)),
        ev.TaskDead(task_id="task-019", reason="no", attempts=3),
    )
    lines = board(state, START + 200, columns=columns, rows=rows)
    assert len(lines) <= rows
    assert all(cells(plain(one)) <= columns for one in lines)
    if rows == 24:
        shown = "\n".join(texts(lines))
        assert all(f"task-{n:03}" in shown for n in range(15, 20))
        assert texts(lines)[-1].startswith("… and ")


def test_the_summary_says_what_merged_what_did_not_and_what_to_do() -> None:
    rows = texts(summary(finished_run(), START + 99, columns=120, workspace_option=" --workspace w"))
    page = "\n".join(rows)
    assert rows[0] == "partial · Mend the parser"
    assert "2 of 4 merged · 1 dead letter · 1 skipped · 1.5k tokens · $0.0123" in rows[1]
    assert "dead letter b after 2 attempts: tests: 1 failed" in page
    assert "  │ FAILED tests/test_b.py::test_sum - boom" in page
    assert "unverified: merged, but a gate could not run" in page
    assert "  d  tests: the workspace is not trusted" in page
    assert "  big.bin  larger than 10 MB" in page
    assert "why the run's exit code is 1" in page
    assert "antiphon accept run-1 --workspace w --all" in page
    assert "antiphon resume" not in page, "dead letters are final"
    assert "\x1b" not in page


def test_a_large_summary_counts_what_went_well() -> None:
    tasks = tuple(spec(f"t{n}") for n in range(100))
    state = state_of(
        created(),
        ev.PlanAccepted(tasks=tasks),
        *(ev.TaskMerged(task_id=f"t{n}", attempt=1, snapshot="s") for n in range(99)),
        ev.TaskDead(task_id="t99", reason="no", attempts=3),
    )
    rows = texts(summary(state, START, columns=100))
    assert "… and 99 more: antiphon show run-1" in rows
    assert len(rows) < 20


def test_the_page_of_a_run_and_of_a_task() -> None:
    state = finished_run()
    page = "\n".join(texts(run_page(state, "partial", START + 99, columns=100)))
    assert "attempt 1: tests: 1 failed" in page
    assert "! tests not run  the workspace is not trusted" in page
    assert "changed: src/a.py" in page
    task = "\n".join(texts(task_page(state.tasks["b"], columns=100)))
    assert "instructions\n  Mend b.\n  All of it." in task
    assert "attempt 2 failed (gate)" in task


def test_every_event_can_be_told_in_a_line() -> None:
    state = finished_run()
    told: list[ev.Event] = [
        ev.PlanRefused(attempt=1, reasons=("cycle",)),
        ev.TaskAdded(task=spec("x")),
        ev.AttemptFailed(task_id="b", attempt=1, kind="gate", reason=""),
        ev.TaskDead(task_id="zzz", reason="", attempts=3),
        ev.ApprovalRequested(approval_id="1", kind="command", subject="rm -rf \x1b[2J"),
        ev.ApprovalResolved(approval_id="1", decision="reject"),
        ev.BudgetExhausted(what="tokens", limit=10, used=12),
        ev.CancelRequested(),
        ev.TaskCancelled(task_id="b"),
        ev.TurnFailed(task_id="b", attempt=1, turn=2, error="RateLimitError", detail="429"),
        ev.GateFinished(gate="tests", outcome="blocked", detail="1 failed"),
        ev.RunOwned(epoch=2, pid=1, resumed=True),
    ]
    for event in told:
        (row,) = event_lines(Record(1, START, event), state)
        assert "\x1b" not in plain(row)
    assert event_lines(Record(1, START, ev.TaskWaiting(task_id="a")), state) == []


def test_events_and_the_end_as_json() -> None:
    record = Record(3, 12.5, started("a"))
    assert json.loads(event_json("run-1", record)) == {
        "runId": "run-1",
        "seq": 3,
        "time": 12.5,
        "type": "task_started",
        "taskId": "a",
        "attempt": 1,
        "snapshot": "s",
        "role": "coder",
        "model": "scripted/demo",
    }
    state = finished_run()
    end = ev.RunFinished(state="partial", tasks={"merged": 2}, usage=Usage(1, 2, cost_usd=None), exit_code=1)
    last = finished_json(Record(9, 1.0, end), state, {"accepted": {}})
    assert last["type"] == "run_finished"
    assert last["usage"] == {
        "input_tokens": 1,
        "output_tokens": 2,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "cost_usd": None,
        "estimate_error": None,
    }
    assert last["changes"] == {"files": 2, "hunks": 3, "added": 4, "removed": 1}
    assert (last["exitCode"], last["accepted"]) == (1, {})


def view() -> ChangesView:
    def hunk(number: int, state: str, old: str, new: str) -> HunkView:
        return HunkView(
            hunk_id=f"h{number}",
            path="a.py",
            state=state,  # type: ignore[arg-type]  # parametrised over its values
            start_line=4,
            old_lines=old.count("\n"),
            new_lines=new.count("\n"),
            old_text=old,
            new_text=new,
            base_hash="b",
            task_ids=("t",),
            protected="CI" if number == 2 else "",
        )

    return ChangesView(
        run_id="run-1",
        files=(
            FileView(
                path="a.py",
                kind="modify",
                hunks=(hunk(1, "proposed", "x = 1\n", "x\t= 2\r\n"), hunk(2, "accepted", "", "end")),
                added=2,
                removed=1,
            ),
            FileView(path="new\n.py", old_path="old.py", kind="rename", hunks=()),
        ),
    )


def test_changes_as_a_diff_with_ids() -> None:
    assert texts(diff(view())) == [
        "a.py  +2 -1",
        "@@ line 5 h1 proposed · t",
        "-x = 1",
        "+x    = 2\\r",
        "@@ line 5 h2 accepted · t · protected: CI",
        "+end",
        "\\ no newline at the end",
        "",
        "old.py -> new\\n.py  renamed  +0 -0",
        "",
        "2 files, +2 -1, 2 hunks: 1 proposed, 1 accepted",
    ]
    assert texts(diff(ChangesView(run_id="r"))) == ["no changes are proposed"]


def test_the_lines_of_a_hunk_keep_their_numbers_when_some_are_decided() -> None:
    whole = HunkView(
        hunk_id="h",
        path="a",
        state="proposed",
        start_line=0,
        old_lines=2,
        new_lines=2,
        old_text="a\nb\n",
        new_text="A\nB\n",
        base_hash="b",
        proposed_old_lines=2,
    )
    rest = replace(whole, old_text="A\nb\n", old_numbers=(-1, 1), new_text="A\nB\n", new_numbers=(-1, 1))
    shown = diff(
        ChangesView(run_id="r", files=(FileView(path="a", kind="modify", hunks=(whole, rest)),)), numbers=True
    )
    assert texts(shown)[1:9] == [
        "@@ line 1 h proposed",
        "    1 -a",
        "    2 -b",
        "    3 +A",
        "    4 +B",
        "@@ line 1 h proposed, the rest",
        "    2 -b",
        "    4 +B",
    ]
    assert lines_named("1-2,4", whole) == HunkLines(old=(0, 1), new=(1,))
    for bad in ("", "a", "0", "1-", "-2", "1,,2"):
        with pytest.raises(UsageError, match="2-5,8"):
            lines_named(bad, whole)


def test_changes_as_a_list_of_files() -> None:
    rows = texts(stat(view()))
    assert rows[0].startswith("a.py ")
    assert "+2 -1  1 proposed, 1 accepted" in rows[0]
    assert rows[-1] == "2 files, +2 -1, 2 hunks: 1 proposed, 1 accepted"


def test_the_tree_of_a_run_that_has_ended_stands_still() -> None:
    state = finished_run()
    assert tree(state, START + 50, columns=100) == tree(state, START + 5000, columns=100)


def test_long_lines_break_at_blanks_and_words_stay_whole() -> None:
    long = line(
        "  ", ("tests blocked ", "red"), "2 of 4 fail: tests/test_labels.py::Labels::test_a_cut_word and one"
    )
    assert wrapped(long, 200) == [long]
    assert texts(wrapped(long, 40)) == [
        "  tests blocked 2 of 4 fail:",
        "    tests/test_labels.py::Labels::test_a_cut_word",
        "    and one",
    ]
