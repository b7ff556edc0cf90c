"""What is typed, picture by picture. Each takes an empty folder and gives the screen at its end."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.pictures.project import Project
from tests.pictures.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Picture:
    styled: str
    title: str
    columns: int


# The terminal's own background, and lenses that can be read in a small picture.
_COLOURS = "hi Normal guibg=NONE | hi LspCodeLens guifg=#a0a8c0"


def review_changes(folder: Path) -> Picture:
    """Four hunks: one rejected, one that the user has typed into, two open."""
    project = Project(folder)
    project.proposed()
    project.antiphon("reject", "latest", "--hunk", project.hunks()[0])
    project.replace("str(price / 100)", "str(round(price / 100, 2))")
    with Terminal(project.root, project.environment(), columns=96, rows=46) as terminal:
        terminal.run("antiphon changes latest")
        return Picture(terminal.styled(), "what a run proposes", 96)


def review_decide(folder: Path) -> Picture:
    """Accept, part of a hunk, undo."""
    project = Project(folder)
    project.proposed()
    first, second, _ = project.hunks()
    with Terminal(project.root, project.environment(), columns=96, rows=46) as terminal:
        terminal.run(f"antiphon accept latest --hunk {first}")
        terminal.run("antiphon changes latest --file prices.py --numbers")
        terminal.run(f"antiphon accept latest --hunk {second} --lines 1,4")
        terminal.run("antiphon changes latest --stat")
        terminal.run("antiphon undo latest")
        return Picture(terminal.styled(), "accept, in part, undo", 96)


def review_checkpoints(folder: Path) -> Picture:
    """The list, what a restore would do, and the restore."""
    project = Project(folder)
    project.proposed()
    project.antiphon("accept", "latest", "--all")
    project.replace("return sum(prices)", "return sum(prices)  # VAT is in")
    with Terminal(project.root, project.environment(), columns=96, rows=46) as terminal:
        terminal.run("antiphon checkpoints latest")
        terminal.run("antiphon restore latest.1 --file prices.py --dry-run")
        terminal.run("antiphon restore latest.1 --file prices.py")
        terminal.run("antiphon checkpoints latest")
        return Picture(terminal.styled(), "checkpoints", 96)


def review_editor(folder: Path) -> Picture:
    """Neovim: lenses at the hunks, one of which the user types into."""
    project = Project(folder)
    project.proposed()
    with Terminal(project.root, project.environment(), columns=104, rows=20) as terminal:
        terminal.type(f"nvim -u $HOME/init.lua --cmd 'set termguicolors' -c '{_COLOURS}' prices.py")
        terminal.key("Enter")
        terminal.wait(lambda screen: "Accept 3/3" in screen, "three lenses")
        terminal.type("16GA")
        terminal.type("  # or with a comma?")
        terminal.key("Escape")
        terminal.wait(lambda screen: "Conflict" in screen, "a conflict")
        return Picture(terminal.styled(), "Neovim", 104)


def _demo(folder: Path, columns: int, rows: int, enough: Callable[[str], bool]) -> str:
    project = Project(folder)
    with Terminal(project.root, project.environment(), columns=columns, rows=rows) as terminal:
        terminal.type("antiphon demo")
        terminal.key("Enter")
        terminal.wait(enough, "the demo")
        return terminal.styled()


def run_live(folder: Path) -> Picture:
    """The demo's run in the middle."""
    styled = _demo(folder, 104, 30, lambda screen: "3 of 6 merged" in screen)
    rows = styled.split("\n")
    first = max(number for number, row in enumerate(rows) if re.search(r"running", row) and "Make" in row)
    return Picture("\n".join(rows[first:]), "antiphon demo", 104)


def run_summary(folder: Path) -> Picture:
    """What a run ends with."""
    project = Project(folder)
    with Terminal(project.root, project.environment(), columns=104, rows=30) as terminal:
        terminal.run("antiphon run --plan-file ../plan.json")
        return Picture(terminal.styled(), "antiphon run", 104)


SCENES: Mapping[str, Callable[[Path], Picture]] = {
    "review-changes": review_changes,
    "review-decide": review_decide,
    "review-checkpoints": review_checkpoints,
    "review-editor": review_editor,
    "run-live": run_live,
    "run-summary": run_summary,
}
