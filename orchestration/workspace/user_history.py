"""The user's own history as data: the files of one of their commits, read and never written.

libgit2 reads objects and refs by itself: no hook, filter or helper program of the repository can run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pygit2

from orchestration.errors import UsageError
from orchestration.workspace.objects import Entry
from orchestration.workspace.user_repository import UserRepository

_FILE_MODES = frozenset({0o100644, 0o100755, 0o120000})


@dataclass(frozen=True, slots=True)
class Revision:
    """`commit` is its id; `files` are paths below the workspace with mode and blob id. The contents are the
    repository's, which may differ from a working copy in line endings, or stand for a file kept elsewhere.
    """

    commit: str
    files: dict[str, Entry]


class UserHistory:
    def __init__(self, root: Path) -> None:
        """`root` is the workspace: the top of a repository, a folder in one, or neither."""
        self._root = root
        self._found = UserRepository.around(root)
        self._repository: Any = None

    @property
    def exists(self) -> bool:
        return self._found is not None

    def revision(self, name: str) -> Revision | None:
        """None for HEAD of a repository without a commit. Raises UsageError for what is no commit."""
        repository = self._open()
        if name == "HEAD" and repository.head_is_unborn:
            return None
        try:
            commit = repository.revparse_single(name).peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError) as fault:
            raise UsageError(
                f"{name!r} is no commit of the repository {self._top()}; `git log` lists them"
            ) from fault
        tree = commit.tree
        for part in self._root.relative_to(self._top()).parts:
            if part not in tree or tree[part].type_str != "tree":
                return Revision(str(commit.id), {})
            tree = tree[part]
        files: dict[str, Entry] = {}
        _collect(tree, "", files)
        return Revision(str(commit.id), files)

    def blob(self, oid: str) -> bytes:
        """Raises UsageError for a content that this clone does not have."""
        try:
            return bytes(self._open()[oid].data)
        except (KeyError, ValueError) as fault:
            raise UsageError(
                f"object {oid} is not in this clone (a partial or shallow one?); fetch it with git first"
            ) from fault

    def _open(self) -> Any:
        if self._found is None:
            raise UsageError(f"{self._root} is in no git repository, so there is no revision to compare with")
        if self._repository is None:
            try:
                self._repository = pygit2.Repository(str(self._found.git_dir))
            except pygit2.GitError as fault:
                raise UsageError(f"the repository {self._top()} cannot be read: {fault}") from fault
        return self._repository

    def _top(self) -> Path:
        assert self._found is not None
        return self._found.top


def _collect(tree: Any, prefix: str, files: dict[str, Entry]) -> None:
    """Names that are not UTF-8 are left out: no snapshot of ours can hold them."""
    for entry in tree:
        try:
            name = entry.raw_name.decode()
        except UnicodeDecodeError:
            continue
        if entry.type_str == "tree":
            _collect(entry, f"{prefix}{name}/", files)
        elif entry.filemode in _FILE_MODES:
            files[f"{prefix}{name}"] = Entry(int(entry.filemode), str(entry.id))
