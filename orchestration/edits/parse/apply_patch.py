"""The V4A envelope: `*** Begin Patch` … `*** End Patch` with add, delete, update and move sections.

    *** Update File: path
    *** Move to: other/path
    @@ line that stands above the change
     kept line
    -removed line
    +added line
    *** End of File

`@@` alone separates chunks; several `@@ …` lines in a row name an outer and an inner anchor. A chunk of
only added lines without an anchor is appended to the file.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestration.edits.model import Chunk, ChunkGroup, FileEdit, Line
from orchestration.edits.parse.malformed import MalformedEditError

_BEGIN, _END, _EOF = "*** Begin Patch", "*** End Patch", "*** End of File"
_SECTION = re.compile(r"\*\*\* (Add|Delete|Update) File:[ \t]*(.*)\Z")
_MOVE = re.compile(r"\*\*\* Move to:[ \t]*(.*)\Z")
# A unified diff's hunk header inside the envelope: its numbers and its heading say nothing reliable.
_NUMBERED = re.compile(r"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@")


def first_envelope(lines: Sequence[str]) -> int | None:
    """The line where an envelope begins, if any."""
    return next((at for at, line in enumerate(lines) if line.strip() == _BEGIN), None)


def parse_apply_patch(text: str) -> list[FileEdit]:
    """The edits in the order of the text. Raises MalformedEditError."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    bare = [line.strip() for line in lines]
    if _BEGIN not in bare:
        raise MalformedEditError(f"the patch has no `{_BEGIN}` line")
    start = bare.index(_BEGIN)
    if _END not in bare[start:]:
        raise MalformedEditError(f"the patch is cut off: no `{_END}` line; send it again, complete")
    end = len(bare) - 1 - bare[::-1].index(_END)
    edits = _Parser(lines, start + 1, end).run()
    if not edits:
        raise MalformedEditError("the patch is empty: no file section between its first and last line")
    return edits


@dataclass(slots=True)
class _Parser:
    lines: list[str]
    at: int
    end: int
    path: str = ""
    chunks: list[Chunk] = field(default_factory=list)

    def run(self) -> list[FileEdit]:
        edits: list[FileEdit] = []
        while self._skip_blank():
            section = _SECTION.match(self.lines[self.at].strip())
            if section is None:
                raise self._malformed(
                    "expected `*** Add File: PATH`, `*** Delete File: PATH` or `*** Update File: PATH`, "
                    f"found {self.lines[self.at]!r}"
                )
            self.path = section[2].strip()
            if not self.path:
                raise self._malformed("the section names no file")
            self.at += 1
            match section[1]:
                case "Add":
                    edits.append(self._add())
                case "Delete":
                    edits.append(FileEdit(path=self.path, action="delete", at=self.at))
                case _:
                    edits.append(self._update())
        return edits

    def _malformed(self, message: str) -> MalformedEditError:
        return MalformedEditError(message, line=self.at + 1, path=self.path)

    def _skip_blank(self) -> bool:
        while self.at < self.end and not self.lines[self.at].strip():
            self.at += 1
        return self.at < self.end

    def _add(self) -> FileEdit:
        start = self.at
        content = []
        while self.at < self.end and self.lines[self.at].startswith("+"):
            content.append(self.lines[self.at][1:] + "\n")
            self.at += 1
        return FileEdit(path=self.path, action="create", content="".join(content), at=start)

    def _update(self) -> FileEdit:
        start = self.at
        move_to = None
        if self.at < self.end and (move := _MOVE.match(self.lines[self.at].strip())):
            move_to = move[1].strip()
            if not move_to:
                raise self._malformed("`*** Move to:` names no file")
            self.at += 1
        self.chunks = []
        while self._skip_blank() and not self.lines[self.at].startswith("***"):
            self._chunk()
        if not self.chunks and move_to is None:
            raise MalformedEditError(
                "the update changes nothing: it has no chunk", line=start, path=self.path
            )
        groups = (ChunkGroup(tuple(self.chunks)),) if self.chunks else ()
        return FileEdit(path=self.path, action="update", replacements=groups, move_to=move_to, at=start)

    def _chunk(self) -> None:
        start = self.at
        anchors: list[str] = []
        while self.at < self.end and self.lines[self.at].startswith("@@"):
            anchors += _anchor(self.lines[self.at])
            self.at += 1
        body = self._body()
        if not body:
            raise self._malformed("the chunk is empty: give kept ( ), removed (-) or added (+) lines")
        at_end = self.at < self.end and self.lines[self.at].strip() == _EOF
        if at_end:
            self.at += 1
        elif not anchors and all(line.mark == "+" for line in body):
            at_end = True
        self.chunks.append(Chunk(lines=tuple(body), anchors=tuple(anchors), at_end=at_end, at=start + 1))

    def _body(self) -> list[Line]:
        body: list[Line] = []
        written = 0
        while self.at < self.end and not self.lines[self.at].startswith(("***", "@@")):
            line = self.lines[self.at]
            match line[:1]:
                case " " | "-" | "+" as mark:
                    body.append(Line(mark, line[1:]))
                    written = len(body)
                case "":
                    body.append(Line(" ", ""))
                case _:
                    raise self._malformed(
                        f"each line of a chunk begins with a space, - or +, this one does not: {line!r}"
                    )
            self.at += 1
        # Bare empty lines at the end part sections; inside, they are empty lines of the file.
        return body[:written]


def _anchor(header: str) -> list[str]:
    if _NUMBERED.match(header):
        return []
    text = header[2:].removeprefix(" ").rstrip()
    text = text.removesuffix("@@").rstrip()
    return [text] if text.strip() else []
