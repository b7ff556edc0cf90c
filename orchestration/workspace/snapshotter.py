"""Takes the base of a run: the exact bytes of the working copy, and of unsaved buffers, as a snapshot.

Tracked and untracked-not-ignored files, with or without a repository of the user's; what is left out is
named. Read in one pass in a worker thread (`walk.py` decides, `stat_cache.py` remembers), stored as
packs, durable before the id is given. The user's files and repository are only read.
"""

import os
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
import msgspec

from orchestration.errors import WorkspaceError
from orchestration.events import LeftOut
from orchestration.ports import Clock, Executor
from orchestration.workspace.file_contents import NotTakenError, link_target, read_still
from orchestration.workspace.git import Git
from orchestration.workspace.ignore_rules import IgnoreChain
from orchestration.workspace.object_store import SnapshotStore
from orchestration.workspace.objects import EXECUTABLE, FILE, LINK, Entry
from orchestration.workspace.snapshot_writing import SnapshotWriting, place_buffers
from orchestration.workspace.stat_cache import SeenFolder, StatCache, seen, unchanged
from orchestration.workspace.surroundings import surroundings_of
from orchestration.workspace.user_repository import (
    UnreadableIndexError,
    UserRepository,
    global_excludes,
    starting_chain,
)
from orchestration.workspace.walk import Walk

_PROGRESS_S = 0.2
_REMEMBERED = 20_000  # paths of the index kept in memory between snapshots


class BaseSnapshot(msgspec.Struct, frozen=True):
    """`dirty` are the paths whose content is an unsaved buffer's, `folders` those with nothing in them, which no
    tree can hold.
    """

    snapshot: str
    files: int
    left_out: tuple[LeftOut, ...] = ()
    dirty: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


class Snapshotter(Protocol):
    async def take(
        self,
        root: Path,
        *,
        buffers: Mapping[str, str] = ...,
        progress: Callable[[int], None] | None = None,
    ) -> BaseSnapshot:
        """`buffers`: unsaved texts by path relative to the root. `progress` is told the number of files so
        far, on the event loop. Cancelling stops the reading. Raises WorkspaceError.
        """


class _CancelledError(Exception):
    pass


@dataclass(slots=True)
class _Taking:
    """One snapshot under way; shared with the thread that works on it."""

    walk: Walk
    buffers: dict[str, str]
    files: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


class LocalSnapshotter:
    def __init__(
        self,
        store: SnapshotStore,
        data: Path,
        git: Git,
        *,
        clock: Clock,
        executor: Executor,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`data`: the workspace's data folder, where the cache of file states is kept."""
        self._store = store
        self._data = data
        self._git = git
        self._clock = clock
        self._executor = executor
        self._environment = os.environ if environment is None else environment
        self._known_index: tuple[object, dict[str, int]] | None = None
        self._one_at_a_time = anyio.Lock()

    async def take(
        self,
        root: Path,
        *,
        buffers: Mapping[str, str] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> BaseSnapshot:
        check_workspace(root)
        async with self._one_at_a_time:
            walk = await self._prepare(root)
            taking = _Taking(walk, dict(buffers or {}))
            try:
                snapshot, dirty = await self._reported(taking, progress)
            finally:
                taking.stop.set()
        left_out = tuple(sorted(walk.left_out, key=lambda item: item.path))
        return BaseSnapshot(snapshot, taking.files, left_out, dirty, tuple(sorted(walk.empty)))

    async def _reported(
        self, taking: _Taking, progress: Callable[[int], None] | None
    ) -> tuple[str, tuple[str, ...]]:
        if progress is None:
            return await self._executor.run(self._take, taking)
        fault: Exception | None = None
        taken: tuple[str, tuple[str, ...]] = ("", ())
        async with anyio.create_task_group() as side:
            side.start_soon(self._report, taking, progress)
            try:
                taken = await self._executor.run(self._take, taking)
            except Exception as raised:  # noqa: BLE001 - raised again below, outside of the group
                fault = raised
            side.cancel_scope.cancel()
        if fault is not None:
            raise fault
        progress(taking.files)
        return taken

    async def _report(self, taking: _Taking, progress: Callable[[int], None]) -> None:
        while True:
            await self._clock.sleep(_PROGRESS_S)
            progress(taking.files)

    async def _prepare(self, given: Path) -> Walk:
        root, general, repository = await self._executor.run(self._surveyed, given)
        tracked: dict[str, int] = {}
        if repository is not None:
            tracked = await self._tracked(repository)
            prefix = "".join(f"{part}/" for part in root.relative_to(repository.top).parts)
            if prefix:
                tracked = {
                    path[len(prefix) :]: mode for path, mode in tracked.items() if path.startswith(prefix)
                }
                chain = starting_chain(root, repository, general)
                if not tracked and _hidden_by_outer(root, repository, general):
                    repository, chain = None, starting_chain(root, None, general)
                return Walk(root, repository, tracked, chain, general)
        return Walk(root, repository, tracked, starting_chain(root, repository, general), general)

    async def _tracked(self, repository: UserRepository) -> dict[str, int]:
        state = await self._executor.run(repository.index_state, int(self._clock.now() * 1e9))
        if state is not None and self._known_index is not None and self._known_index[0] == state:
            return dict(self._known_index[1])
        try:
            tracked = await self._executor.run(repository.tracked)
        except UnreadableIndexError:
            tracked = await repository.tracked_by_git(self._git, self._data / "index-copy")
        self._known_index = (state, tracked) if state is not None and len(tracked) < _REMEMBERED else None
        return dict(tracked)

    # --- in the worker thread ------------------------------------------------------------------

    def _surveyed(self, given: Path) -> tuple[Path, bytes, UserRepository | None]:
        """The real root, what the user ignores everywhere, and the repository around the root."""
        root = Path(os.path.realpath(given))
        home = Path(self._environment.get("HOME") or "/")
        general = global_excludes(home, self._environment.get("XDG_CONFIG_HOME"))
        return root, general, UserRepository.around(root)

    def _take(self, taking: _Taking) -> tuple[str, tuple[str, ...]]:
        """The snapshot, and the paths whose content is a buffer's."""
        writing = SnapshotWriting(self._store)
        last = StatCache.load(self._data, str(taking.walk.root))
        now = StatCache.empty(last.root)
        for folder, listed in taking.walk.folders():
            before = last.folders.get(folder)
            fresh = SeenFolder("", {})
            entries: dict[str, Entry] = {}
            for name, found in listed:
                if taking.stop.is_set():
                    raise _CancelledError
                entry = self._file(taking.walk, folder + name, name, found, before, fresh, writing)
                if entry is not None:
                    entries[name] = entry
                    taking.files += 1
            if entries:
                writing.folders[folder] = entries
                now.folders[folder] = fresh
        dirty = place_buffers(taking.walk, writing, taking.buffers)
        taking.files = sum(map(len, writing.folders.values()))
        if taking.stop.is_set():
            raise _CancelledError
        now.tree = writing.finish(last, now)
        surroundings_of(taking.walk).save(self._data)
        if now != last:
            now.save(self._data)
        return self._store.commit(now.tree, [], "base", when=self._clock.now()), dirty

    def _file(
        self,
        walk: Walk,
        path: str,
        name: str,
        found: os.stat_result,
        before: SeenFolder | None,
        fresh: SeenFolder,
        writing: SnapshotWriting,
    ) -> Entry | None:
        known = before.files.get(name) if before is not None else None
        if known is not None and unchanged(known, found):
            fresh.files[name] = known
            return Entry(_mode(known.mode), known.oid)
        began = int(self._clock.now() * 1e9)
        try:
            if stat.S_ISLNK(found.st_mode):
                data, state = link_target(f"{walk.root}/{path}", path), found
            else:
                data, state = read_still(f"{walk.root}/{path}")
        except FileNotFoundError:
            return None
        except NotTakenError as reason:
            walk.left_out.append(LeftOut(path, str(reason)))
            return None
        oid = writing.blob(data)
        writing.touched.add(path[: len(path) - len(name)])
        remembered = seen(state, oid, began)
        if remembered is not None:
            fresh.files[name] = remembered
        return Entry(_mode(state.st_mode), oid)


def _mode(mode: int) -> int:
    if stat.S_ISLNK(mode):
        return LINK
    return EXECUTABLE if mode & stat.S_IXUSR else FILE


def _hidden_by_outer(root: Path, repository: UserRepository, general: bytes) -> bool:
    """A workspace inside a repository that ignores it (a home folder under version control, say)."""
    parts = root.relative_to(repository.top).parts
    for depth, part in enumerate(parts):
        above = repository.top.joinpath(*parts[:depth])
        outer = starting_chain(above / part, repository, general)
        inside = "".join(f"{name}/" for name in parts[:depth])
        if IgnoreChain(outer.files).ignores(inside + part, part, is_folder=True):
            return True
    return False


def check_workspace(root: Path, *, writable: bool = False) -> None:
    """Raises WorkspaceError, naming the mend, for a root that no run can work on."""
    try:
        mode = root.stat().st_mode
    except FileNotFoundError:
        raise WorkspaceError(f"there is no folder {root}; check the path given with --workspace") from None
    except OSError as fault:
        raise WorkspaceError(f"{root} cannot be opened: {fault.strerror}") from fault
    if not stat.S_ISDIR(mode):
        raise WorkspaceError(f"{root} is a file; name the folder it lies in")
    if not os.access(root, os.R_OK | os.X_OK):
        raise WorkspaceError(f"{root} is not readable for this user; change its permissions")
    if writable and not os.access(root, os.W_OK):
        raise WorkspaceError(
            f"{root} is read-only, so no change could be accepted; make it writable or copy it"
        )
