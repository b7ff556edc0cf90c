"""Fenced SEARCH/REPLACE blocks in a model's text, each under the name of its file.

    path/of/file.py
    ```python
    <<<<<<< SEARCH
    lines to find
    =======
    lines to put there
    >>>>>>> REPLACE
    ```

The markers bound a block, not the fence, so content may hold fences. A divider in place of the REPLACE
marker closes a block when nothing but the fence follows. A block that is cut off, that holds a marker
where none can be, or that has no file name makes the whole text malformed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestration.edits.model import FileEdit, TextReplacement
from orchestration.edits.parse.malformed import MalformedEditError

_OPEN = re.compile(r"([ \t]*)(<{5,9}) SEARCH>?[ \t]*\Z")
_CLOSE = re.compile(r"[ \t]*>{5,9} REPLACE[ \t]*\Z")
_DIVIDER = re.compile(r"[ \t]*(={5,9})[ \t]*\Z")
_FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,}|</?(?:source|code|pre|codeblock)>)[ \t]*([^\s`]*)[ \t]*([^`]*)\Z")
_LABEL = re.compile(r"(?:\*\*)?(?:file|file ?name|file ?path|path)(?:\*\*)?[ \t]*:[ \t]*", re.IGNORECASE)
_PATH = re.compile(r"(?!.*://)[^\s`'\"<>|*?:]+(?: [^\s`'\"<>|*?:]+)*\Z")


def first_block(lines: Sequence[str]) -> int | None:
    """The line where a block begins, if any."""
    return next((at for at, line in enumerate(lines) if _OPEN.match(line.removesuffix("\r"))), None)


def parse_search_replace(text: str) -> list[FileEdit]:
    """The edits in the order of the text. Raises MalformedEditError."""
    return _Parser(_lines(text)).run()


def _lines(text: str) -> list[str]:
    return [line.removesuffix("\r") for line in text.split("\n")]


@dataclass(slots=True)
class _Parser:
    lines: list[str]
    at: int = 0
    path: str = ""

    def run(self) -> list[FileEdit]:
        edits: list[FileEdit] = []
        since = 0
        while self.at < len(self.lines):
            opener = _OPEN.match(self.lines[self.at])
            if opener is None:
                if _CLOSE.match(self.lines[self.at]):
                    raise self._malformed("a REPLACE marker without a block above it")
                self.at += 1
                continue
            self.path = self._name(since) or self.path
            if not self.path:
                raise self._malformed("no file name above the block; put the file's path on a line before it")
            start = self.at
            block = self._block(len(opener[2]))
            if edits and edits[-1].path == self.path:
                # One edit for blocks in a row, so that their file is read and written once.
                edits[-1] = replace(edits[-1], replacements=(*edits[-1].replacements, block))
            else:
                edits.append(FileEdit(path=self.path, action="update", replacements=(block,), at=start + 1))
            since = self.at
        if not edits:
            raise MalformedEditError("no SEARCH/REPLACE block in the text")
        return edits

    def _malformed(self, message: str, at: int | None = None) -> MalformedEditError:
        return MalformedEditError(message, line=(self.at if at is None else at) + 1, path=self.path)

    def _block(self, width: int) -> TextReplacement:
        """The block that opens at the present line; leaves `at` behind it."""
        start = self.at
        closed = self._end(start)
        dividers = [at for at in range(start + 1, closed) if _DIVIDER.match(self.lines[at])]
        own = [at for at in dividers if len(self.lines[at].strip()) == width] or dividers
        if closed == len(self.lines) or not _CLOSE.match(self.lines[closed]):
            closed = self._closed_by_divider(start, own)
            own = own[:1]
        if not own:
            raise self._malformed("the block has no ======= line between SEARCH and REPLACE", start)
        if len(own) > 1:
            raise self._malformed(
                "the block has more than one ======= line, so its two halves cannot be told apart; "
                "leave such lines out of the search and of the replacement, or send the edit as a patch",
                own[1],
            )
        self.at = closed + 1
        return TextReplacement(
            search="".join(line + "\n" for line in self.lines[start + 1 : own[0]]),
            replace="".join(line + "\n" for line in self.lines[own[0] + 1 : closed]),
            whole_lines=True,
            at=start + 1,
        )

    def _end(self, start: int) -> int:
        """The line of the REPLACE marker, or where the block ends without one."""
        for at in range(start + 1, len(self.lines)):
            if _CLOSE.match(self.lines[at]) or _OPEN.match(self.lines[at]):
                return at
        return len(self.lines)

    def _closed_by_divider(self, start: int, dividers: list[int]) -> int:
        """A second divider with nothing but a fence after it stands for the REPLACE marker."""
        if len(dividers) < 2:
            missing = ">>>>>>> REPLACE" if dividers else "======="
            raise self._malformed(f"the block is cut off: no {missing} line; send it again, complete", start)
        rest = self.lines[dividers[1] + 1 : dividers[1] + 3]
        if len(dividers) > 2 or not all(not line.strip() or _FENCE.match(line) for line in rest):
            raise self._malformed(
                "the block is closed by a second ======= line; close it with >>>>>>> REPLACE", dividers[1]
            )
        return dividers[1]

    def _name(self, since: int) -> str:
        """The file name above the block: behind the language in the fence's own line, else on the nearest
        line that is not blank, else in place of the language.
        """
        weak = ""
        for line in reversed(self.lines[since : self.at]):
            fence = _FENCE.match(line)
            if fence is None:
                if line.strip():
                    return _as_path(line) or weak
                continue
            for named in (fence[2].strip(), fence[1].rpartition(":")[2] if ":" in fence[1] else ""):
                if _PATH.match(named) and ("." in named or "/" in named):
                    return named
            if _PATH.match(fence[1]) and ("." in fence[1] or "/" in fence[1]):
                weak = fence[1]
        return weak


def _as_path(line: str) -> str:
    """The path that the line names, without the decoration models put around it; empty when it is prose."""
    quoted = re.findall(r"`([^`]+)`", line)
    bare = _LABEL.sub("", line.strip().lstrip("#>-*+ ").strip())
    prose = bare.rstrip("*_ ").endswith(":")
    bare = quoted[0].strip() if len(quoted) == 1 else bare.strip().strip("`*\"':").strip()
    if not _PATH.match(bare):
        return ""
    telling = "/" in bare or re.search(r"\.\w+\Z", bare)
    return bare if telling or not (prose or " " in bare) else ""
