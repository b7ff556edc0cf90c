"""The main loop in an editor without a plugin: a real Neovim, configured as `docs/editors.md` says.

A run from its goal to reviewed bytes on disk: progress, diagnostics, lenses, accept, reject, undo, cancel.
"""

from pathlib import Path

import pytest

from tests.e2e.neovim import Neovim, Progress, Project
from tests.e2e.neovim.project import DISHES, SHOP, crlf, edit, hangs, plan, works
from tests.e2e.neovim.running import finished, of_run, started

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_run_from_its_goal_to_reviewed_bytes(project: Project) -> None:
    goal = "Improve the menu"
    project.write("menu.txt", crlf(*DISHES))
    project.write("shop.py", SHOP)
    project.script(
        plan(goal, "menu", "shop", "notes", delay_s=0.2),
        *works(
            "menu",
            [
                edit(
                    "menu.txt",
                    ("dish 03 🍜", "dish 03 🍲 of the day"),
                    ("dish 14 🍜\n", "dish 14 🍜\ndish 14½ 🥟\n"),
                    ("dish 25 🍜\n", ""),
                )
            ],
            delay_s=0.3,
        ),
        *works(
            "shop",
            [edit("shop.py", ("import json\n", 'import json\nimport os\n\nCURRENCY = "EUR"\n'))],
            delay_s=0.3,
        ),
        *works("notes", [("write_file", {"path": "NOTES.md", "content": "# Notes\n"})], delay_s=0.3),
    )
    with project.neovim() as editor:
        editor.edit("shop.py")
        editor.edit("menu.txt")
        started(editor, goal)
        assert finished(editor, goal).message.startswith("completed: 3 merged")

        # Progress: one token for the run and one for each task, each begun, kept up to date, ended.
        by_token: dict[str, list[Progress]] = {}
        for item in editor.progress():
            by_token.setdefault(item.token, []).append(item)
        assert {items[0].title for items in by_token.values()} == {
            f"Antiphon: {goal}",
            "Antiphon task: See to menu",
            "Antiphon task: See to shop",
            "Antiphon task: See to notes",
        }
        for items in by_token.values():
            kinds = [item.kind for item in items]
            assert kinds == ["begin", *["report"] * (len(kinds) - 2), "end"], items
        reports = [item for item in of_run(editor, goal) if item.kind == "report"]
        percentages = [item.percentage for item in reports if item.percentage is not None]
        assert percentages == sorted(percentages)
        assert any("3 at work" in item.message for item in reports), reports

        # Lenses at each hunk, and what the user sees of them.
        editor.until(lambda: len(editor.lenses()) == 9, "lenses of three hunks")
        shown = editor.screen().splitlines()
        assert shown[3] == "dish 03 🍜 Accept 1/3 (+1 -1) | Reject | Show diff"
        assert shown[15] == "dish 15 🍜 Accept 2/3 (+1 -0) | Reject | Show diff"
        assert shown[25] == "dish 25 🍜 Accept 3/3 (+0 -1) | Reject | Show diff"

        # A finding in text that is only proposed: it says so, and it cannot be fixed yet.
        editor.edit("shop.py")
        editor.until(editor.diagnostics, "a finding")
        [finding] = editor.diagnostics()
        assert (finding.source, finding.code, finding.line) == ("antiphon/ruff", "F401", 1)
        assert finding.message.endswith("(in a change that is not accepted yet)")
        editor.until(editor.lenses, "lenses of shop.py")
        editor.run_lens(1, "Accept 1/1")
        editor.until(lambda: editor.text()[1] == "import os", "the accepted line")
        editor.until(
            lambda: (
                [(item.line, "not accepted" in item.message) for item in editor.diagnostics()] == [(1, False)]
            ),
            "the finding in the buffer",
        )
        offered = editor.run_action(1, "Remove unused import")
        assert "Dismiss ruff F401" in offered
        editor.until(
            lambda: editor.text() == ["import json", "", 'CURRENCY = "EUR"', *SHOP.splitlines()[1:]],
            "the fixed text",
        )
        editor.until(lambda: not editor.diagnostics(), "the finding to go")
        assert project.read("shop.py") == SHOP.encode(), "an open document changes in its buffer only"

        # One hunk accepted by lens, one rejected by code action.
        editor.edit("menu.txt")
        editor.run_lens(3, "Accept 1/3")
        editor.until(lambda: editor.text()[3] == "dish 03 🍲 of the day", "the accepted hunk")
        editor.until(lambda: [lens.line for lens in editor.lenses()] == [15] * 3 + [25] * 3, "two hunks left")
        offered = editor.run_action(15, "Reject this change")
        assert "Accept this change: +1 -0" in offered
        assert "Accept all 2 changes in this file" in offered
        editor.until(lambda: [lens.line for lens in editor.lenses()] == [25] * 3, "one hunk left")

        # Undo is the editor's own: the hunk is proposed again, redo accepts it, and so does the lens.
        both, one = [3] * 3 + [25] * 3, [25] * 3
        for by in ("redo", "lens"):
            editor.type("u")
            assert editor.text() == DISHES
            assert not editor.modified()
            editor.until(lambda: [lens.line for lens in editor.lenses()] == both, "the hunk proposed again")
            if by == "redo":
                editor.type("<C-r>")
            else:
                editor.run_lens(3, "Accept 1/2")
            editor.until(lambda: editor.text()[3] == "dish 03 🍲 of the day", "the hunk accepted again")
            editor.until(lambda: [lens.line for lens in editor.lenses()] == one, "one hunk left")
        assert all(item.applied and item.version is not None for item in editor.edits())
        assert project.read("menu.txt") == crlf(*DISHES)
        editor.command("write")
        wanted = [*DISHES[:3], "dish 03 🍲 of the day", *DISHES[4:]]
        assert project.read("menu.txt") == crlf(*wanted)

        # The rest at once: the open document through its buffer, the new file on disk.
        editor.until(lambda: len(editor.lenses()) == 3, "one hunk left")
        editor.run_action(25, "Accept all 2 changes of this run")
        editor.until((project.root / "NOTES.md").exists, "the new file")
        editor.until(lambda: "dish 25 🍜" not in editor.text(), "the deleted line")
        editor.until(lambda: not editor.lenses(), "nothing left to decide")
        editor.command("write")
        assert project.read("menu.txt") == crlf(*wanted[:25], *wanted[26:])
        assert project.read("NOTES.md") == b"# Notes\n"

        editor.quit()


def test_a_question_is_asked_once_and_answered_in_the_editor(project: Project) -> None:
    goal = "Import more"
    files = ["one.py", "two.py", "three.py"]
    for path in files:
        project.write(path, SHOP)
    rules = [works(path[:-3], [edit(path, ("import json\n", "import json\nimport os\n"))]) for path in files]
    project.script(plan(goal, *(path[:-3] for path in files)), *(rule for pair in rules for rule in pair))
    with project.neovim({"ANTIPHON_APPROVAL": "ask"}) as editor:
        editor.edit("one.py")
        started(editor, goal)
        offered = editor.answer("Allow for this run")
        assert offered == ["Allow once", "Allow for this run", "Reject"]
        assert finished(editor, goal).message.startswith("completed: 3 merged")
        editor.until(editor.diagnostics, "a finding: the analyzer was allowed to run")


def test_what_is_wrong_is_said_in_the_editor(project: Project) -> None:
    project.write("menu.txt", crlf(*DISHES))
    with Neovim(project.home, project.root) as editor:
        editor.command("Antiphon anything")
        assert editor.messages() == "Open a file first: Antiphon starts with it"
        editor.edit("menu.txt")
        editor.command("Antiphon anything")
        editor.until(lambda: "no model is set" in editor.messages(), "the reason")


def test_cancel_ends_a_task_or_the_run(project: Project) -> None:
    project.write("menu.txt", crlf(*DISHES))
    first, second = "Improve the menu", "Take for ever"
    project.script(
        plan(first, "menu"),
        *works("menu", [edit("menu.txt", ("dish 03 🍜", "dish 03 🍲"))]),
        plan(second, "sleep", "dream"),
        hangs("sleep"),
        hangs("dream"),
    )
    with project.neovim() as editor:
        editor.edit("menu.txt")
        started(editor, first)
        finished(editor, first)
        started(editor, second)

        def begun() -> dict[str, str]:
            return {item.title: item.token for item in editor.progress() if item.kind == "begin"}

        wanted = {f"Antiphon task: See to {task}" for task in ("sleep", "dream")}
        editor.until(lambda: wanted <= begun().keys(), "both tasks at work")

        # A task by its progress token, as a progress plugin cancels it; the rest by the documented command.
        editor.lua(
            "vim.lsp.get_clients()[1]:notify('window/workDoneProgress/cancel', { token = ... })",
            begun()["Antiphon task: See to sleep"],
        )
        editor.until(
            lambda: (
                "cancelled" in [item.message for item in editor.progress() if item.title.endswith("sleep")]
            ),
            "the task to end",
        )
        assert not [item for item in of_run(editor, second) if item.kind == "end"]
        editor.command("AntiphonCancel")
        assert finished(editor, second).message.startswith("cancelled: 2 cancelled")
        kinds = [item.kind for item in editor.progress()]
        assert kinds.count("begin") == kinds.count("end")
        assert len(editor.lenses()) == 3, "the first run is still there to be reviewed"


def test_the_diff_is_shown_before_anything_is_decided(project: Project) -> None:
    goal = "Improve the menu"
    project.write("menu.txt", crlf(*DISHES))
    project.script(
        plan(goal, "menu"),
        *works("menu", [edit("menu.txt", ("dish 03 🍜\n", "dish 03 🍲\nbread 🥖\n"))]),
    )
    with project.neovim() as editor:
        editor.edit("menu.txt")
        started(editor, goal)
        finished(editor, goal)
        editor.command("AntiphonDiff")
        editor.until(lambda: editor.lua("return vim.bo.filetype") == "diff", "the diff's window")
        assert editor.text() == [
            "--- menu.txt",
            "+++ menu.txt",
            "@@ line 4, proposed @@",
            "-dish 03 🍜",
            "+dish 03 🍲",
            "+bread 🥖",
        ]
