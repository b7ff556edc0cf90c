"""Joins snapshots by whole files, in process; asks for a content merge only where that is not enough.

What one side brings is its difference to the best common ancestor with what was merged before. A path
that only one side changed is taken as it stands, so ten results that touch different files cost ten
small tree comparisons and no process. A file that both sides changed differently, or a file against a
folder, goes to `ContentMerge` (git's own merge, by ancestry); its clean answer is taken, else the path
is a conflict.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from orchestration.workspace.ancestry import Ancestry
from orchestration.workspace.objects import TREE, Conflict, Entry, Merge
from orchestration.workspace.tree_codec import EMPTY_TREE
from orchestration.workspace.trees import Difference, Trees


class ContentMerged(NamedTuple):
    """`conflicts`: paths whose contents hold conflict markers in `tree`, or stay as ours."""

    tree: str
    conflicts: tuple[str, ...]


class ContentMerge(Protocol):
    async def __call__(self, ours: str, theirs: str) -> ContentMerged:
        """Merges two commits by their ancestry."""


class Commits(Protocol):
    """What the merge needs of the store it serves."""

    def tree_of(self, snapshot: str) -> str: ...
    def time_of(self, snapshot: str) -> int: ...
    def place(self, tree: str, entries: dict[str, Entry | None]) -> str: ...
    def commit(self, tree: str, parents: Sequence[str], message: str, *, when: float = 0.0) -> str: ...


@dataclass(slots=True)
class _Joined:
    """What was merged so far: a stored tree and the changes on top of it."""

    tree: str
    snapshots: list[str]
    changes: dict[str, Entry | None] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    changed_by: dict[str, list[str]] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)

    def take(self, brought: Sequence[Difference]) -> None:
        for path, _, entry in brought:
            self.changes[path] = entry
            if entry is not None:
                parts = path.split("/")
                self.folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))


class Merger:
    def __init__(self, trees: Trees, ancestry: Ancestry, commits: Commits, contents: ContentMerge) -> None:
        self._trees = trees
        self._ancestry = ancestry
        self._commits = commits
        self._contents = contents

    async def merge(self, snapshots: Sequence[str], message: str, when: float | None) -> Merge:
        heads = self._ancestry.independent(snapshots)
        if not heads:
            raise ValueError("nothing to merge")
        if len(heads) == 1:
            return Merge(heads[0])
        stamp = max(self._commits.time_of(head) for head in heads) if when is None else when
        joined = _Joined(self._commits.tree_of(heads[0]), [heads[0]])
        for head in heads[1:]:
            await self._join(joined, head, stamp)
        tree = self._commits.place(joined.tree, joined.changes)
        return Merge(self._commits.commit(tree, heads, message, when=stamp), tuple(joined.conflicts))

    async def _join(self, joined: _Joined, head: str, when: float) -> None:
        base = self._base_tree(head, joined.snapshots)
        brought = self._trees.diff(base, self._commits.tree_of(head)) if base is not None else []
        clashes = [row for row in brought if self._clashes(joined, row)]
        if base is None or clashes:
            await self._join_contents(joined, head, when)
        else:
            joined.take(brought)
        for path, _, _ in brought:
            joined.changed_by.setdefault(path, []).append(head)
        joined.snapshots.append(head)

    def _clashes(self, joined: _Joined, row: Difference) -> bool:
        path, before, after = row
        now = self._entry(joined, path)
        if now not in {before, after}:
            return True
        if after is None or now == after:
            return False
        if now is None and self._is_folder(joined, path):
            return True
        parts = path.split("/")
        return any(self._entry(joined, "/".join(parts[:depth])) for depth in range(1, len(parts)))

    def _entry(self, joined: _Joined, path: str) -> Entry | None:
        if path in joined.changes:
            return joined.changes[path]
        found = self._trees.find(joined.tree, path)
        return found if found is not None and found.mode != TREE else None

    def _is_folder(self, joined: _Joined, path: str) -> bool:
        if path in joined.folders:
            return True
        inside = self._trees.files(joined.tree, path + "/")
        return any(joined.changes.get(other, entry) is not None for other, entry in inside if other != path)

    def _base_tree(self, head: str, others: Sequence[str]) -> str | None:
        """The tree of the common ancestor; of several, their own merge. None when that does not merge."""
        bases = self._ancestry.merge_bases(head, others)
        if not bases:
            return EMPTY_TREE
        if len(bases) == 1:
            return self._commits.tree_of(bases[0])
        joined = _Joined(self._commits.tree_of(bases[0]), [bases[0]])
        for base in bases[1:]:
            inner = self._base_tree(base, joined.snapshots)
            if inner is None:
                return None
            brought = self._trees.diff(inner, self._commits.tree_of(base))
            if any(self._clashes(joined, row) for row in brought):
                return None
            joined.take(brought)
            joined.snapshots.append(base)
        return self._commits.place(joined.tree, joined.changes)

    async def _join_contents(self, joined: _Joined, head: str, when: float) -> None:
        tree = self._commits.place(joined.tree, joined.changes)
        ours = (
            joined.snapshots[0]
            if len(joined.snapshots) == 1
            else self._commits.commit(tree, joined.snapshots, "merge in progress", when=when)
        )
        merged = await self._contents(ours, head)
        theirs_tree = self._commits.tree_of(head)
        for path in merged.conflicts:
            joined.conflicts.append(
                Conflict(
                    path,
                    self._file(tree, path),
                    self._file(theirs_tree, path),
                    tuple(joined.changed_by.get(path, joined.snapshots[:1])),
                    head,
                )
            )
        joined.tree, joined.changes, joined.folders = merged.tree, {}, set()

    def _file(self, tree: str, path: str) -> Entry | None:
        found = self._trees.find(tree, path)
        return found if found is not None and found.mode != TREE else None
