"""Questions to a person at a terminal. Waiting for the answer can be cancelled and holds no thread."""

import os
import select
from collections.abc import Mapping

import anyio

from server.terminal.lines import Piece
from server.terminal.terminal import Terminal


async def ask(terminal: Terminal, question: tuple[Piece, ...], answers: Mapping[str, str]) -> str | None:
    """One of `answers` (letter to meaning), or None at the end of input. The letter or the whole word counts."""
    choices = ", ".join(f"[{letter}] {meaning}" for letter, meaning in answers.items())
    while True:
        terminal.say(*question, ("  " + choices, "dim"))
        typed = await read_line(terminal)
        if typed is None:
            return None
        word = typed.strip().lower()
        for letter, meaning in answers.items():
            if word in {letter, meaning.lower()}:
                return letter
        terminal.say(("please answer with " + " or ".join(answers), "yellow"))


async def read_line(terminal: Terminal) -> str | None:
    """A line without its end; None at the end of input. The terminal is in line mode: Enter sends it."""
    descriptor = terminal.stdin.fileno()
    typed = b""
    while not typed.endswith(b"\n"):
        if not select.select([descriptor], [], [], 0)[0]:
            await anyio.wait_readable(descriptor)
        piece = os.read(descriptor, 4096)
        if not piece:
            return typed.decode("utf-8", "replace") if typed else None
        typed += piece
    return typed.decode("utf-8", "replace").rstrip("\r\n")
