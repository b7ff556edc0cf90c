"""Which files of the workspace belong to a snapshot: tracked ones, and untracked ones that nothing hides.

Folder by folder; contents are not read here. Nested repositories are walked by their own rules; another
working tree of the same repository is left out.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.events import LeftOut
from orchestration.workspace.ignore_rules import IgnoreChain, IgnoreFile
from orchestration.workspace.left_out_rules import (
    MAX_FILE_BYTES,
    content_reason,
    file_reason,
    folder_reason,
    is_dependency,
)
from orchestration.workspace.user_repository import UnreadableIndexError, UserRepository, read_rules

Listed = list[tuple[str, os.stat_result]]
TOO_LARGE = "larger than"
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def shown(path: str) -> str:
    """A name that may not be Unicode, as text."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclass(slots=True)
class Walk:
    """`tracked`: paths (from the root) that the user's index lists. `general`: the user's global excludes.
    Walking fills `left_out`, `dependencies` (folders left out that things need to run) and `empty` (folders with
    nothing in them).
    """

    root: Path
    repository: UserRepository | None
    tracked: dict[str, int]
    chain: IgnoreChain
    general: bytes
    left_out: list[LeftOut] = field(default_factory=list)
    dependencies: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    _tracked_folders: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._note_folders(self.tracked)

    def folders(self) -> Iterator[tuple[str, Listed]]:
        """Each folder ("" or ending with `/`) with the files to take from it. Vanished ones are skipped."""
        stack: list[tuple[str, IgnoreChain | None]] = [("", self.chain)]
        while stack:
            folder, chain = stack.pop()
            entries = self._list(folder)
            if entries is None:
                continue
            names = {entry.name for entry in entries}
            if folder:
                if not self._enter(folder, names):
                    continue
                if not entries:
                    self.empty.append(folder[:-1])
                if ".git" in names:
                    chain = self._own_chain(folder)
            if ".gitignore" in names and chain is not None:
                chain = chain.with_file(read_rules(self.root / folder / ".gitignore"), folder)
            listed: Listed = []
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below = self._descend(entry.name, folder, chain, names)
                    if below is not None:
                        stack.append(below)
                elif (found := self._file(entry, folder, chain)) is not None:
                    listed.append((entry.name, found))
            yield folder, listed

    def hides(self, path: str) -> bool:
        """Whether an untracked file at that path, there or not, is hidden."""
        if path in self.tracked:
            return False
        *folders, name = path.split("/")
        chain, done = self.chain.with_file(read_rules(self.root / ".gitignore"), ""), ""
        for folder in folders:
            here = f"{done}{folder}"
            if here not in self._tracked_folders and (
                folder_reason(folder, self._siblings(done)) is not None
                or chain.ignores(here, folder, is_folder=True)
            ):
                return True
            done = f"{here}/"
            chain = chain.with_file(read_rules(self.root / done / ".gitignore"), done)
        return file_reason(name) is not None or chain.ignores(path, name, is_folder=False)

    def _siblings(self, folder: str) -> list[str]:
        try:
            return os.listdir(self.root / folder)  # noqa: PTH208 - names are wanted
        except OSError:
            return []

    def _list(self, folder: str) -> list[os.DirEntry[str]] | None:
        try:
            with os.scandir(f"{self.root}/{folder}") as found:
                return list(found)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as fault:
            self._leave(folder, f"not readable: {fault.strerror}")
            return None

    def _descend(
        self, name: str, folder: str, chain: IgnoreChain | None, siblings: set[str]
    ) -> tuple[str, IgnoreChain | None] | None:
        path = folder + name
        if name.lower() == ".git":
            if name != ".git":
                self._leave(f"{path}/", "looks like version control's own folder")
            return None
        if not self._nameable(path + "/", name):
            return None
        has_tracked = path in self._tracked_folders or path in self.tracked
        if chain is None:
            return (path + "/", None) if has_tracked else None
        reason = folder_reason(name, siblings)
        hidden = chain.ignores(path, name, is_folder=True)
        if reason is not None or hidden:
            if has_tracked:
                return path + "/", None
            if is_dependency(name, self.root / path):
                self.dependencies.append(path)
            if reason and not hidden:
                self._leave(f"{path}/", reason)
            return None
        return path + "/", chain

    def _file(self, entry: os.DirEntry[str], folder: str, chain: IgnoreChain | None) -> os.stat_result | None:
        name = entry.name
        path = folder + name
        if path not in self.tracked:
            if chain is None or name == ".git":
                return None
            reason = file_reason(name)
            if reason is not None or chain.ignores(path, name, is_folder=False):
                if reason:
                    self._leave(path, reason)
                return None
        if not self._nameable(path, name):
            return None
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as fault:
            self._leave(path, f"not readable: {fault.strerror}")
            return None
        kind = stat.S_IFMT(found.st_mode)
        if kind in _KINDS:
            self._leave(path, _KINDS[kind])
            return None
        if found.st_size > MAX_FILE_BYTES:
            self._leave(path, f"{TOO_LARGE} {MAX_FILE_BYTES // 2**20} MB")
            return None
        return found

    def _nameable(self, path: str, name: str) -> bool:
        if name.isascii():
            return True
        try:
            name.encode()
        except UnicodeEncodeError:
            self._leave(path, "its name is not valid UTF-8")
            return False
        return True

    def _enter(self, folder: str, names: set[str]) -> bool:
        """False: the folder is left out for what lies in it."""
        reason = content_reason(names) if folder[:-1] not in self._tracked_folders else None
        if reason is not None:
            self._leave(folder, reason)
            if "pyvenv.cfg" in names:
                self.dependencies.append(folder[:-1])
            return False
        return ".git" not in names or self._enter_repository(folder)

    def _enter_repository(self, folder: str) -> bool:
        """False: the nested repository is left out."""
        nested = UserRepository.at(self.root / folder)
        if nested is None:
            return True
        if self.repository is not None and nested.common_dir == self.repository.common_dir:
            self._leave(folder, "another working tree of this repository")
            return False
        try:
            tracked = {folder + path: mode for path, mode in nested.tracked().items()}
        except UnreadableIndexError:
            tracked = {}
        self.tracked.update(tracked)
        self._note_folders(tracked)
        return True

    def _own_chain(self, folder: str) -> IgnoreChain:
        nested = UserRepository.at(self.root / folder)
        files = [IgnoreFile(self.general, folder)]
        if nested is not None:
            files.append(IgnoreFile(nested.excludes(), folder))
        return IgnoreChain(tuple(file for file in files if not file.empty))

    def _note_folders(self, paths: dict[str, int]) -> None:
        for path in paths:
            folder = path.rpartition("/")[0]
            while folder and folder not in self._tracked_folders:
                self._tracked_folders.add(folder)
                folder = folder.rpartition("/")[0]

    def _leave(self, path: str, reason: str) -> None:
        if reason:
            self.left_out.append(LeftOut(shown(path), reason))
