"""An agent's files: edits in memory over a snapshot. No checkout, no disk of its own.

Paths have passed the path guard (`path_guard.py`). Links of the tree are followed inside the tree, as a
checkout would: a link that leaves it is refused, with its target named. `move` and `delete` act on the
link itself. One agent owns a tree; it is not shared between threads.
"""

from collections.abc import Iterable, Iterator

from orchestration.errors import EditRefusedError, PathRefusedError
from orchestration.events import LeftOut
from orchestration.workspace.links import follow
from orchestration.workspace.objects import EXECUTABLE, FILE, LINK, Change, Entry, ObjectStore


class TaskTree:
    def __init__(self, store: ObjectStore, snapshot: str, left_out: Iterable[LeftOut] = ()) -> None:
        """`left_out` with a path that ends in `/` covers everything below it."""
        self._store = store
        self._start = store.tree_of(snapshot)
        self._tree = self._start
        self._edits: dict[str, Change | Entry | None] = {}
        self._left_out = {item.path.rstrip("/"): item.reason for item in left_out}

    @property
    def start(self) -> str:
        """The tree id it began with."""
        return self._start

    def left_out(self, path: str) -> str | None:
        """Why the snapshot does not hold `path`; None when it may."""
        if not self._left_out:
            return None
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            reason = self._left_out.get("/".join(parts[:depth]))
            if reason is not None:
                return reason
        return None

    def read(self, path: str) -> bytes | None:
        """The content; None when there is no such file. Raises PathRefusedError for a link that leaves
        the workspace.
        """
        return self._content(self.resolve(path))

    def mode(self, path: str) -> int | None:
        found = self._lookup(self.resolve(path))
        return None if found is None else found.mode

    def is_folder(self, path: str) -> bool:
        inside = path.rstrip("/") + "/" if path else ""
        return any(
            known.startswith(inside) for known in self.paths(path)
        )  # a file or link is no folder of itself

    def paths(self, prefix: str = "") -> Iterator[str]:
        """In order; `prefix` is a folder (or one file), not a string prefix."""
        prefix = prefix.strip("/")
        inside = prefix + "/" if prefix else ""
        edited = sorted(path for path in self._edits if path == prefix or path.startswith(inside))
        at = 0
        for path, _ in self._store.entries(self._tree, prefix):
            while at < len(edited) and edited[at] < path:
                if self._edits[edited[at]] is not None:
                    yield edited[at]
                at += 1
            if path not in self._edits:
                yield path
        yield from (path for path in edited[at:] if self._edits[path] is not None)

    def resolve(self, path: str) -> str:
        """The path with links of the tree followed. Raises PathRefusedError for one that leaves it or
        turns in a circle.
        """
        return follow(path, self._link_target, lambda _: None)

    def write(self, path: str, data: bytes, mode: int | None = None) -> None:
        """Creates or replaces. The mode of an existing file is kept when None. Raises PathRefusedError for
        a path left out of the snapshot, EditRefusedError where a folder is in the way.
        """
        target = self.resolve(path)
        self._refuse_left_out(target)
        self._refuse_clash(target)
        now = self._lookup(target)
        if mode is None:
            mode = now.mode if now is not None else FILE
        if mode not in {FILE, EXECUTABLE}:
            raise EditRefusedError(
                f"{path}: only plain and executable files can be written, not mode {mode:o}"
            )
        self._edits[target] = Change(bytes(data), mode)

    def move(self, path: str, to: str) -> None:
        """Moves one file. Raises EditRefusedError when it is missing or something is at `to`."""
        now = self._lookup(path)
        self._refuse_left_out(path)
        self._refuse_left_out(to)
        if now is None:
            raise EditRefusedError(f"there is no file {path}; list_files shows what there is")
        if path == to:
            return
        if self._lookup(to) is not None:
            raise EditRefusedError(f"{to} exists already; delete it first or choose another name")
        self._edits[path], kept = None, self._edits.get(path)
        try:
            self._refuse_clash(to)
        except EditRefusedError:
            if kept is None:
                del self._edits[path]
            else:
                self._edits[path] = kept
            raise
        self._edits[to] = kept if kept is not None else Entry(*now)

    def delete(self, path: str) -> None:
        self._refuse_left_out(path)
        if self._lookup(path) is None:
            raise EditRefusedError(f"there is no file {path}; list_files shows what there is")
        self._edits[path] = None

    def changed(self) -> dict[str, Change | None]:
        """Every path that differs from the start, in order, with its content; None: deleted."""
        found: dict[str, Change | None] = {}
        rows = {path: after for path, _, after in self._store.diff(self._start, self._tree)}
        for path in sorted({*rows, *self._edits}):
            now: Change | Entry | None = self._edits[path] if path in self._edits else rows[path]
            if isinstance(now, Entry):
                now = Change(self._store.blob(now.oid), now.mode)
            before = self._store.entry(self._start, path)
            if now is None:
                if before is not None:
                    found[path] = None
            elif before is None or before.mode != now.mode or self._store.blob(before.oid) != now.data:
                found[path] = now
        return found

    def flush(self) -> str:
        """Stores the edits (durable on return) and gives the tree's id; the same id when nothing changed.
        Waits for the disk: a few milliseconds.
        """
        if self._edits:
            self._tree = self._store.write(self._tree, self._edits)
            self._edits = {}
        return self._tree

    def reset(self, tree: str) -> None:
        """Adopts a tree (what a command left, or an earlier state); pending edits are dropped."""
        self._tree = self._store.tree_of(tree)
        self._edits = {}

    def _lookup(self, path: str) -> Entry | None:
        """Links are not followed. The id of a pending edit is empty."""
        if path in self._edits:
            edit = self._edits[path]
            return Entry(edit.mode, "") if isinstance(edit, Change) else edit
        return self._store.entry(self._tree, path)

    def _link_target(self, path: str) -> str | None:
        found = self._lookup(path)
        if found is None or found.mode != LINK:
            return None
        return (self._content(path) or b"").decode("utf-8", "surrogateescape")

    def _content(self, path: str) -> bytes | None:
        edit = self._edits[path] if path in self._edits else self._store.entry(self._tree, path)
        return self._store.blob(edit.oid) if isinstance(edit, Entry) else None if edit is None else edit.data

    def _refuse_left_out(self, path: str) -> None:
        reason = self.left_out(path)
        if reason is not None:
            raise PathRefusedError(
                f"{path} is not part of the snapshot ({reason}) and cannot be changed here"
            )

    def _refuse_clash(self, path: str) -> None:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if self._lookup(folder) is not None:
                raise EditRefusedError(
                    f"{folder} is a file, so {path} cannot be made; delete or move it first"
                )
        if self._lookup(path) is None and self.is_folder(path):
            raise EditRefusedError(f"{path} is a folder; name a file in it")
