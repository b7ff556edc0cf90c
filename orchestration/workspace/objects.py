"""The contract of the object store: snapshots, trees and contents by id.

A *tree id* names the files, a *snapshot id* a commit (a tree with ancestors); methods that take a
snapshot accept both. Ids are 40 hex digits and are the same in every implementation, since they are
git's. Adapters: `git_objects.py` (the shadow repository), `memory_objects.py` (its twin). What both
share is in `object_store.py`; nothing here reads a disk or starts a process.

Paths are relative, joined by `/`, and valid UTF-8; modes are git's.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

FILE = 0o100644
EXECUTABLE = 0o100755
LINK = 0o120000
TREE = 0o040000


class Entry(NamedTuple):
    """A file of a tree. `mode` is FILE, EXECUTABLE or LINK (whose content is the link's target)."""

    mode: int
    oid: str


class Change(NamedTuple):
    """A new content for a path."""

    data: bytes
    mode: int = FILE


class Conflict(NamedTuple):
    """A path that both sides changed differently. None: the file is absent there.

    `ours` is what was merged so far, `theirs` what `theirs_snapshot` brings; `ours_snapshots` are those
    that had changed the path before (usually one).
    """

    path: str
    ours: Entry | None
    theirs: Entry | None
    ours_snapshots: tuple[str, ...]
    theirs_snapshot: str


class Merge(NamedTuple):
    """`snapshot` holds everything that merged; in a conflicting text file both versions stand between
    conflict markers. With no conflict it may be one of the inputs.
    """

    snapshot: str
    conflicts: tuple[Conflict, ...] = ()


class ObjectStore(Protocol):
    """Methods without `async` are cheap (reads well under 1 ms, writes a few fsyncs) and thread-safe.

    Whatever a returned id names is on the disk, fsynced, before the id is returned. Every method raises
    `NotFoundError` for an id the store does not hold.
    """

    def blob(self, oid: str) -> bytes: ...

    def entry(self, snapshot: str, path: str) -> Entry | None:
        """The file at `path`; None when there is none, or a folder."""

    def read(self, snapshot: str, path: str) -> bytes | None: ...

    def entries(self, snapshot: str, prefix: str = "") -> Iterator[tuple[str, Entry]]:
        """Files in path order; `prefix` is a folder (or one file), not a string prefix."""

    def diff(self, a: str, b: str) -> list[tuple[str, Entry | None, Entry | None]]:
        """What differs, in path order, with the entry in `a` and in `b`."""

    def tree_of(self, snapshot: str) -> str: ...

    def write(self, snapshot: str, changes: Mapping[str, Change | Entry | None]) -> str:
        """The id of the tree that has `changes` made to the snapshot's; None deletes a file, an `Entry`
        places a content the store already holds. Raises ValueError for a path that no tree can hold, or
        when a file and a file below it are both set.
        """

    def commit(self, tree: str, parents: Sequence[str], message: str, *, when: float = 0.0) -> str:
        """A snapshot of `tree`. Equal arguments give the equal id. `when`: Unix seconds."""

    def is_ancestor(self, ancestor: str, of: str) -> bool:
        """True for a snapshot and itself, too."""

    def merge_bases(self, a: str, b: str) -> list[str]:
        """The best common ancestors, sorted; empty when there is none."""

    async def merge(self, snapshots: Sequence[str], message: str, *, when: float | None = None) -> Merge:
        """Joins results. Equal ids and ancestors of others are dropped; a remaining one is returned as it
        is. Only a path that both sides changed differently costs a process (`git merge-tree`). `when`
        defaults to the newest time among the inputs, so that an equal merge gives an equal id.
        """
