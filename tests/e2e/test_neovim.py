"""The main loop in an editor without a plugin: a real Neovim, configured as `docs/editors.md` says.

A run from its goal to reviewed bytes on disk: progress, diagnostics, lenses, accept, reject, undo, cancel.
"""

from pathlib import Path

import pytest

from tests.e2e.command_line import Antiphon
from tests.e2e.neovim import Neovim, Progress, Project
from tests.e2e.neovim.project import edit, hangs, plan, works
from tests.exercises_test_support import run_exercise
from tests.model_server import ModelServer, Solver
from tests.model_server.exercises import copy_exercises, load_exercises

pytestmark = pytest.mark.timeout(90)
DISHES = [f"dish {number:02} 🍜" for number in range(30)]
UNSAVED = ("mood-weather", "museum-labels", "seed-packets")
SHOP = 'import json\n\n\ndef prices() -> str:\n    return json.dumps({"soup": 4})\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def crlf(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


def started(editor: Neovim, goal: str) -> None:
    editor.type(f":Antiphon {goal}<CR>")


def of_run(editor: Neovim, goal: str) -> list[Progress]:
    return [item for item in editor.progress() if item.title == f"Antiphon: {goal}"]


def finished(editor: Neovim, goal: str) -> Progress:
    """Returns the last word of the run's progress."""

    def last() -> Progress | None:
        return next((item for item in of_run(editor, goal) if item.kind == "end"), None)

    found = editor.until(last, f"the end of {goal!r}")
    assert found is not None
    return found


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
        *works("shop", [edit("shop.py", ("import json\n", "import json\nimport os\n"))], delay_s=0.3),
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
        editor.until(lambda: len(editor.lenses()) == 6, "lenses of three hunks")
        shown = editor.screen().splitlines()
        assert shown[3] == "dish 03 🍜 Accept 1/3 (+1 -1) | Reject"
        assert shown[15] == "dish 15 🍜 Accept 2/3 (+1 -0) | Reject"
        assert shown[25] == "dish 25 🍜 Accept 3/3 (+0 -1) | Reject"

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
        editor.until(lambda: "\n".join([*editor.text(), ""]) == SHOP, "the fixed text")
        editor.until(lambda: not editor.diagnostics(), "the finding to go")
        assert project.read("shop.py") == SHOP.encode(), "an open document changes in its buffer only"

        # One hunk accepted by lens, one rejected by code action.
        editor.edit("menu.txt")
        editor.run_lens(3, "Accept 1/3")
        editor.until(lambda: editor.text()[3] == "dish 03 🍲 of the day", "the accepted hunk")
        editor.until(lambda: [lens.line for lens in editor.lenses()] == [15, 15, 25, 25], "two hunks left")
        offered = editor.run_action(15, "Reject this change")
        assert "Accept this change: +1 -0 lines" in offered
        assert "Accept all 2 changes in this file" in offered
        editor.until(lambda: [lens.line for lens in editor.lenses()] == [25, 25], "one hunk left")

        # Undo is the editor's own; the hunk can be accepted again.
        editor.type("u")
        assert editor.text() == DISHES
        assert not editor.modified()
        editor.run_action(3, "Undo the accepted change")
        editor.until(lambda: [lens.line for lens in editor.lenses()] == [3, 3, 25, 25], "the hunk back")
        editor.run_lens(3, "Accept 1/2")
        editor.until(lambda: editor.text()[3] == "dish 03 🍲 of the day", "the hunk accepted again")
        assert all(item.applied and item.version is not None for item in editor.edits())
        assert project.read("menu.txt") == crlf(*DISHES)
        editor.command("write")
        wanted = [*DISHES[:3], "dish 03 🍲 of the day", *DISHES[4:]]
        assert project.read("menu.txt") == crlf(*wanted)

        # The rest at once: the open document through its buffer, the new file on disk.
        editor.until(lambda: len(editor.lenses()) == 2, "one hunk left")
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
        assert len(editor.lenses()) == 2, "the first run is still there to be reviewed"


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


ODD = {
    "append.txt": (
        b"one\r\ntwo\r\n",
        ("two\n", "two\nthree 🎏\n"),
        b"one\r\ntwo\r\nthree \xf0\x9f\x8e\x8f\r\n",
    ),
    "cut.txt": (b"one\ntwo\n", ("two\n", ""), b"one\n"),
    "mark.txt": (b"\xef\xbb\xbfone\ntwo\n", ("one\n", "uno\n"), b"\xef\xbb\xbfuno\ntwo\n"),
    "mixed.txt": (b"one\r\ntwo\nthree\r\n", ("two\n", "two\n2\n"), b"one\r\ntwo\n2\nthree\r\n"),
    "open end.txt": (b"one\ntwo", ("two", "two\nthree"), b"one\ntwo\nthree\n"),
    "wide.txt": ("é🍜é\n".encode(), ("é🍜é", "é🍜ü🥖é"), "é🍜ü🥖é\n".encode()),
}
"""Before, the edit, and after `:write`: Neovim itself gives every file a final newline."""


def test_bytes_of_odd_files(project: Project) -> None:
    goal = "Mend the odd ones"
    for path, (before, _, _) in ODD.items():
        project.write(path, before)
    edits = [edit(path, change) for path, (_, change, _) in ODD.items()]
    project.script(plan(goal, "odd"), *works("odd", edits))
    with project.neovim() as editor:
        for path in ODD:
            editor.edit(path)
        started(editor, goal)
        finished(editor, goal)
        for path, (before, _, after) in ODD.items():
            editor.edit(path)
            editor.until(lambda: len(editor.lenses()) == 2, f"a hunk of {path}")
            line = editor.lenses()[0].line
            assert line < len(editor.text()), "a lens behind the text cannot be seen"
            editor.run_lens(line, "Accept 1/1")
            editor.until(lambda: not editor.lenses(), f"the decision on {path}")
            assert project.read(path) == before
            editor.command("write")
            assert project.read(path) == after


@pytest.mark.parametrize("typed_before", [False, True], ids=["first version", "later version"])
def test_typing_while_an_edit_is_on_its_way(project: Project, typed_before: bool) -> None:
    goal = "Improve the menu"
    project.write("menu.txt", crlf(*DISHES))
    project.script(plan(goal, "menu"), *works("menu", [edit("menu.txt", ("dish 03 🍜", "dish 03 🍲"))]))
    with project.neovim() as editor:
        editor.edit("menu.txt")
        started(editor, goal)
        finished(editor, goal)
        text = [*DISHES]
        if typed_before:
            editor.type("Goclosed on Sundays<Esc>")
            text.append("closed on Sundays")
        editor.until(lambda: len(editor.lenses()) == 2, "the lenses")
        # The user is faster than the edit by one line.
        editor.lua("""
            local apply = vim.lsp.handlers["workspace/applyEdit"]
            vim.lsp.handlers["workspace/applyEdit"] = function(...)
              vim.lsp.handlers["workspace/applyEdit"] = apply
              vim.api.nvim_buf_set_lines(0, 0, 0, true, { "typed meanwhile" })
              return apply(...)
            end
        """)
        editor.run_lens(3, "Accept 1/1")
        text.insert(0, "typed meanwhile")
        editor.until(lambda: "changed in the editor" in editor.messages(), "the refusal")
        assert editor.text() == text, "the edit is not applied to another line"
        editor.command("lua vim.lsp.codelens.refresh()")
        editor.until(lambda: [lens.line for lens in editor.lenses()] == [4, 4], "the hunk, still open")
        editor.run_lens(4, "Accept 1/1")
        editor.until(lambda: editor.text() == [*text[:4], "dish 03 🍲", *text[5:]], "the accepted hunk")


def test_a_decision_from_the_command_line_goes_through_the_editor(project: Project) -> None:
    goal = "Improve the menu"
    project.write("menu.txt", crlf(*DISHES))
    project.write("shop.py", SHOP)
    project.script(
        plan(goal, "both"),
        *works(
            "both",
            [
                edit("menu.txt", ("dish 03 🍜", "dish 03 🍲")),
                edit("shop.py", ("import json\n", "import json as j\n")),
            ],
        ),
    )
    with project.neovim() as editor:
        editor.edit("menu.txt")
        started(editor, goal)
        finished(editor, goal)
        editor.until(editor.lenses, "the lenses")
        run = editor.lenses()[0].arguments["runId"]
        editor.type("ggOtyped, not saved<Esc>")
        antiphon = Antiphon(project.home, editor.environment())

        accepted = antiphon("accept", run, "--all", "--workspace", project.root)
        assert accepted.code == 0, accepted
        assert editor.text() == ["typed, not saved", *DISHES[:3], "dish 03 🍲", *DISHES[4:]]
        assert project.read("menu.txt") == crlf(*DISHES), "nobody writes beneath an open document"
        assert project.read("shop.py") == SHOP.replace("import json", "import json as j").encode()

        undone = antiphon("undo", run, "--workspace", project.root)
        assert undone.code == 0, undone
        assert editor.text() == ["typed, not saved", *DISHES]
        assert project.read("shop.py") == SHOP.encode()
        editor.until(lambda: [lens.line for lens in editor.lenses()] == [4, 4], "the hunk, open again")


def test_three_unsaved_documents_while_a_run_goes(project: Project) -> None:
    exercises = [item for item in load_exercises() if item.name in {*UNSAVED, "unit-shim"}]
    copy_exercises(project.root, exercises)
    open_files = [f"{name}/{name.replace('-', '_')}.py" for name in UNSAVED]
    before = {path: project.read(path) for path in open_files}
    with (
        ModelServer(Solver(exercises), api_key="k") as model,
        project.neovim(
            {
                "ANTIPHON_MODEL": "openai/test-model",
                "OPENAI_BASE_URL": model.base_url,
                "OPENAI_API_KEY": "k",
            }
        ) as editor,
    ):
        for path in open_files:
            editor.edit(path)
            editor.type("Go# typed, not saved 🖊<Esc>")
        started(editor, "Solve the exercises")
        assert finished(editor, "Solve the exercises").message.startswith("completed: 4 merged")

        # What was typed is part of the base: the hunks fit, and accepting them leaves it alone.
        editor.until(editor.lenses, "lenses")
        editor.run_action(editor.lenses()[0].line, r"Accept all \d+ changes of this run")
        moved = project.root / "unit-shim" / "unit_shim" / "conversions.py"
        editor.until(moved.exists, "the renamed file on disk")
        wanted = {}
        for exercise, path in zip(exercises, open_files, strict=False):
            solved = exercise.solution[path.partition("/")[2]].decode("utf-8-sig").splitlines()
            wanted[path] = [*solved, "# typed, not saved 🖊"]
        editor.until(lambda: {path: editor.text(path) for path in wanted} == wanted, "the accepted texts")
        assert all(editor.modified(path) for path in wanted)
        assert {path: project.read(path) for path in open_files} == before, (
            "nothing is written beneath a buffer"
        )
        editor.command("wall")
        for exercise in exercises:
            done = run_exercise(exercise, project.root)
            assert done.passed, done.output
