"""The files of one tree as the tests gate sees them: names at once, contents when asked for. Pure over
the object store's reads.
"""

from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from pathlib import PurePosixPath

from orchestration.workspace.objects import LINK, Entry, ObjectStore

LARGEST_TEXT = 400_000
"""Bytes; what is larger is not read for names and imports."""


def folder_of(path: str) -> str:
    """The folder of a path; empty for the root."""
    return path.rpartition("/")[0]


def name_of(path: str) -> str:
    return path.rpartition("/")[2]


def stem_of(path: str) -> str:
    return PurePosixPath(name_of(path)).stem


def suffix_of(path: str) -> str:
    return PurePosixPath(name_of(path)).suffix.lower()


def ancestors(folder: str) -> Iterator[str]:
    """The folder itself, its parents, and the root (the empty string) last."""
    while folder:
        yield folder
        folder = folder_of(folder)
    yield ""


def is_within(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(folder + "/")


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


class TreeView:
    """Regular files only: symbolic links are not followed and not listed."""

    def __init__(self, store: ObjectStore, tree: str) -> None:
        self.tree = tree
        self._store = store
        self._entries = {path: entry for path, entry in store.entries(tree) if entry.mode != LINK}

    @cached_property
    def paths(self) -> tuple[str, ...]:
        return tuple(sorted(self._entries))

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def entry(self, path: str) -> Entry | None:
        return self._entries.get(path)

    def under(self, folder: str) -> Iterator[str]:
        """Files at any depth below `folder`, in order."""
        if not folder:
            yield from self.paths
            return
        prefix = folder + "/"
        for index in range(bisect_left(self.paths, prefix), len(self.paths)):
            if not self.paths[index].startswith(prefix):
                return
            yield self.paths[index]

    def has_folder(self, folder: str) -> bool:
        return next(self.under(folder), None) is not None

    def data(self, path: str) -> bytes | None:
        entry = self._entries.get(path)
        return None if entry is None else self._store.blob(entry.oid)

    def text(self, path: str) -> str:
        """Empty for what is absent, large or not UTF-8."""
        data = self.data(path)
        if data is None or len(data) > LARGEST_TEXT:
            return ""
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return ""

    def nearest(self, folder: str, *names: str) -> str | None:
        """The nearest folder, from `folder` up, that holds a file of one of these names."""
        for place in ancestors(folder):
            if any(join(place, name) in self._entries for name in names):
                return place
        return None
