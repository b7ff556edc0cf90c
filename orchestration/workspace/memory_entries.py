"""The twin of `entries.py` without a disk, over the twin of the user's files: for tests and the simulator."""

import os
from collections.abc import Collection, Iterable

from orchestration.errors import ConflictError
from orchestration.workspace.entries import checked, unlike
from orchestration.workspace.files import MemoryFiles
from orchestration.workspace.objects import EXECUTABLE, FILE, LINK, Entry
from orchestration.workspace.tree_codec import object_id


class MemoryEntries:
    """Files are those of `files`, where the execute bits are, too. Folders are there while something is in them, or
    once they were made.
    """

    def __init__(self, files: MemoryFiles) -> None:
        self._files = files
        self.links: dict[str, bytes] = {}
        self.folders: set[str] = set()
        self.repositories: set[str] = set()

    def at(self, path: str) -> Entry | None:
        self._check_above(checked(path))
        if path in self.links:
            return Entry(LINK, object_id("blob", self.links[path]))
        if path in self._files.files:
            mode = EXECUTABLE if path in self._files.executable else FILE
            return Entry(mode, object_id("blob", self._files.files[path]))
        if self._is_folder(path):
            raise ConflictError(f"{path} is a folder now; it is left as it is")
        return None

    def put(self, path: str, entry: Entry, data: bytes, *, expected: Entry | None) -> None:
        found = self.at(path)
        if why := unlike(path, found, expected):
            raise ConflictError(why)
        if found is not None and found.oid == entry.oid and LINK not in {found.mode, entry.mode}:
            data = self._files.files[path]
        self._drop(path)
        if entry.mode == LINK:
            self.links[path] = data
        else:
            self.write(path, data)
            (self._files.executable.add if entry.mode == EXECUTABLE else self._files.executable.discard)(path)

    def remove(self, path: str, *, expected: Entry) -> None:
        if why := unlike(path, self.at(path), expected):
            raise ConflictError(why)
        self._drop(path)

    def settle(self) -> None:
        """Nothing is ever half-way here."""

    def make_folder(self, path: str) -> None:
        self._check_above(f"{checked(path)}/.")
        self.folders.add(path)

    def drop_folder(self, path: str) -> bool:
        if any(name.startswith(f"{path}/") for name in self._names()):
            return False
        self.folders.discard(path)
        return True

    def clear_folder(self, path: str) -> str:
        for name in sorted({*self._files.files, *self.links}):
            if name.startswith(f"{path}/"):
                return name
        self.folders -= {name for name in self.folders if name == path or name.startswith(f"{path}/")}
        return ""

    def stranger(self, path: str, known: Collection[str]) -> str | None:
        if not self._is_folder(path):
            return None
        inside = sorted(name for name in {*self._files.files, *self.links} if name.startswith(f"{path}/"))
        return next((name for name in inside if name not in known), "")

    def is_repository(self, path: str) -> bool:
        return path in self.repositories

    def sweep(self, folders: Iterable[str]) -> None:
        """Nothing is ever half-written here."""

    def write(self, path: str, data: bytes) -> None:
        """Where a file's content is put; the simulator looks on."""
        self._files.files[path] = data

    def _drop(self, path: str) -> None:
        self._files.files.pop(path, None)
        self._files.executable.discard(path)
        self.links.pop(path, None)

    def _names(self) -> set[str]:
        return {*self._files.files, *self.links, *self.folders}

    def _is_folder(self, path: str) -> bool:
        return path in self.folders or any(name.startswith(f"{path}/") for name in self._names())

    def _check_above(self, path: str) -> None:
        above = os.path.dirname(path)  # noqa: PTH120 - a path of a tree, not of this system
        while above:
            if above in self._files.files or above in self.links:
                raise ConflictError(f"{path}: {above} is not a folder (any more); nothing was changed")
            above = os.path.dirname(above)  # noqa: PTH120 - as above
