"""A user who types while three hunks of a file are open: above, inside and below them.

Accepts, rejects and undoes in mixed order, in a file with CR LF and emoji; at the end every byte is where it
belongs.
"""

from pathlib import Path

import pytest

from tests.e2e.neovim import Neovim, Project
from tests.e2e.neovim.project import DISHES, crlf, edit, plan, works

pytestmark = pytest.mark.timeout(90)
GOAL = "Improve the menu"
A = (["dish 03 🍜"], ["dish 03 🍲 of the day", "  with bread 🥖"])
B = (["dish 12 🍜", "dish 13 🍜"], ["dish 12 and 13 🍱"])
C = (["dish 22 🍜"], ["dish 22 🍜", "dish 22½ 🥟"])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write("menu.txt", crlf(*DISHES))
    edits = [
        ("".join(f"{line}\n" for line in old), "".join(f"{line}\n" for line in new)) for old, new in (A, B, C)
    ]
    project.script(plan(GOAL, "menu"), *works("menu", [edit("menu.txt", *edits)]))
    return project


def replaced(lines: list[str], *hunks: tuple[list[str], list[str]]) -> list[str]:
    """`lines` with the old lines of each hunk, which stand there once, replaced by its new ones."""
    for old, new in hunks:
        [at] = [n for n in range(len(lines)) if lines[n : n + len(old)] == old]
        lines = [*lines[:at], *new, *lines[at + len(old) :]]
    return lines


class Review:
    """One file under review in the editor."""

    def __init__(self, editor: Neovim) -> None:
        self.editor = editor

    def shows(self, *lenses: tuple[str, str]) -> None:
        """Waits until there are lenses at these lines of text and nowhere else; the second is the first lens."""

        def shown() -> list[tuple[str, str]]:
            text = self.editor.text()
            first: dict[int, str] = {}
            for lens in self.editor.lenses():
                first.setdefault(lens.line, lens.title)
            return [(text[line], title) for line, title in first.items() if line < len(text)]

        wanted = list(lenses)
        self.editor.until(
            lambda: (
                [
                    (text, title.startswith(start))
                    for (text, title), (_, start) in zip(shown(), wanted, strict=False)
                ]
                == [(text, True) for text, _ in wanted]
                and len(shown()) == len(wanted)
            ),
            f"lenses {wanted}",
        )

    def holds(self, lines: list[str]) -> None:
        self.editor.until(lambda: self.editor.text() == lines, f"the text\n{lines}")

    def line(self, text: str) -> int:
        return self.editor.text().index(text)

    def lens(self, text: str, title: str) -> None:
        self.editor.run_lens(self.line(text), title)

    def action(self, text: str, title: str) -> None:
        self.editor.run_action(self.line(text), title)


def test_typing_around_and_inside_open_hunks(project: Project) -> None:
    with project.neovim() as editor:
        editor.edit("menu.txt")
        editor.type(f":Antiphon {GOAL}<CR>")
        review = Review(editor)
        review.shows(("dish 03 🍜", "Accept 1/3"), ("dish 12 🍜", "Accept 2/3"), ("dish 23 🍜", "Accept 3/3"))

        # Above, inside and below: two hunks move, the one whose lines changed is a conflict.
        editor.type("ggO🌍 from everywhere<Esc>")
        editor.go_to(review.line("dish 12 🍜"))
        editor.type("A (hot 🌶)<Esc>")
        editor.type("Goclosed on Sundays<Esc>")
        typed = ["🌍 from everywhere", *DISHES, "closed on Sundays"]
        hot = ("dish 12 🍜", "dish 12 🍜 (hot 🌶)")
        typed[typed.index(hot[0])] = hot[1]
        review.holds(typed)
        review.shows(("dish 03 🍜", "Accept 1/3"), (hot[1], "Conflict: "), ("dish 23 🍜", "Accept 3/3"))
        conflict = next(line for line in editor.screen().splitlines() if line.startswith(hot[1]))
        assert (
            conflict == f"{hot[1]} Conflict: the lines were changed since the proposal · Reject | Show diff"
        )

        # The last one accepted, taken back by the editor's own undo, and offered again.
        review.lens("dish 23 🍜", "Accept 3/3")
        review.holds(replaced(typed, C))
        review.shows(("dish 03 🍜", "Accept 1/2"), (hot[1], "Conflict: "))
        editor.type("u")
        assert editor.text() == typed
        review.action("dish 23 🍜", "Undo the accepted change")
        review.shows(("dish 03 🍜", "Accept 1/3"), (hot[1], "Conflict: "), ("dish 23 🍜", "Accept 3/3"))

        # The first one accepted; typing above it again; the last one accepted below.
        review.action("dish 03 🍜", "Accept this change")
        review.holds(replaced(typed, A))
        review.shows((hot[1], "Conflict: "), ("dish 23 🍜", "Accept 2/2"))
        editor.type("ggOMENU 📜<Esc>")
        typed.insert(0, "MENU 📜")
        review.shows((hot[1], "Conflict: "), ("dish 23 🍜", "Accept 2/2"))
        review.lens("dish 23 🍜", "Accept 2/2")
        review.holds(replaced(typed, A, C))
        review.shows((hot[1], "Conflict: "))

        # The first decision taken back although the text went on: what came later stays.
        review.action("dish 03 🍲 of the day", "Undo the accepted change")
        review.holds(replaced(typed, C))
        review.shows(("dish 03 🍜", "Accept 1/2"), (hot[1], "Conflict: "))

        # The conflict is over once its lines are as they were, and back when they are not.
        editor.go_to(review.line(hot[1]))
        editor.type("f(hD<Esc>")
        typed[typed.index(hot[1])] = hot[0]
        review.shows(("dish 03 🍜", "Accept 1/2"), (hot[0], "Accept 2/2"))
        editor.type("A, again<Esc>")
        typed[typed.index(hot[0])] = again = "dish 12 🍜, again"
        review.shows(("dish 03 🍜", "Accept 1/2"), (again, "Conflict: "))
        review.lens(again, "Conflict: ")
        review.shows(("dish 03 🍜", "Accept 1/1"))

        # Accepted for good; undone and done again by the editor itself.
        review.lens("dish 03 🍜", "Accept 1/1")
        review.holds(replaced(typed, A, C))
        review.shows()
        editor.type("u")
        assert editor.text() == replaced(typed, C)
        editor.type("<C-r>")
        review.holds(replaced(typed, A, C))
        review.shows()
        assert project.read("menu.txt") == crlf(*DISHES)
        editor.command("write")
        assert project.read("menu.txt") == crlf(*replaced(typed, A, C))
        assert all(item.applied and item.version for item in editor.edits())
        editor.quit()
