"""Reading, comparing and rewriting trees over any keeper of raw objects.

Parsed trees are cached (they are immutable), so a lookup touches no disk once its folders are known.
Nothing here knows commits, disks or processes.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from orchestration.errors import NotFoundError
from orchestration.workspace.objects import TREE, Entry
from orchestration.workspace.tree_codec import EMPTY_TREE, Tree, format_tree, in_order, object_id, parse_tree

_Step = tuple[list[str], Entry | None]
Difference = tuple[str, Entry | None, Entry | None]
_CACHED_ENTRIES = 60_000  # about 12 MB


class RawObject(NamedTuple):
    kind: str
    body: bytes


class RawObjects(Protocol):
    """Keeps objects by id. Thread-safe."""

    def get(self, oid: str) -> RawObject:
        """Raises NotFoundError."""

    def put(self, objects: Mapping[str, RawObject]) -> None:
        """Durable when it returns. Objects that are there already are left."""


class Trees:
    def __init__(self, raw: RawObjects) -> None:
        self._raw = raw
        self._cache: OrderedDict[str, Tree] = OrderedDict()
        self._cached_entries = 0
        self._lock = threading.Lock()

    def load(self, oid: str) -> Tree:
        with self._lock:
            cached = self._cache.get(oid)
            if cached is not None:
                self._cache.move_to_end(oid)
                return cached
        if oid == EMPTY_TREE:
            return {}
        kind, body = self._raw.get(oid)
        if kind != "tree":
            raise NotFoundError(f"object {oid} is a {kind}, not a tree")
        tree = parse_tree(body)
        self._keep(oid, tree)
        return tree

    def _keep(self, oid: str, tree: Tree) -> None:
        with self._lock:
            if oid in self._cache:
                return
            self._cache[oid] = tree
            self._cached_entries += len(tree) + 1
            while self._cached_entries > _CACHED_ENTRIES and len(self._cache) > 1:
                _, gone = self._cache.popitem(last=False)
                self._cached_entries -= len(gone) + 1

    def find(self, root: str, path: str) -> Entry | None:
        """The entry at `path`, a folder included."""
        oid = root
        *folders, name = path.split("/")
        for folder in folders:
            step = self.load(oid).get(folder)
            if step is None or step.mode != TREE:
                return None
            oid = step.oid
        return self.load(oid).get(name)

    def files(self, root: str, prefix: str = "") -> Iterator[tuple[str, Entry]]:
        prefix = prefix.strip("/")
        if not prefix:
            yield from self._files(root, "")
            return
        entry = self.find(root, prefix)
        if entry is None:
            return
        if entry.mode == TREE:
            yield from self._files(entry.oid, prefix + "/")
        else:
            yield prefix, entry

    def _files(self, oid: str, prefix: str) -> Iterator[tuple[str, Entry]]:
        for name, entry in self.load(oid).items():
            if entry.mode == TREE:
                yield from self._files(entry.oid, f"{prefix}{name}/")
            else:
                yield prefix + name, entry

    def diff(self, a: str, b: str) -> list[Difference]:
        found: list[Difference] = []
        self._diff(a, b, "", found)
        found.sort(key=lambda row: row[0])
        return found

    def _diff(self, a: str, b: str, prefix: str, found: list[Difference]) -> None:
        if a == b:
            return
        left, right = self.load(a), self.load(b)
        for name, old in left.items():
            new = right.get(name)
            if new == old:
                continue
            old_tree = old.oid if old.mode == TREE else EMPTY_TREE
            new_tree = new.oid if new is not None and new.mode == TREE else EMPTY_TREE
            path = prefix + name
            old_file = old if old.mode != TREE else None
            new_file = new if new is not None and new.mode != TREE else None
            if old_file is not None or new_file is not None:
                found.append((path, old_file, new_file))
            self._diff(old_tree, new_tree, path + "/", found)
        for name, new in right.items():
            if name in left:
                continue
            if new.mode == TREE:
                found.extend((path, None, entry) for path, entry in self._files(new.oid, f"{prefix}{name}/"))
            else:
                found.append((prefix + name, None, new))

    def rewrite(self, root: str, changes: Mapping[str, Entry | None]) -> tuple[str, dict[str, RawObject]]:
        """The root with `changes` made (None deletes a file), and the new trees it needs, not yet kept.
        A file takes the place of a folder and the other way round. Raises ValueError for impossible paths.
        """
        below: list[_Step] = []
        for path, entry in changes.items():
            parts = path.split("/")
            if any(part in {"", ".", ".."} or "\0" in part for part in parts):
                raise ValueError(f"no tree can hold the path {path!r}")
            below.append((parts, entry))
        rewriting = _Rewriting(self)
        oid = rewriting.folder(root, below, 0)
        if oid is None:
            return EMPTY_TREE, {EMPTY_TREE: RawObject("tree", b"")}
        made = {}
        for tree_id, (tree, body) in rewriting.made.items():
            self._keep(tree_id, tree)
            made[tree_id] = RawObject("tree", body)
        return oid, made


class _Rewriting:
    """One rewrite, folder by folder from the top."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self.made: dict[str, tuple[Tree, bytes]] = {}

    def folder(self, oid: str, changes: Sequence[_Step], depth: int) -> str | None:
        """The folder's new id; None when nothing is left in it."""
        entries = dict(self._trees.load(oid))
        folders: dict[str, list[_Step]] = {}
        placed: set[str] = set()
        for parts, entry in changes:
            name = parts[depth]
            if len(parts) > depth + 1:
                folders.setdefault(name, []).append((parts, entry))
            elif entry is not None:
                entries[name] = entry
                placed.add(name)
            elif name in entries and entries[name].mode != TREE:
                del entries[name]
        for name, inner in folders.items():
            if name in placed and any(entry is not None for _, entry in inner):
                raise ValueError(f"{'/'.join(inner[0][0][: depth + 1])!r} is both a file and a folder")
            if name not in placed:
                self._inner(entries, name, inner, depth)
        if not entries:
            return None
        tree = in_order(entries.items())
        body = format_tree(tree)
        new_id = object_id("tree", body)
        if new_id != oid:
            self.made[new_id] = (tree, body)
        return new_id

    def _inner(self, entries: dict[str, Entry], name: str, inner: Sequence[_Step], depth: int) -> None:
        old = entries.get(name)
        is_file = old is not None and old.mode != TREE
        if is_file and all(entry is None for _, entry in inner):
            return
        new = self.folder(EMPTY_TREE if old is None or is_file else old.oid, inner, depth + 1)
        if new is not None:
            entries[name] = Entry(TREE, new)
        elif old is not None:
            del entries[name]
