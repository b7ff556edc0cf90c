"""What the editor recorded, as values."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """One `$/progress` notification; `kind`: begin, report or end."""

    token: str
    kind: str
    title: str
    message: str
    percentage: int | None


@dataclass(frozen=True)
class Shown:
    """A diagnostic as the editor keeps it: lines and columns (bytes) from 0."""

    line: int
    column: int
    end_line: int
    end_column: int
    severity: int
    code: str
    source: str
    message: str


@dataclass(frozen=True)
class Lens:
    """A code lens that the editor holds; `line` from 0."""

    line: int
    title: str
    command: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class AppliedEdit:
    """A `workspace/applyEdit` request: one document's edits, and the answer that the editor gave."""

    uri: str
    version: int | None
    edits: list[dict[str, Any]]
    label: str
    applied: bool
