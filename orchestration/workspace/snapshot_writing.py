"""The objects of a snapshot on their way into the store, and unsaved buffers on top of the files."""

import os

from orchestration.edits.text import BinaryContentError, FileText, UnencodableTextError
from orchestration.errors import PathRefusedError
from orchestration.events import LeftOut
from orchestration.workspace.file_contents import NotTakenError, read_still
from orchestration.workspace.object_store import SnapshotStore
from orchestration.workspace.objects import FILE, LINK, TREE, Entry
from orchestration.workspace.path_guard import PathGuard
from orchestration.workspace.stat_cache import SeenFolder, StatCache
from orchestration.workspace.tree_codec import format_tree, in_order, object_id
from orchestration.workspace.trees import RawObject
from orchestration.workspace.walk import Walk, shown

_BATCH_BYTES = 16 * 1024 * 1024
_BATCH_OBJECTS = 20_000


class SnapshotWriting:
    """Gathers entries by folder ("" or ending with `/`) and stores contents in batches. `touched` are the
    folders with a file that is not as the last snapshot saw it, `overlaid` those with an unsaved buffer
    and the names of such files.
    """

    def __init__(self, store: SnapshotStore) -> None:
        self._store = store
        self._batch: dict[str, RawObject] = {}
        self._bytes = 0
        self.folders: dict[str, dict[str, Entry]] = {"": {}}
        self.touched: set[str] = set()
        self.overlaid: dict[str, set[str]] = {}

    def blob(self, data: bytes) -> str:
        oid = object_id("blob", data)
        self._add(oid, RawObject("blob", data))
        return oid

    def finish(self, before: StatCache, now: StatCache) -> str:
        """The root tree, durable. Trees of folders that are as `before` are there already."""
        below: dict[str, dict[str, str]] = {}
        for folder in self.folders:
            here = folder
            while here not in below:
                below[here] = {}
                here = _parent(here)
        root = ""
        for folder in sorted(below, key=lambda path: -path.count("/")):
            entries = self.folders.get(folder, {})
            if folder and not entries and not below[folder]:
                continue
            fresh = now.folders.setdefault(folder, SeenFolder("", {}))
            fresh.tree = root = self._tree(folder, entries, below[folder], before.folders.get(folder))
            fresh.below, fresh.entries = below[folder], -1 if folder in self.overlaid else len(entries)
            for name in self.overlaid.get(folder, ()):
                fresh.files.pop(name, None)  # its content on the disk is in no tree
            if folder:
                below[_parent(folder)][folder[:-1].rpartition("/")[2]] = root
        self._flush()
        return root

    def _tree(
        self, folder: str, entries: dict[str, Entry], below: dict[str, str], known: SeenFolder | None
    ) -> str:
        if (
            known is not None
            and folder not in self.touched
            and folder not in self.overlaid
            and len(entries) == len(known.files) == known.entries
            and below == known.below
        ):
            return known.tree
        below_entries = {name: Entry(TREE, oid) for name, oid in below.items()}
        body = format_tree(in_order({**entries, **below_entries}.items()))
        oid = object_id("tree", body)
        if known is None or known.tree != oid:
            self._add(oid, RawObject("tree", body))
        return oid

    def _add(self, oid: str, item: RawObject) -> None:
        if oid in self._batch:
            return
        self._batch[oid] = item
        self._bytes += len(item.body)
        if self._bytes > _BATCH_BYTES or len(self._batch) >= _BATCH_OBJECTS:
            self._flush()

    def _flush(self) -> None:
        self._store.keep(self._batch)
        self._batch, self._bytes = {}, 0


def _parent(folder: str) -> str:
    above = folder[:-1].rpartition("/")[0]
    return above + "/" if above else ""


def place_buffers(walk: Walk, writing: SnapshotWriting, buffers: dict[str, str]) -> tuple[str, ...]:
    """Puts unsaved texts in the place of their files; gives the paths of those that were taken.

    A text takes its file's encoding and byte order mark; where that does not hold exactly, or the path is
    not one of the workspace, the file is left out by name. Buffers of hidden files stay hidden.
    """
    guard = PathGuard(walk.root)
    taken: dict[str, None] = {}
    for given, text in sorted(buffers.items()):
        try:
            path = guard.resolve(guard.inside(given))
        except PathRefusedError as refusal:
            walk.left_out.append(LeftOut(shown(given), f"unsaved, and not taken: {refusal}"))
            continue
        above, _, name = path.rpartition("/")
        folder = above + "/" if above else ""
        entry = writing.folders.get(folder, {}).get(name)
        if entry is None and (os.path.lexists(walk.root / path) or walk.hides(path)):
            continue
        try:
            data = _encoded(walk, path, entry, text)
        except (BinaryContentError, UnencodableTextError, UnicodeEncodeError, NotTakenError) as reason:
            writing.folders.get(folder, {}).pop(name, None)
            writing.overlaid.setdefault(folder, set()).add(name)
            walk.left_out.append(LeftOut(path, f"unsaved, and not taken: {reason}"))
            continue
        mode = FILE if entry is None or entry.mode == LINK else entry.mode
        writing.folders.setdefault(folder, {})[name] = Entry(mode, writing.blob(data))
        writing.overlaid.setdefault(folder, set()).add(name)
        taken[path] = None
    return tuple(taken)


def _encoded(walk: Walk, path: str, entry: Entry | None, text: str) -> bytes:
    if entry is None:
        return text.encode()
    try:
        on_disk = FileText.decode(read_still(f"{walk.root}/{path}")[0])
    except FileNotFoundError:
        return text.encode()
    data = on_disk.with_text(text).encode()
    if on_disk.decode_alike(data) != on_disk.with_text(text):
        raise NotTakenError("its text does not hold exactly in the encoding of the file")
    return data
