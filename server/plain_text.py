"""Text from models and files, fit for menus, messages and progress lines of an editor: inert and short."""

from server.terminal.inert import inert, inert_lines


def one_line(text: str, limit: int) -> str:
    """At most `limit` characters; line breaks become blanks."""
    return _short(inert(" ".join(text.split())), limit)


def several_lines(text: str, limit: int) -> str:
    return _short("\n".join(inert_lines(text)), limit)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
