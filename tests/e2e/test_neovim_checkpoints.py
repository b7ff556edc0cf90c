"""Checkpoints in Neovim: a restore changes open buffers, where `u` takes it back, and closed files on the disk."""

from pathlib import Path

import pytest

from tests.e2e.neovim import Project
from tests.e2e.neovim.project import DISHES, crlf, edit, plan, works

pytestmark = pytest.mark.timeout(90)
GOAL = "Improve the menu"


def test_a_restore_in_the_buffer_and_its_undo(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("menu.txt", crlf(*DISHES))
    project.write("closed.txt", "as it was\n")
    change = (f"{DISHES[3]}\n", "dish 03 🍲\n  with bread\n")
    project.script(plan(GOAL, "menu"), *works("menu", [edit("menu.txt", change)]))
    with project.neovim() as editor:
        editor.edit("menu.txt")
        editor.type("ggOtoday 🌍<Esc>")
        unsaved = editor.text()
        editor.type(f":Antiphon {GOAL}<CR>")
        editor.until(lambda: len(editor.lenses()) == 3, "three lenses")
        editor.run_lens(4, "Accept")
        editor.until(lambda: "  with bread" in editor.text(), "the accepted hunk")
        accepted = editor.text()
        project.write("closed.txt", "changed by a command of the user's\n")
        editor.lua("""
            vim.ui.select = function(items, options, choose)
              shown = vim.tbl_map(options.format_item, items)
              choose(items[#items])
            end
        """)
        editor.type(":AntiphonRestore<CR>")
        editor.until(lambda: editor.text() == unsaved, "the buffer as it was when the run began")
        editor.until(lambda: project.read("closed.txt") == b"as it was\n", "the closed file as it was")
        shown = editor.lua("return shown")
        assert [line[9:] for line in shown] == ["before accept menu.txt", f"before run {GOAL}"]
        editor.until(lambda: len(editor.lenses()) == 3, "the hunk to be proposed again")
        editor.type("u")
        editor.until(lambda: editor.text() == accepted, "the restore to be taken back by u")
        editor.until(lambda: not editor.lenses(), "the hunk to be accepted again")
        editor.type("<C-r>")
        editor.until(lambda: editor.text() == unsaved, "the redo")
        editor.command("write")
        assert project.read("menu.txt") == crlf("today 🌍", *DISHES)
        editor.quit()
