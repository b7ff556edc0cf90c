"""The object store in the shadow repository: reads by libgit2, writes durable, content merges by git."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.errors import NotFoundError, WorkspaceError
from orchestration.workspace.durable import sync_folder
from orchestration.workspace.git import Git
from orchestration.workspace.git_files import write_objects
from orchestration.workspace.merging import ContentMerged
from orchestration.workspace.object_store import SnapshotStore
from orchestration.workspace.shadow import ShadowRepository
from orchestration.workspace.tree_codec import EMPTY_TREE
from orchestration.workspace.trees import RawObject

if TYPE_CHECKING:
    import pygit2

_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}


class _Kept:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _odb(self) -> "pygit2.Odb":
        """The objects alone, not a repository: no configuration of anyone is read. Late, since the library
        costs 11 MB and a server that has run nothing yet reads nothing.
        """
        import pygit2

        return pygit2.Odb(str(self._folder))

    def get(self, oid: str) -> RawObject:
        try:
            kind, body = self._odb.read(oid)
        except (KeyError, ValueError) as fault:
            if oid == EMPTY_TREE:
                return RawObject("tree", b"")
            raise NotFoundError(
                f"object {oid} is not in the snapshots of this workspace; was it removed by `antiphon gc`?"
            ) from fault
        return RawObject(_KINDS[int(kind)], body)

    def put(self, objects: Mapping[str, RawObject]) -> None:
        try:
            write_objects(self._folder, objects)
        except OSError as fault:
            raise WorkspaceError(
                f"the snapshots in {self._folder} cannot be written: {fault.strerror}; nothing was changed. Free some "
                "space (antiphon gc removes old runs) and try again"
            ) from fault


class GitObjects(SnapshotStore):
    def __init__(self, shadow: ShadowRepository, git: Git) -> None:
        self._shadow = shadow
        self._git = git
        super().__init__(_Kept(shadow.path / "objects"), self._merge_contents)

    @property
    def git_dir(self) -> Path:
        return self._shadow.path

    async def _merge_contents(self, ours: str, theirs: str) -> ContentMerged:
        done = await self._git.run(
            [
                "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", "--allow-unrelated-histories",
                ours, theirs,
            ],
            git_dir=self._shadow.path,
            expect=(0, 1),
        )  # fmt: skip
        tree, *paths = done.output.decode("utf-8", "surrogateescape").split("\0")
        self._settle(self.tree_of(ours), tree)
        return ContentMerged(tree, tuple(path for path in paths if path))

    def _settle(self, before: str, after: str) -> None:
        """git flushes the objects it wrote but not their names."""
        made = {after} | {entry.oid for _, _, entry in self.diff(before, after) if entry is not None}
        parents = {path.rpartition("/")[0] for path, _, _ in self.diff(before, after)}
        for parent in parents:
            parts = parent.split("/") if parent else []
            for depth in range(1, len(parts) + 1):
                found = self._trees.find(after, "/".join(parts[:depth]))
                if found is not None:
                    made.add(found.oid)
        folders = {self._shadow.path / "objects" / oid[:2] for oid in made}
        for folder in sorted(folders):
            if folder.is_dir():
                sync_folder(folder)
