"""What one `.gitignore` (or exclude file) says of a path. Pure: reading the files is `user_repository.py`.

The last rule that matches decides. Rules that are plain names, plain paths or `*.suffix` are looked up,
only the others cost a regular expression, so that ten thousand files take milliseconds.
"""

import os
import re
from typing import NamedTuple

from orchestration.workspace.wildmatch import compile_pattern

_SPECIAL = re.compile(rb"[*?\[\\]")


class _Rule(NamedTuple):
    order: int
    negated: bool
    folders_only: bool


class IgnoreFile:
    """Rules relative to one folder, `base` ("" is the root, else it ends with `/`). Paths given to `match`
    begin with the base.
    """

    def __init__(self, text: bytes, base: str = "") -> None:
        self.base = base
        self.text = text
        self._names: dict[str, list[_Rule]] = {}
        self._paths: dict[str, list[_Rule]] = {}
        self._suffixes: dict[str, list[tuple[str, _Rule]]] = {}
        self._name_patterns: list[tuple[re.Pattern[bytes], _Rule]] = []
        self._path_patterns: list[tuple[re.Pattern[bytes], _Rule]] = []
        self.empty = True
        for order, line in enumerate(text.removeprefix(b"\xef\xbb\xbf").split(b"\n")):
            self._add(order, line)

    def _add(self, order: int, line: bytes) -> None:
        line = _trimmed(line.removesuffix(b"\r"))
        if not line or line.startswith(b"#"):
            return
        negated = line.startswith(b"!")
        pattern = line[1:] if negated else line
        folders_only = pattern.endswith(b"/")
        pattern = pattern.removesuffix(b"/")
        if not pattern:
            return
        self.empty = False
        rule = _Rule(order, negated, folders_only)
        if b"/" in pattern:
            self._add_path(pattern.removeprefix(b"/"), rule)
        else:
            self._add_name(pattern, rule)

    def _add_path(self, pattern: bytes, rule: _Rule) -> None:
        if not _SPECIAL.search(pattern):
            self._paths.setdefault(os.fsdecode(pattern), []).append(rule)
        elif compiled := compile_pattern(pattern):
            self._path_patterns.append((compiled, rule))

    def _add_name(self, pattern: bytes, rule: _Rule) -> None:
        rest = pattern[1:]
        if not _SPECIAL.search(pattern):
            self._names.setdefault(os.fsdecode(pattern), []).append(rule)
        elif pattern.startswith(b"*.") and not _SPECIAL.search(rest):
            suffix = os.fsdecode(rest)
            self._suffixes.setdefault(suffix.rpartition(".")[2], []).append((suffix, rule))
        elif compiled := compile_pattern(pattern):
            self._name_patterns.append((compiled, rule))

    def match(self, path: str, name: str, *, is_folder: bool) -> bool | None:
        """True: ignored; False: taken in again; None: nothing is said. Parents are not considered."""
        best = _Rule(-1, negated=True, folders_only=False)
        rules = list(self._names.get(name, ()))
        relative = path[len(self.base) :]
        if self._paths:
            rules += self._paths.get(relative, ())
        rules += [
            rule for suffix, rule in self._suffixes.get(name.rpartition(".")[2], ()) if name.endswith(suffix)
        ]
        if self._name_patterns:
            raw = os.fsencode(name)
            rules += [rule for pattern, rule in self._name_patterns if pattern.fullmatch(raw)]
        if self._path_patterns:
            raw = os.fsencode(relative)
            rules += [rule for pattern, rule in self._path_patterns if pattern.fullmatch(raw)]
        for rule in rules:
            if rule.order > best.order and (is_folder or not rule.folders_only):
                best = rule
        return None if best.order < 0 else not best.negated


def _trimmed(line: bytes) -> bytes:
    """Without trailing blanks, except one that a backslash keeps."""
    kept = line.rstrip(b" ")
    backslashes = len(kept) - len(kept.rstrip(b"\\"))
    return kept + b" " if backslashes % 2 and len(kept) < len(line) else kept


class IgnoreChain:
    """The rules that hold in a folder: its own file's first, then its parents', then the general ones."""

    def __init__(self, files: tuple[IgnoreFile, ...], outer: str = "") -> None:
        """`files` by rank, the strongest last; `outer`: where the workspace lies in its repository."""
        self.files = files
        self._strongest_first = files[::-1]
        self.outer = outer

    def with_file(self, text: bytes, folder: str) -> "IgnoreChain":
        """`folder` relative to the workspace, "" or ending with `/`."""
        made = IgnoreFile(text, self.outer + folder)
        return self if made.empty else IgnoreChain((*self.files, made), self.outer)

    def ignores(self, path: str, name: str, *, is_folder: bool) -> bool:
        for file in self._strongest_first:
            verdict = file.match(self.outer + path, name, is_folder=is_folder)
            if verdict is not None:
                return verdict
        return False
