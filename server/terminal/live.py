"""The board on a live screen: redrawn when something changed and once a second for the clocks."""

from typing import Any

from server.terminal.lines import Line
from server.terminal.terminal import Terminal


class LiveScreen:
    """Draws below the cursor and removes it again; `pause` gives the screen to a question."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._live: Any = None

    def draw(self, lines: list[Line]) -> None:
        from rich.live import Live  # with rich.text: only where a screen moves
        from rich.text import Text

        picture = Text("\n", no_wrap=True, overflow="crop").join(
            Text.assemble(*self._terminal.drawable(line)) for line in lines
        )
        if self._live is None:
            self._live = Live(
                picture,
                console=self._terminal.console(),
                auto_refresh=False,  # no thread: whoever draws, refreshes
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start()
        self._live.update(picture, refresh=True)

    def pause(self) -> None:
        """Removes the picture; the next `draw` begins below whatever was written meanwhile."""
        if self._live is not None:
            self._live.stop()
            self._live = None
