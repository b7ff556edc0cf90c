"""The program at a real terminal: a pseudo-terminal whose screen is read as text and typed into."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.command_line import PROGRAM, Antiphon

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_])")
LIMIT_S = 60.0


class AtTerminal:
    """`text` is everything written so far without its escape sequences, `raw` with them."""

    def __init__(
        self,
        antiphon: Antiphon,
        *words: str | Path,
        cwd: Path | None = None,
        columns: int = 110,
        rows: int = 30,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {name: value for name, value in antiphon.environment().items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            [str(PROGRAM), *map(str, words)],
            cwd=cwd or antiphon.home,
            env={**environment, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", "LANG": "C.UTF-8"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - nothing else gives the child a controlling terminal
        )
        os.close(slave)
        self.raw = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    @property
    def text(self) -> str:
        return _ESCAPES.sub("", self.raw).replace("\r", "")

    def until(self, wanted: str) -> None:
        """Reads until `wanted` has been written."""
        self._read(lambda: wanted in self.text, f"{wanted!r} was never written")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Reads to the end and returns the exit code."""
        self._read(lambda: False, "it did not end", to_end=True)
        return self.process.wait(LIMIT_S)

    def _read(self, enough: Callable[[], bool], complaint: str, *, to_end: bool = False) -> None:
        limit = time.monotonic() + LIMIT_S
        while not enough():
            if time.monotonic() > limit:
                raise AssertionError(f"{complaint}:\n{self.text}")
            ready, _, _ = select.select([self._master], [], [], 0.5)
            if not ready:
                continue
            try:
                data = os.read(self._master, 65536)
            except OSError:  # Linux says EIO when the last writer is gone
                data = b""
            if not data:
                if to_end:
                    return
                raise AssertionError(f"{complaint} before the end:\n{self.text}")
            self.raw += data.decode("utf-8", "replace")


def _take_terminal() -> None:
    """Makes the pseudo-terminal the one that Ctrl-C reaches the process by."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
