"""Splits a command line into plain words, or says why it is more than that. Pure; nothing is expanded.

What passes here means the same to every POSIX shell: words joined by `&&`, `||`, `;` and `|`. Whatever a
shell would expand, redirect, substitute, background or continue on another line does not pass.
"""

import unicodedata
from typing import NamedTuple

_LONGEST = 4096
_REASONS = {
    "$": "an expansion", "`": "a command substitution", "<": "a redirect", ">": "a redirect", "(": "a subshell",
    ")": "a subshell", "{": "a group or brace expansion", "}": "a group or brace expansion", "*": "a wildcard",
    "?": "a wildcard", "[": "a wildcard", "]": "a wildcard", "~": "a home folder expansion", "#": "a comment",
    "!": "a history expansion or negation", "\\": "an escape", "\n": "several lines", "\r": "several lines",
    "%": "a job", "^": "a history expansion",
}  # fmt: skip
_IN_DOUBLE_QUOTES = {"$", "`", "\\", "!"}


class NotPlainError(Exception):
    """Why a command line is more than plain words."""


class Step(NamedTuple):
    """`joined` is the operator before it: "", "&&", "||", ";" or "|"."""

    joined: str
    argv: tuple[str, ...]


def split(command: str) -> list[Step]:
    """Raises NotPlainError."""
    if len(command) > _LONGEST:
        raise NotPlainError("it is very long")
    for char in command:
        if char not in "\n\r\t" and unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
            raise NotPlainError("it holds characters that cannot be seen")
    steps: list[Step] = []
    joined, words, at = "", list[str](), 0
    while at < len(command):
        operator = _operator(command, at)
        if operator:
            steps.append(_step(joined, words))
            joined, words = operator, []
            at += len(operator)
        elif command[at] in " \t":
            at += 1
        else:
            word, at = _word(command, at)
            words.append(word)
    if joined == ";" and not words:  # a closing semicolon
        return steps
    steps.append(_step(joined, words))
    return steps


def _step(joined: str, words: list[str]) -> Step:
    if not words:
        raise NotPlainError("a part of it is empty")
    return Step(joined, tuple(words))


def _operator(command: str, at: int) -> str:
    pair = command[at : at + 2]
    if pair in {"&&", "||"}:
        return pair
    if pair in {";;", "|&"}:
        raise NotPlainError("it is not a plain list of commands")
    char = command[at]
    if char == "&":
        raise NotPlainError("it starts something in the background")
    return char if char in ";|" else ""


def _word(command: str, at: int) -> tuple[str, int]:
    out: list[str] = []
    while at < len(command) and command[at] not in " \t;|&":
        char = command[at]
        if char in "'\"":
            end = command.find(char, at + 1)
            if end < 0:
                raise NotPlainError("a quote is not closed")
            inside = command[at + 1 : end]
            special = next((c for c in inside if c in _IN_DOUBLE_QUOTES), None) if char == '"' else None
            if special is not None:
                raise NotPlainError(f"it holds {_REASONS[special]}")
            out.append(inside)
            at = end + 1
            continue
        if char in _REASONS and not (char in "#%^" and out) and not (char == "~" and out):
            raise NotPlainError(f"it holds {_REASONS[char]}")
        out.append(char)
        at += 1
    return "".join(out), at
