"""A screen of a terminal as SVG, without anything that a viewer would have to fetch."""

import io
import re

from rich.console import Console
from rich.text import Text

# Fonts from the net, and the word of who drew it.
_FETCHED = re.compile(r"@font-face \{.*?\}\n|<!--.*?-->", re.DOTALL)


def svg(styled: str, *, title: str, columns: int, name: str) -> str:
    """`styled`: the screen's lines with their escape sequences. `name` makes the ids of its parts unique."""
    rows = styled.rstrip("\n").split("\n")
    while rows and not Text.from_ansi(rows[-1]).plain.strip():
        rows.pop()
    console = Console(
        record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    # As one text: a style goes on over the end of a line.
    console.print(Text.from_ansi("\n".join(rows)), soft_wrap=True)
    drawn = console.export_svg(title=title, unique_id=name)
    return "\n".join(line.rstrip() for line in _FETCHED.sub("", drawn).splitlines()) + "\n"
