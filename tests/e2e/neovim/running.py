"""Runs as a user starts and watches them in Neovim."""

from tests.e2e.neovim.editor import Neovim
from tests.e2e.neovim.recorded import Progress


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
