"""Open documents under decisions, in a real Neovim: odd bytes, unsaved text, typing at the worst moment, names
that change, and decisions that come from elsewhere.
"""

from pathlib import Path

import pytest

from tests.e2e.command_line import Antiphon
from tests.e2e.neovim import Project
from tests.e2e.neovim.project import DISHES, SHOP, crlf, edit, plan, works
from tests.e2e.neovim.running import finished, started
from tests.exercises_test_support import run_exercise
from tests.model_server import ModelServer, Solver
from tests.model_server.exercises import copy_exercises, load_exercises

pytestmark = pytest.mark.timeout(90)
UNSAVED = ("mood-weather", "museum-labels", "seed-packets")
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


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


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
            editor.until(lambda: len(editor.lenses()) == 3, f"a hunk of {path}")
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
        editor.until(lambda: len(editor.lenses()) == 3, "the lenses")
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
        editor.until(lambda: [lens.line for lens in editor.lenses()] == [4] * 3, "the hunk, still open")
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
        editor.until(lambda: [lens.line for lens in editor.lenses()] == [4] * 3, "the hunk, open again")


def test_open_files_are_renamed_and_deleted_with_their_buffers(project: Project) -> None:
    goal = "Tidy up"
    project.write("menu.txt", crlf(*DISHES))
    project.write("old.txt", "old\n")
    tools = [("move_file", {"path": "menu.txt", "to": "food/menu.txt"}), ("delete_file", {"path": "old.txt"})]
    project.script(plan(goal, "tidy"), *works("tidy", tools))
    with project.neovim() as editor:
        editor.edit("old.txt")
        editor.edit("menu.txt")
        editor.type("Goclosed on Sundays<Esc>")
        started(editor, goal)
        finished(editor, goal)
        editor.until(
            lambda: [lens.title for lens in editor.lenses()][1:] == ["Reject", "Show diff"], "the lenses"
        )
        assert editor.screen().startswith("dish 00 🍜 Accept 1/1 (rename to ")

        # Not while there is something to lose.
        editor.run_lens(0, "Accept 1/1")
        editor.until(lambda: "menu.txt has unsaved changes" in editor.messages(), "the refusal")
        assert (project.root / "menu.txt").exists()
        editor.command("write")
        editor.run_action(0, r"Accept all \d+ changes of this run")
        moved, old = project.root / "food" / "menu.txt", project.root / "old.txt"
        editor.until(lambda: editor.buffers() == [moved], "the renamed buffer alone")
        assert moved.read_bytes() == crlf(*DISHES, "closed on Sundays")
        assert not (project.root / "menu.txt").exists()
        assert not old.exists()

        run = editor.lua("""
            local request = { command = "antiphon.server.run.list", arguments = { {} } }
            local answer = vim.lsp.get_clients()[1]:request_sync("workspace/executeCommand", request)
            return answer.result.runs[1].runId
        """)
        editor.lua(
            """
            local request = { command = "antiphon.server.changes.undo", arguments = { { runId = ... } } }
            vim.lsp.get_clients()[1]:request("workspace/executeCommand", request)
            """,
            run,
        )
        editor.until(lambda: editor.buffers() == [project.root / "menu.txt"], "the buffer's old name")
        editor.until(old.exists, "the deleted file")
        assert project.read("menu.txt") == crlf(*DISHES, "closed on Sundays")
        assert project.read("old.txt") == b"old\n"
        assert not moved.exists()


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
