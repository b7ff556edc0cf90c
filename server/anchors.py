"""Places in a document that follow the user's edits until the engine has computed them anew. Pure.

A change elsewhere moves an anchor by whole lines, which is exact; a change inside makes it `touched`:
what it stands for must be asked for again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from server.text_buffer import LineChange

T = TypeVar("T")


@dataclass(slots=True)
class Anchor(Generic[T]):
    """`subject` at `span` lines from `line` on (0: the place before that line)."""

    subject: T
    line: int
    span: int
    touched: bool = False

    def follow(self, change: LineChange) -> None:
        after = change.start >= self.line + max(self.span, 1)
        if after:
            return
        moved = change.count - (change.end - change.start)
        if change.end <= self.line:
            self.line += moved
            return
        self.touched = True
        # Keep it where the change happened, with what is left of it.
        self.line = min(self.line, change.start)
        self.span = max(self.span + moved, 0)


def follow_all(anchors: Iterable[Anchor[T]], changes: Iterable[LineChange]) -> bool:
    """Whether any anchor was touched."""
    kept = list(anchors)
    touched = False
    for change in changes:
        for anchor in kept:
            anchor.follow(change)
    for anchor in kept:
        touched = touched or anchor.touched
    return touched
