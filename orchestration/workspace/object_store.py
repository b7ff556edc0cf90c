"""What every object store shares: snapshots over raw objects, commits, ancestry and merges.

The adapters (`git_objects.py`, `memory_objects.py`) add where bytes are kept and how two versions of a
file's content are merged.
"""

from collections.abc import Iterator, Mapping, Sequence

from orchestration.errors import NotFoundError
from orchestration.workspace.ancestry import Ancestry
from orchestration.workspace.merging import ContentMerge, Merger
from orchestration.workspace.objects import TREE, Change, Entry, Merge
from orchestration.workspace.tree_codec import EMPTY_TREE, Commit, format_commit, object_id, parse_commit
from orchestration.workspace.trees import Difference, RawObject, RawObjects, Trees


class SnapshotStore:
    """An `ObjectStore` over a keeper of raw objects."""

    def __init__(self, raw: RawObjects, contents: ContentMerge) -> None:
        self._raw = raw
        self._trees = Trees(raw)
        self._ancestry = Ancestry(lambda commit: self._commit(commit).parents)
        self._tree_ids: dict[str, str] = {}
        self._merger = Merger(self._trees, self._ancestry, self, contents)

    def blob(self, oid: str) -> bytes:
        kind, body = self._raw.get(oid)
        if kind != "blob":
            raise NotFoundError(f"object {oid} is a {kind}, not a file's content")
        return body

    def entry(self, snapshot: str, path: str) -> Entry | None:
        found = self._trees.find(self.tree_of(snapshot), path)
        return None if found is None or found.mode == TREE else found

    def read(self, snapshot: str, path: str) -> bytes | None:
        found = self.entry(snapshot, path)
        return None if found is None else self.blob(found.oid)

    def entries(self, snapshot: str, prefix: str = "") -> Iterator[tuple[str, Entry]]:
        return self._trees.files(self.tree_of(snapshot), prefix)

    def diff(self, a: str, b: str) -> list[Difference]:
        return self._trees.diff(self.tree_of(a), self.tree_of(b))

    def tree_of(self, snapshot: str) -> str:
        known = self._tree_ids.get(snapshot)
        if known is None:
            if snapshot == EMPTY_TREE:
                return snapshot
            kind, body = self._raw.get(snapshot)
            if kind not in {"commit", "tree"}:
                raise NotFoundError(f"object {snapshot} is a {kind}, not a snapshot")
            known = parse_commit(body).tree if kind == "commit" else snapshot
            self._tree_ids[snapshot] = known
        return known

    def time_of(self, snapshot: str) -> int:
        """Unix seconds of a commit."""
        return self._commit(snapshot).when

    def write(self, snapshot: str, changes: Mapping[str, Change | Entry | None]) -> str:
        contents: dict[str, RawObject] = {}
        entries: dict[str, Entry | None] = {}
        for path, change in changes.items():
            if isinstance(change, Change):
                oid = object_id("blob", change.data)
                contents[oid] = RawObject("blob", change.data)
                entries[path] = Entry(change.mode, oid)
            else:
                entries[path] = change
        return self._place(snapshot, entries, contents)

    def keep(self, objects: Mapping[str, RawObject]) -> None:
        """Stores objects under their ids, durable on return; for those who build trees themselves."""
        self._raw.put(objects)

    def place(self, tree: str, entries: Mapping[str, Entry | None]) -> str:
        return self._place(tree, entries, {})

    def _place(self, snapshot: str, entries: Mapping[str, Entry | None], new: dict[str, RawObject]) -> str:
        root = self.tree_of(snapshot)
        if not entries:
            return root
        tree, made = self._trees.rewrite(root, entries)
        self._raw.put({**new, **made})
        return tree

    def commit(self, tree: str, parents: Sequence[str], message: str, *, when: float = 0.0) -> str:
        commit = Commit(self.tree_of(tree), tuple(dict.fromkeys(parents)), int(when), message)
        body = format_commit(commit)
        oid = object_id("commit", body)
        self._raw.put({oid: RawObject("commit", body)})
        return oid

    def is_ancestor(self, ancestor: str, of: str) -> bool:
        return self._ancestry.is_ancestor(ancestor, of)

    def merge_bases(self, a: str, b: str) -> list[str]:
        return self._ancestry.merge_bases(a, [b])

    async def merge(self, snapshots: Sequence[str], message: str, *, when: float | None = None) -> Merge:
        return await self._merger.merge(snapshots, message, when)

    def _commit(self, oid: str) -> Commit:
        kind, body = self._raw.get(oid)
        if kind != "commit":
            raise NotFoundError(f"object {oid} is a {kind}, not a snapshot with ancestors")
        return parse_commit(body)
