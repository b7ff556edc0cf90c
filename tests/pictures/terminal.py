"""A terminal of tmux: a shell in it, typed into as a person does."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

WITHIN_S = 60.0
_PROMPT = "$ "


class NoTerminalError(RuntimeError):
    """Raised when this machine has no tmux."""


class Terminal:
    """A context manager. `environment` is all that the shell gets."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, columns: int, rows: int) -> None:
        program = shutil.which("tmux")
        if program is None:
            raise NoTerminalError("the pictures are taken in a terminal of tmux, which is not installed")
        self._sockets = Path(tempfile.mkdtemp(prefix="pictures-"))
        self._tmux = [program, "-S", str(self._sockets / "tmux"), "-f", "/dev/null"]
        self._folder = folder
        self._environment = {**environment, "TERM": "xterm-256color", "PS1": _PROMPT, "LC_ALL": "C.UTF-8"}
        self._size = ("-x", str(columns), "-y", str(rows))

    def __enter__(self) -> Self:
        started = ["new-session", "-d", *self._size, "-c", str(self._folder), "/bin/sh", "-i"]
        options = (
            "set -g default-terminal tmux-256color",
            "set -g status off",
            "set -ga terminal-overrides ,*:Tc",
        )
        # In one go: the session must have these from its start on.
        words = [word for option in options for word in (*option.split(), ";")]
        subprocess.run([*self._tmux, *words, *started], env=self._environment, check=True)
        self.wait(lambda screen: screen.strip() == _PROMPT.strip(), "the shell's prompt")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)
        shutil.rmtree(self._sockets, ignore_errors=True)

    def run(self, command: str) -> None:
        """Types a command and waits until the prompt is back."""
        before = self.screen().count(_PROMPT)
        self.type(command)
        self.key("Enter")
        self.wait(
            lambda screen: screen.count(_PROMPT) > before and screen.rstrip().endswith(_PROMPT.strip()),
            f"the end of {command!r}",
        )

    def clear(self) -> None:
        self.key("C-l")
        self.wait(lambda screen: screen.strip() == _PROMPT.strip(), "a clear screen")

    def type(self, text: str) -> None:
        subprocess.run([*self._tmux, "send-keys", "-l", text], check=True)

    def key(self, *names: str) -> None:
        subprocess.run([*self._tmux, "send-keys", *names], check=True)

    def screen(self) -> str:
        """Its text, without styles."""
        return self._captured()

    def styled(self) -> str:
        """Its text with the escape sequences of colours and weights."""
        return self._captured("-e")

    def wait(self, enough: Callable[[str], bool], what: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not enough(screen := self.screen()):
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {WITHIN_S:g} s for {what}:\n{screen}")
            time.sleep(0.05)

    def _captured(self, *options: str) -> str:
        done = subprocess.run(
            [*self._tmux, "capture-pane", "-p", *options], capture_output=True, text=True, check=True
        )
        return done.stdout
