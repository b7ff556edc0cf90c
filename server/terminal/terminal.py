"""The way out: lines for people or JSON lines for programs, on standard output; remarks on standard error.

A reader that went away (`antiphon runs | head -1`) is no error: output stops, the command goes on to its
own end, and `closed` tells those who would rather stop early.
"""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from server.terminal.lines import Line, Piece, line, plain

_FALLBACK_COLUMNS = 400  # for a file or a program: nothing is broken and hardly anything cut
_PLAIN_FORMS = str.maketrans("·…│", "-~|")  # our own ornaments, as wide as before


class Terminal:
    """`json`: only `emit` writes to standard output. `interactive`: a person can be asked. `animated`: the
    screen may be redrawn.
    """

    def __init__(
        self,
        *,
        stdin: TextIO,
        stdout: TextIO,
        stderr: TextIO,
        environ: Mapping[str, str],
        json_lines: bool = False,
        no_color: bool = False,
    ) -> None:
        self.stdin = stdin
        self.json = json_lines
        self.closed = False
        self._out = stdout
        self._error = stderr
        drawn = _is_terminal(stdout) and environ.get("TERM") != "dumb"
        self.color = drawn and not no_color and not environ.get("NO_COLOR")
        self.animated = drawn and not json_lines
        self.interactive = not json_lines and _is_terminal(stdin) and _is_terminal(stdout)
        self.unicode = "utf" in (stdout.encoding or "").lower()
        self._console: Any = None

    @property
    def columns(self) -> int:
        return self._size()[0]

    @property
    def rows(self) -> int:
        return self._size()[1]

    def say(self, *pieces: Piece) -> None:
        """One line for people."""
        self.lines([line(*pieces)])

    def lines(self, drawn: Iterable[Line]) -> None:
        if self.json:
            return
        for one in drawn:
            if self.color:
                self._print(one)
            else:
                self._write(plain(one) + "\n")

    def emit(self, value: object) -> None:
        """One JSON line for programs; nothing without `--json`."""
        if self.json:
            self.emit_raw(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def emit_raw(self, body: str) -> None:
        """A line that is JSON already, written and flushed whole."""
        self._write(body + "\n")

    def remark(self, *pieces: Piece) -> None:
        """One line on standard error, for warnings and errors."""
        try:
            self._error.write(self._encodable(plain(line(*pieces)), self._error) + "\n")
            self._error.flush()
        except (BrokenPipeError, OSError, ValueError):
            return  # nobody reads our remarks, and there is nowhere else to say so

    def drawable(self, drawn: Line) -> Line:
        """The line with what this terminal's encoding has no place for escaped."""
        if self.unicode:
            return drawn
        return tuple((self._encodable(text, self._out), style) for text, style in drawn)

    def console(self) -> Any:
        """The rich console, made when something is drawn in colour or moves."""
        if self._console is None:
            from rich.console import Console  # 45 ms that `--json` and pipes do not pay

            self._console = Console(
                file=self._out, markup=False, highlight=False, emoji=False, no_color=not self.color
            )
        return self._console

    def _print(self, drawn: Line) -> None:
        from rich.text import Text

        if self.closed:
            return
        try:
            self.console().print(Text.assemble(*self.drawable(drawn)), soft_wrap=True)
            self._out.flush()
        except BrokenPipeError:
            self._gone()

    def _write(self, text: str) -> None:
        if self.closed:
            return
        try:
            self._out.write(self._encodable(text, self._out))
            self._out.flush()
        except BrokenPipeError:
            self._gone()

    def _gone(self) -> None:
        """Whatever is still buffered must not raise again when Python flushes at exit."""
        self.closed = True
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._out.fileno())
        os.close(null)

    def _size(self) -> tuple[int, int]:
        try:
            found = os.get_terminal_size(self._out.fileno())
        except (OSError, ValueError):
            return _FALLBACK_COLUMNS, 40
        return (found.columns or _FALLBACK_COLUMNS), (found.lines or 40)

    @staticmethod
    def _encodable(text: str, stream: TextIO) -> str:
        encoding = stream.encoding or "ascii"
        if "utf" not in encoding.lower():
            text = text.translate(_PLAIN_FORMS)
        return text.encode(encoding, "backslashreplace").decode(encoding)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed before we started
        return False
