"""What every parser raises for a text that is no edit of its format."""

from orchestration.errors import EditRefusedError


class MalformedEditError(EditRefusedError):
    """Raised by every parser when the text is no valid edit of its format: nothing of it is applied.

    `line` is the 1-based line of the text where it went wrong; `path` the file concerned, when known.
    """

    def __init__(self, message: str, *, line: int = 0, path: str = "") -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line
        self.path = path
