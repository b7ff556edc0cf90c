"""Whether the user's workspace is as it was: a look before and a look after something that must not change it.

By the state of files, not by their content: names, sizes, times. What the base of the run holds is looked at,
new files beside it that nothing hides, and what of version control could run something (configuration, hooks).
Who changed a file cannot be told from this; callers leave out what the user has open.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestration.workspace.objects import ObjectStore
from orchestration.workspace.surroundings import load_surroundings
from orchestration.workspace.walk import Walk

_Mark = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class WorkspaceState:
    """`files`: by path, None where there is none; those that the base does not hold included."""

    files: Mapping[str, _Mark | None]


class WorkspaceWatch:
    """Blocking; a few tens of milliseconds for 10,000 files."""

    def __init__(self, root: Path, home: Path, store: ObjectStore) -> None:
        """`home`: the workspace's data folder."""
        self._root = os.path.realpath(root)
        self._home = home
        self._store = store

    def look(self, base: str) -> WorkspaceState:
        """The state of everything that the snapshot `base` names, as it is on the disk now, and of what lies beside it."""
        files: dict[str, _Mark | None] = {}
        folders = {""}
        for path, _ in self._store.entries(base):
            files[path] = self._mark(path)
            folders.add(path.rpartition("/")[0])
        for path in self._version_control():
            files[path] = self._mark(path)
        for folder in sorted(folders):
            for name in self._names(folder):
                path = f"{folder}/{name}" if folder else name
                if path not in files and not _is_folder(mark := self._mark(path)):
                    files[path] = mark
        return WorkspaceState(files)

    def changed(self, before: WorkspaceState, base: str) -> tuple[str, ...]:
        """What differs since `before`, in order: changed, deleted and new files. What the workspace's rules hide
        does not count.
        """
        now = self.look(base)
        different = [
            path
            for path in before.files.keys() | now.files.keys()
            if before.files.get(path) != now.files.get(path)
            and not self._only_touched(path, base, before, now)
        ]
        if not different:
            return ()
        walk = Walk(Path(self._root), None, {}, load_surroundings(self._home).chain(), b"")
        return tuple(
            path
            for path in sorted(different)
            if path.startswith(".git/") or self._store.entry(base, path) is not None or not walk.hides(path)
        )

    def _only_touched(self, path: str, base: str, before: WorkspaceState, now: WorkspaceState) -> bool:
        """The same size and mode, and still the content of the base: written over with what it held."""
        was, is_ = before.files.get(path), now.files.get(path)
        if was is None or is_ is None or was[:2] != is_[:2]:
            return False
        try:
            return Path(self._root, path).read_bytes() == self._store.read(base, path)
        except OSError:
            return False

    def _mark(self, path: str) -> _Mark | None:
        try:
            state = os.lstat(f"{self._root}/{path}")
        except OSError:
            return None
        return state.st_mode, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino

    def _names(self, folder: str) -> frozenset[str]:
        try:
            return frozenset(os.listdir(f"{self._root}/{folder}"))  # noqa: PTH208 - names are wanted
        except OSError:
            return frozenset()

    def _version_control(self) -> list[str]:
        hooks = [f".git/hooks/{name}" for name in self._names(".git/hooks")]
        return [".git/config", ".git/info/attributes", ".git/info/exclude", *hooks]


def _is_folder(mark: _Mark | None) -> bool:
    return mark is None or stat.S_ISDIR(mark[0])
