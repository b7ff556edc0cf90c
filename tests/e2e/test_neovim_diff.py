"""*Show diff* in Neovim: a document of the server's in the window, which follows the review."""

from pathlib import Path

import pytest

from tests.e2e.neovim import Project
from tests.e2e.neovim.project import edit, plan, works

pytestmark = pytest.mark.timeout(90)
GOAL = "Improve the menu"
DISHES = [f"dish {number} 🍜" for number in range(9)]
DIFF = """\
--- menu.txt
+++ menu.txt
@@ -1,5 +1,6 @@
 dish 0 🍜
-dish 1 🍜
+dish 1 🍲
+  with bread
 dish 2 🍜
 dish 3 🍜
 dish 4 🍜
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write("menu.txt", "".join(f"{line}\r\n" for line in DISHES))
    change = ("dish 1 🍜\n", "dish 1 🍲\n  with bread\n")
    project.script(plan(GOAL, "menu"), *works("menu", [edit("menu.txt", change)]))
    return project


def test_the_diff_of_a_hunk(project: Project) -> None:
    with project.neovim() as editor:
        editor.edit("menu.txt")
        editor.type(f":Antiphon {GOAL}<CR>")
        editor.until(lambda: len(editor.lenses()) == 3, "three lenses")
        editor.run_lens(1, "Show diff")
        editor.until(lambda: "\n".join(editor.text()) == DIFF, f"the diff\n{DIFF}")
        name = editor.lua("return vim.api.nvim_buf_get_name(0)")
        assert name.startswith("antiphon://run-")
        assert "/diff/menu.txt.diff?hunk=" in name
        assert editor.lua("return vim.bo.filetype") == "diff"
        assert not editor.modified()

        # What is typed in the file is in the diff that still stands beside it.
        editor.command("split menu.txt")
        editor.type("ggOtoday 🌍<Esc>")
        number = editor.lua("return vim.fn.bufnr(...)", name)
        typed = DIFF.replace("@@ -1,5 +1,6 @@\n", "@@ -1,6 +1,7 @@\n today 🌍\n")

        def beside() -> str:
            lines: list[str] = editor.lua("return vim.api.nvim_buf_get_lines(..., 0, -1, true)", number)
            return "\n".join(lines)

        editor.until(lambda: beside() == typed, f"the diff\n{typed}")
        editor.quit()
