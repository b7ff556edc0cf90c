"""What a finding is: a located defect with evidence."""

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "info"]


class Fix(msgspec.Struct, frozen=True, rename="camel"):
    """A replacement of whole characters: lines and columns count from 0, columns in code points."""

    title: str
    edits: tuple["FixEdit", ...]


class FixEdit(msgspec.Struct, frozen=True, rename="camel"):
    start_line: int
    start_column: int
    end_line: int
    end_column: int
    text: str


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Lines and columns count from 0, columns in code points whatever the analyzer counts in.

    `id` is stable under line moves: a digest of tool, rule, path and evidence with an ordinal among
    equals. `base_hash` is the SHA-256 (hex) of the file's bytes that the location is expressed against.
    """

    id: str
    tool: str
    rule: str
    severity: Severity
    path: str
    start_line: int
    start_column: int
    end_line: int
    end_column: int
    message: str
    evidence: str
    base_hash: str = ""
    url: str = ""
    fix: Fix | None = None
